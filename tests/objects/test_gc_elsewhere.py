"""Where a process may not delete blocks: it only closes, and GC, in another one, leaves nothing behind."""

from dataclasses import replace

import pytest

from chalicelib.adapters.hashing import Blake3Hashing
from chalicelib.adapters.memory_blocks import MemoryBlocks
from chalicelib.domain.errors import Refused
from chalicelib.domain.manifest import part_refs
from chalicelib.domain.upload import UploadState
from chalicelib.objects import gc, multipart, uploads
from chalicelib.objects.errors import InvalidRequest
from chalicelib.objects.put import PutRequest, put_object
from chalicelib.objects.verified import VerifiedBlocks
from chalicelib.replication.sink import keep_block
from tests.builders import KIB, RULES, Bytes, bucket, nobody_waits, put, remove, site, text

LARGE = b"x" * 200 * KIB


class Guarded(MemoryBlocks):
    """Refuses every deletion, as a bucket does whose policy does not allow it; `first` happens right
    before a block is filed."""

    def __init__(self):
        super().__init__()
        self.first = lambda: None

    def put(self, block_id, body):
        self.first()
        super().put(block_id, body)

    def delete(self, block_id):
        raise AssertionError("not permitted")

    def delete_upload(self, upload):
        raise AssertionError("not permitted")


@pytest.fixture
def west():
    """A function that is not GC."""
    blocks = VerifiedBlocks(Guarded(), Blake3Hashing())
    return site(rules=replace(RULES, deletes=False), blocks=blocks)


@pytest.fixture
def collector(west):
    """GC's process: the same stores, and the permission."""
    inner = MemoryBlocks()
    inner.__dict__ = west.blocks._inner.__dict__  # the very same blocks
    blocks = VerifiedBlocks(inner, Blake3Hashing())
    return replace(west, blocks=blocks, reader=blocks, rules=RULES)


@pytest.fixture
def photos(west):
    return bucket(west)


def collect(collector, times):
    """Runs of GC, a leeway apart."""
    for _ in range(times):
        collector.clock.advance(RULES.leeway_ms)
        gc.run(collector, nobody_waits)


class Wrong(Bytes):
    """A body whose end is not what its head said."""

    def finish(self):
        raise InvalidRequest("not what was announced")


def test_a_put_that_failed(west, collector, photos):
    """Closed at once, so that nothing can name it; its blocks go a leeway later, its row after that."""
    with pytest.raises(InvalidRequest):
        put_object(west, photos, PutRequest("k", "ann"), Wrong(LARGE))
    (upload,) = west.blocks.uploads()
    assert UploadState.CLOSING is uploads.load(west, upload).state

    collect(collector, 1)
    assert [] == list(west.blocks.uploads())
    collect(collector, 2)
    assert uploads.load(west, upload) is None


def test_an_upload_that_was_aborted(west, collector, photos):
    """The client is answered at once; the parts go a leeway later."""
    upload = multipart.create(west, photos, PutRequest("k", "ann"))
    multipart.upload_part(west, upload, 1, Bytes(LARGE))

    multipart.abort(west, photos, "k", upload.id)

    assert [upload.id] == list(west.blocks.uploads())
    collect(collector, 1)
    assert [] == list(west.blocks.uploads())


def test_a_part_that_failed(west, collector, photos):
    """Its blocks stay in the open upload, and go with what Complete does not name."""
    upload = multipart.create(west, photos, PutRequest("k", "ann"))
    with pytest.raises(InvalidRequest):
        multipart.upload_part(west, upload, 1, Wrong(LARGE))
    part = multipart.upload_part(west, upload, 1, Bytes(LARGE))
    named = [multipart.NamedPart(1, part.part.etag)]
    multipart.complete(west, photos, PutRequest("k", "ann"), upload.id, named, lambda *_: None)
    assert 8 == len(list(west.blocks.list_upload(upload.id)))

    collect(collector, 1)

    assert 4 == len(list(west.blocks.list_upload(upload.id)))
    assert text(west, photos.id, "k") == LARGE


def gone(west, photos):
    """The record of an object that was deleted, and its first block."""
    old = put(west, photos, "k", LARGE)
    remove(west, photos, "k")
    return old, next(iter(part_refs(old, old.parts)))


def late(west, ref, happens):
    """Keep a block from another site while `happens`, between its two looks."""
    west.blocks._inner.first = happens
    with pytest.raises(Refused, match="collected meanwhile"):
        keep_block(west, ref, LARGE[: ref.block.size])


def test_a_block_kept_while_its_upload_is_closed(west, collector, photos):
    """It stays until GC's second look."""
    old, ref = gone(west, photos)

    late(west, ref, lambda: collect(collector, 1))

    assert [old.upload] == list(west.blocks.uploads())
    collect(collector, 2)
    assert [] == list(west.blocks.uploads())
    assert uploads.load(west, old.upload) is None


def test_a_block_kept_after_the_second_look(west, collector, photos):
    """It is seen when the row would go: the row stays, the block goes, then the row."""
    old, ref = gone(west, photos)

    late(west, ref, lambda: collect(collector, 2))

    assert [old.upload] == list(west.blocks.uploads())
    collect(collector, 1)
    assert UploadState.CLOSING is uploads.load(west, old.upload).state
    collect(collector, 2)
    assert [] == list(west.blocks.uploads()) == gc.orphans(west)
    assert uploads.load(west, old.upload) is None


def test_a_block_kept_when_even_the_row_has_gone(west, collector, photos):
    """Whoever filed it has GC come once more: no block without a row, whatever time it took."""
    old, ref = gone(west, photos)

    late(west, ref, lambda: collect(collector, 3))

    assert [] == gc.orphans(west)
    assert UploadState.CLOSING is uploads.load(west, old.upload).state
    collect(collector, 2)
    assert [] == list(west.blocks.uploads())
    assert uploads.load(west, old.upload) is None


def test_an_upload_that_is_there_again_is_left_alone(west, photos):
    """A record that named it anew was first: its row stands as it is."""
    record = put(west, photos, "k", LARGE)
    before = uploads.load(west, record.upload)

    uploads.leave_to_gc(west, before)

    assert uploads.load(west, record.upload) == before
