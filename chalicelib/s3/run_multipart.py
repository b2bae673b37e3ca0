"""Carrying out the operations on multipart uploads.

In      a Caller, the operation, the request's body
Out     Response
Errors  S3Error, and what `objects` and the ports raise (service.py turns them into S3's)
Source  Amazon S3 API reference, "Uploading and copying objects using multipart upload".
"""

from __future__ import annotations

from chalicelib.domain.manifest import Checksum as StoredChecksum
from chalicelib.domain.manifest import Part
from chalicelib.domain.upload import Upload
from chalicelib.objects import bodies, get, multipart
from chalicelib.objects.multipart import NamedPart
from chalicelib.s3 import checksums, errors, operations, ranges, xml_read, xml_write
from chalicelib.s3.attributes import Attributes
from chalicelib.s3.body import CheckedBody, receive, receive_small
from chalicelib.s3.caller import Caller
from chalicelib.s3.checksums import Algorithm, ChecksumType
from chalicelib.s3.request import Request, Response
from chalicelib.s3.run_bucket import xml
from chalicelib.s3.sigv4 import Identity
from chalicelib.s3.stored import StoredBody, checksum_headers, checksum_view, put_request
from chalicelib.s3.views import Checksum, ListedPart, PartPage


def create(caller: Caller, operation: operations.CreateMultipartUpload) -> Response:
    """Open an upload."""
    bucket = caller.bucket(operation.bucket)
    wanted = put_request(operation.key, caller.user.id, operation.attributes)
    algorithm, kind = operation.checksum_algorithm, operation.checksum_type
    upload = multipart.create(
        caller.site,
        bucket,
        wanted,
        algorithm.value if algorithm else "",
        kind.value if kind else "",
    )
    answer = xml(xml_write.initiated_upload(operation.bucket, operation.key, upload.id))
    if algorithm and kind:
        answer.headers.append(("x-amz-checksum-algorithm", algorithm.value))
        answer.headers.append(("x-amz-checksum-type", kind.value))
    return answer


def upload_part(
    caller: Caller, operation: operations.UploadPart, request: Request, identity: Identity
) -> Response:
    """File one attempt at a part."""
    bucket = caller.bucket(operation.bucket)
    upload = multipart.require(caller.site, bucket, operation.key, operation.upload_id)
    algorithm = Algorithm(upload.checksum_algorithm) if upload.checksum_algorithm else None
    body = receive(request, identity, length_max=operations.PART_BYTES_MAX, compute=algorithm)
    if algorithm is not None and body.algorithm is not algorithm:
        raise errors.InvalidRequest(
            f"Checksum Type mismatch occurred, expected checksum Type: {algorithm.value.lower()}, "
            f"actual checksum Type: {body.algorithm.value.lower() if body.algorithm else 'null'}"
        )
    attempt = multipart.upload_part(caller.site, upload, operation.part_number, StoredBody(body))
    headers = [("ETag", f'"{attempt.part.etag}"')]
    if attempt.part.checksum and body.algorithm is not None:
        headers.append((body.algorithm.header, attempt.part.checksum))
    return Response(200, [*headers, ("Content-Length", "0")])


def upload_part_copy(caller: Caller, operation: operations.UploadPartCopy) -> Response:
    """File a part from bytes of another object."""
    bucket = caller.bucket(operation.bucket)
    upload = multipart.require(caller.site, bucket, operation.key, operation.upload_id)
    source_bucket = caller.bucket(operation.source_bucket)
    source = get.head(caller.site, source_bucket.id, operation.source_key)
    operation.source_conditions.check_copy_source(source.etag, source.modified_ms)
    span = ranges.check_copy_range(operation.source_span, source.size)
    start, end = (span[0], span[1] + 1) if span else (0, source.size)
    algorithm = Algorithm(upload.checksum_algorithm) if upload.checksum_algorithm else None
    body = CheckedBody(bodies.Source(caller.site, source, start, end), end - start, compute=algorithm)
    attempt = multipart.upload_part(caller.site, upload, operation.part_number, StoredBody(body), awaited=0)
    checksum = Checksum(algorithm, attempt.part.checksum) if algorithm and attempt.part.checksum else None
    return xml(xml_write.copy_result(attempt.part.etag, attempt.modified_ms, checksum, part=True))


