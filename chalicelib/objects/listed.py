"""What a listing row says of a key, in at most 1 KiB, so that LIST never reads a record.

Form    size|modified ms|etag|owner|checksum algorithm|checksum kind, as ASCII
Errors  Corrupt when a row is not of that form
Source  DESIGN §5 "listing".
"""

from __future__ import annotations

from typing import NamedTuple

from chalicelib.domain.errors import Corrupt
from chalicelib.domain.manifest import Record


class Listed(NamedTuple):
    """One visible key as LIST shows it."""

    key: str
    size: int
    modified_ms: int
    etag: str
    owner: str
    checksum_algorithm: str
    checksum_kind: str


def encode(record: Record) -> bytes:
    """The listing row of a live record."""
    algorithm, kind = "", ""
    if record.checksum:
        algorithm, kind = record.checksum.algorithm, record.checksum.kind
    return (f"{record.size}|{record.modified_ms}|{record.etag}|{record.owner}|{algorithm}|{kind}").encode()


def decode(sk: bytes, row: bytes) -> Listed:
    """The key a listing row shows."""
    try:
        size, modified_ms, etag, owner, algorithm, kind = row.decode().split("|")
        return Listed(sk.decode(), int(size), int(modified_ms), etag, owner, algorithm, kind)
    except ValueError as problem:
        raise Corrupt("a listing row cannot be read") from problem
