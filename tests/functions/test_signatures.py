"""Signatures through the fronts, made by hand: what is right passes, what is not is refused by its code."""

import base64
import hashlib
import socket
from dataclasses import replace

import pytest

from chalicelib.s3 import canonical
from tests.clients import raw
from tests.clients.conftest import new_bucket
from tests.clients.test_signing import (
    BODY,
    PIECES,
    test_aws_chunked,
    test_aws_chunked_keeps_a_real_coding,
    test_requests_without_a_body_need_no_length,
    test_unsigned_payload,
)

__all__ = [
    "test_aws_chunked",
    "test_aws_chunked_keeps_a_real_coding",
    "test_requests_without_a_body_need_no_length",
    "test_unsigned_payload",
]

pytestmark = pytest.mark.parametrize(
    "site", ["domain", "url"], indirect=True
)  # made by hand: without a stage


def test_bad_signatures(site, s3):
    """Another secret, another body, another path, a key nobody has, an old date."""
    bucket = new_bucket(s3)
    path = f"/{bucket}/k"
    good = raw.signed(site, "PUT", path, body=b"x")
    forged = replace(good, body=b"y")
    moved = replace(good, path=f"/{bucket}/other")
    stranger = raw.signed(
        site, "PUT", path, body=b"x", credentials=replace(site.credentials, secret="s" * 40)
    )
    nobody = raw.signed(
        site, "PUT", path, body=b"x", credentials=replace(site.credentials, access_key="NOBODY")
    )
    old = raw.signed(site, "PUT", path, body=b"x", at_ms=raw.now_ms() - 20 * 60_000)

    codes = [raw.exchange(site, each).code for each in (forged, moved, stranger, nobody, old)]
    assert codes == [
        "XAmzContentSHA256Mismatch",
        "SignatureDoesNotMatch",
        "SignatureDoesNotMatch",
        "InvalidAccessKeyId",
        "RequestTimeTooSkewed",
    ]
    assert raw.send(site, "GET", path).code == "NoSuchKey"


def test_presigned_urls_end(site, s3):
    """A presigned URL is good until its time, and for nothing else."""
    bucket = new_bucket(s3)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    path = f"/{bucket}/k"

    assert raw.exchange(site, raw.presigned(site, "GET", path)).body == b"x"
    assert (
        raw.exchange(site, raw.presigned(site, "GET", path, at_ms=raw.now_ms() - 61_000)).code
        == "AccessDenied"
    )
    assert raw.exchange(site, replace(raw.presigned(site, "GET", path), path=f"/{bucket}/o")).status == 403


def test_headers_that_fronts_drop_may_be_signed(site, s3):
    """Content-Length, Content-MD5 and Expect, which never reach the function behind a REST API."""
    bucket = new_bucket(s3)
    digest = base64.b64encode(hashlib.md5(b"x").digest()).decode()
    headers = {"content-md5": digest, "expect": "100-continue"}
    good = raw.signed(site, "PUT", f"/{bucket}/k", headers=headers, body=b"x")
    assert "content-length;content-md5;expect" in good.headers["authorization"].replace(
        "content-encoding;", ""
    )

    with socket.create_connection(site.address, 20) as client:
        client.sendall(good.head)
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"x")
        assert raw.read_answer(client).status == 200


def without_length(site, path, payload, headers):
    """A signed PUT with neither of the headers that say where its body ends."""
    pairs = {"host": "{}:{}".format(*site.address)} | headers
    options = {"credentials": site.credentials, "now_ms": raw.now_ms(), "payload": payload}
    pairs |= canonical.sign("PUT", path.encode(), (), tuple(pairs.items()), **options)
    return raw.Raw("PUT", path, "", pairs)


@pytest.mark.parametrize("payload", ["UNSIGNED-PAYLOAD", raw.SIGNED_CHUNKS])
def test_a_body_in_http_chunks(site, s3, payload):
    """Transfer-Encoding: chunked, which nobody signs, ends at the front; aws-chunked may be inside."""
    bucket = new_bucket(s3)
    coded = {"content-encoding": "aws-chunked", "x-amz-decoded-content-length": str(len(BODY))}
    inside = payload == raw.SIGNED_CHUNKS
    request = without_length(site, f"/{bucket}/k", payload, coded if inside else {})
    body = raw.framed(site, request, PIECES, payload, None) if inside else BODY
    cut = [body[n : n + 7000] for n in range(0, len(body), 7000)]
    request.headers["transfer-encoding"] = "chunked"
    request.body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*cut, b""])

    assert raw.exchange(site, request).status == 200
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == BODY
