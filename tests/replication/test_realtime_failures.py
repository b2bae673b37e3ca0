"""Realtime through failures: tried again until it is done, the reason kept with the item."""

from dataclasses import replace

import pytest

from chalicelib.domain.errors import Indeterminate, Missing, NoRoom, Refused
from chalicelib.domain.manifest import BlockId
from chalicelib.domain.names import key_hash
from chalicelib.replication.outbox import RETRY_MAX_MS, SMALL
from tests.builders import MINUTE_MS, inner_blocks, keys, put, text

BODY = bytes(range(256)) * 1000  # four blocks


@pytest.fixture
def a(net):
    return net["a"].site


@pytest.fixture
def b(net):
    return net["b"].site


def link_of(net):
    return net["a"].links.read().get("b")


def test_a_line_that_is_cut_pauses(net, photos, a):
    """Nothing is rewritten while the sink does not answer; it goes on the moment it does."""
    for n in range(3):
        put(a, photos, f"k{n}", b"x")
    before = net.owed("a", "b")
    net.cut.add(("a", "b"))

    progress = net["a"].serve_records(link_of(net))
    assert progress.down
    assert "Unavailable" in progress.failed
    assert before == net.owed("a", "b")

    net.cut.clear()
    net.deliver()
    assert [] == net.owed("a", "b")


def refuse(monkeypatch, net, problem, bad):
    """b's sink raises `problem` for any batch with a record of the key `bad` in it."""
    sink = type(net["b"].sink_of(net["b"].links.read().get("a")))
    apply = sink.apply

    def choosy(self, deliveries):
        if any(bad.encode() in one.form for one in deliveries):
            raise problem
        return apply(self, deliveries)

    monkeypatch.setattr(sink, "apply", choosy)


def test_back_off(net, photos, a, monkeypatch):
    """Each try twice as late as the one before, up to a minute; the item tells why and how often."""
    put(a, photos, "bad", b"x")
    refuse(monkeypatch, net, NoRoom("no space left"), "bad")
    waits = []

    for _ in range(14):
        net["a"].serve_all(link_of(net))
        waits.append(net["a"].next_due_ms(link_of(net)) - net.clock.now_ms())
        net.clock.advance(waits[-1])

    assert [200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000] == waits[:10]
    assert {RETRY_MAX_MS} == set(waits[10:])
    ((_, item),) = net.owed("a", "b")
    assert (14, "NoRoom: no space left") == (item.tries, item.error)

    monkeypatch.undo()
    net.deliver()
    assert [] == net.owed("a", "b")


def test_one_bad_record_delays_no_other(net, photos, a, b, monkeypatch):
    """Nineteen of twenty arrive; the one that chokes the sink waits alone."""
    for n in range(20):
        put(a, photos, f"k{n:02}" if n != 7 else "bad", b"x")
    refuse(monkeypatch, net, Refused("no"), "bad")

    net["a"].serve_all(link_of(net))

    assert 19 == len(keys(b, photos.id))
    assert [key_hash("bad")] == [item.name for _, item in net.owed("a", "b")]


def test_a_held_record_waits(net, photos, a, b):
    """A stamp far ahead of the sink's clock is owed, with both clocks' reason, until it is time."""
    hour = 60 * MINUTE_MS
    slow = type(net.clock)(net.clock.now_ms() - hour)
    net.nodes["b"] = replace(net["b"], site=replace(b, clock=slow))
    put(a, photos, "k", b"x")

    net.deliver()
    ((_, item),) = net.owed("a", "b")
    assert "held: stamp" in item.error
    assert "ahead of this site's clock" in item.error

    slow.advance(hour)
    net.clock.advance(MINUTE_MS)
    net.deliver()
    assert ["k"] == keys(b, photos.id)
    assert [] == net.owed("a", "b")


@pytest.mark.parametrize("lost", range(1, 9))
def test_a_lost_answer_anywhere(net, photos, a, b, lost):
    """The nth call took place and its answer was lost: repeated, the outcome is the same."""
    put(a, photos, "k", BODY)
    put(a, photos, "l", b"x")
    link, calls = link_of(net), 0
    wire = net["a"].dial(link)

    class Lossy:
        def __getattr__(self, verb):
            def call(*args):
                nonlocal calls
                answer = getattr(wire, verb)(*args)
                calls += 1
                if calls == lost:
                    raise Indeterminate("the answer was lost")
                return answer

            return call

    net.nodes["a"] = replace(net["a"], dial=lambda link: Lossy())
    for _ in range(5):
        net["a"].serve_all(link)
        net.clock.advance(MINUTE_MS)

    assert [] == net.owed("a", "b")
    net.cut.add(("b", "a"))
    assert (BODY, b"x") == (text(b, photos.id, "k"), text(b, photos.id, "l"))


def test_a_lost_block_waits_with_its_reason(net, photos, a, b):
    """A block that is not at the source: the item says so, other items go on."""
    broken = put(a, photos, "broken", BODY)
    put(a, photos, "good", BODY)
    inner_blocks(a).delete(BlockId(broken.upload, "0", 1))

    net.deliver()

    ((stage, item),) = net.owed("a", "b")
    assert (SMALL, key_hash("broken")) == (stage, item.name)
    assert Missing.__name__ in item.error
    assert BODY == text(b, photos.id, "good")


def test_settled_only_after_confirmation(net, photos, a, b, monkeypatch):
    """A sink that takes every block and then says it lacks one keeps the item owed."""
    put(a, photos, "k", BODY)
    sink = type(net["b"].sink_of(net["b"].links.read().get("a")))
    monkeypatch.setattr(sink, "put_block", lambda self, ref, body: None)

    net.deliver()
    ((stage, item),) = net.owed("a", "b")
    assert "keeps lacking" in item.error

    monkeypatch.undo()
    net.clock.advance(MINUTE_MS)
    net.deliver()
    assert [] == net.owed("a", "b")
    assert 4 == len(list(inner_blocks(b).list_upload(next(inner_blocks(b).uploads()))))


def test_copying_blocks_resumes(net, photos, a):
    """What arrived before the line was cut is not sent again."""
    put(a, photos, "k", BODY)
    net.records_only()
    link, wire = link_of(net), net["a"].dial(link_of(net))

    class CutAfterOne:
        def __getattr__(self, verb):
            def call(*args):
                answer = getattr(wire, verb)(*args)
                if verb == "put_block":
                    net.cut.add(("a", "b"))
                return answer

            return call

    net.nodes["a"] = replace(net["a"], dial=lambda link: CutAfterOne())
    net["a"].serve_all(link)
    net.cut.clear()
    net.nodes["a"] = replace(net["a"], dial=lambda link: wire)
    before = net.calls["a", "b", "put_block"]
    net.deliver()

    assert 3 == net.calls["a", "b", "put_block"] - before
    assert [] == net.owed("a", "b")
