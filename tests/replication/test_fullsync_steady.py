"""A fullsync while writes come faster than their marks are folded: it ends, and finds what is older."""

from collections import Counter
from dataclasses import replace

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.objects import tree
from chalicelib.replication.door import VERBS
from chalicelib.replication.fullsync import STEP_MS
from chalicelib.replication.runs import Cursor, Phase, State
from chalicelib.replication.sink import FOLD_MS_MAX, Sink
from tests.builders import HOUR_MS, bucket, put, through_door
from tests.replication.test_fullsync import all_heads, equal, fill, unlinked

BATCH_MS = 40  # a transaction of DynamoDB's with 14 marks


@pytest.fixture
def net():
    net = unlinked("a", "b", shards=8)
    for node in net.nodes.values():
        node.site.metadata.items_max = 100
    return net


def writes(net, monkeypatch, at, per_second, ms=BATCH_MS):
    """`per_second` keys are written at one site while any site folds."""
    real, owed, count = tree._fold_batch, [0.0], Counter()

    def fold_batch(site, shard, marks):
        net.clock.advance(ms)
        owed[0] += per_second * ms / 1000
        while owed[0] >= 1:
            owed[0] -= 1
            count["new"] += 1
            assert count["new"] < 60_000, "it never ends"
            put(net[at].site, net.bucket(at), f"new{count['new'] % 20_000:05}", b"y")
        count["folded"] += len(marks)
        return real(site, shard, marks)

    monkeypatch.setattr(tree, "_fold_batch", fold_batch)
    return count


@pytest.mark.parametrize("at", ["a", "b"])
def test_a_run_ends(net, monkeypatch, at):
    """With more writes, at either side, than the 350 marks a second that are folded, and what was missing
    when it began has been sent."""
    photos = fill(net, "a", 300)
    net.fullsync("a", "b")
    for n in range(1500):
        put(net[at].site, net.bucket(at), f"remainder{n:05}")
    old = [put(net["a"].site, photos, f"key{n:05}", b"changed") for n in range(0, 300, 10)]
    count = writes(net, monkeypatch, at, 400)
    net["a"].start_fullsync("b")

    drivers = 0
    while net["a"].runs.read("b").state is State.RUNNING:
        run = net["a"].drive_fullsync("b", 4_000, 8_000)
        drivers += 1
        if run.tally.compared:
            monkeypatch.undo()  # past the folds; the rest is a run like any other

    assert State.COMPLETE is run.state and 2 <= drivers < 10
    assert count["new"] > 1500
    there = dict(all_heads(net["b"].site))
    heads = dict(all_heads(net["a"].site))
    for record in old:
        (pk,) = [pk for pk, form in heads.items() if record.key.encode() in form and record.bucket_id in pk]
        assert heads[pk] == there[pk]


def test_a_fold_at_the_sink_is_given_the_source_s_time(net, monkeypatch):
    """It ends with the driver; no stale root is compared, nothing is sent for nothing, and what was folded
    before the answer was lost stays so."""
    fill(net, "a", 500)
    net.fullsync("a", "b")
    photos = net.bucket("b")
    for n in range(1500):
        put(net["b"].site, photos, f"only{n:05}")
    writes(net, monkeypatch, "b", 0)
    net["a"].start_fullsync("b")
    assert Cursor(Phase.ACCOUNTS) == net["a"].runs.read("b").cursor

    drivers = 0
    while net["a"].runs.read("b").state is State.RUNNING:
        if drivers == 1:
            net.lost_answers.append(Unavailable("the answer was lost"))
        began_ms = net.clock.now_ms()
        run = net["a"].drive_fullsync("b", 1_500, 3_000)
        assert net.clock.now_ms() - began_ms <= 1_500 + BATCH_MS
        drivers += 1

    assert drivers > 3
    assert (State.COMPLETE, "", 0, 1500) == (run.state, run.error, run.tally.sent, run.tally.only_at_sink)


def test_a_fold_at_the_sink_is_one_request_s_worth(net, monkeypatch):
    """Whatever time a source says it has."""
    fill(net, "b", 1000, bucket(net["b"].site))
    writes(net, monkeypatch, "b", 0, ms=500)
    sink = net["b"].sink_of(net["b"].links.read().get("a"))
    began_ms = net.clock.now_ms()

    assert not sink.fold("run", HOUR_MS)

    assert net.clock.now_ms() - began_ms <= FOLD_MS_MAX + 500


def test_a_run_that_an_older_version_brought_to_its_first_root(net):
    """Which folded there: it is folded now, for nobody has."""
    fill(net, "a", 50)
    one = net["a"]
    begun = one.start_fullsync("b")
    one.runs.store("b", begun, replace(begun, cursor=Cursor(Phase.BUCKETS)))

    run = one.drive_fullsync("b", HOUR_MS)

    assert (State.COMPLETE, 51) == (run.state, run.tally.applied)  # its bucket too
    assert equal(net, "a", "b")


def test_many_users_go_over_in_several_steps(net, monkeypatch):
    """As many as there is time for; each once, though the sink is slow."""
    for n in range(220):
        net["a"].names.decide("create_user", {"name": f"user{n}"})
    real, sent = Sink.apply, Counter()

    def apply(self, deliveries):
        net.clock.advance(7_000)
        sent.update(delivery.form for delivery in deliveries)
        return real(self, deliveries)

    monkeypatch.setattr(Sink, "apply", apply)
    net["a"].start_fullsync("b")

    while net["a"].runs.read("b").state is State.RUNNING:
        began_ms = net.clock.now_ms()
        net["a"].drive_fullsync("b", 0)
        assert net.clock.now_ms() - began_ms <= STEP_MS + 7_000

    assert State.COMPLETE is net["a"].runs.read("b").state
    assert 220 == sent.total()


def test_roots_that_take_long(net, monkeypatch):
    """A step compares no more of them than fit."""
    for n in range(25):
        put(net["a"].site, bucket(net["a"].site, f"bucket{n:02}"), "k")
    net.fullsync("a", "b")
    real = Sink.tree

    def slow(self, bucket_id, prefixes):
        net.clock.advance(1_500)
        return real(self, bucket_id, prefixes)

    monkeypatch.setattr(Sink, "tree", slow)
    net["a"].start_fullsync("b")

    while net["a"].runs.read("b").state is State.RUNNING:
        began_ms = net.clock.now_ms()
        run = net["a"].drive_fullsync("b", 0)
        assert net.clock.now_ms() - began_ms <= STEP_MS + 1_500

    assert (State.COMPLETE, 25) == (run.state, run.tally.compared)


def test_a_sink_of_a_version_that_folds_when_it_is_asked_for_a_root(monkeypatch):
    """It has no verb for it: the run goes on."""
    net = unlinked("a", "b", over=through_door)
    fill(net, "a", 50)
    monkeypatch.delitem(VERBS, "fold")

    assert State.COMPLETE is net.fullsync("a", "b").state
    assert equal(net, "a", "b")
