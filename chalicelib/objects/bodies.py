"""A body that arrives becomes blocks; blocks become a body that leaves. Memory stays bounded.

write_blocks  cuts a body into blocks, each hashed and filed while the next arrives
read          the bytes [start, end) of an object, a few blocks ahead of the reader; the first wanted
              block is in hand when it returns, so that a lost one is an error before the headers
parts_of      a record's part list, from its index blocks when it is too long for the record
Errors        Missing when a block is not to be had (before the first byte, or cutting the body short)
Source        DESIGN §5 "PUT", "GET at the sink"; law *true bytes*.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Protocol

from chalicelib.domain import codec
from chalicelib.domain.chunking import Slice, slices
from chalicelib.domain.errors import Corrupt, Missing
from chalicelib.domain.manifest import (
    RECORD_BYTES_MAX,
    Block,
    BlockId,
    BlockRef,
    Part,
    Record,
    index_attempt,
    index_refs,
)
from chalicelib.ports.site import Site
from chalicelib.ports.system import Task

BLOCK_ENTRY_BYTES = 52  # as domain.codec writes them
PART_HEAD_BYTES = 160  # an upper bound: two numbers, attempt, ETag, checksum
PARTS_IN_RECORD_MAX = RECORD_BYTES_MAX - 12 * 1024  # leaves room for headers, metadata and the key


class Body(Protocol):
    """Bytes that arrive: `read` gives up to `size` of them, b"" at the end."""

    def read(self, size: int) -> bytes:
        """Some bytes; raises what is wrong with the body."""


def read_up_to(body: Body, size: int) -> bytes:
    """`size` bytes, fewer only at the end of the body."""
    pieces, missing = [], size
    while missing:
        piece = body.read(missing)
        if not piece:
            break
        pieces.append(piece)
        missing -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _described(site: Site, body: bytes) -> Block:
    return Block(len(body), site.hashing.hash(body), site.hashing.check(body))


def _file(site: Site, block_id: BlockId, body: bytes) -> Block:
    block = _described(site, body)
    site.blocks.put(block_id, body)
    return block


def write_blocks(site: Site, upload: str, attempt: str, body: Body, first: bytes = b"") -> tuple[Block, ...]:
    """File `first` and then all of `body` as blocks 0, 1, … of (upload, attempt)."""
    size = site.rules.block_size
    flying: deque[Task[Block]] = deque()
    blocks: list[Block] = []
    number = 0
    try:
        while True:
            site.buffers.take(size)
            try:
                piece = first + read_up_to(body, size - len(first))
                first = b""
            except BaseException:
                site.buffers.give(size)
                raise
            if not piece:
                site.buffers.give(size)
                break
            flying.append(_start_filing(site, BlockId(upload, attempt, number), piece, size))
            number += 1
            if len(flying) >= site.rules.blocks_in_flight:
                blocks.append(flying.popleft().result())
            if len(piece) < size:
                break
        while flying:
            blocks.append(flying.popleft().result())
    finally:
        settle_all(flying)
    return tuple(blocks)


def _start_filing(site: Site, block_id: BlockId, piece: bytes, held: int) -> Task[Block]:
    def work() -> Block:
        try:
            return _file(site, block_id, piece)
        finally:
            site.buffers.give(held)

    return site.parallel.start(work)


def settle_all(flying: Iterable[Task[object]]) -> None:
    """After a failure, let what is in flight end, so that nothing is filed after the upload is closed."""
    for task in flying:
        try:
            task.result()
        except Exception:  # noqa: BLE001, S112 - the first failure is already on its way up
            continue


def write_index(site: Site, upload: str, parts: tuple[Part, ...]) -> tuple[Block, ...]:
    """File a part list that is too long for its record as index blocks of the same upload."""
    form = codec.encode_parts(parts)
    size = site.rules.block_size
    pieces = [form[at : at + size] for at in range(0, len(form), size)]
    index = tuple(_described(site, piece) for piece in pieces)
    for number, piece in enumerate(pieces):
        site.blocks.put(BlockId(upload, index_attempt(index), number), piece)
    return index


def index_if_long(site: Site, upload: str, parts: tuple[Part, ...]) -> tuple[Block, ...]:
    """Index blocks, filed, when `parts` would make a record too long; () when it fits."""
    blocks = sum(len(part.blocks) for part in parts)
    if blocks * BLOCK_ENTRY_BYTES + len(parts) * PART_HEAD_BYTES <= PARTS_IN_RECORD_MAX:
        return ()
    return write_index(site, upload, parts)


def parts_of(site: Site, record: Record) -> tuple[Part, ...]:
    """The record's parts, wherever they lie."""
    if not record.index:
        return record.parts
    return codec.decode_parts(b"".join(fetch(site, ref) for ref in index_refs(record)))


def fetch(site: Site, ref: BlockRef) -> bytes:
    """A block's true bytes, from here or from another site; Missing if nobody has them."""
    try:
        body = site.reader.get(ref)
    except Corrupt as damage:
        site.log.event("block_damaged", upload=ref.id.upload, number=ref.id.number)
        raise Missing(str(damage)) from damage
    if body is None:
        raise Missing(f"block {ref.id.upload}/{ref.id.attempt}/{ref.id.number} is not here")
    return body


def read(site: Site, record: Record, start: int, end: int) -> Iterator[bytes]:
    """Bytes [start, end) of a live record's object, in pieces of at most a block."""
    if start >= end:
        return iter(())
    if not record.upload:
        return iter((record.inline[start:end],))
    wanted = slices(record, parts_of(site, record), start, end)
    stream = _stream(site, wanted)
    next(stream)  # runs it up to the point where the first block is in hand
    return (piece for piece in stream if piece)


def _stream(site: Site, wanted: Iterator[Slice]) -> Iterator[bytes]:
    size = site.rules.block_size
    ahead: deque[tuple[Slice, Task[bytes]]] = deque()
    held = 0

    def start(piece: Slice) -> None:
        ref = piece.ref
        ahead.append((piece, site.parallel.start(lambda: fetch(site, ref))))

    pending = next(wanted, None)
    try:
        while pending is not None or ahead:
            # With nothing in hand, waiting for the budget is safe: who holds nothing blocks nobody.
            # Read-ahead only takes what is free, or full readers would wait for each other for ever.
            while pending is not None and len(ahead) <= site.rules.read_ahead:
                if not ahead:
                    site.buffers.take(size)
                elif not site.buffers.try_take(size):
                    break
                held += 1
                start(pending)
                pending = next(wanted, None)
                if len(ahead) == 1:
                    ahead[0][1].result()
                    yield b""  # the first block is in hand: `read` swallows the first of these
            piece, task = ahead.popleft()
            body = task.result()
            del task
            whole = piece.start == 0 and piece.end == len(body)
            yield body if whole else body[piece.start : piece.end]
            del body
            site.buffers.give(size)
            held -= 1
    finally:
        for _ in range(held):
            site.buffers.give(size)
