"""`causeway serve` beside a site's functions: the same tables, bucket and KMS key, at the same time."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.lambda_host.deployed import DeployedSite
from tests.site_process import SiteProcess

LARGE = 9 << 20  # more than a function's answer holds


@pytest.fixture
def server(functions: DeployedSite, tmp_path: Path) -> Iterator[SiteProcess]:
    """The streaming server, told what the functions are told, its master key from KMS too."""
    assert functions.keys  # the administrator function was first
    environment = functions.settings()
    assert environment["CAUSEWAY_KMS_KEY"] and "CAUSEWAY_MASTER_KEY" not in environment
    site = SiteProcess(tmp_path, {name: value for name, value in environment.items() if value})
    site.start()
    yield site
    site.stop()


@pytest.fixture
def pair(functions: DeployedSite, server: SiteProcess) -> tuple[Any, Any]:
    """A client of the Function URL, and one of the server, with the same keys."""
    return functions.front("url").boto3(), server.boto3(functions.keys)


def test_each_reads_what_the_other_wrote(pair: tuple[Any, Any]) -> None:
    """Users, buckets, objects: one site with two doors."""
    function, streaming = pair
    bucket = f"beside-{secrets.token_hex(4)}"
    function.create_bucket(Bucket=bucket)
    streaming.put_object(Bucket=bucket, Key="by-server", Body=b"streamed" * 1000)
    function.put_object(Bucket=bucket, Key="by-function", Body=b"invoked" * 1000)

    assert function.get_object(Bucket=bucket, Key="by-server")["Body"].read() == b"streamed" * 1000
    assert streaming.get_object(Bucket=bucket, Key="by-function")["Body"].read() == b"invoked" * 1000
    listed = [one["Key"] for one in streaming.list_objects_v2(Bucket=bucket)["Contents"]]
    assert listed == ["by-function", "by-server"]
    function.delete_object(Bucket=bucket, Key="by-server")
    with pytest.raises(ClientError, match="NoSuchKey"):
        streaming.get_object(Bucket=bucket, Key="by-server")


def test_the_server_is_the_way_out_for_large_objects(pair: tuple[Any, Any]) -> None:
    """What a function refuses whole it gives in ranges, and the server gives whole."""
    function, streaming = pair
    bucket, body = f"large-{secrets.token_hex(4)}", secrets.token_bytes(LARGE)
    streaming.create_bucket(Bucket=bucket)
    with pytest.raises(ClientError, match=r"\(413\)"):  # Lambda's own, before any function
        function.put_object(Bucket=bucket, Key="key", Body=body)
    streaming.put_object(Bucket=bucket, Key="key", Body=body)

    assert streaming.get_object(Bucket=bucket, Key="key")["Body"].read() == body
    with pytest.raises(ClientError, match="EntityTooLarge"):
        function.get_object(Bucket=bucket, Key="key")
    step = 4 << 20
    ranges = (f"bytes={at}-{min(at + step, LARGE) - 1}" for at in range(0, LARGE, step))
    parts = [function.get_object(Bucket=bucket, Key="key", Range=one)["Body"].read() for one in ranges]
    assert b"".join(parts) == body
