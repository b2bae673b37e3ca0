"""GET: the bytes of a range, true or not at all, within the budget."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.adapters.system import ByteBudget, ThreadParallel
from chalicelib.domain.errors import Corrupt, Missing
from chalicelib.domain.manifest import BlockId, part_refs
from chalicelib.objects import bodies, get
from chalicelib.objects.errors import NoSuchKey
from chalicelib.ports.site import Rules
from tests.builders import KIB, bucket, inner_blocks, put, remove, site, text, whole

BODY = bytes(n % 251 for n in range(1000))


def block_of(record, number):
    """The id of one block of a plain PUT."""
    return BlockId(record.upload, "0", number)


@pytest.fixture(scope="module")
def stored():
    """One object of 1,000 bytes in blocks of 64."""
    west = site(rules=Rules(block_size=64, inline_max=16))
    return west, put(west, bucket(west), "k", BODY)


@given(st.data())
def test_any_range(stored, data):
    """Bytes [start, end) of the object, in pieces of at most a block."""
    west, record = stored
    start = data.draw(st.integers(0, 1000))
    end = data.draw(st.integers(start, 1000))

    pieces = list(bodies.read(west, record, start, end))

    assert BODY[start:end] == b"".join(pieces)
    assert all(0 < len(piece) <= 64 for piece in pieces)


@given(st.data())
def test_any_range_of_an_inline_body(data):
    """The same without blocks."""
    west = site()
    record = put(west, bucket(west), "k", b"0123456789")
    start = data.draw(st.integers(0, 10))
    end = data.draw(st.integers(start, 10))

    assert b"0123456789"[start:end] == b"".join(bodies.read(west, record, start, end))


def test_nothing_there():
    """No record and a tombstone are both no such key."""
    west = site()
    photos = bucket(west)
    put(west, photos, "deleted")
    remove(west, photos, "deleted")

    for key in ("deleted", "never"):
        with pytest.raises(NoSuchKey):
            get.head(west, photos.id, key)


def test_a_reader_keeps_what_it_began_with():
    """A PUT during a GET changes nothing for the reader: old bytes to the end."""
    west = site()
    photos = bucket(west)
    reading = bodies.read(west, put(west, photos, "k", b"o" * 300_000), 0, 300_000)
    first = next(reading)

    put(west, photos, "k", b"n" * 300_000)

    assert b"o" * 300_000 == first + b"".join(reading)
    assert b"n" * 300_000 == text(west, photos.id, "k")


def test_the_first_block_is_in_hand_before_the_headers():
    """A lost first block is an error at once, not a cut body."""
    west = site()
    record = put(west, bucket(west), "k", b"x" * 200_000)
    inner_blocks(west).delete(block_of(record, 0))

    with pytest.raises(Missing):
        bodies.read(west, record, 0, record.size)


def test_the_first_wanted_block_counts():
    """A range that does not touch the lost block is served."""
    west = site()
    record = put(west, bucket(west), "k", b"x" * 200_000)
    inner_blocks(west).delete(block_of(record, 0))

    assert b"x" * 10 == b"".join(bodies.read(west, record, 70_000, 70_010))


def test_a_later_loss_cuts_the_body_short():
    """Bytes before the lost block are true, then the stream breaks."""
    west = site()
    record = put(west, bucket(west), "k", b"x" * 200_000)
    inner_blocks(west).delete(block_of(record, 2))
    reading, got = bodies.read(west, record, 0, record.size), []

    with pytest.raises(Missing):
        for piece in reading:
            got.append(piece)

    assert b"x" * 2 * 64 * KIB == b"".join(got)


@pytest.mark.parametrize(
    "damage",
    [lambda body: b"y" + body[1:], lambda body: body[:-1], lambda body: body + b"x", lambda body: b""],
)
def test_a_damaged_block_is_never_shown(damage):
    """Flipped, cut, too long or empty: Corrupt below, Missing for the reader, told in the log."""
    west = site()
    record = put(west, bucket(west), "k", b"x" * 100_000)
    (ref, _) = part_refs(record, record.parts)
    inner_blocks(west).put(ref.id, damage(b"x" * ref.block.size))

    with pytest.raises(Corrupt):
        west.blocks.get(ref)
    with pytest.raises(Missing):
        whole(west, record)

    assert "block_damaged" in west.log.names()


def test_buffers_are_given_back():
    """Read to the end, broken off or failed: the budget is whole again."""
    budget = ByteBudget(3 * 64 * KIB)
    west = site(buffers=budget)
    record = put(west, bucket(west), "k", b"x" * 500_000)

    whole(west, record)
    broken_off = bodies.read(west, record, 0, record.size)
    next(broken_off)
    broken_off.close()
    inner_blocks(west).delete(block_of(record, 1))
    with pytest.raises(Missing):
        whole(west, record)

    assert 0 == budget._taken


def test_a_small_budget_slows_readers_but_never_stops_them():
    """Eight readers of a budget for two blocks all finish."""
    blocks, readers = ThreadParallel(4), ThreadParallel(8)
    west = site(buffers=ByteBudget(2 * 64 * KIB), parallel=blocks)
    record = put(west, bucket(west), "k", b"x" * 400_000)

    tasks = [readers.start(lambda: len(whole(west, record))) for _ in range(8)]

    assert [400_000] * 8 == [task.result() for task in tasks]
    readers.close()
    blocks.close()
