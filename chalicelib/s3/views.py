"""What the XML writers show: plain values the dispatcher fills from the store's records.

In      records of the object store, translated
Out     named tuples for xml_write: dataclasses cost a function's start seven times as much
Units   times in ms since 1970; sizes in bytes; ETags without quotes; checksums in base64
Errors  none
Source  Amazon S3 API reference, the response elements of each operation
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from chalicelib.s3.checksums import Algorithm, ChecksumType


class Owner(NamedTuple):
    """Who owns a bucket, an object or an upload."""

    id: str
    name: str


class Checksum(NamedTuple):
    """A stored checksum: base64, with `-N` at the end when composite."""

    algorithm: Algorithm
    value: str
    type: ChecksumType = ChecksumType.FULL_OBJECT


class ListedBucket(NamedTuple):
    """One bucket in ListBuckets."""

    name: str
    created_ms: int


class ListedObject(NamedTuple):
    """One object in a listing; `owner` is shown where the caller sets it."""

    key: str
    last_modified_ms: int
    etag: str
    size: int
    owner: Owner | None = None
    checksum_algorithm: Algorithm | None = None
    checksum_type: ChecksumType | None = None


class ObjectPage(NamedTuple):
    """One page of a listing. `next_key` is the last key or prefix shown, "" on the last page."""

    objects: Sequence[ListedObject]
    common_prefixes: Sequence[str]
    next_key: str = ""


class ListedUpload(NamedTuple):
    """One open multipart upload."""

    key: str
    upload_id: str
    initiated_ms: int
    owner: Owner
    checksum_algorithm: Algorithm | None = None
    checksum_type: ChecksumType | None = None


class UploadPage(NamedTuple):
    """One page of open uploads; the next_* are "" on the last page."""

    uploads: Sequence[ListedUpload]
    common_prefixes: Sequence[str]
    next_key: str = ""
    next_upload_id: str = ""


class ListedPart(NamedTuple):
    """One part of an open upload."""

    number: int
    last_modified_ms: int
    etag: str
    size: int
    checksum: Checksum | None = None


class PartPage(NamedTuple):
    """One page of parts; `next_number` is the last one shown, 0 on the last page."""

    parts: Sequence[ListedPart]
    owner: Owner
    next_number: int = 0
    checksum_algorithm: Algorithm | None = None
    checksum_type: ChecksumType | None = None


class FailedKey(NamedTuple):
    """One key DeleteObjects could not delete."""

    key: str
    code: str
    message: str
