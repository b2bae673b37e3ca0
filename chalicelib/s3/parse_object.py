"""Object and multipart operations, from a routed request.

In      Call
Out     one operation
Units   spans inclusive, in bytes
Errors  InvalidArgument, InvalidRequest, NotImplemented, NoSuchVersion, NoSuchUpload, and what
        attributes and conditions raise
Source  Amazon S3 API reference; CVE-2024-47866 (an empty copy source crashed RGW)
"""

from __future__ import annotations

from chalicelib.s3 import checksums, errors, names, operations
from chalicelib.s3.attributes import read_attributes, refuse_unsupported
from chalicelib.s3.call import Call
from chalicelib.s3.conditions import read_conditions, write_conditions
from chalicelib.s3.ranges import parse_copy_range
from chalicelib.s3.request import check_header, header_bytes, unquote_strict

OVERRIDES = {
    "response-cache-control": "Cache-Control",
    "response-content-disposition": "Content-Disposition",
    "response-content-encoding": "Content-Encoding",
    "response-content-language": "Content-Language",
    "response-content-type": "Content-Type",
    "response-expires": "Expires",
}
_COPY_SOURCE_PREFIX = "x-amz-copy-source-"


def put_object(call: Call) -> operations.PutObject:
    headers = call.request.headers
    refuse_unsupported(headers)
    return operations.PutObject(call.bucket, call.key, read_attributes(headers), write_conditions(headers))


def get_object(call: Call) -> operations.GetObject:
    refuse_unsupported(call.request.headers)
    check_version(call.params.get("versionId"))
    return operations.GetObject(
        call.bucket,
        call.key,
        call.header("range"),
        _part_number(call),
        read_conditions(call.request.headers),
        _overrides(call),
        _checksum_mode(call),
    )


def head_object(call: Call) -> operations.HeadObject:
    refuse_unsupported(call.request.headers)
    check_version(call.params.get("versionId"))
    return operations.HeadObject(
        call.bucket,
        call.key,
        call.header("range"),
        _part_number(call),
        read_conditions(call.request.headers),
        _overrides(call),
        _checksum_mode(call),
    )


def delete_object(call: Call) -> operations.DeleteObject:
    refuse_unsupported(call.request.headers)
    check_version(call.params.get("versionId"))
    for name in ("x-amz-if-match-size", "x-amz-if-match-last-modified-time"):
        if name in call.request.headers:
            raise errors.NotImplemented(Header=name)
    return operations.DeleteObject(call.bucket, call.key, write_conditions(call.request.headers))


def copy_object(call: Call) -> operations.CopyObject:
    headers = call.request.headers
    refuse_unsupported(headers)
    source_bucket, source_key = parse_copy_source(call.header("x-amz-copy-source"))
    directive = call.header("x-amz-metadata-directive") or "COPY"
    if directive not in ("COPY", "REPLACE"):
        raise errors.InvalidArgument("Unknown metadata directive.", ArgumentName="x-amz-metadata-directive")
    if (call.header("x-amz-tagging-directive") or "COPY") != "COPY":
        raise errors.NotImplemented(Header="x-amz-tagging-directive")
    replace = directive == "REPLACE"
    if not replace and (source_bucket, source_key) == (call.bucket, call.key):
        raise errors.InvalidRequest(
            "This copy request is illegal because it is trying to copy an object to itself "
            "without changing the object's metadata, storage class, website redirect location or "
            "encryption attributes."
        )
    return operations.CopyObject(
        call.bucket,
        call.key,
        source_bucket,
        source_key,
        read_attributes(headers) if replace else None,
        read_conditions(headers, _COPY_SOURCE_PREFIX),
        write_conditions(headers),
        checksums.parse_algorithm(call.header("x-amz-checksum-algorithm")),
    )


