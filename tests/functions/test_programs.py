"""The AWS command line, rclone and minio-py before functions: what works as it comes, what needs a word."""

import io
import secrets

import minio
import pytest

from tests.clients.programs import BIN, make_tree, read_tree, run, stored
from tests.clients.test_rclone import command

__all__ = ["command"]


@pytest.fixture
def aws(site):
    """Runs `aws …` and returns its output."""
    return lambda *words, **how: run(site, BIN / "aws", "--endpoint-url", site.endpoint, *words, **how)


@pytest.fixture
def tree(tmp_path):
    """Files that fit, in a directory `up`."""
    made = make_tree(tmp_path / "up")
    (tmp_path / "up" / "large").unlink()
    return {name: body for name, body in made.items() if name != "large"}


def test_aws(aws, site, s3, bucket, tree, tmp_path):
    """mb, sync up, sync again, cp, ls, a range, sync down, rb."""
    there = f"s3://{bucket}/tree"
    aws("s3", "sync", tmp_path / "up", there, "--no-progress")
    assert stored(s3, bucket, "tree/") == tree
    assert aws("s3", "sync", tmp_path / "up", there) == ""
    made = f"b-{secrets.token_hex(6)}"
    aws("s3", "mb", f"s3://{made}")
    aws("s3", "cp", tmp_path / "up" / "medium", f"s3://{made}/dir/f", "--no-progress")
    assert "100000 dir/f" in aws("s3", "ls", f"s3://{made}", "--recursive")
    aws("s3api", "get-object", "--bucket", made, "--key", "dir/f", "--range", "bytes=1-3", tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == tree["medium"][1:4]
    aws("s3", "sync", there, tmp_path / "down", "--no-progress")
    assert read_tree(tmp_path / "down") == tree
    aws("s3", "rb", "--force", f"s3://{made}")


def test_aws_single_objects(aws, s3, bucket, tree, tmp_path):
    """cp and mv of one object ask HEAD first; a length that is lost there does them no harm."""
    aws("s3", "cp", tmp_path / "up" / "medium", f"s3://{bucket}/f", "--no-progress")
    aws("s3", "cp", f"s3://{bucket}/f", tmp_path / "g", "--no-progress")
    assert (tmp_path / "g").read_bytes() == tree["medium"]
    aws("s3", "mv", f"s3://{bucket}/f", f"s3://{bucket}/moved", "--no-progress")
    assert stored(s3, bucket) == {"moved": tree["medium"]}


def test_rclone(command, site, s3, bucket, tree, tmp_path):
    """copy up, check, lsf, copy down; behind the REST API with --s3-no-head and --s3-no-head-object."""
    how = ["--s3-no-head", "--s3-no-head-object"] if site.front == "rest" else []
    there = f"c:{bucket}/tree"
    command("copy", tmp_path / "up", there, *how)
    assert stored(s3, bucket, "tree/") == tree
    assert set(command("lsf", "-R", "--files-only", there, *how).splitlines()) == set(tree)
    command("copy", there, tmp_path / "down", *how)
    assert read_tree(tmp_path / "down") == tree
    command("purge", there, *how)
    assert stored(s3, bucket) == {}


@pytest.mark.parametrize("site", ["domain", "url"], indirect=True)
def test_minio_py(site, bucket):
    """put, get, ranges, list, remove; minio-py takes no path in an endpoint, so no stage."""
    access_key, secret_key = site.keys
    client = minio.Minio(
        "{}:{}".format(*site.address), access_key=access_key, secret_key=secret_key, secure=False
    )
    client.put_object(bucket, "dir/small ü+", io.BytesIO(b"hello"), 5, metadata={"a": "1"})
    with client.get_object(bucket, "dir/small ü+", offset=1, length=3) as answer:
        assert answer.read() == b"ell"
    stat = client.stat_object(bucket, "dir/small ü+")
    assert (stat.metadata["x-amz-meta-a"], stat.size) == ("1", 5 if site.front == "url" else 0)
    assert [o.object_name for o in client.list_objects(bucket, recursive=True)] == ["dir/small ü+"]
    client.remove_object(bucket, "dir/small ü+")
    assert list(client.list_objects(bucket)) == []
