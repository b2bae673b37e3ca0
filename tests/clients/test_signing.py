"""SigV4 as real signers make it: header, presigned URL, every aws-chunked mode, 100-continue."""

import base64
import hashlib
import os
import socket
import urllib.error
import urllib.request

import pytest
from awscrt import checksums as crt

from tests.clients import raw
from tests.clients.conftest import BASE_DOMAIN

BODY = os.urandom(300_000)
PIECES = [BODY[:65536], BODY[65536 : 65536 + 131072], BODY[65536 + 131072 :]]
CRC32 = base64.b64encode(crt.crc32(BODY).to_bytes(4, "big")).decode()


def fetch(method, url, body=None, **headers):
    """(status, body) of a plain HTTP client that knows nothing of S3."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, body, headers, method=method)
    try:
        with direct.open(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as no:
        return no.code, no.read()


def test_presigned_urls(site, bucket):
    """Made by boto3, used by a plain client: PUT, GET with overrides, HEAD, parts, DELETE, no other verb."""
    s3 = site.boto3(signature_version="s3v4")  # boto3 presigns with version 2 unless it is told
    at = {"Bucket": bucket, "Key": "dir/ä +%&=.txt"}

    def url(operation, **more):
        return s3.generate_presigned_url(operation, Params=at | more, ExpiresIn=60)

    assert fetch("PUT", url("put_object"), BODY)[0] == 200
    assert fetch("GET", url("get_object")) == (200, BODY)
    assert fetch("GET", url("get_object"), Range="bytes=1-3") == (206, BODY[1:4])
    shown = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
        url("get_object", ResponseContentType="text/x", ResponseContentDisposition='attachment; filename="ä"')
    )
    assert shown.headers["Content-Type"] == "text/x"
    assert fetch("HEAD", url("head_object")) == (200, b"")
    assert fetch("DELETE", url("get_object"))[0] == 403
    upload = s3.create_multipart_upload(**at)["UploadId"]
    assert fetch("PUT", url("upload_part", UploadId=upload, PartNumber=1), b"part")[0] == 200
    assert fetch("GET", url("list_parts", UploadId=upload))[0] == 200
    assert fetch("DELETE", url("delete_object"))[0] == 204
    assert fetch("GET", url("get_object"))[0] == 404


def test_presigned_metadata_is_stored(site, bucket):
    """What a presigned PUT says in signed headers is kept; leaving them out is refused."""
    s3 = site.boto3(signature_version="s3v4")
    at = {"Bucket": bucket, "Key": "k"}
    url = s3.generate_presigned_url(
        "put_object", Params=at | {"Metadata": {"a": "1"}, "ContentType": "text/x"}
    )
    headers = {"Content-Type": "text/x"}
    status, _ = fetch("PUT", url, b"x", **headers, **{"x-amz-meta-a": "1"})
    assert status == 200
    head = s3.head_object(**at)
    assert (head["Metadata"], head["ContentType"]) == ({"a": "1"}, "text/x")
    assert fetch("PUT", url, b"y", **{"Content-Type": "text/y", "x-amz-meta-a": "1"})[0] == 403


TRAILED = [raw.SIGNED_TRAILER, raw.UNSIGNED_TRAILER]


@pytest.mark.parametrize("mode", [raw.SIGNED_CHUNKS, *TRAILED])
@pytest.mark.parametrize("pieces", [PIECES, [b"tiny"], []], ids=["three", "one", "none"])
def test_aws_chunked(site, s3, bucket, mode, pieces):
    """Every mode stores the decoded bytes, keeps the trailer's checksum and forgets the coding."""
    body = b"".join(pieces)
    crc = base64.b64encode(crt.crc32(body).to_bytes(4, "big")).decode()
    trailer = ("x-amz-checksum-crc32", crc) if mode in TRAILED else None
    told = raw.exchange(site, raw.chunked(site, f"/{bucket}/k", pieces, mode, trailer))

    assert (told.status, told.headers["etag"]) == (200, f'"{hashlib.md5(body).hexdigest()}"'), told.body
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == body
    assert got.get("ChecksumCRC32") == (crc if trailer else None)
    assert "ContentEncoding" not in got


