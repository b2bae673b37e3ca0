"""Byte ranges ↔ blocks."""

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.chunking import part_range, slices
from chalicelib.domain.manifest import Block, Part, Record
from chalicelib.domain.stamp import Stamp

RECORD = Record("b", "k", Stamp(1, 0, "west"), True, 1, upload="u", origin="west")


def part(number, *sizes):
    """A part with blocks of these sizes."""
    blocks = tuple(Block(size, bytes(32), bytes(16)) for size in sizes)
    return Part(number, f"try{number}", sum(sizes), "", "", blocks)


def body_of(parts):
    """Every byte of the object as (attempt, block number, position): what slices must give back."""
    return [
        (p.attempt, number, at)
        for p in parts
        for number, block in enumerate(p.blocks)
        for at in range(block.size)
    ]


shapes = st.lists(st.lists(st.integers(1, 7), max_size=5), min_size=1, max_size=5)


@given(st.data(), shapes)
def test_slices_partition_any_range(data, shape):
    """The slices of a range are its bytes, in order, none twice, none missing, none empty."""
    parts = tuple(part(number, *sizes) for number, sizes in enumerate(shape, 1))
    whole = body_of(parts)
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))

    found = list(slices(RECORD, parts, start, end))

    got = [(s.ref.id.attempt, s.ref.id.number, at) for s in found for at in range(s.start, s.end)]
    assert whole[start:end] == got
    assert all(s.start < s.end <= s.ref.block.size for s in found)


def test_a_slice_names_its_block():
    """A slice carries the upload, the attempt, the number and the site that took the upload."""
    (only,) = slices(RECORD, (part(1, 4, 4), part(2, 4)), 5, 7)

    assert ("u", "try1", 1, "west") == (
        only.ref.id.upload,
        only.ref.id.attempt,
        only.ref.id.number,
        only.ref.origin,
    )
    assert (1, 3) == (only.start, only.end)


def test_part_range():
    """Parts of 10, 0 and 5 bytes lie at [0, 10), [10, 10) and [10, 15)."""
    parts = (part(1, 4, 6), part(2), part(7, 5))

    assert [(0, 10), (10, 10), (10, 15)] == [part_range(parts, n) for n in (1, 2, 3)]
    assert [None, None] == [part_range(parts, n) for n in (0, 4)]
