"""The body of a request, checked while it streams: ETag, length, checksums, signatures.

In      a Request and the Identity that signed it
Out     CheckedBody: read until b'', then finish(); md5_hex, size and checksum afterwards
Units   sizes in bytes
Errors  BadDigest, XAmzContentSHA256Mismatch, IncompleteBody from finish() ·
        MissingContentLength, EntityTooLarge, InvalidDigest, InvalidRequest from receive()
Source  Amazon S3 PutObject; order of checks (sha256 before MD5) as Swift measured it on AWS

Nothing may be committed before finish() has returned: only then is the body known to be the one
that was signed.
"""

from __future__ import annotations

import hashlib
import re
from hmac import compare_digest

from chalicelib.s3 import checksums, errors
from chalicelib.s3.aws_chunked import SLICE_BYTES, ChunkedBody, Signatures
from chalicelib.s3.checksums import Algorithm, Expected
from chalicelib.s3.request import Body, Request
from chalicelib.s3.sigv4 import Identity, PayloadMode

_LENGTH = re.compile(r"[0-9]{1,19}").fullmatch
_STREAMING = {
    PayloadMode.STREAMING_SIGNED: (True, False),
    PayloadMode.STREAMING_SIGNED_TRAILER: (True, True),
    PayloadMode.STREAMING_UNSIGNED_TRAILER: (False, True),
}


class CheckedBody:
    """A Body that hashes what passes through and judges it in finish()."""

    def __init__(
        self,
        inner: Body,
        length: int,
        *,
        sha256_hex: str = "",
        content_md5: bytes | None = None,
        expected: Expected | None = None,
        compute: Algorithm | None = None,
    ) -> None:
        self.length: int | None = length
        self.size = 0
        self._inner = inner
        self._announced = length
        self._sha256_hex = sha256_hex
        self._content_md5 = content_md5
        self._expected = expected
        self._algorithm = expected.algorithm if expected is not None else compute
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256() if sha256_hex else None
        self._checksum: checksums.Hasher | None = None
        if self._algorithm is Algorithm.SHA256 and self._sha256 is not None:
            self._checksum = self._sha256  # one pass serves both
        elif self._algorithm is not None:
            self._checksum = checksums.hasher(self._algorithm)

    def read(self, size: int) -> bytes:
        """1 … size bytes, b'' at the end."""
        piece = self._inner.read(size)
        self.size += len(piece)
        if self.size > self._announced:
            raise errors.IncompleteBody()
        self._md5.update(piece)
        if self._sha256 is not None:
            self._sha256.update(piece)
        if self._checksum is not None and self._checksum is not self._sha256:
            self._checksum.update(piece)
        return piece

    def finish(self) -> None:
        """Judge the whole body; raises unless it is the one that was announced and signed."""
        while self.read(SLICE_BYTES):
            pass  # also drives the last chunk's and the trailer's verification
        if self.size != self._announced:
            raise errors.IncompleteBody()
        if self._sha256 is not None:
            computed = self._sha256.hexdigest()
            if not compare_digest(computed, self._sha256_hex):
                raise errors.XAmzContentSHA256Mismatch(
                    ClientComputedContentSHA256=self._sha256_hex,
                    S3ComputedContentSHA256=computed,
                )
        if self._content_md5 is not None and self._content_md5 != self._md5.digest():
            raise errors.BadDigest("The Content-MD5 you specified did not match what we received.")
        if self._expected is not None and self._declared_digest() != self.checksum_digest:
            raise errors.BadDigest(
                f"The {self._expected.algorithm.value} you specified did not match the calculated checksum."
            )

    def _declared_digest(self) -> bytes:
        assert self._expected is not None, "asked only when a checksum was declared"
        if self._expected.digest is not None:
            return self._expected.digest
        value = self._inner.trailer_value if isinstance(self._inner, ChunkedBody) else None
        if value is None:
            raise errors.MalformedTrailerError()
        return checksums.parse_value(self._expected.algorithm, value, "trailing header")

    @property
    def md5_hex(self) -> str:
        """MD5 of what was read so far; the ETag once finish() has returned."""
        return self._md5.hexdigest()

    @property
    def md5_digest(self) -> bytes:
        """The same, as bytes."""
        return self._md5.digest()

    @property
    def algorithm(self) -> Algorithm | None:
        """The checksum algorithm declared, or asked for by receive(compute=…)."""
        return self._algorithm

    @property
    def checksum_digest(self) -> bytes | None:
        """The checksum of what was read so far."""
        return self._checksum.digest() if self._checksum is not None else None

    @property
    def checksum(self) -> str | None:
        """The checksum in base64, as S3 writes it."""
        digest = self.checksum_digest
        return checksums.encode(digest) if digest is not None else None


def receive(
    request: Request,
    identity: Identity,
    *,
    length_max: int,
    compute: Algorithm | None = None,
    header_covers_body: bool = True,
    may_be_absent: bool = False,
) -> CheckedBody:
    """The request's body, decoded if aws-chunked, with every check the client asked for.

    `compute` is the checksum to compute when the client declares none. `header_covers_body` is
    False for CompleteMultipartUpload, whose x-amz-checksum-* speaks of the object, not of its XML.
    EntityTooLarge comes before the first byte is read. Without a length there is no body, which is
    an error unless it `may_be_absent`.
    """
    headers = request.headers
    content_md5 = checksums.parse_content_md5(headers.get("content-md5"))
    expected = checksums.expected_checksum(headers) if header_covers_body else None
    streaming = _STREAMING.get(identity.mode)
    absent = may_be_absent and request.body.length is None and "transfer-encoding" not in headers
    length = 0 if absent and streaming is None else body_length(request, identity)
    if length > length_max:
        raise errors.EntityTooLarge(ProposedSize=str(length), MaxSizeAllowed=str(length_max))
    inner = request.body
    in_trailer = expected is not None and expected.digest is None
    if in_trailer and (streaming is None or not streaming[1]):
        raise errors.InvalidRequest("x-amz-trailer needs a payload with a trailer")
    if streaming is not None:
        signed, has_trailer = streaming
        chain = Signatures(identity.signing_key, identity.scope, identity.amz_date, identity.seed_signature)
        inner = ChunkedBody(
            request.body,
            length,
            chain if signed else None,
            has_trailer=has_trailer,
            trailer_name=expected.algorithm.header if expected and in_trailer else None,
        )
    return CheckedBody(
        inner,
        length,
        sha256_hex=identity.content_sha256,
        content_md5=content_md5,
        expected=expected,
        compute=compute,
    )


def body_length(request: Request, identity: Identity) -> int:
    """The size of the object in this body; MissingContentLength if it is not announced."""
    if identity.mode in _STREAMING:
        text = request.headers.get("x-amz-decoded-content-length") or ""
        if not _LENGTH(text):
            raise errors.MissingContentLength()
        return int(text)
    if request.body.length is None:
        raise errors.MissingContentLength()
    return request.body.length


def receive_small(
    request: Request, identity: Identity, *, length_max: int, header_covers_body: bool = True
) -> bytes:
    """A whole small body (XML), verified; EntityTooLarge before anything is read."""
    body = receive(
        request,
        identity,
        length_max=length_max,
        header_covers_body=header_covers_body,
        may_be_absent=True,
    )
    pieces = []
    while piece := body.read(SLICE_BYTES):
        pieces.append(piece)
    body.finish()
    return b"".join(pieces)
