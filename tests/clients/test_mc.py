"""mc, MinIO's client, as it comes."""

import json

import pytest

from tests.clients.programs import VIRTUAL_ENDPOINT, by_virtual_host, make_tree, read_tree, run, stored


@pytest.fixture
def command(site, mc, tmp_path):
    """Runs `mc …` with the alias `c`."""

    def call(*words, **how):
        config = tmp_path / "mc"
        return run(site, mc, "--config-dir", config, "--no-color", "--disable-pager", *words, **how)

    call("alias", "set", "c", site.endpoint, *site.keys, "--api", "S3v4", "--path", "on")
    return call


def test_a_tree_goes_up_and_comes_back(command, s3, bucket, tmp_path):
    """mirror up, mirror a change and a removal, ls, mirror down, rm --recursive."""
    tree = make_tree(tmp_path / "up")
    there = f"c/{bucket}/tree"
    command("mirror", "--quiet", tmp_path / "up", there)
    assert stored(s3, bucket, "tree/") == tree
    told = [json.loads(line) for line in command("ls", "--recursive", "--json", there).splitlines()]
    assert {each["key"] for each in told} == set(tree)

    (tmp_path / "up" / "small.txt").write_bytes(b"changed, longer")
    (tmp_path / "up" / "empty").unlink()
    command("mirror", "--quiet", "--overwrite", "--remove", tmp_path / "up", there)
    command("mirror", "--quiet", there, tmp_path / "down")
    assert read_tree(tmp_path / "down") == read_tree(tmp_path / "up")
    command("rm", "--recursive", "--force", there)
    assert stored(s3, bucket) == {}


def test_single_objects(command, s3, bucket, tmp_path):
    """mb, cp both ways and server-side, stat, cat, head, mv, pipe, rm, rb."""
    made = f"{bucket}-m"
    command("mb", f"c/{made}")
    (tmp_path / "f").write_bytes(b"hello" * 5_000_000)
    command("cp", "--quiet", "--attr", "a=1", tmp_path / "f", f"c/{made}/dir/f")
    stat = json.loads(command("stat", "--json", f"c/{made}/dir/f"))
    assert (stat["size"], stat["metadata"]["X-Amz-Meta-A"]) == (25_000_000, "1")
    command("cp", "--quiet", f"c/{made}/dir/f", f"c/{bucket}/copied")
    command("mv", "--quiet", f"c/{made}/dir/f", f"c/{made}/moved")
    command("cp", "--quiet", f"c/{made}/moved", tmp_path / "g")
    assert (tmp_path / "g").read_bytes() == b"hello" * 5_000_000
    s3.put_object(Bucket=made, Key="line", Body=b"one\ntwo\n")
    assert command("cat", f"c/{made}/line") == "one\ntwo\n"
    assert json.loads(command("ls", "--json", f"c/{made}/line"))["size"] == 8
    command("rm", f"c/{bucket}/copied")
    command("rb", "--force", f"c/{made}")
    assert made not in command("ls", "c")


def test_virtual_host_style(site, command, s3, bucket, tmp_path):
    """With the bucket in the host name."""
    how = by_virtual_host(site)
    command("alias", "set", "v", VIRTUAL_ENDPOINT, *site.keys, "--api", "S3v4", "--path", "off", **how)
    (tmp_path / "f").write_bytes(b"hello")
    command("cp", "--quiet", tmp_path / "f", f"v/{bucket}/a+b c", **how)
    assert stored(s3, bucket) == {"a+b c": b"hello"}
    assert command("cat", f"v/{bucket}/a+b c", **how) == "hello"
