"""The AWS command line as it comes."""

import json
import secrets

import pytest

from tests.clients.programs import (
    BIN,
    VIRTUAL_ENDPOINT,
    by_virtual_host,
    make_tree,
    read_tree,
    run,
    stored,
)


@pytest.fixture
def aws(site):
    """Runs `aws …` and returns its output."""
    return lambda *command, **how: run(site, BIN / "aws", "--endpoint-url", site.endpoint, *command, **how)


def test_a_tree_goes_up_and_comes_back(aws, s3, bucket, tmp_path):
    """s3 sync up, sync again moving nothing, one change, sync --delete, and sync down."""
    tree = make_tree(tmp_path / "up")
    there = f"s3://{bucket}/tree"
    aws("s3", "sync", tmp_path / "up", there, "--no-progress")
    assert stored(s3, bucket, "tree/") == tree
    assert aws("s3", "sync", tmp_path / "up", there) == ""

    (tmp_path / "up" / "small.txt").write_bytes(b"changed, and longer\n")
    (tmp_path / "up" / "empty").unlink()
    told = aws("s3", "sync", "--delete", "--no-progress", tmp_path / "up", there)
    assert (told.count("upload:"), told.count("delete:")) == (1, 1)
    aws("s3", "sync", there, tmp_path / "down", "--no-progress")
    assert read_tree(tmp_path / "down") == read_tree(tmp_path / "up")


def test_single_objects(aws, s3, bucket, tmp_path):
    """mb, cp both ways and between keys, mv, ls, rm, rb --force."""
    made = f"b-{secrets.token_hex(6)}"
    assert made in aws("s3", "mb", f"s3://{made}")
    (tmp_path / "f").write_bytes(b"x" * 9_000_000)
    aws("s3", "cp", tmp_path / "f", f"s3://{made}/dir/f", "--no-progress")
    aws("s3", "cp", f"s3://{made}/dir/f", f"s3://{bucket}/copied", "--no-progress")
    aws("s3", "mv", f"s3://{made}/dir/f", f"s3://{made}/moved", "--no-progress")
    listed = aws("s3", "ls", f"s3://{made}", "--recursive")
    assert "9000000 moved" in listed and "dir/f" not in listed
    aws("s3", "cp", f"s3://{bucket}/copied", tmp_path / "g", "--no-progress")
    assert (tmp_path / "g").read_bytes() == b"x" * 9_000_000
    aws("s3", "rm", f"s3://{bucket}/copied")
    assert made in aws("s3", "ls")
    aws("s3", "rb", "--force", f"s3://{made}")
    assert made not in [each["Name"] for each in s3.list_buckets()["Buckets"]]


def test_s3api(aws, bucket, tmp_path):
    """The commands below `s3api` speak JSON, and say what went wrong by its code."""
    (tmp_path / "f").write_bytes(b"hello")
    put = ["--bucket", bucket, "--key", "k"]
    api = json.loads(
        aws("s3api", "put-object", *put, "--body", tmp_path / "f", "--checksum-algorithm", "CRC64NVME")
    )
    assert api["ETag"] == '"5d41402abc4b2a76b9719d911017c592"'
    head = json.loads(aws("s3api", "head-object", *put, "--checksum-mode", "ENABLED"))
    assert (head["ContentLength"], head["ChecksumCRC64NVME"]) == (5, api["ChecksumCRC64NVME"])
    listed = json.loads(aws("s3api", "list-objects-v2", "--bucket", bucket, "--max-items", "1"))
    assert [entry["Key"] for entry in listed["Contents"]] == ["k"]
    aws("s3api", "get-object", *put, "--range", "bytes=1-3", tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == b"ell"
    assert "PreconditionFailed" in aws("s3api", "put-object", *put, "--if-none-match", "*", status=255)
    assert "NoSuchKey" in aws("s3api", "get-object", "--bucket", bucket, "--key", "no", "x", status=255)


def test_virtual_host_style(site, s3, bucket, tmp_path):
    """With the bucket in the host name: cp, ls, rm."""
    config = tmp_path / "config"
    config.write_text("[default]\ns3 =\n  addressing_style = virtual\n")
    how = by_virtual_host(site) | {"AWS_CONFIG_FILE": str(config)}
    (tmp_path / "f").write_bytes(b"hello")
    command = [BIN / "aws", "--endpoint-url", VIRTUAL_ENDPOINT, "s3"]
    run(site, *command, "cp", tmp_path / "f", f"s3://{bucket}/a b+c", **how)
    assert "a b+c" in run(site, *command, "ls", f"s3://{bucket}", **how)
    run(site, *command, "rm", f"s3://{bucket}/a b+c", **how)
    assert stored(s3, bucket) == {}
