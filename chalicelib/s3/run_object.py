"""Carrying out the operations on objects.

In      a Caller, the operation, the request's body
Out     Response; a GET's body is an iterator whose first block is in hand
Errors  S3Error, and what `objects` and the ports raise (service.py turns them into S3's)
Source  Amazon S3 API reference; law *atomic*: all a response shows is from one record.
"""

from __future__ import annotations

from dataclasses import replace

from chalicelib.domain.chunking import part_range
from chalicelib.domain.manifest import Checksum, Record
from chalicelib.domain.names import key_hash
from chalicelib.objects import bodies, copy, delete, get, put
from chalicelib.objects.commit import OpenBucket
from chalicelib.s3 import checksums, errors, operations, ranges, xml_write
from chalicelib.s3.attributes import Attributes
from chalicelib.s3.body import receive
from chalicelib.s3.caller import Caller
from chalicelib.s3.checksums import Algorithm, ChecksumType
from chalicelib.s3.request import Request, Response
from chalicelib.s3.run_bucket import xml
from chalicelib.s3.sigv4 import Identity
from chalicelib.s3.stored import (
    StoredBody,
    checksum_headers,
    checksum_view,
    entity_headers,
    put_request,
)

Read = operations.GetObject | operations.HeadObject


def put_object(
    caller: Caller, operation: operations.PutObject, request: Request, identity: Identity
) -> Response:
    """Store a body."""
    bucket = caller.bucket(operation.bucket)
    body = receive(request, identity, length_max=operations.PUT_BYTES_MAX)
    wanted = put_request(operation.key, caller.user.id, operation.attributes, operation.conditions)
    _refuse_early(caller, bucket, wanted)
    record = put.put_object(caller.site, bucket, wanted, StoredBody(body))
    headers = [("ETag", f'"{record.etag}"'), *checksum_headers(checksum_view(record))]
    return Response(200, [*headers, ("Content-Length", "0")])


def _refuse_early(caller: Caller, bucket: OpenBucket, wanted: put.PutRequest) -> None:
    """A condition that fails already need not wait for the body; the commit asks again."""
    if wanted.if_none_match or wanted.if_match is not None:
        put.check_conditions(wanted, get.current(caller.site, bucket.id, key_hash(wanted.key)))


def read_object(caller: Caller, operation: Read) -> Response:
    """GET and HEAD: a whole object, a range, or a part."""
    bucket = caller.bucket(operation.bucket)
    record = get.head(caller.site, bucket.id, operation.key)
    operation.conditions.check_read(record.etag, record.modified_ms)
    start, end, extra = _span(caller, operation, record)
    whole = (start, end) == (0, record.size)
    status = 200 if not extra else 206
    headers = entity_headers(record)
    if operation.checksum_mode and whole:
        headers += checksum_headers(checksum_view(record))
    headers = _overridden(headers, operation.overrides)
    headers += [*extra, ("Content-Length", str(end - start))]
    if isinstance(operation, operations.HeadObject):
        return Response(status, headers)
    return Response(status, headers, bodies.read(caller.site, record, start, end))


def _span(caller: Caller, operation: Read, record: Record) -> tuple[int, int, list[tuple[str, str]]]:
    """[start, end) that is wanted, and the headers of a 206."""
    if operation.part_number is not None:
        return _part(caller, operation.part_number, record)
    span = ranges.parse_range(operation.range_header, record.size)
    if span is None:
        return 0, record.size, []
    return span[0], span[1] + 1, [("Content-Range", ranges.content_range(span, record.size))]


def _part(caller: Caller, number: int, record: Record) -> tuple[int, int, list[tuple[str, str]]]:
    if not record.multipart:
        if number != 1:
            raise errors.InvalidPartNumber(ActualPartCount="1", PartNumberRequested=str(number))
        start, end, extra = 0, record.size, []
    else:
        found = part_range(bodies.parts_of(caller.site, record), number)
        if found is None:
            raise errors.InvalidPartNumber(
                ActualPartCount=str(record.part_count), PartNumberRequested=str(number)
            )
        start, end = found
        extra = [("x-amz-mp-parts-count", str(record.part_count))]
    if start < end:
        extra.append(("Content-Range", ranges.content_range((start, end - 1), record.size)))
    return start, end, extra


def _overridden(
    headers: list[tuple[str, str]], overrides: tuple[tuple[str, str], ...]
) -> list[tuple[str, str]]:
    if not overrides:
        return headers
    replaced = {name.lower() for name, _ in overrides}
    return [pair for pair in headers if pair[0].lower() not in replaced] + list(overrides)


def delete_object(caller: Caller, operation: operations.DeleteObject) -> Response:
    """Delete a key, there or not."""
    bucket = caller.bucket(operation.bucket)
    delete.delete_object(caller.site, bucket, operation.key, operation.conditions.if_match)
    return Response(204, [])


def copy_object(caller: Caller, operation: operations.CopyObject) -> Response:
    """A new object from an old one, moving no byte through the client."""
    target = caller.bucket(operation.bucket)
    source_bucket = caller.bucket(operation.source_bucket)
    source = get.head(caller.site, source_bucket.id, operation.source_key)
    operation.source_conditions.check_copy_source(source.etag, source.modified_ms)
    if source.size > operations.PUT_BYTES_MAX:
        raise errors.InvalidRequest(
            "The specified copy source is larger than the maximum allowable size for a copy source: "
            f"{operations.PUT_BYTES_MAX}"
        )
    same = (source_bucket.id, operation.source_key) == (target.id, operation.key)
    if same and operation.attributes is None:
        raise errors.InvalidRequest(
            "This copy request is illegal because it is trying to copy an object to itself without "
            "changing the object's metadata, storage class, website redirect location or encryption "
            "attributes."
        )
    wanted = put_request(
        operation.key, caller.user.id, operation.attributes or Attributes(), operation.conditions
    )
    if operation.attributes is None:
        wanted = put.PutRequest(
            operation.key,
            caller.user.id,
            source.headers,
            source.metadata,
            operation.conditions.if_match,
            operation.conditions.if_none_match,
        )
    source = _with_checksum(caller, source, operation.checksum_algorithm)
    record = copy.copy_object(caller.site, source, target, wanted)
    return xml(xml_write.copy_result(record.etag, record.modified_ms, checksum_view(record)))


def _with_checksum(caller: Caller, source: Record, algorithm: Algorithm | None) -> Record:
    """The source with the checksum its copy shall have; another algorithm costs reading every byte."""
    if algorithm is None or (source.checksum and source.checksum.algorithm == algorithm.value):
        return source
    hasher = checksums.hasher(algorithm)
    for piece in bodies.read(caller.site, source, 0, source.size):
        hasher.update(piece)
    value = checksums.encode(hasher.digest())
    return replace(source, checksum=Checksum(algorithm.value, ChecksumType.FULL_OBJECT.value, value))
