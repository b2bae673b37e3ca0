"""Which names blocks and documents may be filed under: what every BlockStore builds paths from.

token      1 … 128 of A-Z a-z 0-9 _ . - and neither `.` nor `..`: an id of ours, never a client's key
block      upload and attempt are tokens, number is 0 … 999,999,999
document   `manifests/` and then 1 … 6 tokens with `/` between them
record     everything a record from another site names can be filed here, and its listing row too
fan_out    two hex digits from a hash of the upload: no directory or listing holds all uploads

Errors  ValueError: a name that came from outside got this far, which is a bug
Source  DESIGN §5 "PUT"; research/reliability.md C1 (traversal through ids).
"""

from __future__ import annotations

import hashlib
import re

from chalicelib.domain.manifest import BlockId, Record
from chalicelib.domain.names import KEY_BYTES_MAX

TOKEN = r"(?!\.{1,2}(?:/|\Z))[A-Za-z0-9_.-]{1,128}"
NUMBER_MAX = 999_999_999  # 5 TiB in blocks of 4 MiB is 1.3 million
LISTED_CHARS_MAX = 128  # of an ETag, an owner and a checksum's name: a listing row stays below 1 KiB
_TOKEN = re.compile(TOKEN)
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
    check_token(record.bucket_id)
    if not 1 <= len(record.key.encode()) <= KEY_BYTES_MAX:
        raise ValueError("a key has 1 to 1,024 bytes")
    for part in record.parts:
        check_token(part.attempt)
    if record.upload:
        check_token(record.upload)
    if record.live and not (record.index or record.size == _size(record)):
        raise ValueError("a record's size is not that of its bytes")
    told = (record.etag, record.owner, *((record.checksum.algorithm,) if record.checksum else ()))
    if any("|" in text or len(text) > LISTED_CHARS_MAX for text in told):
        raise ValueError("a record cannot be listed")
    return record


def _size(record: Record) -> int:
    if not record.upload:
        return len(record.inline)
    return sum(block.size for part in record.parts for block in part.blocks)


def fan_out(upload: str) -> str:
    """Two hex digits that an upload is always filed under."""
    return hashlib.blake2b(check_token(upload).encode(), digest_size=1).hexdigest()