def create_multipart_upload(call: Call) -> operations.CreateMultipartUpload:
    headers = call.request.headers
    refuse_unsupported(headers)
    algorithm = checksums.parse_algorithm(call.header("x-amz-checksum-algorithm"))
    return operations.CreateMultipartUpload(
        call.bucket,
        call.key,
        read_attributes(headers),
        algorithm,
        checksums.parse_type(algorithm, call.header("x-amz-checksum-type")),
    )


def upload_part(call: Call) -> operations.UploadPart:
    refuse_unsupported(call.request.headers)
    return operations.UploadPart(
        call.bucket, call.key, _upload_id(call), names.parse_part_number(call.param("partNumber"))
    )


def upload_part_copy(call: Call) -> operations.UploadPartCopy:
    headers = call.request.headers
    refuse_unsupported(headers)
    source_bucket, source_key = parse_copy_source(call.header("x-amz-copy-source"))
    return operations.UploadPartCopy(
        call.bucket,
        call.key,
        _upload_id(call),
        names.parse_part_number(call.param("partNumber")),
        source_bucket,
        source_key,
        parse_copy_range(call.header("x-amz-copy-source-range")),
        read_conditions(headers, _COPY_SOURCE_PREFIX),
    )


def complete_multipart_upload(call: Call) -> operations.CompleteMultipartUpload:
    headers = call.request.headers
    refuse_unsupported(headers)
    size = call.header("x-amz-mp-object-size")
    if size is not None and not (size.isascii() and size.isdigit() and len(size) <= 15):
        raise errors.InvalidRequest("Value for x-amz-mp-object-size header is invalid.")
    kind = call.header("x-amz-checksum-type")
    declared = checksums.header_checksum(headers)
    try:
        checksum_type = checksums.ChecksumType(kind.upper()) if kind is not None else None
    except ValueError:
        raise errors.InvalidRequest("Value for x-amz-checksum-type header is invalid.") from None
    return operations.CompleteMultipartUpload(
        call.bucket,
        call.key,
        _upload_id(call),
        write_conditions(headers),
        declared,
        checksum_type,
        int(size) if size is not None else None,
    )


def abort_multipart_upload(call: Call) -> operations.AbortMultipartUpload:
    return operations.AbortMultipartUpload(call.bucket, call.key, _upload_id(call))


def list_parts(call: Call) -> operations.ListParts:
    marker = call.param("part-number-marker")
    return operations.ListParts(
        call.bucket,
        call.key,
        _upload_id(call),
        call.count("max-parts"),
        names.parse_number("part-number-marker", marker) if marker else 0,
        call.encoding_url(),
    )


def parse_copy_source(header: str | None) -> tuple[str, str]:
    """(bucket, key) of x-amz-copy-source; percent-decoded, a leading slash is optional."""
    raw, _, query = header_bytes(header or "").partition(b"?versionId=")
    text = unquote_strict(raw).removeprefix("/")
    bucket, _, key = text.partition("/")
    if not bucket or not key:
        raise errors.InvalidArgument(
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
            ArgumentName="x-amz-copy-source",
        )
    if query:
        check_version(unquote_strict(query))
    return names.check_bucket(bucket), names.check_key(key)


def check_version(version_id: str | None) -> None:
    """Without versioning every object is its one `null` version."""
    if version_id is not None and version_id != "null":
        raise errors.NoSuchVersion(VersionId=version_id[:128])


def _upload_id(call: Call) -> str:
    return names.check_upload_id(call.param("uploadId"))


def _part_number(call: Call) -> int | None:
    text = call.params.get("partNumber")
    if text is None:
        return None
    if call.header("range") is not None:
        raise errors.InvalidRequest("Cannot specify both Range header and partNumber query parameter")
    return names.parse_part_number(text)


def _overrides(call: Call) -> tuple[tuple[str, str], ...]:
    found = []
    for param, header in OVERRIDES.items():
        value = call.params.get(param)
        if value is not None:
            check_header(header, value)
            found.append((header, value))
    return tuple(found)


def _checksum_mode(call: Call) -> bool:
    return (call.header("x-amz-checksum-mode") or "").upper() == "ENABLED"
