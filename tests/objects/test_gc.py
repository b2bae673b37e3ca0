"""GC: after leeway, after a second look, never on a partial view."""

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.manifest import BlockId, index_refs, part_refs
from chalicelib.domain.names import key_hash
from chalicelib.domain.upload import UploadState
from chalicelib.objects import gc, multipart, rows, uploads
from chalicelib.objects.commit import commit
from chalicelib.objects.copy import copy_object
from chalicelib.objects.put import PutRequest
from chalicelib.ports.metadata import Table
from chalicelib.ports.site import Rules
from tests.builders import HOUR_MS, KIB, Bytes, bucket, nobody_waits, put, remove, site, text

LARGE = b"x" * 200 * KIB
DAY_MS = 24 * HOUR_MS


@pytest.fixture
def west():
    return site()


@pytest.fixture
def photos(west):
    return bucket(west)


def later(west, ms=DAY_MS):
    """A run at a later time."""
    west.clock.advance(ms)
    return gc.run(west, nobody_waits)


def a_sink_waits(entry, head):
    """For gc.run."""
    return True


@pytest.mark.parametrize("supersede", [lambda *at: put(*at, b"small"), remove], ids=["put", "delete"])
def test_superseded_blocks_go_after_leeway(west, photos, supersede):
    """Not a ms before 24 hours; then the blocks, and two leeways later the upload's row."""
    old = put(west, photos, "k", LARGE)
    supersede(west, photos, "k")

    later(west, DAY_MS - 1)
    assert [old.upload] == list(west.blocks.uploads())
    report = later(west, 1)
    assert (1, 4, []) == (report.closed, report.blocks, list(west.blocks.uploads()))
    assert 0 == later(west).collected
    assert UploadState.CLOSING is uploads.load(west, old.upload).state
    assert 1 == later(west).collected
    assert uploads.load(west, old.upload) is None
    assert [] == gc.orphans(west)


def test_a_current_object_is_never_touched(west, photos):
    """A year of runs later it still reads."""
    put(west, photos, "k", LARGE)

    for _ in range(12):
        later(west, 30 * DAY_MS)

    assert LARGE == text(west, photos.id, "k")


def test_a_second_run_does_nothing(west, photos):
    """What was done is done."""
    put(west, photos, "k", LARGE)
    remove(west, photos, "k")
    for _ in range(3):
        later(west)

    assert gc.Report() == later(west)
    assert [] == west.metadata.scan(Table.UPLOADS, rows.due_pk(0))


def test_an_open_upload_is_closed_after_leeway(west, photos):
    """A client that went away leaves nothing behind; who is still sending is refused at the commit."""
    upload = multipart.create(west, photos, PutRequest("k", "ann"))
    multipart.upload_part(west, upload, 1, Bytes(LARGE))

    later(west)

    assert UploadState.CLOSING is uploads.load(west, upload.id).state
    assert [] == list(west.blocks.uploads())


def test_a_block_filed_late_goes_too(west, photos):
    """Somebody was still filing when the upload was closed: the second look finds it."""
    old = put(west, photos, "k", LARGE)
    remove(west, photos, "k")
    later(west)
    ref = next(iter(gc_refs(old)))
    west.blocks.put(ref.id, b"late")

    later(west)

    assert [] == list(west.blocks.uploads())


def gc_refs(record):
    """Every block of a record."""
    return part_refs(record, record.parts)


def test_a_sink_that_has_not_confirmed_holds_the_blocks(west, photos):
    """Owed: held; confirmed: closed."""
    old = put(west, photos, "k", LARGE)
    remove(west, photos, "k")
    asked = []

    def owes(entry, head):
        asked.append((entry.bucket_id, entry.key_hash, head.live))
        return True

    west.clock.advance(DAY_MS)
    report = gc.run(west, owes)
    assert (1, 0) == (report.held, report.closed)
    assert [old.upload] == list(west.blocks.uploads())
    assert [(photos.id, key_hash("k"), False)] == asked

    assert 1 == later(west, gc.AGAIN_MS).closed


def test_the_hold_ends_after_seven_days(west, photos):
    """Then the blocks go, and the report and the log name what the sink lost."""
    put(west, photos, "k", LARGE)
    remove(west, photos, "k")

    west.clock.advance(7 * DAY_MS - 1)
    report = gc.run(west, a_sink_waits)
    assert (1, 0) == (report.held, report.lost)
    west.clock.advance(1)
    report = gc.run(west, a_sink_waits)

    assert (0, 1, 1) == (report.held, report.lost, report.closed)
    assert "gc_hold_ended" in west.log.names()


