"""Byte range ↔ blocks, by prefix sums: parts may have any size, so nothing is ever divided.

In      parts with their blocks, a half-open byte range [start, end) of the object
Out     Slices in the object's order whose lengths add up to end - start
Source  DESIGN §5 "Block ranges are prefix sums, not divisions".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from chalicelib.domain.manifest import BlockId, BlockRef, Part, Record


@dataclass(frozen=True, slots=True)
class Slice:
    """Bytes [start, end) of one block."""

    ref: BlockRef
    start: int
    end: int


def slices(record: Record, parts: tuple[Part, ...], start: int, end: int) -> Iterator[Slice]:
    """The block slices that make up bytes [start, end) of the object."""
    at = 0
    for part in parts:
        if at >= end:
            return
        if at + part.size <= start:
            at += part.size
            continue
        for number, block in enumerate(part.blocks):
            low, high = max(start - at, 0), min(end - at, block.size)
            if low < high:
                ref = BlockRef(BlockId(record.upload, part.attempt, number), block, record.origin)
                yield Slice(ref, low, high)
            at += block.size


def part_range(parts: tuple[Part, ...], number: int) -> tuple[int, int] | None:
    """[start, end) of the part at 1-based position `number`, or None if there is no such part."""
    at = 0
    for position, part in enumerate(parts, start=1):
        if position == number:
            return at, at + part.size
        at += part.size
    return None
