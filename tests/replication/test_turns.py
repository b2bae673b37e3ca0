"""Who is served when, and that nothing more is begun when time is up."""

import pytest

from chalicelib.domain import codec
from chalicelib.replication import realtime
from chalicelib.replication.outbox import SMALL
from chalicelib.replication.runs import Phase, State
from chalicelib.replication.turns import TURN_MS, by_turns, in_turn
from tests.builders import KIB, Net, SetClock, inner_blocks, keys, put, text
from tests.replication.hung import VAIN_MS, hang, sent, slow


def link_of(net, to="b"):
    return net["a"].links.read().get(to)


def some(net, photos, count=20):
    """Objects of one block each, whose records have arrived."""
    for n in range(count):
        put(net["a"].site, photos, f"k{n:03}", bytes(60 * KIB) + n.to_bytes(4))
    net.records_only()


# ------------------------------------------------------------------------------------- by turns


def test_each_minute_another_is_first():
    """In as many minutes as there are links each is first once."""
    net = Net("a", "b", "c", "d").link("a", "b").link("a", "c").link("a", "d")
    links = net["a"].links.read().sinks()

    orders = ["".join(link.site for link in in_turn(links, minute * TURN_MS)) for minute in range(3)]

    assert ["bcd", "cdb", "dbc"] == orders
    assert [] == in_turn([], 7)


@pytest.mark.parametrize(
    ("needs", "got"),
    [
        ({"b": 99, "c": 99, "d": 0}, {"b": 15, "c": 15, "d": 0}),
        ({"b": 99, "c": 99, "d": 99}, {"b": 10, "c": 10, "d": 10}),
        ({"b": 99, "c": 1, "d": 2}, {"b": 27, "c": 1, "d": 2}),
        ({"b": 0, "c": 99, "d": 0}, {"b": 0, "c": 30, "d": 0}),
        ({"b": 3, "c": 3, "d": 3}, {"b": 3, "c": 3, "d": 3}),
        ({}, {}),
    ],
    ids=str,
)
def test_shares(needs, got):
    """Thirty seconds: a share each, what is not used goes to those that have more to do."""
    clock, left = SetClock(), {one: seconds * 1000 for one, seconds in needs.items()}

    def serve(one, until_ms):
        took = min(left[one], until_ms - clock.now_ms())
        clock.advance(took)
        left[one] -= took

    by_turns(clock, clock.now_ms() + 30_000, needs, serve)

    used = {one: needs[one] * 1000 - left[one] for one in needs}
    assert used == pytest.approx({one: seconds * 1000 for one, seconds in got.items()}, abs=20)


def test_no_time_no_turn():
    """Nobody is asked."""
    clock = SetClock()

    by_turns(clock, clock.now_ms(), "bcd", lambda one, until_ms: pytest.fail(one))


# ------------------------------------------------------------------------------------ time is up


def test_no_further_object_when_time_is_up(net, photos, monkeypatch):
    """Sixteen objects are due at once: the second does not begin late, and all are sent in the end."""
    some(net, photos)
    begun = slow(net, monkeypatch, 1000)
    until_ms = net.clock.now_ms() + 2000

    step = net["a"].serve_blocks(link_of(net), SMALL, until_ms)

    assert (True, 2) == (step.unfinished, step.done)
    assert [] == [ms for ms in begun if ms >= until_ms]
    rounds = 1
    while net.owed("a", "b"):
        net["a"].serve_all(link_of(net), net.clock.now_ms() + 2000)
        rounds += 1
    assert rounds > 5 and 20 == sent(net, "b")


def test_no_further_object_of_a_run(net, photos, monkeypatch):
    """The cursor stays behind the last one that was sent; with no time at all there is still one a step."""
    some(net, photos)
    net["a"].outbox("b").drop()
    begun = slow(net, monkeypatch, 1000)
    net["a"].start_fullsync("b")

    drivers = 0
    while net["a"].runs.read("b").state is State.RUNNING:
        until_ms = net.clock.now_ms() + (4000 if drivers % 2 else 1)
        run = net["a"].drive_fullsync("b", until_ms - net.clock.now_ms(), 12_000)
        late = [ms for ms in begun if ms >= until_ms]
        assert len(late) <= 1 and (not late or run.cursor.phase in (Phase.BLOCKS, Phase.DONE))
        drivers += 1

    assert drivers > 5 and 20 == sent(net, "b") == net["a"].runs.read("b").tally.completed
    assert text(net["a"].site, photos.id, "k007") == text(net["b"].site, photos.id, "k007")


def test_no_further_batch_of_records(net, photos, monkeypatch):
    """Nor one after another where a batch was refused: what is left is due as before."""
    monkeypatch.setattr(realtime, "BATCH_BYTES_MAX", 1)
    for n in range(5):
        put(net["a"].site, photos, f"k{n}", b"x")

    step = net["a"].serve_records(link_of(net), net.clock.now_ms())

    assert (True, 1, 5) == (step.unfinished, step.done, step.taken)
    assert 4 == len(net.owed("a", "b")) and 1 == len(keys(net["b"].site, photos.id))


