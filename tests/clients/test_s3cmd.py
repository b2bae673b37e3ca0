"""s3cmd as it comes."""

import pytest

from tests.clients.conftest import BASE_DOMAIN
from tests.clients.programs import BIN, make_tree, read_tree, run, stored


@pytest.fixture
def s3cmd(site, tmp_path):
    """Runs `s3cmd …`."""
    host = "{}:{}".format(*site.address)
    return lambda *words, **how: run(site, *base(site, tmp_path, host, host), *words, **how)


def base(site, tmp_path, host, bucket_host, **more):
    access_key, secret_key = site.keys
    config = tmp_path / "s3cfg"
    lines = {
        "access_key": access_key,
        "secret_key": secret_key,
        "host_base": host,
        "host_bucket": bucket_host,
        "use_https": "False",
        "multipart_chunk_size_mb": "5",
        **more,
    }
    config.write_text("[default]\n" + "".join(f"{name} = {value}\n" for name, value in lines.items()))
    return [BIN / "s3cmd", "--config", config, "--no-progress"]


def test_a_tree_goes_up_and_comes_back(s3cmd, s3, bucket, tmp_path):
    """sync up, sync again moving nothing, sync --delete-removed, sync down."""
    tree = make_tree(tmp_path / "up")
    there = f"s3://{bucket}/tree/"
    s3cmd("sync", f"{tmp_path}/up/", there)
    assert stored(s3, bucket, "tree/") == tree
    assert "upload:" not in s3cmd("sync", f"{tmp_path}/up/", there)
    (tmp_path / "up" / "empty").unlink()
    assert "delete:" in s3cmd("sync", "--delete-removed", f"{tmp_path}/up/", there)
    (tmp_path / "down").mkdir()
    s3cmd("sync", there, f"{tmp_path}/down/")
    assert read_tree(tmp_path / "down") == read_tree(tmp_path / "up")


def test_single_objects(s3cmd, s3, bucket, tmp_path):
    """mb, put, ls, info, get, cp, mv, del, du, la, rb."""
    made = f"{bucket}-m"
    s3cmd("mb", f"s3://{made}")
    (tmp_path / "f").write_bytes(b"hello" * 2_000_000)
    s3cmd("put", tmp_path / "f", f"s3://{made}/dir/a b")
    assert f"DIR  s3://{made}/dir/" in s3cmd("la")
    assert f"s3://{made}/dir/a b" in s3cmd("ls", f"s3://{made}/dir/")
    assert "10000000" in s3cmd("info", f"s3://{made}/dir/a b")
    s3cmd("cp", f"s3://{made}/dir/a b", f"s3://{bucket}/copied")
    s3cmd("mv", f"s3://{made}/dir/a b", f"s3://{made}/moved")
    s3cmd("get", f"s3://{made}/moved", tmp_path / "g")
    assert (tmp_path / "g").read_bytes() == b"hello" * 2_000_000
    assert "10000000" in s3cmd("du", f"s3://{made}")
    s3cmd("del", f"s3://{made}/moved", f"s3://{bucket}/copied")
    s3cmd("rb", f"s3://{made}")
    assert made not in s3cmd("ls")
    assert "NoSuchBucket" in s3cmd("ls", f"s3://{made}", status=12)


def test_virtual_host_style(site, s3, bucket, tmp_path):
    """With the bucket in the host name."""
    proxy = {"proxy_host": site.address[0], "proxy_port": str(site.port)}
    command = base(site, tmp_path, BASE_DOMAIN, f"%(bucket)s.{BASE_DOMAIN}", **proxy)
    (tmp_path / "f").write_bytes(b"hello")
    run(site, *command, "put", tmp_path / "f", f"s3://{bucket}/a+b c")
    assert stored(s3, bucket) == {"a+b c": b"hello"}
    run(site, *command, "get", f"s3://{bucket}/a+b c", tmp_path / "g")
    assert (tmp_path / "g").read_bytes() == b"hello"
    assert "a+b c" in run(site, *command, "ls", f"s3://{bucket}")
