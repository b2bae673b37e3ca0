"""minio-py as it comes."""

import io
import os
from datetime import timedelta

import minio
import pytest
import urllib3
from minio.commonconfig import REPLACE, ComposeSource, CopySource
from minio.deleteobjects import DeleteObject
from minio.error import S3Error

from tests.clients.conftest import BASE_DOMAIN

MIB = 1 << 20
BODY = os.urandom(11 * MIB + 7)


def client_of(site, endpoint="", **options):
    access_key, secret_key = site.keys
    endpoint = endpoint or "{}:{}".format(*site.address)
    return minio.Minio(endpoint, access_key=access_key, secret_key=secret_key, secure=False, **options)


@pytest.fixture
def client(site):
    return client_of(site)


def test_buckets(client, bucket):
    """make, exists, list, remove, with and without a region."""
    for name, region in ((f"{bucket}-m", None), (f"{bucket}-r", "eu-west-1")):
        client.make_bucket(name, region)
        assert client.bucket_exists(name)
        assert name in [each.name for each in client.list_buckets()]
        client.remove_bucket(name)
        assert not client.bucket_exists(name)


def test_objects(client, bucket):
    """put (whole and in parts, with and without a known length), stat, ranges, list, remove."""
    client.put_object(bucket, "dir/small ü+", io.BytesIO(b"hello"), 5, metadata={"a": "1"})
    client.put_object(bucket, "parts", io.BytesIO(BODY), len(BODY), part_size=5 * MIB)
    client.put_object(bucket, "stream", io.BytesIO(BODY), -1, part_size=5 * MIB)
    stat = client.stat_object(bucket, "dir/small ü+")
    assert (stat.size, stat.metadata["x-amz-meta-a"]) == (5, "1")
    for name in ("parts", "stream"):
        with client.get_object(bucket, name) as answer:
            assert answer.read() == BODY
    with client.get_object(bucket, "parts", offset=5 * MIB - 1, length=2) as answer:
        assert answer.read() == BODY[5 * MIB - 1 : 5 * MIB + 1]
    assert {o.object_name for o in client.list_objects(bucket)} == {"dir/", "parts", "stream"}
    names = [o.object_name for o in client.list_objects(bucket, recursive=True)]
    assert names == ["dir/small ü+", "parts", "stream"]
    assert list(client.remove_objects(bucket, [DeleteObject(name) for name in names])) == []
    with pytest.raises(S3Error, match="NoSuchKey"):
        client.stat_object(bucket, "parts")


def test_copy_and_compose(client, bucket):
    """copy_object with new metadata, and one object composed of ranges of others."""
    client.put_object(bucket, "a", io.BytesIO(BODY), len(BODY))
    client.copy_object(bucket, "b", CopySource(bucket, "a"), metadata={"n": "1"}, metadata_directive=REPLACE)
    assert client.stat_object(bucket, "b").metadata["x-amz-meta-n"] == "1"
    sources = [ComposeSource(bucket, "a", offset=1, length=6 * MIB), ComposeSource(bucket, "b")]
    client.compose_object(bucket, "c", sources)
    with client.get_object(bucket, "c") as answer:
        assert answer.read() == BODY[1 : 1 + 6 * MIB] + BODY


def test_presigned(client, bucket):
    """Presigned PUT and GET."""
    http = urllib3.PoolManager()
    put = client.presigned_put_object(bucket, "k", expires=timedelta(minutes=1))
    assert http.request("PUT", put, body=b"hello").status == 200
    assert http.request("GET", client.presigned_get_object(bucket, "k")).data == b"hello"


def test_virtual_host_style(site, bucket, virtual_hosts):
    """With the bucket in the host name."""
    client = client_of(site, f"{BASE_DOMAIN}:{site.port}")
    client.enable_virtual_style_endpoint()
    client.put_object(bucket, "a//b", io.BytesIO(b"hello"), 5)
    assert [o.object_name for o in client.list_objects(bucket, recursive=True)] == ["a//b"]
    with client.get_object(bucket, "a//b") as answer:
        assert answer.read() == b"hello"
