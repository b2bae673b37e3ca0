"""Requests that must be refused: name → (how to make it, status, S3 code). Each would replace `/bucket/k`."""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from chalicelib.s3.canonical import Credentials
from tests.clients import raw
from tests.clients.raw import Raw, now_ms, presigned, signed
from tests.site_process import SiteProcess

Make = Callable[[SiteProcess, str], Raw]
MINUTE = 60_000
BODY = bytes(range(256)) * 600  # 150 KiB: in blocks on both backends
PIECES = [BODY[:65536], BODY[65536:131072], BODY[131072:]]
CRC32 = "x-amz-checksum-crc32"


def put(site: SiteProcess, path: str, **options: object) -> Raw:
    return signed(site, "PUT", path, body=BODY, **options)


def altered(make: Make, **headers: str | None) -> Make:
    """The request, with headers changed after it was signed; None takes one away."""

    def made(site: SiteProcess, path: str) -> Raw:
        request = make(site, path)
        for name, value in headers.items():
            name = name.replace("_", "-")
            request.headers.pop(name, None)
            if value is not None:
                request.headers[name] = value
        return request

    return made


def resigned(change: Callable[[str], str]) -> Make:
    """A good PUT whose Authorization header was changed."""

    def made(site: SiteProcess, path: str) -> Raw:
        request = put(site, path)
        request.headers["authorization"] = change(request.headers["authorization"])
        return request

    return made


def as_user(credentials: Callable[[SiteProcess], Credentials]) -> Make:
    return lambda site, path: put(site, path, credentials=credentials(site))


def at(offset_ms: int) -> Make:
    return lambda site, path: put(site, path, at_ms=now_ms() + offset_ms)


def said(**headers: str) -> Make:
    """A good PUT that says more in its (signed) headers."""
    return lambda site, path: put(site, path, headers={n.replace("_", "-"): v for n, v in headers.items()})


def by_url(method: str = "PUT", **options: object) -> Make:
    def made(site: SiteProcess, path: str) -> Raw:
        timed = dict(options)
        if "offset_ms" in timed:
            timed["at_ms"] = now_ms() + int(str(timed.pop("offset_ms")))
        request = presigned(site, method, path, **timed)
        request.method = "PUT"
        request.headers["content-length"] = str(len(BODY))
        return replace(request, body=BODY)

    return made


def by_url_of_another_key(site: SiteProcess, path: str) -> Raw:
    return replace(by_url()(site, path + "2"), path=path)


def twice_signed(site: SiteProcess, path: str) -> Raw:
    return replace(put(site, path), query=by_url()(site, path).query)


def without_length(site: SiteProcess, path: str) -> Raw:
    """To HTTP its body is empty; to S3 it is a mistake that would replace the object by nothing."""
    request = replace(by_url()(site, path), body=b"")
    del request.headers["content-length"]
    return request


def in_base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