def complete(
    caller: Caller, operation: operations.CompleteMultipartUpload, request: Request, identity: Identity
) -> Response:
    """Turn the named parts into the object."""
    bucket = caller.bucket(operation.bucket)
    # Checksum headers here are those of the object, not of this body.
    sent = receive_small(request, identity, length_max=xml_read.XML_BYTES_MAX, header_covers_body=False)
    wanted = xml_read.read_complete(sent)
    named = [
        NamedPart(part.number, part.etag, checksums.encode(part.checksum[1]) if part.checksum else "")
        for part in wanted.parts
    ]
    record = multipart.complete(
        caller.site,
        bucket,
        put_request(operation.key, caller.user.id, Attributes(), operation.conditions),
        operation.upload_id,
        named,
        lambda upload, parts: _checksum(operation, upload, parts),
    )
    checksum = checksum_view(record)
    location = f"/{operation.bucket}/{operation.key}"
    body = xml_write.completed_upload(location, operation.bucket, operation.key, record.etag, checksum)
    answer = xml(body)
    answer.headers.extend(checksum_headers(checksum))
    return answer


def _checksum(
    operation: operations.CompleteMultipartUpload, upload: Upload, parts: tuple[Part, ...]
) -> StoredChecksum | None:
    """The object's checksum, held against what the client says it and the size must be."""
    size = sum(part.size for part in parts)
    if operation.size is not None and operation.size != size:
        raise errors.InvalidRequest(
            f"The x-amz-mp-object-size {operation.size} does not match the {size} bytes of the parts."
        )
    if not upload.checksum_algorithm or not all(part.checksum for part in parts):
        return None  # a part of several blocks that went straight to the store has none
    algorithm, kind = Algorithm(upload.checksum_algorithm), ChecksumType(upload.checksum_kind)
    if operation.checksum_type is not None and operation.checksum_type is not kind:
        raise errors.InvalidRequest(
            f"The upload was created using the {kind.value} checksum mode. The complete request must "
            "use the same checksum mode."
        )
    digests = [checksums.decode(part.checksum, algorithm.digest_bytes) or b"" for part in parts]
    if kind is ChecksumType.COMPOSITE:
        value = checksums.composite(algorithm, digests)
    else:
        value = checksums.full_object(
            algorithm, [(digest, part.size) for digest, part in zip(digests, parts, strict=True)]
        )
    expected = operation.checksum
    if expected is not None and expected.digest is not None and kind is ChecksumType.FULL_OBJECT:
        if expected.algorithm is not algorithm or checksums.encode(expected.digest) != value:
            raise errors.BadDigest(
                f"The {algorithm.value} you specified did not match the calculated checksum."
            )
    return StoredChecksum(algorithm.value, kind.value, value)


def abort(caller: Caller, operation: operations.AbortMultipartUpload) -> Response:
    """Close an upload."""
    bucket = caller.bucket(operation.bucket)
    multipart.abort(caller.site, bucket, operation.key, operation.upload_id)
    return Response(204, [])


def list_parts(caller: Caller, operation: operations.ListParts) -> Response:
    """The newest attempt at each part."""
    bucket = caller.bucket(operation.bucket)
    upload = multipart.require(caller.site, bucket, operation.key, operation.upload_id)
    algorithm = Algorithm(upload.checksum_algorithm) if upload.checksum_algorithm else None
    kind = ChecksumType(upload.checksum_kind) if upload.checksum_kind else None
    behind = [
        attempt
        for attempt in multipart.latest_parts(caller.site, upload.id)
        if attempt.part.number > operation.after_number
    ]
    page = behind[: operation.max_parts]
    rows = [
        ListedPart(
            attempt.part.number,
            attempt.modified_ms,
            attempt.part.etag,
            attempt.part.size,
            Checksum(algorithm, attempt.part.checksum) if algorithm and attempt.part.checksum else None,
        )
        for attempt in page
    ]
    more = rows[-1].number if rows and len(behind) > len(page) else 0
    shown = PartPage(rows, caller.owner_of(upload.owner), more, algorithm, kind)
    return xml(xml_write.list_parts(operation, shown))
