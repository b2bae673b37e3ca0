"""The brake: a fullsync stops and asks rather than spread a disaster."""

from dataclasses import replace

import pytest

from chalicelib.domain.hashtree import Node
from chalicelib.objects import rows
from chalicelib.ports.metadata import Put, Table
from chalicelib.replication.fullsync import BRAKE_BUCKETS, COMPARES_MAX, STEP_MS, Fullsync
from chalicelib.replication.runs import LEASE_MS, State
from chalicelib.replication.sink import Sink
from tests.builders import remove
from tests.replication.test_fullsync import all_heads, equal, fill, unlinked


@pytest.fixture
def net():
    net = unlinked("a", "b")
    fill(net, "a", 150)
    net.fullsync("a", "b")
    net.fullsync("a", "b")
    return net


def lose(net, keep):
    """b's metadata loses most keys, without tombstones."""
    metadata = net["b"].site.metadata
    for table, pk in list(metadata._partitions):
        if table in (Table.KEYS, Table.LISTING, Table.TREE):
            if table is Table.KEYS and int(pk[-2:], 16) % 10 < keep:
                continue
            del metadata._partitions[table, pk]
    for pk, _ in list(all_heads(net["b"].site)):
        metadata.transact([Put(rows.dirty(*pk.rsplit("/", 1), 1), b"1")])


def test_a_sink_that_lost_most_is_asked_about(net):
    """Nothing moves until the operator says so; then everything does."""
    lose(net, keep=3)

    run = net.fullsync("a", "b")
    assert State.ASKING is run.state
    assert "lacks most" in run.error
    assert not equal(net, "a", "b")
    assert [] == net["a"].schedule()

    assert State.COMPLETE is net.fullsync("a", "b", anyway=True).state
    assert equal(net, "a", "b")
    assert State.COMPLETE is net.fullsync("a", "b").state


def test_a_sink_that_lost_a_few_is_repaired(net):
    """Without a question."""
    lose(net, keep=8)

    assert State.COMPLETE is net.fullsync("a", "b").state
    assert equal(net, "a", "b")


def test_a_sink_whose_keys_were_deleted_is_not(net):
    """Tombstones are no loss."""
    photos = net.bucket("b")
    for n in range(150):
        remove(net["b"].site, photos, f"key{n:05}")

    assert State.COMPLETE is net.fullsync("a", "b").state


def test_a_new_incarnation(net):
    """A sink that was set up again is asked about once; after the answer it is known."""
    net.nodes["b"] = replace(net["b"], record=replace(net["b"].record, incarnation="b-life-2"))

    run = net.fullsync("a", "b")
    assert State.ASKING is run.state
    assert "incarnation" in run.error

    assert State.COMPLETE is net.fullsync("a", "b", anyway=True).state
    assert State.COMPLETE is net.fullsync("a", "b").state


def test_a_dry_run_does_not_answer_for_the_operator(net):
    """Looking at what would move accepts nothing."""
    net.nodes["b"] = replace(net["b"], record=replace(net["b"].record, incarnation="b-life-2"))

    net.fullsync("a", "b", anyway=True, dry_run=True)

    assert State.ASKING is net.fullsync("a", "b").state


def remembered(count):
    """What a run knows of so many buckets the sink once had whole."""
    return {f"0192f3a4b5c6-{n:04x}-a-{n:08x}": 200 for n in range(count)}


def answers(net, monkeypatch, ms, keys=lambda bucket_id: 200):
    """Each root of a remembered bucket takes a while; the buckets that were asked about."""
    real, known, asked = Sink.tree, remembered(BRAKE_BUCKETS), []

    def tree(self, bucket_id, prefixes):
        if bucket_id not in known:
            return real(self, bucket_id, prefixes)
        net.clock.advance(ms)
        asked.append(bucket_id)
        return [Node(keys(bucket_id), 1)] * len(prefixes)

    monkeypatch.setattr(Sink, "tree", tree)
    return asked


def steps(net, monkeypatch, asked):
    """(ms it took, roots it asked for) of each step of a run."""
    real, seen = Fullsync.step, []

    def step(self, run):
        began_ms, before = net.clock.now_ms(), len(asked)
        try:
            return real(self, run)
        finally:
            seen.append((net.clock.now_ms() - began_ms, len(asked) - before))

    monkeypatch.setattr(Fullsync, "step", step)
    return seen


def begin(net):
    """A run at a that remembers as many buckets as any may."""
    begun = net["a"].start_fullsync("b")
    assert net["a"].runs.store("b", begun, replace(begun, confirmed=remembered(BRAKE_BUCKETS)))


@pytest.mark.parametrize("ms", [1, 100, 4000])
def test_many_buckets_are_looked_at_in_several_steps(net, monkeypatch, ms):
    """Each of them once, and no step is as long as the lease: nobody takes the run away meanwhile, though
    the next minutes' messages would."""
    one = net["a"]
    begin(net)
    asked, others = answers(net, monkeypatch, ms), []
    seen = steps(net, monkeypatch, asked)
    monkeypatch.setattr(
        one.contacts, "note", lambda *_: others.append(one.runs.lease("b", net.clock.now_ms()))
    )

    drivers = 0
    while one.runs.read("b").state is State.RUNNING:
        assert one.drive_fullsync("b", 280_000, 300_000) is not None
        drivers += 1

    assert sorted(remembered(BRAKE_BUCKETS)) == asked
    assert (BRAKE_BUCKETS * ms) // 280_000 <= drivers <= (BRAKE_BUCKETS * ms) // 280_000 + 1
    assert max(took for took, _ in seen) < STEP_MS + ms < LEASE_MS
    assert max(looked for _, looked in seen) <= COMPARES_MAX
    assert [None] * len(others) == others


def test_the_last_of_many_buckets(net, monkeypatch):
    """Is looked at too before anything goes, whoever drives then."""
    last = max(remembered(BRAKE_BUCKETS))
    begin(net)
    answers(net, monkeypatch, 100, lambda bucket_id: 0 if bucket_id == last else 200)

    drivers = 0
    while (run := net["a"].runs.read("b")).state is State.RUNNING:
        net["a"].drive_fullsync("b", 1_000, 2_000)
        net.restart("a")
        drivers += 1

    assert State.ASKING is run.state and "lacks most" in run.error
    assert 0 == run.tally.sent and drivers > 3