WRONG_MD5 = in_base64(hashlib.md5(b"other").digest())
SIGNATURES: dict[str, tuple[Make, int, str]] = {
    "no signature": (altered(put, authorization=None), 403, "AccessDenied"),
    "wrong signature": (
        resigned(lambda text: text[:-1] + ("0" if text[-1] != "0" else "1")),
        403,
        "SignatureDoesNotMatch",
    ),
    "no hex": (resigned(lambda text: text[:-64] + "ü" * 64), 403, "SignatureDoesNotMatch"),
    "empty signature": (resigned(lambda text: text[:-64]), 403, "SignatureDoesNotMatch"),
    "wrong secret": (
        as_user(lambda site: Credentials(site.keys[0], "s" * 40)),
        403,
        "SignatureDoesNotMatch",
    ),
    "unknown key": (as_user(lambda site: Credentials("NOBODY", "s" * 40)), 403, "InvalidAccessKeyId"),
    "empty secret": (as_user(lambda site: Credentials("NOBODY", "")), 403, "InvalidAccessKeyId"),
    "version 2": (
        resigned(lambda text: "AWS key:c2lnbmF0dXJl"),
        400,
        "InvalidRequest",
    ),
    "scope of four parts": (
        resigned(lambda text: text.replace("/aws4_request", "")),
        400,
        "AuthorizationHeaderMalformed",
    ),
    "other service": (
        resigned(lambda text: text.replace("/s3/", "/sqs/")),
        400,
        "AuthorizationHeaderMalformed",
    ),
    "host not signed": (resigned(lambda text: text.replace(";host;", ";")), 403, "AccessDenied"),
    "clock ahead": (at(16 * MINUTE), 403, "RequestTimeTooSkewed"),
    "clock behind": (at(-16 * MINUTE), 403, "RequestTimeTooSkewed"),
    "no date": (altered(put, x_amz_date=None), 403, "AccessDenied"),
    "another body": (
        lambda site, path: replace(put(site, path), body=BODY[:-1] + b"!"),
        400,
        "XAmzContentSHA256Mismatch",
    ),
    "another host": (altered(put, host="elsewhere"), 403, "SignatureDoesNotMatch"),
    "unsigned copy source": (altered(put, x_amz_copy_source="/b/secret"), 403, "AccessDenied"),
    "unsigned metadata": (altered(put, x_amz_meta_a="1"), 403, "AccessDenied"),
    "two signatures": (twice_signed, 400, "InvalidArgument"),
    "nonsense payload hash": (
        altered(put, x_amz_content_sha256="STREAMING-WHATEVER"),
        400,
        "InvalidArgument",
    ),
    "URL expired": (by_url(seconds=60, offset_ms=-61_000), 403, "AccessDenied"),
    "URL of the future": (by_url(offset_ms=16 * MINUTE), 403, "AccessDenied"),
    "URL for another verb": (by_url("GET"), 403, "SignatureDoesNotMatch"),
    "URL of another key": (by_url_of_another_key, 403, "SignatureDoesNotMatch"),
    **{
        f"URL for {seconds} seconds": (by_url(seconds=seconds), 400, "AuthorizationQueryParametersError")
        for seconds in (0, -7, 604_801, "1e99", "abc", "٣")
    },
    **{
        f"URL and unsigned {name}": (altered(by_url(), **{name: value}), 403, "AccessDenied")
        for name, value in {
            "x_amz_copy_source": "/b/secret",
            "x_amz_meta_a": "1",
            "x_amz_acl": "private",
            "x_amz_tagging": "a=b",
            "x_amz_metadata_directive": "REPLACE",
            "x_amz_anything": "1",
        }.items()
    },
}
BODIES: dict[str, tuple[Make, int, str]] = {
    "wrong Content-MD5": (said(content_md5=WRONG_MD5), 400, "BadDigest"),
    "no Content-MD5": (said(content_md5="bm90IG1kNQ=="), 400, "InvalidDigest"),
    **{
        f"wrong {name}": (
            said(**{f"x_amz_checksum_{name}": in_base64(bytes(size))}),
            400,
            "BadDigest",
        )
        for name, size in {"crc32": 4, "crc32c": 4, "crc64nvme": 8, "sha1": 20, "sha256": 32}.items()
    },
    "short checksum": (said(x_amz_checksum_sha256="AAAA"), 400, "InvalidRequest"),
    "two checksums": (
        said(x_amz_checksum_crc32="AAAAAA==", x_amz_checksum_sha1=in_base64(bytes(20))),
        400,
        "InvalidRequest",
    ),
    "two algorithms": (
        said(x_amz_checksum_crc32="AAAAAA==", x_amz_sdk_checksum_algorithm="SHA256"),
        400,
        "InvalidRequest",
    ),
    "no length": (without_length, 411, "MissingContentLength"),
    "encryption nobody does": (
        said(x_amz_server_side_encryption="aws:kms"),
        501,
        "NotImplemented",
    ),
    "public ACL": (said(x_amz_acl="public-read"), 400, "AccessControlListNotSupported"),
    "huge headers": (said(x_amz_meta_a="v" * 9000), 400, "RequestHeaderSectionTooLarge"),
    "many headers": (
        said(**{f"x_amz_meta_{n}": "" for n in range(220)}),
        400,
        "RequestHeaderSectionTooLarge",
    ),
}


