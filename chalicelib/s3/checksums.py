"""The five checksums S3 knows: computed while streaming, declared by clients, joined from parts.

In      request headers; bytes; the digests and sizes of parts
Out     Hasher, Expected, base64 text; composite and full-object checksums of multipart uploads
Units   digests are big-endian bytes; sizes in bytes
Errors  InvalidRequest: unknown, doubled or malformed declaration · InvalidDigest: bad Content-MD5
Source  Amazon S3 "Checking object integrity"; zlib crc32_combine (Mark Adler); CRC parameters
        from the reveng catalogue (CRC-32/ISO-HDLC, CRC-32/ISCSI, CRC-64/NVME)
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Protocol

from chalicelib.s3 import errors
from chalicelib.s3.request import Headers

PREFIX = "x-amz-checksum-"
# Under the same prefix, but not the value of a checksum.
_NOT_VALUES = frozenset({"x-amz-checksum-algorithm", "x-amz-checksum-type", "x-amz-checksum-mode"})
_SINGLE = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."


class Algorithm(Enum):
    """A checksum algorithm; the value is its name in S3's XML."""

    CRC32 = "CRC32"
    CRC32C = "CRC32C"
    CRC64NVME = "CRC64NVME"
    SHA1 = "SHA1"
    SHA256 = "SHA256"

    @property
    def header(self) -> str:
        """The header or trailer that carries it."""
        return PREFIX + self.value.lower()

    @property
    def digest_bytes(self) -> int:
        """Length of a digest."""
        return _DIGEST_BYTES[self]


_DIGEST_BYTES = {
    Algorithm.CRC32: 4,
    Algorithm.CRC32C: 4,
    Algorithm.CRC64NVME: 8,
    Algorithm.SHA1: 20,
    Algorithm.SHA256: 32,
}
_BY_HEADER = {algorithm.header: algorithm for algorithm in Algorithm}
# Reflected polynomials, as the shift-right form of the CRC uses them.
_POLYNOMIALS = {
    Algorithm.CRC32: 0xEDB88320,
    Algorithm.CRC32C: 0x82F63B78,
    Algorithm.CRC64NVME: 0x9A6C9329AC4BC9B5,
}


class ChecksumType(Enum):
    """Whether a multipart checksum covers the object or the list of part checksums."""

    COMPOSITE = "COMPOSITE"
    FULL_OBJECT = "FULL_OBJECT"