def test_nothing_superseded_goes_on_a_partial_view(west, photos):
    """What is owed cannot be read: held, whatever its age."""
    old = put(west, photos, "k", LARGE)
    remove(west, photos, "k")
    west.clock.advance(30 * DAY_MS)

    report = gc.run(west, lambda entry, head: None)

    assert (1, 0) == (report.held, report.closed)
    assert [old.upload] == list(west.blocks.uploads())


def test_an_upload_that_is_named_again_is_kept(west, photos):
    """Between being superseded and the run a record came to name the upload again."""
    old = put(west, photos, "k", LARGE)
    put(west, photos, "k", b"newer")
    commit(
        west,
        photos,
        "k",
        lambda head, stamp: type(old)(
            **{
                **{name: getattr(old, name) for name in old.__slots__},
                "stamp": stamp,
            }
        ),
    )

    report = later(west)

    assert (0, 1) == (report.closed, report.kept)
    assert LARGE == text(west, photos.id, "k")


def test_the_second_look_is_in_the_transaction(west, photos, monkeypatch):
    """A record that names the upload again between the look and the close keeps it open."""
    old = put(west, photos, "k", LARGE)
    put(west, photos, "k", b"newer")
    close = uploads.close

    def raced(*args):
        fields = {name: getattr(old, name) for name in old.__slots__}
        commit(west, photos, "k", lambda head, stamp: type(old)(**{**fields, "stamp": stamp}))
        return close(*args)

    monkeypatch.setattr(uploads, "close", raced)

    report = later(west)

    assert 0 == report.closed
    assert LARGE == text(west, photos.id, "k")


def test_a_copy_onto_itself_keeps_the_upload(west, photos):
    """Two records over one upload: nothing was superseded."""
    record = put(west, photos, "k", LARGE)
    copy_object(west, record, photos, PutRequest("k", "ann", metadata=(("a", "b"),)))

    later(west)

    assert LARGE == text(west, photos.id, "k")


def test_attempts_that_complete_did_not_name_go(west, photos):
    """After leeway the unused attempts' blocks and every attempt's row go; the object reads."""
    upload = multipart.create(west, photos, PutRequest("k", "ann"))
    for body in (b"a" * 100 * KIB, b"b" * 100 * KIB):
        west.clock.advance(1)
        last = multipart.upload_part(west, upload, 1, Bytes(body))
    named = [multipart.NamedPart(1, last.part.etag)]
    multipart.complete(west, photos, PutRequest("k", "ann"), upload.id, named, lambda upload, parts: None)

    report = later(west)

    assert 2 == report.blocks
    assert 2 == len(list(west.blocks.list_upload(upload.id)))
    assert [] == multipart.attempts(west, upload.id)
    assert b"b" * 100 * KIB == text(west, photos.id, "k")


def test_index_blocks_of_a_multipart_object_stay(monkeypatch):
    """They are named by no part; the object reads after every run all the same."""
    monkeypatch.setattr(multipart, "PART_BYTES_MIN", KIB)
    west = site(rules=Rules(block_size=KIB, inline_max=16))
    photos = bucket(west)
    upload = multipart.create(west, photos, PutRequest("k", "ann"))
    named = []
    for number in range(1, 302):
        attempt = multipart.upload_part(west, upload, number, Bytes(b"x" * KIB))
        named.append(multipart.NamedPart(number, attempt.part.etag))
    request = PutRequest("k", "ann")
    record = multipart.complete(west, photos, request, upload.id, named, lambda upload, parts: None)

    later(west)
    later(west)

    assert record.index
    assert b"x" * KIB * 301 == text(west, photos.id, "k")


@pytest.fixture
def indexed(monkeypatch):
    """A site, its bucket and a multipart object with an index and an attempt nobody named."""
    monkeypatch.setattr(multipart, "PART_BYTES_MIN", KIB)
    west = site(rules=Rules(block_size=KIB, inline_max=16))
    photos = bucket(west)
    upload = multipart.create(west, photos, PutRequest("k", "ann"))
    multipart.upload_part(west, upload, 1, Bytes(b"unused"))
    west.clock.advance(1)
    sent = [multipart.upload_part(west, upload, n, Bytes(b"x" * KIB)).part for n in range(1, 302)]
    named = [multipart.NamedPart(part.number, part.etag) for part in sent]
    request = PutRequest("k", "ann")
    return west, photos, multipart.complete(west, photos, request, upload.id, named, lambda *_: None)


