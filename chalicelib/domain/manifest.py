"""Records: what a key holds. A live record is a manifest; a tombstone says the key was deleted.

    Record ── parts ── Part ── blocks ── Block
           └─ inline (small bodies)    └─ index (Blocks holding an encoded part list that is too long)

Sizes are bytes, times ms since 1970 UTC, hashes raw bytes, etags lower-case hex without quotes.
A block is named by (upload, attempt, number) and belongs to exactly one upload for ever.
Source  Riak CS `lfs_manifest` (research/riakcs.md §2); DESIGN §5.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from chalicelib.domain.stamp import Stamp

BLOCK_SIZE = 4 * 1024 * 1024  # so that one block fits a 6 MB Lambda answer
INLINE_MAX = 32 * 1024  # a constant of the format: a record stays below 64 KiB with its body inside
RECORD_BYTES_MAX = 64 * 1024  # whatever the object; longer part lists go to index blocks

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class BlockId:
    """Where a block is filed: `blocks/…/<upload>/<attempt>/<number>`."""

    upload: str
    attempt: str
    number: int


class HashAlgorithm(IntEnum):
    """What a block's hash is. The numbers are part of the stored form."""

    BLAKE3 = 0  # the bytes passed through us
    SHA256 = 1  # they went straight to the store, which checked this hash when it took them


@dataclass(frozen=True, slots=True)
class Block:
    """One block's entry in a record: what its bytes must be."""

    size: int
    hash: bytes  # 32 bytes
    check: bytes  # 16 bytes: XXH3-128, for local reads; b"" with SHA-256, for nobody here saw the bytes
    algorithm: HashAlgorithm = HashAlgorithm.BLAKE3


@dataclass(frozen=True, slots=True)
class BlockRef:
    """A block somebody wants: its name, what it must be, and the site that took the upload."""

    id: BlockId
    block: Block
    origin: str


@dataclass(frozen=True, slots=True)
class Checksum:
    """An `x-amz-checksum-*`: algorithm in upper case, kind FULL_OBJECT or COMPOSITE, value base64."""

    algorithm: str
    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Part:
    """One stretch of an object: the whole of a plain PUT, or one part of a multipart upload."""

    number: int
    attempt: str
    size: int
    etag: str
    checksum: str  # base64 in the record's algorithm, or ""
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """What a key holds since `stamp`; `live` False is a tombstone and only the first five fields count."""

    bucket_id: str
    key: str
    stamp: Stamp
    live: bool
    modified_ms: int
    size: int = 0
    etag: str = ""
    owner: str = ""
    headers: Pairs = ()  # Content-Type and the other standard headers, lower-case names
    metadata: Pairs = ()  # x-amz-meta-*, names without the prefix
    checksum: Checksum | None = None
    origin: str = ""  # the site that took the upload
    upload: str = ""  # "" when the body is inline
    multipart: bool = False
    part_count: int = 0
    inline: bytes = b""
    parts: tuple[Part, ...] = ()
    index: tuple[Block, ...] = ()  # when non-empty, `parts` lies in these blocks


def stored_blocks(record: Record) -> Iterator[Block]:
    """The blocks a record's own stored form lists: its parts' or its index's."""
    for part in record.parts:
        yield from part.blocks
    yield from record.index


def index_attempt(index: tuple[Block, ...]) -> str:
    """The attempt an upload's index blocks are filed under: named after what they hold, so that two
    Completes of one upload that name different parts never write one block twice."""
    digest = hashlib.blake2b(b"".join(block.hash for block in index), digest_size=8)
    return f"index-{digest.hexdigest()}"


def index_refs(record: Record) -> Iterator[BlockRef]:
    """The index blocks a record names."""
    attempt = index_attempt(record.index)
    for number, block in enumerate(record.index):
        yield BlockRef(BlockId(record.upload, attempt, number), block, record.origin)


def part_refs(record: Record, parts: tuple[Part, ...]) -> Iterator[BlockRef]:
    """Every block of `parts`, in the object's order."""
    for part in parts:
        for number, block in enumerate(part.blocks):
            yield BlockRef(BlockId(record.upload, part.attempt, number), block, record.origin)
