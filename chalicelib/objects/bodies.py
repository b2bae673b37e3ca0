"""A body that arrives becomes blocks; blocks become a body that leaves. Memory stays bounded.

write_blocks  cuts a body into blocks, each hashed and filed while the next arrives
read          the bytes [start, end) of an object, a few blocks ahead of the reader; the first wanted
              block is in hand when it returns, so that a lost one is an error before the headers
Source        the same bytes as a body to be filed again; keeps no block, so needs no buffer of its own
parts_of      a record's part list, from its index blocks when it is too long for the record
Errors        Missing when a block is not to be had (before the first byte, or cutting the body short);
              Busy when no buffer became free
Source        DESIGN §5 "PUT", "GET at the sink"; law *true bytes*.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Protocol

from chalicelib.domain import codec
from chalicelib.domain.chunking import Slice, slices
from chalicelib.domain.errors import Corrupt, Missing
from chalicelib.domain.manifest import (
    RECORD_BYTES_MAX,
    Block,
    BlockId,
    BlockRef,
    HashAlgorithm,
    Part,
    Record,
    index_attempt,
    index_refs,
)
from chalicelib.ports.blocks import Buffer
from chalicelib.ports.site import Site
from chalicelib.ports.system import BUFFER_WAIT_MS, BUFFER_WAIT_UNDER_WAY_MS, Task

AWAITED_BYTES = 64 * 1024  # of a block: must have come before its buffer is taken
BLOCK_ENTRY_BYTES = 52  # as domain.codec writes them
PART_HEAD_BYTES = 160  # an upper bound: two numbers, attempt, ETag, checksum
PARTS_IN_RECORD_MAX = RECORD_BYTES_MAX - 12 * 1024  # leaves room for headers, metadata and the key


class Body(Protocol):
    """Bytes that arrive: `read` gives up to `size` of them, b"" at the end."""

    def read(self, size: int) -> bytes:
        """Some bytes; raises what is wrong with the body."""


def read_up_to(body: Body, size: int, first: bytes = b"") -> bytes | bytearray:
    """`size` bytes of which `first` is in hand already, fewer only at the end of the body.

    What comes in pieces is gathered in one buffer: joining them would need the memory twice.
    """
    first = first or body.read(size)
    piece = body.read(size - len(first)) if first and len(first) < size else b""
    if not piece:
        return first
    gathered, at = bytearray(size), len(first)
    gathered[:at] = first
    while piece:
        gathered[at : at + len(piece)] = piece
        at += len(piece)
        piece = body.read(size - at) if at < size else b""
    del gathered[at:]
    return gathered


def _described(site: Site, body: Buffer, algorithm: HashAlgorithm = HashAlgorithm.BLAKE3) -> Block:
    if algorithm is HashAlgorithm.SHA256:
        return Block(len(body), site.hashing.sha256(body), b"", algorithm)
    return Block(len(body), site.hashing.hash(body), site.hashing.check(body))


def _file(site: Site, block_id: BlockId, body: Buffer) -> Block:
    block = _described(site, body)
    site.blocks.put(block_id, body)
    return block


def write_blocks(
    site: Site,
    upload: str,
    attempt: str,
    body: Body,
    first: bytes = b"",
    *,
    awaited: int = AWAITED_BYTES,
) -> tuple[Block, ...]:
    """File `first` and then all of `body` as blocks 0, 1, … of (upload, attempt).

    Up to `awaited` bytes of a block are waited for before its buffer is taken, so that a client that
    sends nothing holds none; 0 for a body that is at hand and needs the buffer to be read into.
    """
    size = site.rules.block_size
    wait_ms = BUFFER_WAIT_MS
    flying: deque[Task[Block]] = deque()
    blocks: list[Block] = []
    number = 0
    try:
        while True:
            if awaited and not first:
                first = body.read(min(awaited, size))
                if not first:
                    break
            site.buffers.take(size, wait_ms)  # what flies gives its own back without our doing
            wait_ms = BUFFER_WAIT_UNDER_WAY_MS
            try:
                piece = read_up_to(body, size, first)
                first = b""
            except BaseException:
                site.buffers.give(size)
                raise
            if not piece:
                site.buffers.give(size)
                break
            flying.append(_start_filing(site, BlockId(upload, attempt, number), piece, size))
            number += 1
            last = len(piece) < size
            del piece  # its buffer is given back by whoever files it: no longer ours to hold
            if len(flying) >= site.rules.blocks_in_flight:
                blocks.append(flying.popleft().result())
            if last:
                break
        while flying:
            blocks.append(flying.popleft().result())
    finally:
        settle_all(flying)
    return tuple(blocks)


def _start_filing(site: Site, block_id: BlockId, piece: Buffer, held: int) -> Task[Block]:
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
    """File a part list that is too long for its record as index blocks of the same upload.

    One that names SHA-256 blocks is hashed so itself: the record is then of the stored form's version 2
    too, and a site that could not read the list refuses the record.
    """
    form = codec.encode_parts(parts)
    algorithm = HashAlgorithm.BLAKE3
    if codec.version_of(block for part in parts for block in part.blocks) > 1:
        algorithm = HashAlgorithm.SHA256
    size = site.rules.block_size
    pieces = [form[at : at + size] for at in range(0, len(form), size)]
    index = tuple(_described(site, piece, algorithm) for piece in pieces)
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
    return codec.decode_parts(_index_form(site, record))


def _index_form(site: Site, record: Record) -> bytes:
    return b"".join(fetch(site, ref) for ref in index_refs(record))


def block_of(site: Site, record: Record, block_id: BlockId) -> Block | None:
    """What the record says of one of its blocks; None if it names no such block."""
    if block_id.upload != record.upload:
        return None
    if record.index:
        if block_id.attempt == index_attempt(record.index):
            return record.index[block_id.number] if 0 <= block_id.number < len(record.index) else None
        return codec.find_block(_index_form(site, record), block_id.attempt, block_id.number)
    for part in record.parts:
        if part.attempt == block_id.attempt and 0 <= block_id.number < len(part.blocks):
            return part.blocks[block_id.number]
    return None


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
    return stream


class Source:
    """Bytes [start, end) of a live record's object as a Body. It holds no block between two reads, so
    whoever reads it a block at a time needs one buffer, the one to be filled: a copy that held one for
    reading while it waited for one for writing would wait for ever beside enough others. A source block
    that straddles two reads is fetched for each."""

    def __init__(self, site: Site, record: Record, start: int, end: int) -> None:
        self.length: int | None = end - start
        self._site = site
        self._inline = record.inline[start:end]
        self._wanted = slices(record, parts_of(site, record), start, end) if record.upload else iter(())
        self._rest: Slice | None = None

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, fewer only at the end."""
        pieces: list[bytes] = []
        if self._inline:
            piece, self._inline = self._inline[:size], self._inline[size:]
            return piece
        while size and (wanted := self._rest or next(self._wanted, None)):
            end = min(wanted.end, wanted.start + size)
            self._rest = replace(wanted, start=end) if end < wanted.end else None
            size -= end - wanted.start
            body = fetch(self._site, wanted.ref)
            pieces.append(body if end - wanted.start == len(body) else body[wanted.start : end])
            del body
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _stream(site: Site, wanted: Iterator[Slice]) -> Iterator[bytes]:
    size = site.rules.block_size
    wait_ms = BUFFER_WAIT_MS
    ahead: deque[tuple[Slice, Task[bytes]]] = deque()
    held, first = 0, True

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
                    site.buffers.take(size, wait_ms)
                    wait_ms = BUFFER_WAIT_UNDER_WAY_MS
                elif not site.buffers.try_take(size):
                    break
                held += 1
                start(pending)
                pending = next(wanted, None)
                if first:
                    first = False
                    ahead[0][1].result()
                    yield b""  # the first block is in hand: `read` swallows this
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