def test_an_unreadable_part_list_keeps_every_attempt(indexed):
    """Which attempts are named cannot be told: nothing goes, the report says so, a later run does it."""
    west, photos, record = indexed
    (ref,) = list(index_refs(record))[:1]
    form = west.blocks.get(ref)
    west.blocks.delete(ref.id)

    report = later(west)
    assert (0, 1) == (report.blocks, len(report.problems))
    west.blocks.put(ref.id, form)
    report = later(west)

    assert (1, []) == (report.blocks, report.problems)
    assert b"x" * KIB * 301 == text(west, photos.id, "k")


def test_attempts_of_a_superseded_upload_go_with_it(indexed):
    """While a sink still needs it nothing of it goes; then everything at once, and no entry stays."""
    west, photos, _ = indexed
    put(west, photos, "k", b"newer")
    west.clock.advance(DAY_MS)
    assert 0 == gc.run(west, a_sink_waits).blocks

    for _ in range(4):
        later(west)

    assert [] == list(west.blocks.uploads())
    assert [] == west.metadata.scan(Table.UPLOADS, rows.due_pk(0))


def test_the_row_outlives_every_deletion(west, photos, monkeypatch):
    """A run that is late deletes blocks while another run ends: the row is there all the time, and its
    end is put off only once."""
    old = put(west, photos, "k", LARGE)
    remove(west, photos, "k")
    later(west)
    west.clock.advance(DAY_MS)
    delete_upload, inner = west.blocks.delete_upload, []

    def slow(upload):
        if not inner:
            inner.append(True)
            gc.run(west, nobody_waits)
        assert UploadState.CLOSING is uploads.load(west, upload).state
        delete_upload(upload)

    monkeypatch.setattr(west.blocks, "delete_upload", slow)
    assert 0 == gc.run(west, nobody_waits).collected

    assert 1 == len(west.metadata.scan(Table.UPLOADS, rows.due_pk(0)))
    assert UploadState.CLOSING is uploads.load(west, old.upload).state
    assert 1 == later(west).collected


def test_a_page_read_long_ago_is_not_believed(west, photos, monkeypatch):
    """A run that read its page before another dealt with the entry deletes nothing by it."""
    put(west, photos, "k", LARGE)
    remove(west, photos, "k")
    later(west)
    west.clock.advance(DAY_MS)
    scan = west.metadata.scan

    def stale(*args, **kwargs):
        page = scan(*args, **kwargs)
        monkeypatch.undo()
        gc.run(west, nobody_waits)
        monkeypatch.setattr(west.blocks, "delete_upload", None)
        return page

    monkeypatch.setattr(west.metadata, "scan", stale)

    assert gc.Report() == gc.run(west, nobody_waits)


def test_every_shard_is_looked_at():
    """With 8 shards and more entries than one page, all of them go."""
    west = site(shards=8)
    photos = bucket(west)
    for n in range(300):
        put(west, photos, f"k{n}", b"x" * 5 * KIB)
        remove(west, photos, f"k{n}")

    assert 300 == later(west).closed
    assert [] == list(west.blocks.uploads())


def test_a_run_killed_anywhere_goes_on(west, photos):
    """Whichever transaction the store goes down at, the next runs finish the work."""
    put(west, photos, "keep", LARGE)
    for n in range(3):
        put(west, photos, f"k{n}", LARGE)
        remove(west, photos, f"k{n}")
    west.clock.advance(DAY_MS)

    for at in range(6):
        west.metadata.problems = [None] * at + [Unavailable("down")]
        try:
            gc.run(west, nobody_waits)
        except Unavailable:
            pass
        west.metadata.problems = []
    for _ in range(3):
        later(west)

    assert [] == gc.orphans(west)
    assert 1 == len(list(west.blocks.uploads()))
    assert [] == west.metadata.scan(Table.UPLOADS, rows.due_pk(0))
    assert LARGE == text(west, photos.id, "keep")


def test_part_attempts_that_broke_off_go_with_complete(west, photos, monkeypatch):
    """An attempt that filed blocks and died before its row leaves nothing behind after Complete."""
    monkeypatch.setattr(multipart, "PART_BYTES_MIN", 1)
    request = PutRequest("k", "ann")
    upload = multipart.create(west, photos, request)
    part = multipart.upload_part(west, upload, 1, Bytes(LARGE)).part
    west.blocks.put(BlockId(upload.id, "broken-off", 0), b"x")
    named = [multipart.NamedPart(1, part.etag)]
    multipart.complete(west, photos, request, upload.id, named, lambda *_: None)

    later(west)

    assert {part.attempt} == {block_id.attempt for block_id, _ in west.blocks.list_upload(upload.id)}
    assert LARGE == text(west, photos.id, "k")
