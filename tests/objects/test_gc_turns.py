"""GC: what is held or fails keeps nothing behind it waiting; the documents of what was superseded go."""

from dataclasses import replace

import pytest

from chalicelib.adapters.hashing import Blake3Hashing
from chalicelib.adapters.memory_blocks import MemoryBlocks
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.names import key_hash
from chalicelib.domain.upload import UploadState
from chalicelib.objects import documents, due, gc, multipart, rows, uploads
from chalicelib.objects.put import PutRequest
from chalicelib.objects.verified import VerifiedBlocks
from chalicelib.ports.metadata import Table
from tests.builders import HOUR_MS, KIB, RULES, bucket, nobody_waits, put, remove, site, text

LARGE = b"x" * 200 * KIB
DAY_MS = 24 * HOUR_MS


class Stuck(MemoryBlocks):
    """Some uploads and documents cannot be removed."""

    stuck = frozenset()

    def delete_upload(self, upload):
        self._unless_stuck(upload)
        super().delete_upload(upload)

    def delete_document(self, name):
        self._unless_stuck(name)
        super().delete_document(name)

    def _unless_stuck(self, what):
        if what in self.stuck:
            raise Unavailable(f"{what} is locked")


@pytest.fixture
def inner():
    return Stuck()


@pytest.fixture
def west(inner):
    return site(blocks=VerifiedBlocks(inner, Blake3Hashing()), rules=replace(RULES, documents=True))


@pytest.fixture
def photos(west):
    return bucket(west)


def entries(west):
    """What GC means to look at."""
    return [due.decode(form) for _, form in west.metadata.scan(Table.UPLOADS, rows.due_pk(0))]


def test_what_is_held_keeps_no_other_waiting(west, photos):
    """A run has time for ten looks; fifty held uploads stand before one that was abandoned."""
    for n in range(50):
        put(west, photos, f"k{n}", LARGE)
        remove(west, photos, f"k{n}")
    west.clock.advance(1)
    abandoned = multipart.create(west, photos, PutRequest("z", "ann"))
    west.clock.advance(DAY_MS)

    def slow(entry, head):
        west.clock.advance(1000)
        return True

    for _ in range(6):
        gc.run(west, slow, stop_ms=west.clock.now_ms() + 10_000)
        west.clock.advance(1)

    assert UploadState.CLOSING is uploads.load(west, abandoned.id).state
    assert 50 == len(list(west.blocks.uploads()))
    assert 50 == len([entry for entry in entries(west) if entry.reason == due.SUPERSEDED])


def test_what_is_held_is_looked_at_again(west, photos):
    """An hour later, not before; and it has been held since it was superseded, not since the last look."""
    put(west, photos, "k", LARGE)
    remove(west, photos, "k")
    since_ms = west.clock.now_ms()
    west.clock.advance(DAY_MS)
    asked = []

    def owes(entry, head):
        asked.append(entry.since_ms)
        return True

    for advance_ms in (0, gc.AGAIN_MS - 1, 1):
        west.clock.advance(advance_ms)
        gc.run(west, owes)

    assert [since_ms, since_ms] == asked


def test_uploads_that_never_go_keep_no_other_waiting(west, inner, photos):
    """More of them than a run takes for a store that is down: the healthy one behind them goes."""
    for n in range(gc.FAILURES_MAX + 5):
        multipart.create(west, photos, PutRequest(f"k{n}", "ann"))
    inner.stuck = {entry.upload for entry in entries(west)}
    west.clock.advance(1000)
    healthy = multipart.create(west, photos, PutRequest("z", "ann"))

    west.clock.advance(DAY_MS)
    for _ in range(60):
        west.clock.advance(HOUR_MS)
        with pytest.raises(Unavailable, match="locked"):
            gc.run(west, nobody_waits)
            raise Unavailable("locked")  # a run that meets none of them

    assert uploads.load(west, healthy.id) is None


def test_a_run_in_the_future_looks_once(west, photos, monkeypatch):
    """What it puts off is due after all that it looks at."""
    monkeypatch.setattr(gc, "_PAGE", 1)
    put(west, photos, "k", LARGE)
    remove(west, photos, "k")
    west.clock.advance(DAY_MS)

    report = gc.run(west, lambda entry, head: None, now_ms=west.clock.now_ms() + 30 * DAY_MS)

    assert 1 == report.held


def test_an_entry_that_another_run_dealt_with_is_not_put_back(west, photos):
    """It was held a moment ago; meanwhile a second run closed the upload."""
    put(west, photos, "k", LARGE)
    remove(west, photos, "k")
    west.clock.advance(DAY_MS)

    def owes(entry, head):
        gc.run(west, nobody_waits)
        return True

    gc.run(west, owes)

    assert [due.CLOSING] == [entry.reason for entry in entries(west)]


def test_no_leeway_at_all(west, photos):
    """CAUSEWAY_LEEWAY=0s: what is held is put off, by a millisecond at least."""
    hasty = replace(west, rules=replace(west.rules, leeway_ms=0))
    put(hasty, photos, "k", LARGE)
    put(hasty, photos, "k", LARGE)

    report = gc.run(hasty, lambda entry, head: True)

    assert 1 == report.held and [due.SUPERSEDED] == [entry.reason for entry in entries(hasty)]


class TestDocuments:
    """The document of what was superseded goes with its blocks; that of the current record never."""

    def document(self, west, record):
        """A record's, as it stands in the store."""
        name = documents.name(record.bucket_id, key_hash(record.key), str(record.stamp))
        return west.blocks.get_document(name)

    def test_it_goes_with_the_blocks(self, west, photos):
        """Not before leeway, not while a sink waits; what is current stays."""
        old = put(west, photos, "k", LARGE)
        new = put(west, photos, "k", LARGE)
        west.clock.advance(DAY_MS)
        gc.run(west, lambda entry, head: True)
        assert self.document(west, old)

        west.clock.advance(HOUR_MS)
        gc.run(west, nobody_waits)

        assert self.document(west, old) is None
        assert self.document(west, new)
        assert LARGE == text(west, photos.id, "k")

    def test_one_that_could_not_be_removed_goes_later(self, west, inner, photos):
        """Whatever became of its upload since."""
        old = put(west, photos, "k", LARGE)
        remove(west, photos, "k")
        inner.stuck = {documents.name(photos.id, key_hash("k"), str(old.stamp))}
        west.clock.advance(DAY_MS)
        for _ in range(3):
            with pytest.raises(Unavailable, match="locked"):
                gc.run(west, nobody_waits)
            west.clock.advance(DAY_MS)
        assert uploads.load(west, old.upload) is None
        assert self.document(west, old)

        inner.stuck = frozenset()
        gc.run(west, nobody_waits)

        assert self.document(west, old) is None
        assert [] == entries(west)

    def test_the_last_one_of_a_key_stays(self, west, photos):
        """What came from another site has no document here: then the older one is all there is."""
        old = put(west, photos, "k", LARGE)
        put(replace(west, rules=replace(west.rules, documents=False)), photos, "k", LARGE)
        west.clock.advance(DAY_MS)

        gc.run(west, nobody_waits)

        assert self.document(west, old)
        assert LARGE == text(west, photos.id, "k")
