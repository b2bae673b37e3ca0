"""The XML answers of S3, by string building: a listing of 1,000 keys is one join.

In      views and the operation they answer
Out     XML as UTF-8 bytes
Units   as in views
Errors  none: what XML cannot carry is replaced
Source  Amazon S3 API reference; XML 1.0 §2.2

Characters XML 1.0 forbids even as references (U+0001 …) become U+FFFD, so that every answer can be
parsed; S3 writes them raw and breaks the client. A client that has such keys asks for
encoding-type=url, as every SDK does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote

from chalicelib.s3.dates import format_iso_date
from chalicelib.s3.errors import S3Error
from chalicelib.s3.names import encode_token
from chalicelib.s3.operations import ListMultipartUploads, ListObjects, ListObjectsV2, ListParts
from chalicelib.s3.views import (
    Checksum,
    FailedKey,
    ListedBucket,
    ListedObject,
    ObjectPage,
    Owner,
    PartPage,
    UploadPage,
)
from chalicelib.s3.xml_read import NAMESPACE

HEADER = '<?xml version="1.0" encoding="UTF-8"?>\n'
_SPECIAL = re.compile(r'[\x00-\x1f"&<>\x7f-\x9f\ud800-\udfff\ufffe\uffff]')
_ESCAPES = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "\t": "&#x9;",
    "\n": "&#xA;",
    "\r": "&#xD;",
    **{chr(code): f"&#x{code:X};" for code in range(0x7F, 0xA0)},
}


def escape(text: str) -> str:
    """Text as XML content."""
    if not _SPECIAL.search(text):
        return text
    return _SPECIAL.sub(lambda match: _ESCAPES.get(match[0], "\ufffd"), text)


def shown(text: str, url: bool) -> str:
    """A key, prefix or delimiter, percent-encoded when encoding-type=url."""
    return quote(text, safe="/-._~") if url else escape(text)


def _document(tag: str, inner: str) -> bytes:
    return f'{HEADER}<{tag} xmlns="{NAMESPACE}">{inner}</{tag}>'.encode()


def _optional(tag: str, text: str) -> str:
    return f"<{tag}>{text}</{tag}>" if text else ""


def _owner(owner: Owner | None, tag: str = "Owner") -> str:
    if owner is None:
        return ""
    name = escape(owner.name)
    return f"<{tag}><ID>{escape(owner.id)}</ID><DisplayName>{name}</DisplayName></{tag}>"


def _bool(value: object) -> str:
    return "true" if value else "false"


def _checksum(checksum: Checksum | None) -> str:
    if checksum is None:
        return ""
    tag = f"Checksum{checksum.algorithm.value}"
    return f"<{tag}>{checksum.value}</{tag}>"


def list_buckets(
    owner: Owner, buckets: Sequence[ListedBucket], *, prefix: str = "", next_name: str = ""
) -> bytes:
    """ListAllMyBucketsResult."""
    rows = "".join(
        [
            f"<Bucket><Name>{escape(bucket.name)}</Name>"
            f"<CreationDate>{format_iso_date(bucket.created_ms)}</CreationDate></Bucket>"
            for bucket in buckets
        ]
    )
    return _document(
        "ListAllMyBucketsResult",
        f"{_owner(owner)}<Buckets>{rows}</Buckets>{_optional('Prefix', escape(prefix))}"
        + _optional("ContinuationToken", encode_token(next_name) if next_name else ""),
    )


def _object(entry: ListedObject, url: bool) -> str:
    extra = ""
    if entry.checksum_algorithm is not None:
        extra = f"<ChecksumAlgorithm>{entry.checksum_algorithm.value}</ChecksumAlgorithm>"
        if entry.checksum_type is not None:
            extra += f"<ChecksumType>{entry.checksum_type.value}</ChecksumType>"
    if entry.owner is not None:
        extra += _owner(entry.owner)
    return (
        f"<Contents><Key>{shown(entry.key, url)}</Key>"
        f"<LastModified>{format_iso_date(entry.last_modified_ms)}</LastModified>"
        f"<ETag>&quot;{entry.etag}&quot;</ETag><Size>{entry.size}</Size>{extra}"
        "<StorageClass>STANDARD</StorageClass></Contents>"
    )


def _prefixes(prefixes: Sequence[str], url: bool) -> str:
    return "".join(
        [f"<CommonPrefixes><Prefix>{shown(prefix, url)}</Prefix></CommonPrefixes>" for prefix in prefixes]
    )


def list_objects(operation: ListObjects, page: ObjectPage) -> bytes:
    """ListBucketResult, first version: goes on from NextMarker."""
    url = operation.encoding_url
    next_marker = shown(page.next_key, url) if operation.delimiter else ""
    return _document(
        "ListBucketResult",
        f"<Name>{operation.bucket}</Name><Prefix>{shown(operation.prefix, url)}</Prefix>"
        f"<Marker>{shown(operation.marker, url)}</Marker>"
        + _optional("NextMarker", next_marker)
        + _listing_head(operation, page)
        + "".join([_object(entry, url) for entry in page.objects])
        + _prefixes(page.common_prefixes, url),
    )


def list_objects_v2(operation: ListObjectsV2, page: ObjectPage) -> bytes:
    """ListBucketResult, second version: goes on from NextContinuationToken."""
    url = operation.encoding_url
    return _document(
        "ListBucketResult",
        f"<Name>{operation.bucket}</Name><Prefix>{shown(operation.prefix, url)}</Prefix>"
        + _optional("ContinuationToken", escape(operation.token))
        + _optional("NextContinuationToken", encode_token(page.next_key) if page.next_key else "")
        + _optional("StartAfter", shown(operation.start_after, url))
        + f"<KeyCount>{len(page.objects) + len(page.common_prefixes)}</KeyCount>"
        + _listing_head(operation, page)
        + "".join([_object(entry, url) for entry in page.objects])
        + _prefixes(page.common_prefixes, url),
    )


def _listing_head(operation: ListObjects | ListObjectsV2, page: ObjectPage) -> str:
    return (
        f"<MaxKeys>{operation.max_keys}</MaxKeys>"
        + _optional("Delimiter", shown(operation.delimiter, operation.encoding_url))
        + ("<EncodingType>url</EncodingType>" if operation.encoding_url else "")
        + f"<IsTruncated>{_bool(page.next_key)}</IsTruncated>"
    )


def location(constraint: str) -> bytes:
    """LocationConstraint; empty text for us-east-1, as S3 has it."""
    return _document("LocationConstraint", escape(constraint))


def delete_result(deleted: Sequence[str], failed: Sequence[FailedKey]) -> bytes:
    """DeleteResult; pass no deleted keys when the request was quiet."""
    return _document(
        "DeleteResult",
        "".join([f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in deleted])
        + "".join(
            [
                f"<Error><Key>{escape(entry.key)}</Key><Code>{entry.code}</Code>"
                f"<Message>{escape(entry.message)}</Message></Error>"
                for entry in failed
            ]
        ),
    )


def copy_result(
    etag: str, last_modified_ms: int, checksum: Checksum | None = None, *, part: bool = False
) -> bytes:
    """CopyObjectResult, or CopyPartResult for UploadPartCopy."""
    kind = f"<ChecksumType>{checksum.type.value}</ChecksumType>" if checksum and not part else ""
    return _document(
        "CopyPartResult" if part else "CopyObjectResult",
        f"<LastModified>{format_iso_date(last_modified_ms)}</LastModified>"
        f"<ETag>&quot;{etag}&quot;</ETag>{_checksum(checksum)}{kind}",
    )


def initiated_upload(bucket: str, key: str, upload_id: str) -> bytes:
    """InitiateMultipartUploadResult."""
    return _document(
        "InitiateMultipartUploadResult",
        f"<Bucket>{bucket}</Bucket><Key>{escape(key)}</Key><UploadId>{upload_id}</UploadId>",
    )


def completed_upload(
    location: str, bucket: str, key: str, etag: str, checksum: Checksum | None = None
) -> bytes:
    """CompleteMultipartUploadResult."""
    kind = f"<ChecksumType>{checksum.type.value}</ChecksumType>" if checksum else ""
    return _document(
        "CompleteMultipartUploadResult",
        f"<Location>{escape(location)}</Location><Bucket>{bucket}</Bucket>"
        f"<Key>{escape(key)}</Key><ETag>&quot;{etag}&quot;</ETag>{_checksum(checksum)}{kind}",
    )


def list_parts(operation: ListParts, page: PartPage) -> bytes:
    """ListPartsResult."""
    rows = "".join(
        [
            f"<Part><PartNumber>{part.number}</PartNumber>"
            f"<LastModified>{format_iso_date(part.last_modified_ms)}</LastModified>"
            f"<ETag>&quot;{part.etag}&quot;</ETag><Size>{part.size}</Size>"
            f"{_checksum(part.checksum)}</Part>"
            for part in page.parts
        ]
    )
    algorithm = page.checksum_algorithm.value if page.checksum_algorithm else ""
    kind = page.checksum_type.value if page.checksum_type else ""
    return _document(
        "ListPartsResult",
        f"<Bucket>{operation.bucket}</Bucket>"
        f"<Key>{shown(operation.key, operation.encoding_url)}</Key>"
        f"<UploadId>{operation.upload_id}</UploadId>"
        f"{_owner(page.owner, 'Initiator')}{_owner(page.owner)}"
        "<StorageClass>STANDARD</StorageClass>"
        f"<PartNumberMarker>{operation.after_number}</PartNumberMarker>"
        f"<NextPartNumberMarker>{page.next_number}</NextPartNumberMarker>"
        f"<MaxParts>{operation.max_parts}</MaxParts>"
        + ("<EncodingType>url</EncodingType>" if operation.encoding_url else "")
        + f"<IsTruncated>{_bool(page.next_number)}</IsTruncated>"
        + _optional("ChecksumAlgorithm", algorithm)
        + _optional("ChecksumType", kind)
        + rows,
    )


def list_uploads(operation: ListMultipartUploads, page: UploadPage) -> bytes:
    """ListMultipartUploadsResult."""
    url = operation.encoding_url
    rows = "".join(
        [
            f"<Upload><Key>{shown(upload.key, url)}</Key><UploadId>{upload.upload_id}</UploadId>"
            f"{_owner(upload.owner, 'Initiator')}{_owner(upload.owner)}"
            "<StorageClass>STANDARD</StorageClass>"
            f"<Initiated>{format_iso_date(upload.initiated_ms)}</Initiated>"
            + _optional(
                "ChecksumAlgorithm",
                upload.checksum_algorithm.value if upload.checksum_algorithm else "",
            )
            + _optional("ChecksumType", upload.checksum_type.value if upload.checksum_type else "")
            + "</Upload>"
            for upload in page.uploads
        ]
    )
    return _document(
        "ListMultipartUploadsResult",
        f"<Bucket>{operation.bucket}</Bucket>"
        f"<KeyMarker>{shown(operation.key_marker, url)}</KeyMarker>"
        f"<UploadIdMarker>{escape(operation.upload_id_marker)}</UploadIdMarker>"
        f"<NextKeyMarker>{shown(page.next_key, url)}</NextKeyMarker>"
        f"<NextUploadIdMarker>{page.next_upload_id}</NextUploadIdMarker>"
        f"<Prefix>{shown(operation.prefix, url)}</Prefix>"
        + _optional("Delimiter", shown(operation.delimiter, url))
        + f"<MaxUploads>{operation.max_uploads}</MaxUploads>"
        + ("<EncodingType>url</EncodingType>" if url else "")
        + f"<IsTruncated>{_bool(page.next_key)}</IsTruncated>"
        + rows
        + _prefixes(page.common_prefixes, url),
    )


def access_control(owner: Owner) -> bytes:
    """AccessControlPolicy: the one ACL there is, private to its owner."""
    grantee = (
        '<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xsi:type="CanonicalUser"><ID>{escape(owner.id)}</ID>'
        f"<DisplayName>{escape(owner.name)}</DisplayName></Grantee>"
    )
    return _document(
        "AccessControlPolicy",
        f"{_owner(owner)}<AccessControlList><Grant>{grantee}"
        "<Permission>FULL_CONTROL</Permission></Grant></AccessControlList>",
    )


def empty(tag: str, inner: str = "") -> bytes:
    """A fixed answer such as VersioningConfiguration."""
    return _document(tag, inner)


def error(failure: S3Error, *, resource: str, request_id: str, host_id: str = "") -> bytes:
    """The Error body; without a namespace, as S3 has it."""
    detail = "".join([f"<{name}>{escape(text)}</{name}>" for name, text in failure.detail.items()])
    return (
        f"{HEADER}<Error><Code>{failure.code}</Code><Message>{escape(failure.message)}</Message>"
        f"{detail}<Resource>{escape(resource)}</Resource>"
        f"<RequestId>{request_id}</RequestId><HostId>{host_id}</HostId></Error>"
    ).encode()
