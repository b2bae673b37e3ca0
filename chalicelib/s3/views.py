"""What the XML writers show: plain values the dispatcher fills from the store's records.

In      records of the object store, translated
Out     frozen dataclasses for xml_write
Units   times in ms since 1970; sizes in bytes; ETags without quotes; checksums in base64
Errors  none
Source  Amazon S3 API reference, the response elements of each operation
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.s3.checksums import Algorithm, ChecksumType


@dataclass(frozen=True, slots=True)
class Owner:
    """Who owns a bucket, an object or an upload."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Checksum:
    """A stored checksum: base64, with `-N` at the end when composite."""

    algorithm: Algorithm
    value: str
    type: ChecksumType = ChecksumType.FULL_OBJECT


@dataclass(frozen=True, slots=True)
class ListedBucket:
    """One bucket in ListBuckets."""

    name: str
    created_ms: int


@dataclass(frozen=True, slots=True)
class ListedObject:
    """One object in a listing; `owner` is shown where the caller sets it."""

    key: str
    last_modified_ms: int
    etag: str
    size: int
    owner: Owner | None = None
    checksum_algorithm: Algorithm | None = None
    checksum_type: ChecksumType | None = None


@dataclass(frozen=True, slots=True)
class ObjectPage:
    """One page of a listing. `next_key` is the last key or prefix shown, "" on the last page."""

    objects: Sequence[ListedObject]
    common_prefixes: Sequence[str]
    next_key: str = ""


@dataclass(frozen=True, slots=True)
class ListedUpload:
    """One open multipart upload."""

    key: str
    upload_id: str
    initiated_ms: int
    owner: Owner
    checksum_algorithm: Algorithm | None = None
    checksum_type: ChecksumType | None = None


@dataclass(frozen=True, slots=True)
class UploadPage:
    """One page of open uploads; the next_* are "" on the last page."""

    uploads: Sequence[ListedUpload]
    common_prefixes: Sequence[str]
    next_key: str = ""
    next_upload_id: str = ""


@dataclass(frozen=True, slots=True)
class ListedPart:
    """One part of an open upload."""

    number: int
    last_modified_ms: int
    etag: str
    size: int
    checksum: Checksum | None = None


@dataclass(frozen=True, slots=True)
class PartPage:
    """One page of parts; `next_number` is the last one shown, 0 on the last page."""

    parts: Sequence[ListedPart]
    owner: Owner
    next_number: int = 0
    checksum_algorithm: Algorithm | None = None
    checksum_type: ChecksumType | None = None


@dataclass(frozen=True, slots=True)
class FailedKey:
    """One key DeleteObjects could not delete."""

    key: str
    code: str
    message: str
