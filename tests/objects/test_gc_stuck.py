"""GC where a store fails: one upload keeps no other waiting, and a store that is down ends the run."""

import pytest

from chalicelib.adapters.hashing import Blake3Hashing
from chalicelib.adapters.memory_blocks import MemoryBlocks
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.upload import UploadState
from chalicelib.objects import gc, uploads
from chalicelib.objects.verified import VerifiedBlocks
from tests.builders import HOUR_MS, KIB, bucket, nobody_waits, put, remove, site

LARGE = b"x" * 200 * KIB
DAY_MS = 24 * HOUR_MS


def later(west):
    """A run a leeway later."""
    west.clock.advance(DAY_MS)
    return gc.run(west, nobody_waits)


class Stuck(MemoryBlocks):
    """Some uploads cannot be removed, as blocks under a lock."""

    stuck = frozenset()

    def delete_upload(self, upload):
        if upload in self.stuck:
            raise Unavailable(f"{upload} is locked")
        super().delete_upload(upload)


def test_one_upload_that_cannot_be_removed_keeps_no_other():
    """All others are dealt with, the failure is told, and the run after the lock has gone removes it."""
    inner = Stuck()
    west = site(blocks=VerifiedBlocks(inner, Blake3Hashing()))
    photos = bucket(west)
    olds = [put(west, photos, f"k{n}", LARGE) for n in range(3)]
    for n in range(3):
        remove(west, photos, f"k{n}")
    inner.stuck = {olds[0].upload}

    for _ in range(3):
        with pytest.raises(Unavailable, match="locked"):
            later(west)
    assert [olds[0].upload] == list(west.blocks.uploads())
    assert [None, None] == [uploads.load(west, old.upload) for old in olds[1:]]

    inner.stuck = frozenset()
    later(west)
    later(west)
    assert [] == list(west.blocks.uploads())
    assert uploads.load(west, olds[0].upload) is None


def test_a_store_that_is_down_ends_a_run_soon():
    """After some failures nobody asks on."""
    inner = Stuck()
    west = site(blocks=VerifiedBlocks(inner, Blake3Hashing()))
    photos = bucket(west)
    inner.stuck = {put(west, photos, f"k{n}", LARGE).upload for n in range(gc.FAILURES_MAX + 5)}
    for n in range(gc.FAILURES_MAX + 5):
        remove(west, photos, f"k{n}")
    west.clock.advance(DAY_MS)

    with pytest.raises(Unavailable):
        gc.run(west, nobody_waits)

    closing = [u for u in inner.stuck if uploads.load(west, u).state is UploadState.CLOSING]
    assert gc.FAILURES_MAX == len(closing)
