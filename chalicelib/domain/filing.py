"""Which names blocks and documents may be filed under: what every BlockStore builds paths from.

token      1 … 128 of A-Z a-z 0-9 _ . - and neither `.` nor `..`: an id of ours, never a client's key
block      upload and attempt are tokens, number is 0 … 999,999,999
document   `manifests/` and then 1 … 6 tokens with `/` between them
record     what a record from another site names can be filed here, listed, and sent out as headers; every
           field is of the type and in the range that our own code gives it
fan_out    two hex digits from a hash of the upload: no directory or listing holds all uploads

Errors  ValueError: a name that came from outside got this far, which is a bug
Source  DESIGN §5 "PUT"; research/reliability.md C1 (traversal through ids).
"""

from __future__ import annotations

import hashlib
import re

from chalicelib.domain.manifest import INLINE_MAX, BlockId, Checksum, Part, Record
from chalicelib.domain.names import KEY_BYTES_MAX, check_site

TOKEN = r"(?!\.{1,2}(?:/|\Z))[A-Za-z0-9_.-]{1,128}"
NUMBER_MAX = 999_999_999  # 5 TiB in blocks of 4 MiB is 1.3 million
LISTED_CHARS_MAX = 128  # of an ETag, an owner and a checksum's name: a listing row stays below 1 KiB
TIME_MS_END = 253_402_300_800_000  # the year 10000: no date of HTTP or S3 goes further
SIZE_MAX = 2**63 - 1
PARTS_MAX = 10_000
BLOCK_BYTES_MAX = 16 * 1024 * 1024  # the largest a site may be set to: what readers are ready to hold
_TOKEN = re.compile(TOKEN)
_ETAG = re.compile(r"[0-9a-f]{32}(-[1-9][0-9]{0,4})?")
_CHECKSUMS = frozenset({"CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"})
_CHECKSUM_KINDS = frozenset({"COMPOSITE", "FULL_OBJECT"})
_CHECKSUM_VALUE = re.compile(r"[A-Za-z0-9+/=-]{0,128}")
_SPLITS_HEADERS = re.compile(r"[\r\n\0]")
_DOCUMENT = re.compile(rf"manifests(?:/{TOKEN}){{1,6}}")


def check_token(text: str) -> str:
    """`text` itself if it may be one step of a path."""
    if not _TOKEN.fullmatch(text):
        raise ValueError(f"not an id: {text[:200]!r}")
    return text


def check_block(block_id: BlockId) -> BlockId:
    """`block_id` itself if paths may be built from it."""
    check_token(block_id.upload)
    check_token(block_id.attempt)
    if not 0 <= block_id.number <= NUMBER_MAX:
        raise ValueError(f"not a block number: {block_id.number!r}")
    return block_id


def check_document(name: str) -> str:
    """`name` itself if it names a document."""
    if not _DOCUMENT.fullmatch(name):
        raise ValueError(f"not a document's name: {name[:200]!r}")
    return name


def check_record(record: Record) -> Record:
    """`record` itself if a stranger's record may be stored here: what our own code made always may."""
    check_token(_text(record.bucket_id))
    if not 1 <= len(_text(record.key).encode()) <= KEY_BYTES_MAX:
        raise ValueError("a key has 1 to 1,024 bytes")
    _number(record.modified_ms, TIME_MS_END - 1, "a time")
    if record.live:
        _check_told(record)
        _check_body(record)
    return record


def _check_told(record: Record) -> None:
    """What listings and headers say of the object."""
    if not _ETAG.fullmatch(_text(record.etag)):
        raise ValueError("not an ETag")
    if "|" in _text(record.owner) or len(record.owner) > LISTED_CHARS_MAX:
        raise ValueError("a record cannot be listed")
    for name, value in (*record.headers, *record.metadata):
        if _SPLITS_HEADERS.search(_text(name)) or _SPLITS_HEADERS.search(_text(value)):
            raise ValueError("a header of a record is none")
    if record.checksum is not None:
        _check_checksum(record.checksum)


def _check_checksum(checksum: Checksum) -> None:
    known = _text(checksum.algorithm) in _CHECKSUMS and _text(checksum.kind) in _CHECKSUM_KINDS
    if not known or not _CHECKSUM_VALUE.fullmatch(_text(checksum.value)):
        raise ValueError("not a checksum")


def _check_body(record: Record) -> None:
    """Where the bytes lie, and how many there are."""
    _number(record.size, SIZE_MAX, "a size")
    _number(record.part_count, PARTS_MAX, "a part count")
    if not isinstance(record.multipart, bool):
        raise ValueError("multipart is yes or no")
    if _text(record.origin):
        check_site(record.origin)
    if _text(record.upload):
        check_token(record.upload)
    elif record.parts or record.index:
        raise ValueError("a record has blocks and no upload")
    if len(record.inline) > INLINE_MAX or (record.inline and record.upload):
        raise ValueError("a record's inline body is too long, or one of two")
    if record.index and record.parts:
        raise ValueError("a record has two part lists")
    sizes = [_check_part(part) for part in record.parts]
    if not record.index and record.size != len(record.inline) + sum(sizes):
        raise ValueError("a record's size is not that of its bytes")


def _check_part(part: Part) -> int:
    """How many bytes the part has."""
    _number(part.number, PARTS_MAX, "a part number")
    check_token(_text(part.attempt))
    if not _ETAG.fullmatch(_text(part.etag)) or not _CHECKSUM_VALUE.fullmatch(_text(part.checksum)):
        raise ValueError("a part's ETag or checksum is none")
    if _number(part.size, SIZE_MAX, "a size") != sum(block.size for block in part.blocks):
        raise ValueError("a part's size is not that of its blocks")
    return part.size


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"not text: {type(value).__name__}")
    return value


def _number(value: object, most: int, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(f"{what} is no whole number from 0 to {most}")
    return value


def fan_out(upload: str) -> str:
    """Two hex digits that an upload is always filed under."""
    return hashlib.blake2b(check_token(upload).encode(), digest_size=1).hexdigest()
