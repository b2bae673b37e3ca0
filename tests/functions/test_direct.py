"""Objects larger than a function's payload through packaged functions: `causeway cp`, ranged GETs, and the
streaming server over the same tables and bucket at the same time."""

import json
import os
import subprocess
import sys

import pytest

from tests.site_process import SiteProcess

MIB = 1 << 20
LARGE = os.urandom(24 * MIB)
RANGE = 4 * MIB


@pytest.fixture(scope="module")
def server(functions, tmp_path_factory):
    """`causeway serve` over the same tables and bucket."""
    assert functions.keys  # or the server would make the first administrator itself
    site = SiteProcess(tmp_path_factory.mktemp("server"), functions.settings())
    site.start()
    yield site
    site.stop()


def cp(endpoint, keys, *words):
    """One `causeway cp` in a process of its own; its report."""
    given = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": keys[0],
        "AWS_SECRET_ACCESS_KEY": keys[1],
        "PATH": os.environ["PATH"],
        "NO_PROXY": "*",
    }
    command = [sys.executable, "-m", "chalicelib.cli.main", "cp", *map(str, words), "--json"]
    ran = subprocess.run(command, capture_output=True, env=given, timeout=100)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return json.loads(ran.stdout)


def in_ranges(s3, bucket, key, size):
    """An object read by ordinary ranged GETs."""
    spans = [(at, min(at + RANGE, size) - 1) for at in range(0, size, RANGE)]
    got = [s3.get_object(Bucket=bucket, Key=key, Range=f"bytes={a}-{b}")["Body"].read() for a, b in spans]
    return b"".join(got)


def test_a_large_object_up_and_down(functions, site, server, s3, bucket, tmp_path):
    """24 MiB by `causeway cp` through a function: read back by it, straight and in ranges, by ordinary ranged
    GETs through the function, and whole by the streaming server."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(LARGE)
    up = cp(site.endpoint, functions.keys, source, f"s3://{bucket}/up")
    assert (up["bytes"], up["blocks"], up["direct"]) == (len(LARGE), 6, True)

    down = cp(site.endpoint, functions.keys, f"s3://{bucket}/up", target)
    assert (down["blocks"], down["ranges"], target.read_bytes() == LARGE) == (6, 0, True)
    down = cp(site.endpoint, functions.keys, f"s3://{bucket}/up", target, "--ranged")
    assert (down["blocks"], down["ranges"], target.read_bytes() == LARGE) == (0, 6, True)
    assert in_ranges(s3, bucket, "up", len(LARGE)) == LARGE
    streamed = server.boto3(functions.keys).get_object(Bucket=bucket, Key="up")
    assert streamed["Body"].read() == LARGE and streamed["ETag"] == f'"{up["etag"]}"'


def test_function_and_server_at_once(functions, site, server, s3, bucket, tmp_path):
    """What the streaming server takes, a function gives, and the other way round; a key written by both holds
    one of the two, whole."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(LARGE)
    other = server.boto3(functions.keys)
    other.put_object(Bucket=bucket, Key="served", Body=LARGE[::-1])  # blocks by BLAKE3
    down = cp(site.endpoint, functions.keys, f"s3://{bucket}/served", target)
    assert (down["blocks"], target.read_bytes() == LARGE[::-1]) == (6, True)
    up = cp(server.endpoint, functions.keys, source, f"s3://{bucket}/by-server")
    assert up["direct"] and in_ranges(s3, bucket, "by-server", len(LARGE)) == LARGE

    command = [sys.executable, "-m", "chalicelib.cli.main", "cp", str(source), f"s3://{bucket}/both"]
    keys = {"AWS_ACCESS_KEY_ID": functions.keys[0], "AWS_SECRET_ACCESS_KEY": functions.keys[1]}
    with subprocess.Popen(
        command, env={"AWS_ENDPOINT_URL": site.endpoint, "PATH": os.environ["PATH"], **keys}
    ) as copying:
        seen = set()
        while copying.poll() is None:
            other.put_object(Bucket=bucket, Key="both", Body=LARGE[::-1])
            seen.add(other.get_object(Bucket=bucket, Key="both")["Body"].read() in (LARGE, LARGE[::-1]))
        assert (copying.returncode, seen) == (0, {True})
    assert in_ranges(s3, bucket, "both", len(LARGE)) in (LARGE, LARGE[::-1])
    assert other.list_objects_v2(Bucket=bucket)["KeyCount"] == 3


def test_a_copy_of_it(functions, site, server, s3, bucket, tmp_path):
    """CopyObject of an object whose blocks nobody here saw: the store copies them, the hashes stay."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(LARGE)
    cp(site.endpoint, functions.keys, source, f"s3://{bucket}/source")
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "source"})
    s3.delete_object(Bucket=bucket, Key="source")

    down = cp(site.endpoint, functions.keys, f"s3://{bucket}/copy", target)
    assert (down["blocks"], target.read_bytes() == LARGE) == (6, True)


def test_the_refusal_names_it(s3, bucket):
    """Whoever sends too much is told how it goes."""
    with pytest.raises(s3.exceptions.ClientError, match="causeway cp"):
        s3.put_object(Bucket=bucket, Key="k", Body=LARGE[:4_669_441])