def test_aws_chunked_keeps_a_real_coding(site, s3, bucket):
    """Content-Encoding: gzip,aws-chunked is stored as gzip."""
    request = raw.chunked(site, f"/{bucket}/k", PIECES, headers={"content-encoding": "aws-chunked"})
    assert raw.exchange(site, request).status == 200
    at = f"/{bucket}/gzip"
    trailer = ("x-amz-checksum-crc32", CRC32)
    draft = raw.chunked(site, at, PIECES, raw.UNSIGNED_TRAILER, trailer)
    headers = {
        name: draft.headers[name]
        for name in ("x-amz-decoded-content-length", "x-amz-trailer", "content-length")
    }
    headers["content-encoding"] = "gzip,aws-chunked"
    request = raw.signed(site, "PUT", at, payload=raw.UNSIGNED_TRAILER, headers=headers)
    request.body = draft.body
    assert raw.exchange(site, request).status == 200
    assert s3.head_object(Bucket=bucket, Key="gzip")["ContentEncoding"] == "gzip"


def test_aws_chunked_inside_http_chunks(site, s3, bucket):
    """Some SDKs send aws-chunked with Transfer-Encoding: chunked and no Content-Length at all."""
    headers = {
        "content-encoding": "aws-chunked",
        "x-amz-decoded-content-length": str(len(BODY)),
        "transfer-encoding": "chunked",
    }
    request = raw.signed(site, "PUT", f"/{bucket}/k", payload=raw.SIGNED_CHUNKS, headers=headers)
    framed = raw.framed(site, request, PIECES, raw.SIGNED_CHUNKS, None)
    cut = [framed[n : n + 7000] for n in range(0, len(framed), 7000)]
    request.body = b"".join([b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*cut, b""]])
    assert raw.exchange(site, request).status == 200
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == BODY


def test_unsigned_payload(site, s3, bucket):
    """UNSIGNED-PAYLOAD by header authorization takes the body as it comes."""
    told = raw.send(site, "PUT", f"/{bucket}/k", body=BODY, payload="UNSIGNED-PAYLOAD")
    assert told.status == 200
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == BODY


def test_continue_comes_before_the_body_and_not_to_the_refused(site, s3, bucket):
    """100 Continue invites the body of a good request; a refused one gets its answer at once."""
    good = raw.signed(site, "PUT", f"/{bucket}/k", headers={"expect": "100-continue"}, body=BODY)
    with socket.create_connection(site.address, 20) as client:
        client.sendall(good.head)
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(BODY)
        assert raw.read_answer(client).status == 200
    expecting = {"expect": "100-continue"}
    forged = raw.signed(site, "PUT", f"/{bucket}/k", headers=expecting, body=b"other")
    forged.headers["authorization"] = good.headers["authorization"]
    taken = expecting | {"if-none-match": "*"}
    taken = raw.signed(site, "PUT", f"/{bucket}/k", headers=taken, body=b"other")
    for request, status in ((forged, b"403"), (taken, b"412")):
        with socket.create_connection(site.address, 20) as client:
            client.sendall(request.head)
            assert client.recv(12) == b"HTTP/1.1 " + status
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == BODY


def test_boto3_in_virtual_host_style(site, virtual_hosts):
    """The bucket in the host name: make, write hostile keys, list, read, copy, presign, remove."""
    s3 = site.boto3(
        endpoint=f"http://{BASE_DOMAIN}:{site.port}",
        s3={"addressing_style": "virtual"},
        signature_version="s3v4",
    )
    name = "virtual.b-1"
    s3.create_bucket(Bucket=name)
    try:
        for key in ("k", "//a/../b", "metrics", "health/live", "causeway/admin/users"):
            s3.put_object(Bucket=name, Key=key, Body=key.encode())
            assert s3.get_object(Bucket=name, Key=key)["Body"].read() == key.encode()
            url = s3.generate_presigned_url("get_object", Params={"Bucket": name, "Key": key})
            assert f"//{name}.{BASE_DOMAIN}:" in url
            assert fetch("GET", url) == (200, key.encode())
            s3.copy_object(Bucket=name, Key=key + ".copy", CopySource={"Bucket": name, "Key": key})
        assert s3.list_objects_v2(Bucket=name)["KeyCount"] == 10
        assert s3.head_bucket(Bucket=name)["ResponseMetadata"]["HTTPStatusCode"] == 200
        assert name in [each["Name"] for each in s3.list_buckets()["Buckets"]]
    finally:
        for entry in s3.list_objects_v2(Bucket=name).get("Contents", []):
            s3.delete_object(Bucket=name, Key=entry["Key"])
        s3.delete_bucket(Bucket=name)


def test_requests_without_a_body_need_no_length(site):
    """As `curl -X PUT` sends it: a bucket is made and removed without Content-Length."""
    name = f"b-{os.urandom(6).hex()}"
    for method, status in (("PUT", 200), ("DELETE", 204)):
        request = raw.presigned(site, method, f"/{name}")
        assert "content-length" not in request.headers
        assert raw.exchange(site, request).status == status
