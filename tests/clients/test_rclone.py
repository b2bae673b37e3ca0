"""rclone as it comes, provider Other."""

import pytest

from tests.clients.programs import VIRTUAL_ENDPOINT, by_virtual_host, make_tree, read_tree, run, stored


@pytest.fixture
def command(site, rclone):
    """Runs `rclone …` on the remote `c:`."""

    def call(*words, **how):
        access_key, secret_key = site.keys
        remote = {
            "RCLONE_CONFIG": "/dev/null",
            "RCLONE_CONFIG_C_TYPE": "s3",
            "RCLONE_CONFIG_C_PROVIDER": "Other",
            "RCLONE_CONFIG_C_ENDPOINT": site.endpoint,
            "RCLONE_CONFIG_C_ACCESS_KEY_ID": access_key,
            "RCLONE_CONFIG_C_SECRET_ACCESS_KEY": secret_key,
            "RCLONE_S3_UPLOAD_CUTOFF": "5Mi",
            "RCLONE_RETRIES": "1",
        }
        return run(site, rclone, *words, **(remote | how))

    return call


def test_a_tree_goes_up_and_comes_back(command, s3, bucket, tmp_path):
    """copy, check --download, sync of a change and a removal, lsf, size, copy back."""
    tree = make_tree(tmp_path / "up")
    there = f"c:{bucket}/tree"
    command("copy", tmp_path / "up", there)
    assert stored(s3, bucket, "tree/") == tree
    assert "0 differences found" in command("check", "--download", tmp_path / "up", there)
    assert set(command("lsf", "-R", "--files-only", there).splitlines()) == set(tree)

    (tmp_path / "up" / "small.txt").write_bytes(b"changed")
    (tmp_path / "up" / "empty").unlink()
    command("sync", tmp_path / "up", there)
    assert "0 differences found" in command("check", tmp_path / "up", there)
    assert "There was nothing to transfer" in command("sync", "-v", "--checksum", tmp_path / "up", there)
    command("copy", there, tmp_path / "down")
    assert read_tree(tmp_path / "down") == read_tree(tmp_path / "up")
    command("purge", there)
    assert stored(s3, bucket) == {}


def test_the_rest(command, s3, bucket, tmp_path):
    """mkdir, lsd, server-side copy and move, cat of a range, hashes, rmdir."""
    s3.put_object(Bucket=bucket, Key="a b", Body=b"0123456789")
    made = f"{bucket}-m"
    command("mkdir", f"c:{made}")
    assert made in command("lsd", "c:")
    command("copyto", f"c:{bucket}/a b", f"c:{made}/copied")
    command("moveto", f"c:{made}/copied", f"c:{made}/dir/moved")
    assert stored(s3, made) == {"dir/moved": b"0123456789"}
    assert command("cat", "--offset", "2", "--count", "3", f"c:{made}/dir/moved") == "234"
    assert command("md5sum", f"c:{made}").split()[0] == "781e5e245d69b566979b86e28d23f2c7"
    command("purge", f"c:{made}")
    assert made not in command("lsd", "c:")


def test_virtual_host_style(site, command, s3, bucket, tmp_path):
    """With the bucket in the host name."""
    how = by_virtual_host(site) | {
        "RCLONE_CONFIG_C_ENDPOINT": VIRTUAL_ENDPOINT,
        "RCLONE_S3_FORCE_PATH_STYLE": "false",
    }
    (tmp_path / "up").mkdir()
    (tmp_path / "up" / "a+b c").write_bytes(b"hello")
    command("copy", tmp_path / "up", f"c:{bucket}", **how)
    assert stored(s3, bucket) == {"a+b c": b"hello"}
    assert command("cat", f"c:{bucket}/a+b c", **how) == "hello"