# --------------------------------------------------------------------- aws-chunked


def chunks(
    change: Callable[[bytes], bytes] = lambda body: body,
    mode: str = raw.SIGNED_CHUNKS,
    trailer: tuple[str, str] | None = None,
    pieces: list[bytes] = PIECES,
    **headers: str,
) -> Make:
    """An aws-chunked PUT whose body was changed after it was signed."""

    def made(site: SiteProcess, path: str) -> Raw:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        request = raw.chunked(site, path, pieces, mode, trailer, given)
        return replace(request, body=change(request.body))

    return made


def swapped(body: bytes) -> bytes:
    """Its first two chunks, of one length, in the other order."""
    one = body.index(b"\r\n") + 2 + 65536 + 2
    return body[one : 2 * one] + body[:one] + body[2 * one :]


def forged(make: Make) -> Make:
    """Signed with a made-up signature."""

    def made(site: SiteProcess, path: str) -> Raw:
        request = make(site, path)
        request.headers["authorization"] = request.headers["authorization"][:-64] + "a" * 64
        return request

    return made


GOOD_TRAILER = (CRC32, in_base64(bytes(4)))
trailing = partial(chunks, mode=raw.UNSIGNED_TRAILER, trailer=GOOD_TRAILER)
CHUNKED: dict[str, tuple[Make, int, str]] = {
    "tampered byte": (
        chunks(lambda body: body[:70_000] + bytes([body[70_000] ^ 1]) + body[70_001:]),
        403,
        "SignatureDoesNotMatch",
    ),
    "tampered last byte": (
        chunks(lambda body: body.replace(PIECES[2], PIECES[2][:-1] + b"!")),
        403,
        "SignatureDoesNotMatch",
    ),
    "swapped chunks": (chunks(swapped), 403, "SignatureDoesNotMatch"),
    "chunk signature missing": (
        chunks(lambda body: b"10000" + body[body.index(b"\r\n") :]),
        400,
        "IncompleteBody",
    ),
    "huge chunk size": (chunks(lambda body: b"ffffffffffffffff" + body[5:]), 400, "IncompleteBody"),
    "underscore in the size": (chunks(lambda body: b"1_000" + body[5:]), 400, "IncompleteBody"),
    "no last chunk": (
        chunks(lambda body: body[: body.rindex(b"0;chunk-signature")]),
        400,
        "IncompleteBody",
    ),
    "small chunk in the middle": (
        chunks(pieces=[b"x" * 100, b"y" * 9000]),
        403,
        "InvalidChunkSizeError",
    ),
    "decoded length missing": (
        altered(chunks(), x_amz_decoded_content_length=None),
        403,
        "SignatureDoesNotMatch",
    ),
    "wrong trailer": (trailing(), 400, "BadDigest"),
    "wrong signed trailer": (
        chunks(mode=raw.SIGNED_TRAILER, trailer=GOOD_TRAILER),
        400,
        "BadDigest",
    ),
    "trailer not sent": (
        trailing(lambda body: body[: body.rindex(b"x-amz-checksum")] + b"\r\n"),
        400,
        "MalformedTrailerError",
    ),
    "another trailer": (
        trailing(lambda body: body.replace(b"x-amz-checksum-crc32", b"x-amz-checksum-crc3x")),
        400,
        "MalformedTrailerError",
    ),
    "trailer signature forged": (
        chunks(lambda body: body[:-68] + b"a" * 64 + body[-4:], raw.SIGNED_TRAILER, GOOD_TRAILER),
        403,
        "SignatureDoesNotMatch",
    ),
    "unsigned trailer, made-up signature": (forged(trailing()), 403, "SignatureDoesNotMatch"),
}
