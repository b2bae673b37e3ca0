"""A process whose time is up stops between two blocks; whoever goes on sends nothing twice."""

from dataclasses import replace

import pytest

from chalicelib.hosts.lambda_events import share_ms
from chalicelib.objects import documents, tree
from chalicelib.replication.outbox import SMALL
from chalicelib.replication.runs import LEASE_MS, State
from tests.builders import HOUR_MS, KIB, RULES, Net, inner_blocks, keys, put, text
from tests.hosts.s3_events import document

BLOCKS = 40
BODY = bytes(range(256)) * (BLOCKS * 64 * KIB // 256)


class Killed(BaseException):
    """The process is no more."""


@pytest.fixture
def net():
    return Net("a", "b", rules=replace(RULES, documents=True)).link("a", "b")


def sent(net):
    """How many blocks went over."""
    return net["a"].counters.all().get(("blocks_sent_total", "b"), 0)


def slow(net, monkeypatch, ms=1000):
    """Each block read at a takes a while."""
    inner = inner_blocks(net["a"].site)
    real = inner.get

    def get(ref):
        net.clock.advance(ms)
        return real(ref)

    monkeypatch.setattr(inner, "get", get)


def test_a_document_s_blocks(net, photos, monkeypatch):
    """What fits, then no more: owed as before, not tried in vain; the sweep does the rest, nothing twice."""
    record = put(net["a"].site, photos, "k", BODY)
    slow(net, monkeypatch)
    told = documents.parse(document(record))

    net["a"].serve_document(told, net.clock.now_ms() + 10_000)

    assert 10 <= sent(net) < BLOCKS
    assert [(SMALL, 0)] == [(stage, item.tries) for stage, item in net.owed("a", "b")]
    rounds = 0
    while net.owed("a", "b"):
        net["a"].serve_all(net["a"].links.read().get("b"), net.clock.now_ms() + 10_000)
        rounds += 1
    assert rounds > 1 and BLOCKS == sent(net)
    assert BODY == text(net["b"].site, photos.id, "k")


def test_always_something(net, photos, monkeypatch):
    """Time that is up at the first block still brings some over: else a function with little never ends."""
    put(net["a"].site, photos, "k", BODY)
    slow(net, monkeypatch)
    net.records_only()

    before, rounds = 0, 0
    while net.owed("a", "b"):
        net["a"].serve_blocks(net["a"].links.read().get("b"), SMALL, net.clock.now_ms())
        assert sent(net) > before
        before, rounds = sent(net), rounds + 1

    assert rounds > 1 and BLOCKS == sent(net)


def test_a_run_s_blocks(net, photos, monkeypatch):
    """The cursor stays at the object that is half copied, and the next step goes on with it."""
    record = put(net["a"].site, photos, "k", BODY)
    net.records_only()
    net["a"].outbox("b").drop()
    slow(net, monkeypatch)
    net["a"].start_fullsync("b")

    steps = 0
    while net["a"].runs.read("b").state is State.RUNNING:
        begun_ms = net.clock.now_ms()
        net["a"].drive_fullsync("b", 8_000, 12_000)
        assert net.clock.now_ms() - begun_ms < 12_000 + 4_000
        steps += 1

    run = net["a"].runs.read("b")
    assert (State.COMPLETE, 1) == (run.state, run.tally.completed)
    assert steps > 2 and BLOCKS == sent(net)
    assert BODY == text(net["b"].site, record.bucket_id, "k")


@pytest.mark.parametrize("left_ms", [3_000, 20_000, 10 * 60_000])
def test_a_driver_that_is_killed(net, photos, monkeypatch, left_ms):
    """Its lease ends with the time it had, however far it came: the next one waits no longer than that."""
    put(net["a"].site, photos, "k", BODY)
    net.records_only()
    net["a"].outbox("b").drop()
    net["a"].start_fullsync("b")
    began_ms = net.clock.now_ms()
    slow(net, monkeypatch, 5)
    monkeypatch.setattr(net["a"].counters, "add", _killed)

    with pytest.raises(Killed):
        net["a"].drive_fullsync("b", share_ms(left_ms), left_ms)

    monkeypatch.undo()
    lease_ms = net["a"].runs.read("b").lease_until_ms
    assert began_ms < lease_ms <= min(began_ms + left_ms, net.clock.now_ms() + LEASE_MS)
    if lease_ms > net.clock.now_ms():
        assert net["a"].drive_fullsync("b", HOUR_MS) is None
        net.clock.ms = lease_ms
    assert State.COMPLETE is net["a"].drive_fullsync("b", HOUR_MS).state


def slow_folds(net, monkeypatch, ms=1000):
    """Each transaction of a fold takes a while."""
    real = tree._fold_batch

    def fold_batch(*asked):
        net.clock.advance(ms)
        return real(*asked)

    monkeypatch.setattr(tree, "_fold_batch", fold_batch)


def test_a_run_begins_with_a_fold(net, photos, monkeypatch):
    """Which takes as many steps as it takes; roots are compared when all marks are folded, not before."""
    for n in range(400):
        put(net["a"].site, photos, f"k{n}")
    net["a"].outbox("b").drop()
    slow_folds(net, monkeypatch)
    net["a"].start_fullsync("b")

    steps = 0
    while net["a"].runs.read("b").state is State.RUNNING:
        begun_ms = net.clock.now_ms()
        net["a"].drive_fullsync("b", 8_000, 12_000)
        assert net.clock.now_ms() - begun_ms <= 8_000 + 1000
        steps += 1

    assert steps > 3 and State.COMPLETE is net["a"].runs.read("b").state
    assert keys(net["a"].site, photos.id) == keys(net["b"].site, photos.id)


def _killed(*_, **__):
    raise Killed
