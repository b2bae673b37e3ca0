"""GC asks of one record at a time whether a sink has it, whatever else is owed and wherever items move."""

import pytest

from chalicelib.domain.names import key_hash
from chalicelib.objects import due, rows
from chalicelib.ports.metadata import Delete, Put, RowId, Table
from chalicelib.replication.outbox import MARKS, RECORD, pk
from tests.builders import HOUR_MS, KIB, put, remove

BODY = b"x" * 100 * KIB
DAY_MS = 24 * HOUR_MS


@pytest.fixture
def cut(net, photos):
    """The sink has the bucket, and hears nothing from now on."""
    net.deliver()
    net.cut.add(("a", "b"))


def marks(at):
    """What is marked as owed to b."""
    return [sk.decode() for sk, _ in at.site.metadata.scan(Table.OUTBOX, pk("b", MARKS, 0))]


def spied(at, monkeypatch, then=lambda: None):
    """Scans of the outbox; `then` happens after the first."""
    scan, pages = at.site.metadata.scan, []

    def spy(table, *args, **kwargs):
        page = scan(table, *args, **kwargs)
        if table is Table.OUTBOX:
            pages.append(page)
            if len(pages) == 1:
                then()
        return page

    monkeypatch.setattr(at.site.metadata, "scan", spy)
    return pages


def test_items_that_move_back_meanwhile_hold_their_blocks(net, photos, cut, monkeypatch):
    """`failed retry --all` while GC runs: of 1,500 items that waited for a try none is overlooked."""
    one = net["a"]
    olds = [put(one.site, photos, f"k{n}", BODY) for n in range(40)]
    for n in range(1500):
        put(one.site, photos, f"other{n}", b"small")
    for n in range(40):
        remove(one.site, photos, f"k{n}")
    net.clock.advance(DAY_MS)
    for stage, owing in list(one.outbox("b").all()):
        one.outbox("b").retry(owing, stage, "held")
    spied(one, monkeypatch, one.outbox("b").retry_now)

    report = one.collect()

    assert (40, 0) == (report.held, report.closed)
    assert sorted(old.upload for old in olds) == sorted(one.site.blocks.uploads())


def test_a_run_reads_nothing_of_what_else_is_owed(net, photos, cut, monkeypatch):
    """However much that is: an abandoned upload waits for no reading of an outbox."""
    one = net["a"]
    put(one.site, photos, "k", BODY)
    remove(one.site, photos, "k")
    for n in range(100):
        put(one.site, photos, f"other{n}", b"small")
    net.clock.advance(DAY_MS)
    pages = spied(one, monkeypatch)

    assert 1 == one.collect().held
    assert [] == pages


def test_only_what_takes_anothers_place_has_a_mark(net, photos, cut):
    """A first PUT costs no row more than its item."""
    put(net["a"].site, photos, "k", BODY)
    assert [] == marks(net["a"])

    put(net["a"].site, photos, "k", b"newer")
    remove(net["a"].site, photos, "k")
    assert 2 == len(marks(net["a"]))


def test_a_mark_goes_with_its_item(net, photos, cut):
    """When the sink has it, records and blocks; and not before."""
    one = net["a"]
    for body in (b"older", BODY):
        put(one.site, photos, "k", body)
    net.cut.clear()
    one.serve_records(one.links.read().get("b"))
    assert [] != net.owed("a", "b")
    assert 1 == len(marks(one))

    net.deliver()

    assert [] == net.owed("a", "b") == marks(one)


def test_marks_of_a_link_that_was_disabled_go(net, photos, cut):
    """With all that was owed over it."""
    for body in (b"older", b"newer"):
        put(net["a"].site, photos, "k", body)

    net["a"].outbox("b").drop()

    assert [] == marks(net["a"])


def test_the_last_of_many_records_holds_the_first(net, photos, cut):
    """What superseded the upload was itself superseded, and its item settled: the sink has neither."""
    one = net["a"]
    old = put(one.site, photos, "k", BODY)
    second = put(one.site, photos, "k", b"second")
    put(one.site, photos, "k", b"third")
    outbox = one.outbox("b")
    outbox.settle([o for _, o in list(outbox.all()) if o.item.stamp in (str(old.stamp), str(second.stamp))])
    net.clock.advance(DAY_MS)

    assert 1 == one.collect().held

    net.cut.clear()
    net.deliver()
    net.clock.advance(HOUR_MS)
    assert 1 == one.collect().closed


def test_a_record_that_comes_after_the_question(net, photos, monkeypatch):
    """The sink has what superseded the upload; while that is asked, a newer record comes."""
    one = net["a"]
    old = put(one.site, photos, "k", BODY)
    remove(one.site, photos, "k")
    net.deliver()
    net.clock.advance(DAY_MS)
    get = one.site.metadata.get

    def raced(wanted):
        found = get(wanted)
        if wanted[0].pk == pk("b", MARKS, 0):
            monkeypatch.undo()
            put(one.site, photos, "k", b"newer")
        return found

    monkeypatch.setattr(one.site.metadata, "get", raced)

    assert 0 == one.collect().closed
    assert [old.upload] == list(one.site.blocks.uploads())


@pytest.mark.parametrize(("sink", "closed"), [(True, 0), (False, 1)])
def test_what_an_earlier_version_superseded_waits(net, photos, sink, closed):
    """Its items have no marks, so nobody can tell: held for gc_hold, unless there is no sink at all."""
    one = net["a"]
    old = put(one.site, photos, "k", BODY)
    newer = put(one.site, photos, "k", b"newer")
    net.deliver()
    if not sink:
        one.links.update("b", enabled=False)
    ((sk, form),) = one.site.metadata.scan(Table.UPLOADS, rows.due_pk(0))
    entry = due.decode(form)
    where = entry.upload, entry.bucket_id, entry.key_hash, str(newer.stamp)
    earlier = due.put(one.site, int.from_bytes(sk[:6]), due.SUPERSEDED, *where)
    assert RowId(Table.UPLOADS, rows.due_pk(0), sk) == earlier.row
    one.site.metadata.transact([Put(earlier.row, earlier.value)])
    net.clock.advance(DAY_MS)

    assert closed == one.collect().closed

    net.clock.advance(6 * DAY_MS)
    one.collect()
    assert old.upload not in set(one.site.blocks.uploads())


def test_an_item_knows_its_mark_wherever_it_moves(net, photos, cut):
    """Through retries and from stage to stage."""
    one = net["a"]
    for body in (b"older", BODY):
        put(one.site, photos, "k", body)
    outbox = one.outbox("b")
    (owing,) = (o for _, o in list(outbox.all()) if o.item.name == key_hash("k") and o.marked)

    outbox.retry(owing, RECORD, "held")
    (owing,) = (o for _, o in list(outbox.all()) if o.marked)
    outbox.advance(owing)
    (owing,) = (o for stage, o in list(outbox.all()) if o.marked and stage != RECORD)
    outbox.settle([owing])

    assert [] == marks(one)


def test_a_mark_whose_item_an_earlier_version_took_goes_with_the_link(net, photos, cut):
    """It knew of no marks, and settled the item alone."""
    one = net["a"]
    put(one.site, photos, "k", BODY)
    put(one.site, photos, "k", BODY)
    for _, owing in list(one.outbox("b").all()):
        one.site.metadata.transact([Delete(owing.row)])
    assert marks(one)

    one.outbox("b").drop()

    assert [] == marks(one)
