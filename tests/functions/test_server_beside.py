"""`causeway serve` beside a site's functions: the same tables, bucket and KMS key, at the same time."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.lambda_host.deployed import DeployedSite
from tests.site_process import SiteProcess


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
