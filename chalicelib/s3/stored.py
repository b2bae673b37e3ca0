"""Records ↔ what S3 says of them: headers, checksums, owners; and bodies on their way in.

Source  Amazon S3 GetObject and PutObject response headers.
"""

from __future__ import annotations

from chalicelib.domain.manifest import Checksum as StoredChecksum
from chalicelib.domain.manifest import Pairs, Record
from chalicelib.objects.put import PutRequest
from chalicelib.s3.attributes import META_PREFIX, Attributes
from chalicelib.s3.body import CheckedBody
from chalicelib.s3.checksums import Algorithm, ChecksumType
from chalicelib.s3.conditions import WriteConditions
from chalicelib.s3.dates import format_http_date
from chalicelib.s3.views import Checksum

NO_CONDITIONS = WriteConditions()


class StoredBody:
    """A checked body as `objects` wants it: `finish` says what to keep."""

    def __init__(self, body: CheckedBody) -> None:
        self._body = body

    def read(self, size: int) -> bytes:
        """Up to `size` bytes."""
        return self._body.read(size)

    def finish(self) -> tuple[str, StoredChecksum | None]:
        """(MD5 hex, checksum), once the body proved to be the one announced."""
        self._body.finish()
        algorithm, value = self._body.algorithm, self._body.checksum
        if algorithm is None or value is None:
            return self._body.md5_hex, None
        return self._body.md5_hex, StoredChecksum(algorithm.value, ChecksumType.FULL_OBJECT.value, value)


def put_request(
    key: str, owner: str, attributes: Attributes, conditions: WriteConditions = NO_CONDITIONS
) -> PutRequest:
    """What a write's headers say, as `objects` takes it."""
    headers: Pairs = tuple(
        pair for pair in attributes.response_headers() if not pair[0].startswith(META_PREFIX)
    )
    return PutRequest(key, owner, headers, attributes.metadata, conditions.if_match, conditions.if_none_match)


def checksum_view(record: Record) -> Checksum | None:
    """The record's checksum, if it has one."""
    if record.checksum is None:
        return None
    kind = ChecksumType(record.checksum.kind)
    return Checksum(Algorithm(record.checksum.algorithm), record.checksum.value, kind)


def entity_headers(record: Record) -> list[tuple[str, str]]:
    """ETag, dates and everything the client stored with the object."""
    headers = [
        ("ETag", f'"{record.etag}"'),
        ("Last-Modified", format_http_date(record.modified_ms)),
        ("Accept-Ranges", "bytes"),
    ]
    headers.extend(record.headers)
    headers.extend((META_PREFIX + name, value) for name, value in record.metadata)
    return headers


def checksum_headers(checksum: Checksum | None) -> list[tuple[str, str]]:
    """The checksum as response headers."""
    if checksum is None:
        return []
    return [
        (checksum.algorithm.header, checksum.value),
        ("x-amz-checksum-type", checksum.type.value),
    ]
