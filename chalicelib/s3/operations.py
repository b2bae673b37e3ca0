"""Every S3 operation this store knows, as one named tuple each: a seventh of what a
dataclass costs when a function starts.

In      nothing: the parsers of parse_bucket and parse_object make them
Out     typed, validated fields; `Operation` is their union, for an exhaustive match
Units   sizes in bytes; pages in entries; ETags without quotes
Errors  none
Source  Amazon S3 API reference; shape after Garage's router.rs
"""

from __future__ import annotations

from typing import NamedTuple

from chalicelib.s3.attributes import Attributes
from chalicelib.s3.checksums import Algorithm, ChecksumType, Expected
from chalicelib.s3.conditions import ReadConditions, WriteConditions

PUT_BYTES_MAX = 5 * 1024**3
PART_BYTES_MAX = 5 * 1024**3
PART_BYTES_MIN = 5 * 1024**2  # all but the last part


class ListBuckets(NamedTuple):
    prefix: str
    max_buckets: int
    after_name: str  # from the continuation token


class CreateBucket(NamedTuple):
    """The body is CreateBucketConfiguration: xml_read.read_location."""

    bucket: str


class HeadBucket(NamedTuple):
    bucket: str


class DeleteBucket(NamedTuple):
    bucket: str


class GetBucketLocation(NamedTuple):
    bucket: str


class ListObjects(NamedTuple):
    bucket: str
    prefix: str
    delimiter: str
    max_keys: int
    encoding_url: bool
    marker: str


class ListObjectsV2(NamedTuple):
    bucket: str
    prefix: str
    delimiter: str
    max_keys: int
    encoding_url: bool
    start_after: str
    token: str  # as sent, to be echoed
    token_key: str  # what it names: go on after this key; outranks start_after
    fetch_owner: bool

    @property
    def after_key(self) -> str:
        """The key the listing goes on after."""
        return self.token_key if self.token else self.start_after


class ListMultipartUploads(NamedTuple):
    bucket: str
    prefix: str
    delimiter: str
    max_uploads: int
    encoding_url: bool
    key_marker: str
    upload_id_marker: str


class DeleteObjects(NamedTuple):
    """The body is Delete: xml_read.read_delete."""

    bucket: str


class PutObject(NamedTuple):
    bucket: str
    key: str
    attributes: Attributes
    conditions: WriteConditions


class GetObject(NamedTuple):
    bucket: str
    key: str
    range_header: str | None
    part_number: int | None
    conditions: ReadConditions
    overrides: tuple[tuple[str, str], ...]  # response-*: (header name, value), checked
    checksum_mode: bool


class HeadObject(NamedTuple):
    bucket: str
    key: str
    range_header: str | None
    part_number: int | None
    conditions: ReadConditions
    overrides: tuple[tuple[str, str], ...]
    checksum_mode: bool


class DeleteObject(NamedTuple):
    bucket: str
    key: str
    conditions: WriteConditions


class CopyObject(NamedTuple):
    """`attributes` is None when those of the source are kept (directive COPY)."""

    bucket: str
    key: str
    source_bucket: str
    source_key: str
    attributes: Attributes | None
    source_conditions: ReadConditions
    conditions: WriteConditions
    checksum_algorithm: Algorithm | None


class CreateMultipartUpload(NamedTuple):
    bucket: str
    key: str
    attributes: Attributes
    checksum_algorithm: Algorithm | None
    checksum_type: ChecksumType | None


class UploadPart(NamedTuple):
    bucket: str
    key: str
    upload_id: str
    part_number: int


class UploadPartCopy(NamedTuple):
    bucket: str
    key: str
    upload_id: str
    part_number: int
    source_bucket: str
    source_key: str
    source_span: tuple[int, int] | None  # inclusive; ranges.check_copy_range against the source
    source_conditions: ReadConditions


class CompleteMultipartUpload(NamedTuple):
    """The body is CompleteMultipartUpload: xml_read.read_complete."""

    bucket: str
    key: str
    upload_id: str
    conditions: WriteConditions
    checksum: Expected | None  # of the whole object, when full-object; `digest` is never None
    checksum_type: ChecksumType | None
    size: int | None  # x-amz-mp-object-size


class AbortMultipartUpload(NamedTuple):
    bucket: str
    key: str
    upload_id: str


class ListParts(NamedTuple):
    bucket: str
    key: str
    upload_id: str
    max_parts: int
    after_number: int
    encoding_url: bool


class GetAcl(NamedTuple):
    """GetBucketAcl (key "") or GetObjectAcl: private to the owner, always."""

    bucket: str
    key: str


class GetSetting(NamedTuple):
    """A setting nobody can set here: unset_settings.answer after the bucket or key is found."""

    bucket: str
    key: str  # "" at bucket level
    name: str


Operation = (
    ListBuckets
    | CreateBucket
    | HeadBucket
    | DeleteBucket
    | GetBucketLocation
    | ListObjects
    | ListObjectsV2
    | ListMultipartUploads
    | DeleteObjects
    | PutObject
    | GetObject
    | HeadObject
    | DeleteObject
    | CopyObject
    | CreateMultipartUpload
    | UploadPart
    | UploadPartCopy
    | CompleteMultipartUpload
    | AbortMultipartUpload
    | ListParts
    | GetAcl
    | GetSetting
)
# Operations whose body belongs to them; every other request must come without one that matters.
WITH_BODY = (
    CreateBucket,
    DeleteObjects,
    PutObject,
    UploadPart,
    CompleteMultipartUpload,
)