# --------------------------------------------------------------------------------- who is silent


def test_blocks_that_the_sink_hangs_on(net, photos, monkeypatch):
    """No `hello` after a call in vain: down; and whichever was under way is tried later than the others."""
    some(net, photos, 3)
    hang(net, monkeypatch, "b")
    net.called.clear()
    began_ms = net.clock.now_ms()

    step = net["a"].serve_blocks(link_of(net), SMALL, began_ms + 55_000)

    assert step.down and began_ms + VAIN_MS == net.clock.now_ms()
    assert [("a", "b", "wanted")] == net.called
    assert [0, 0, 1] == sorted(item.tries for _, item in net.owed("a", "b"))
    assert net["a"].contacts.down("b") and not net["a"].contacts.heard("b")


def test_one_record_that_a_sink_hangs_on(net, photos, monkeypatch):
    """A server's: the others go in the same step, and from then on ahead of it."""
    for n in range(20):
        put(net["a"].site, photos, f"k{n}", b"small")

    def choosy(deliveries):
        return any(codec.decode_record(one.form).key == "k7" for one in deliveries if one.kind == "object")

    hang(net, monkeypatch, "b", verbs=("apply",), choosy=choosy)
    first = net["a"].serve_records(link_of(net))
    assert (19, False, True) == (first.done, first.down, first.hung)
    (left,) = net.owed("a", "b")
    assert 1 == left[1].tries

    put(net["a"].site, photos, "new", b"small")
    net.clock.advance(1000)
    began_ms = net.clock.now_ms()
    again = net["a"].serve_records(link_of(net))
    assert 1 == again.done and "new" in keys(net["b"].site, photos.id)
    assert 2 * VAIN_MS >= net.clock.now_ms() - began_ms


def test_a_server_whose_sink_hangs_on_everything(net, photos, monkeypatch):
    """Two calls in vain after each other are enough; nothing is lost."""
    for n in range(20):
        put(net["a"].site, photos, f"k{n}", b"small")
    hang(net, monkeypatch, "b", verbs=("apply",))
    began_ms = net.clock.now_ms()

    step = net["a"].serve_records(link_of(net))

    assert step.down and 20 == len(net.owed("a", "b"))
    assert 3 * VAIN_MS == net.clock.now_ms() - began_ms


def test_down_is_forgotten(net):
    """After a while, or when the site is heard of."""
    contacts = net["a"].contacts
    contacts.note("b", "Unavailable: x", down=True, hung=True)
    net.clock.advance(89_999)
    assert contacts.down("b")
    net.clock.advance(1)
    assert not contacts.down("b")
    contacts.note("b")
    net.clock.advance(15_000)
    contacts.note("b", "Unavailable: x", down=True)  # refused: it may be starting
    net.clock.advance(4999)
    assert contacts.down("b")
    net.clock.advance(1)
    assert not contacts.down("b")

    contacts.remember("b", down=True)
    contacts.note("b")
    assert contacts.heard("b") and not contacts.down("b") and not contacts.back("b")
    net.clock.advance(15_000)
    assert not contacts.heard("b")

    contacts.remember("b", down=True, hung=True)
    contacts.note("b")
    assert contacts.back("b")
    net.clock.advance(15_000)
    assert not contacts.back("b")

    contacts.note("b", "Missing: a block is lost here")  # the site answered, so it is not down
    assert not contacts.down("b") and not contacts.read("b").up


def test_a_reader_asks_who_hangs_last(monkeypatch):
    """The second site is asked after one call in vain; the next block is asked of it at once."""
    net = Net("a", "b", "c").link("a", "c").link("b", "c").link("a", "b")
    photos = net.make_bucket()
    record = put(net["a"].site, photos, "k", bytes(range(256)) * 1000)
    net.deliver()
    inner_blocks(net["c"].site).delete_upload(record.upload)
    hang(net, monkeypatch, "a")
    net.called.clear()
    began_ms = net.clock.now_ms()

    assert bytes(range(256)) * 1000 == text(net["c"].site, photos.id, "k")

    assert began_ms + VAIN_MS == net.clock.now_ms()
    assert 1 == len([call for call in net.called if call[:2] == ("c", "a")])


# --------------------------------------------------------------------------------------- counted


def test_bytes_are_counted_once(net, photos, monkeypatch):
    """Of each batch its own."""
    monkeypatch.setattr(realtime, "BATCH_BYTES_MAX", 5000)
    before = sent(net, "b", "replicated_bytes_total")
    for n in range(5):
        put(net["a"].site, photos, f"k{n}", bytes([n]) * 4000)

    step = net["a"].serve_records(link_of(net))

    assert step.bytes == sent(net, "b", "replicated_bytes_total") - before