class Hasher(Protocol):
    """An incremental digest."""

    def update(self, piece: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc:
    """A CRC as an incremental digest."""

    __slots__ = ("_bytes", "_step", "_value")

    def __init__(self, step: Callable[[bytes, int], int], digest_bytes: int) -> None:
        self._step = step
        self._bytes = digest_bytes
        self._value = 0

    def update(self, piece: bytes, /) -> None:
        self._value = self._step(piece, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._bytes, "big")


def hasher(algorithm: Algorithm) -> Hasher:
    """A fresh digest of one algorithm."""
    match algorithm:
        case Algorithm.CRC32:
            return _Crc(zlib.crc32, 4)
        case Algorithm.SHA1:
            return hashlib.sha1(usedforsecurity=False)
        case Algorithm.SHA256:
            return hashlib.sha256()
        case _:
            # Imported on first use: it costs 90 ms, which a cold GET should not pay.
            from awscrt import checksums as crt

            if algorithm is Algorithm.CRC32C:
                return _Crc(crt.crc32c, 4)
            return _Crc(crt.crc64nvme, 8)


def encode(digest: bytes) -> str:
    """A digest as S3 writes it."""
    return base64.b64encode(digest).decode()


def decode(text: str, digest_bytes: int) -> bytes | None:
    """The digest in canonical base64 of exactly that many bytes, or None."""
    try:
        digest = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        return None
    return digest if len(digest) == digest_bytes and encode(digest) == text else None


@dataclass(frozen=True, slots=True)
class Expected:
    """A checksum the client declared; `digest` is None while it is still to come in a trailer."""

    algorithm: Algorithm
    digest: bytes | None


def parse_algorithm(text: str | None) -> Algorithm | None:
    """x-amz-checksum-algorithm (any case) or None if not sent."""
    if text is None:
        return None
    try:
        return Algorithm(text.upper())
    except ValueError:
        raise errors.InvalidRequest(
            "Checksum algorithm provided is unsupported. Please try again with any of the valid "
            "types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]"
        ) from None


def parse_type(algorithm: Algorithm | None, text: str | None) -> ChecksumType | None:
    """The checksum type of a multipart upload: as asked, or S3's default for the algorithm."""
    if algorithm is None:
        if text is not None:
            raise errors.InvalidRequest(
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
            )
        return None
    full_only = algorithm is Algorithm.CRC64NVME
    composite_only = algorithm in (Algorithm.SHA1, Algorithm.SHA256)
    if text is None:
        return ChecksumType.FULL_OBJECT if full_only else ChecksumType.COMPOSITE
    try:
        kind = ChecksumType(text.upper())
    except ValueError:
        raise errors.InvalidRequest("Value for x-amz-checksum-type header is invalid.") from None
    if (full_only and kind is ChecksumType.COMPOSITE) or (
        composite_only and kind is ChecksumType.FULL_OBJECT
    ):
        raise errors.InvalidRequest(
            f"The {kind.value} checksum type cannot be used with the "
            f"{algorithm.value.lower()} checksum algorithm."
        )
    return kind


def expected_checksum(headers: Headers) -> Expected | None:
    """The one checksum a request declares for its body, in a header or for a trailer."""
    declared = header_checksum(headers)
    trailer = _declared_trailer(headers)
    if declared is not None and trailer is not None:
        raise errors.InvalidRequest("Expecting a single x-amz-checksum- header")
    found = declared or trailer
    named = headers.get("x-amz-sdk-checksum-algorithm")
    if named is not None:
        if found is None:
            raise errors.InvalidRequest(
                "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or "
                "x-amz-trailer headers were found."
            )
        if named.upper() != found.algorithm.value:
            raise errors.InvalidRequest("Value for x-amz-sdk-checksum-algorithm header is invalid.")
    return found


def header_checksum(headers: Headers) -> Expected | None:
    """The x-amz-checksum-* header, if one was sent; InvalidRequest for two or a bad value."""
    names = [n for n in headers.names() if n.startswith(PREFIX) and n not in _NOT_VALUES]
    if not names:
        return None
    if len(names) > 1 or len(headers.all(names[0])) > 1:
        raise errors.InvalidRequest(_SINGLE)
    algorithm = _BY_HEADER.get(names[0])
    if algorithm is None:
        raise errors.InvalidRequest("The algorithm type you specified in x-amz-checksum- header is invalid.")
    return Expected(algorithm, parse_value(algorithm, headers.get(names[0]) or "", "header"))


def parse_value(algorithm: Algorithm, text: str, where: str) -> bytes:
    """The digest of a declared value; the value itself is never echoed."""
    digest = decode(text.strip(), algorithm.digest_bytes)
    if digest is None:
        raise errors.InvalidRequest(f"Value for {algorithm.header} {where} is invalid.")
    return digest


def _declared_trailer(headers: Headers) -> Expected | None:
    sent = headers.all("x-amz-trailer")
    if not sent:
        return None
    names = [name.strip().lower() for name in ",".join(sent).split(",")]
    while names and not names[-1]:
        names.pop()
    found = [_BY_HEADER.get(name) for name in names]
    if len([algorithm for algorithm in found if algorithm]) > 1:
        raise errors.InvalidRequest(_SINGLE)
    if len(found) != 1 or found[0] is None:
        raise errors.InvalidRequest("The value specified in the x-amz-trailer header is not supported")
    return Expected(found[0], None)


def parse_content_md5(text: str | None) -> bytes | None:
    """Content-MD5, or None if not sent."""
    if text is None:
        return None
    digest = decode(text.strip(), 16)
    if digest is None:
        raise errors.InvalidDigest()
    return digest


def composite(algorithm: Algorithm, part_digests: Sequence[bytes]) -> str:
    """The checksum of the checksums of the parts, with `-N` for their number."""
    whole = hasher(algorithm)
    whole.update(b"".join(part_digests))
    return f"{encode(whole.digest())}-{len(part_digests)}"


def full_object(algorithm: Algorithm, parts: Sequence[tuple[bytes, int]]) -> str:
    """The checksum of the whole object from (digest, size in bytes) of its parts; CRCs only."""
    polynomial = _POLYNOMIALS[algorithm]
    crc = 0
    for digest, size_bytes in parts:
        # Appending n bytes multiplies the earlier CRC by x^8n; the CRCs then add.
        shifted = _multiply(polynomial, _power(polynomial, size_bytes), crc)
        crc = shifted ^ int.from_bytes(digest, "big")
    return encode(crc.to_bytes(algorithm.digest_bytes, "big"))


def _multiply(polynomial: int, a: int, b: int) -> int:
    """a · b modulo the polynomial, bits reflected (the top bit is x^0)."""
    mask = 1 << (polynomial.bit_length() - 1)
    product = 0
    while mask:
        if a & mask:
            product ^= b
        b = (b >> 1) ^ polynomial if b & 1 else b >> 1
        mask >>= 1
    return product


@lru_cache(maxsize=256)
def _power(polynomial: int, size_bytes: int) -> int:
    """x^(8 · size_bytes) modulo the polynomial. All three have their top bit set, so x^0 is it."""
    top = 1 << (polynomial.bit_length() - 1)
    square = top >> 8  # x^8
    result = top
    while size_bytes:
        if size_bytes & 1:
            result = _multiply(polynomial, square, result)
        square = _multiply(polynomial, square, square)
        size_bytes >>= 1
    return result
