"""What a client stores with an object besides its bytes, and headers we refuse rather than ignore.

In      request headers
Out     Attributes: content type, standard headers, user metadata, as sent
Units   metadata ≤ 2,048 bytes, names (without x-amz-meta-) and values together
Errors  MetadataTooLarge · NotImplemented, AccessControlListNotSupported, InvalidStorageClass,
        InvalidArgument for headers that ask for what we do not do
Source  Amazon S3 PutObject; RFC 2047 metadata is kept as sent
"""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.s3 import errors
from chalicelib.s3.request import Headers, check_header

METADATA_BYTES_MAX = 2048
META_PREFIX = "x-amz-meta-"
DEFAULT_CONTENT_TYPE = "binary/octet-stream"

# Silence on one of these would promise encryption, locks, tags or owners that nobody keeps.
_NOT_IMPLEMENTED = (
    "x-amz-server-side-encryption",
    "x-amz-copy-source-server-side-encryption",
    "x-amz-object-lock",
    "x-amz-tagging",
    "x-amz-website-redirect-location",
    "x-amz-write-offset-bytes",
    "x-amz-expected-bucket-owner",
    "x-amz-source-expected-bucket-owner",
    "x-amz-bucket-object-lock-enabled",
    "x-amz-mfa",
    "x-amz-rename-source",
)
_PRIVATE_ACLS = frozenset({"private", "bucket-owner-full-control", "bucket-owner-read"})


@dataclass(frozen=True, slots=True)
class Attributes:
    """Headers to store with an object and to send back with it; None or "" when not sent."""

    content_type: str = DEFAULT_CONTENT_TYPE
    cache_control: str | None = None
    content_disposition: str | None = None
    content_encoding: str | None = None
    content_language: str | None = None
    expires: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()  # names lower-case, without x-amz-meta-

    def response_headers(self) -> list[tuple[str, str]]:
        """The headers a GET or HEAD sends for them."""
        headers = [("Content-Type", self.content_type)]
        for name, value in (
            ("Cache-Control", self.cache_control),
            ("Content-Disposition", self.content_disposition),
            ("Content-Encoding", self.content_encoding),
            ("Content-Language", self.content_language),
            ("Expires", self.expires),
        ):
            if value is not None:
                headers.append((name, value))
        headers.extend([(META_PREFIX + name, value) for name, value in self.metadata])
        return headers


def read_attributes(headers: Headers) -> Attributes:
    """The attributes an upload declares."""
    metadata = []
    size_bytes = 0
    for name in headers.names():
        if name.startswith(META_PREFIX):
            value = ",".join(headers.all(name)).strip(" \t")
            check_header(name, value)
            metadata.append((name[len(META_PREFIX) :], value))
            size_bytes += len(name) - len(META_PREFIX) + len(value)
    if size_bytes > METADATA_BYTES_MAX:
        raise errors.MetadataTooLarge(Size=str(size_bytes), MaxSizeAllowed=str(METADATA_BYTES_MAX))
    return Attributes(
        _checked(headers, "content-type") or DEFAULT_CONTENT_TYPE,
        _checked(headers, "cache-control"),
        _checked(headers, "content-disposition"),
        _content_encoding(headers),
        _checked(headers, "content-language"),
        _checked(headers, "expires"),
        tuple(metadata),
    )


def refuse_unsupported(headers: Headers) -> None:
    """Raise for a header that asks for something this store does not do."""
    for name in headers.names():
        if not name.startswith("x-amz-"):
            continue
        if name.startswith(_NOT_IMPLEMENTED) and headers.get(name) not in ("", "false"):
            raise errors.NotImplemented(
                f"The header {name} asks for functionality that is not implemented.", Header=name
            )
        if name.startswith("x-amz-grant-") or (
            name == "x-amz-acl" and headers.get(name) not in _PRIVATE_ACLS
        ):
            raise errors.AccessControlListNotSupported()
        if name == "x-amz-storage-class" and headers.get(name) != "STANDARD":
            raise errors.InvalidStorageClass(StorageClassRequested=headers.get(name) or "")


def _content_encoding(headers: Headers) -> str | None:
    """Content-Encoding without aws-chunked, which is framing and never stored."""
    sent = _checked(headers, "content-encoding")
    if sent is None:
        return None
    kept = [part.strip() for part in sent.split(",")]
    kept = [part for part in kept if part and part.lower() != "aws-chunked"]
    return ",".join(kept) or None


def _checked(headers: Headers, name: str) -> str | None:
    value = headers.get(name)
    if value is not None:
        check_header(name, value)
    return value
