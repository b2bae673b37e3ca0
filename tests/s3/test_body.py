"""The body as a whole: length, ETag, sha256, MD5, checksum, and the aws-chunked modes together."""

from __future__ import annotations

import base64
import hashlib
import zlib

import pytest

from chalicelib.s3 import errors
from chalicelib.s3.body import CheckedBody, receive, receive_small
from chalicelib.s3.checksums import Algorithm
from chalicelib.s3.request import BytesBody, Request
from tests.s3.chunking import Dribble, plain_chunks, read_all, signed_chunks
from tests.s3.signing import replace_header, signed_request, verify

BODY = b"Welcome to Amazon S3."
SHA256 = hashlib.sha256(BODY).hexdigest()
MD5 = hashlib.md5(BODY)
CRC32 = base64.b64encode(zlib.crc32(BODY).to_bytes(4, "big")).decode()


def b64(digest):
    return base64.b64encode(digest).decode()


def received(headers=(), body=BODY, payload="UNSIGNED-PAYLOAD", **options):
    request = signed_request("PUT", headers=headers, body=body, payload=payload)
    options.setdefault("length_max", 1000)
    return receive(request, verify(request), **options)


def finished(*args, **options):
    body = received(*args, **options)
    read_all(body)
    body.finish()
    return body


class TestAccepted:
    def test_everything_at_once(self):
        headers = [("content-md5", b64(MD5.digest())), ("x-amz-checksum-crc32", CRC32)]

        body = finished(headers, payload=SHA256)

        assert (body.md5_hex, body.size, body.checksum) == (MD5.hexdigest(), len(BODY), CRC32)

    def test_upper_case_sha256(self):
        assert finished(payload=SHA256.upper()).size == len(BODY)

    def test_checksum_computed_where_none_is_declared(self):
        body = finished(compute=Algorithm.SHA256, payload=SHA256)

        assert body.checksum == b64(hashlib.sha256(BODY).digest())

    def test_finish_reads_the_rest(self):
        """A caller that knows the length need not read the end itself."""
        body = received()

        assert body.read(5) == BODY[:5]
        body.finish()
        assert body.md5_hex == MD5.hexdigest()

    def test_trailer(self):
        chunked = plain_chunks([BODY], f"x-amz-checksum-crc32:{CRC32}\r\n\r\n".encode())
        headers = [
            ("content-encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", str(len(BODY))),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
        ]

        body = finished(headers, chunked, "STREAMING-UNSIGNED-PAYLOAD-TRAILER")

        assert (body.size, body.checksum) == (len(BODY), CRC32)

    def test_signed_chunks(self):
        mode = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
        headers = [("x-amz-decoded-content-length", str(len(BODY)))]
        request = signed_request("PUT", headers=headers, payload=mode)
        identity = verify(request)
        chunks = BytesBody(signed_chunks([BODY], identity.seed_signature))
        whole = Request("PUT", request.raw_path, (), request.headers, chunks, True, "")

        body = receive(whole, identity, length_max=1000)

        assert read_all(body) == BODY
        body.finish()

    def test_small(self):
        request = signed_request("POST", body=BODY)

        assert receive_small(request, verify(request), length_max=100) == BODY

    def test_checksum_of_the_object_is_not_that_of_the_xml(self):
        """CompleteMultipartUpload's x-amz-checksum-* speaks of the object."""
        request = signed_request("POST", headers=[("x-amz-checksum-crc32", "AAAAAA==")], body=BODY)

        got = receive_small(request, verify(request), length_max=100, header_covers_body=False)

        assert got == BODY


class TestRefused:
    @pytest.mark.parametrize(
        ("headers", "payload", "error"),
        [
            ((), hashlib.sha256(b"other").hexdigest(), errors.XAmzContentSHA256Mismatch),
            ([("content-md5", b64(hashlib.md5(b"").digest()))], SHA256, errors.BadDigest),
            ([("x-amz-checksum-crc32", "AAAAAA==")], SHA256, errors.BadDigest),
            (
                [("content-md5", b64(hashlib.md5(b"").digest()))],
                hashlib.sha256(b"other").hexdigest(),
                errors.XAmzContentSHA256Mismatch,  # outranks the MD5, as on AWS
            ),
        ],
    )
    def test_a12_mismatch(self, headers, payload, error):
        with pytest.raises(error):
            finished(headers, payload=payload)

    @pytest.mark.parametrize(
        ("headers", "error"),
        [
            ([("content-md5", "invalid")], errors.InvalidDigest),
            ([("x-amz-trailer", "x-amz-checksum-crc32")], errors.InvalidRequest),
            ([("x-amz-checksum-crc32", "x")], errors.InvalidRequest),
        ],
    )
    def test_before_the_first_byte(self, headers, error):
        with pytest.raises(error):
            received(headers)

    @pytest.mark.parametrize("length", [None, "", "abc", "-1", "+5", "5.0", "\u0665", "9" * 30])
    def test_decoded_length(self, length):
        headers = [("x-amz-decoded-content-length", "21")]
        mode = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
        request = signed_request("PUT", headers=headers, payload=mode)
        identity = verify(request)

        with pytest.raises(errors.MissingContentLength):
            receive(
                replace_header(request, "x-amz-decoded-content-length", length),
                identity,
                length_max=100,
            )

    def test_no_length(self):
        request = signed_request("PUT")
        request.body.length = None

        with pytest.raises(errors.MissingContentLength):
            receive(request, verify(request), length_max=100)

    def test_too_large_before_the_first_byte(self):
        with pytest.raises(errors.EntityTooLarge):
            received(length_max=len(BODY) - 1)

    @pytest.mark.parametrize("announced", [len(BODY) - 1, len(BODY) + 1])
    def test_other_length_than_announced(self, announced):
        body = CheckedBody(Dribble(BODY, 3), announced)

        with pytest.raises(errors.IncompleteBody):
            body.finish()

    @pytest.mark.parametrize(
        ("value", "error"),
        [("AAAAAA==", errors.BadDigest), ("not-base-64", errors.InvalidRequest)],
    )
    def test_a15_bad_trailer_value(self, value, error):
        chunked = plain_chunks([BODY], f"x-amz-checksum-crc32:{value}\r\n\r\n".encode())
        headers = [
            ("x-amz-decoded-content-length", str(len(BODY))),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
        ]

        with pytest.raises(error):
            finished(headers, chunked, "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
