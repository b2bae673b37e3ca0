"""Fullsync: what it moves, what it costs, and what it says of itself."""

from dataclasses import replace

import pytest

from chalicelib.domain.errors import NoRoom
from chalicelib.domain.manifest import BlockId
from chalicelib.objects import accounts, tree
from chalicelib.ports.metadata import Table
from chalicelib.replication import fullsync
from chalicelib.replication.fullsync import COMPARES_MAX
from chalicelib.replication.runs import State
from tests.builders import KIB, Net, bucket, inner_blocks, keys, put, remove, text, through_door

BODY = bytes(range(256)) * 1000  # four blocks


def unlinked(*names, **options):
    """a → … with realtime off: only a fullsync moves anything."""
    net = Net(*names, **options).chain(*names)
    for one, link in list(net.sinks()):
        one.links.update(link.site, enabled=False)
    return net


def fill(net, at, count, into=None, body=b"x"):
    """count keys at one site."""
    into = into or bucket(net[at].site)
    for n in range(count):
        put(net[at].site, into, f"key{n:05}", body)
    return into


def equal(net, *names):
    """Whether the sites hold the same records of every key."""
    heads = [{row: form for row, form in all_heads(net[name].site)} for name in names]
    return all(one == heads[0] for one in heads)


def all_heads(at):
    """(bucket and key hash, record form) of every key."""
    for (table, pk), found in at.metadata._partitions.items():
        if table is Table.KEYS:
            yield pk, found.values[b"head"]


@pytest.mark.parametrize("over", [None, through_door], ids=["sink", "door"])
def test_a_first_fullsync_brings_everything(over):
    """Buckets, users, small objects, large ones, tombstones; then it is complete."""
    net = unlinked("a", "b", **({"over": over} if over else {}))
    photos = fill(net, "a", 130)
    net["a"].names.decide("create_user", {"name": "Ann"})
    put(net["a"].site, photos, "large", BODY)
    remove(net["a"].site, photos, "key00007")

    run = net.fullsync("a", "b")

    assert (State.COMPLETE, 131) == (run.state, run.tally.sent - 2)
    assert equal(net, "a", "b")
    assert keys(net["a"].site, photos.id) == keys(net["b"].site, photos.id)
    net.cut.add(("b", "a"))
    assert BODY == text(net["b"].site, net.bucket("b").id, "large")
    assert 1 == len(list(accounts.all_users(net["b"].site)))


def test_a_second_fullsync_moves_nothing():
    """One root a bucket is compared, nothing else is read or sent."""
    net = unlinked("a", "b")
    for name in ("one", "two", "three"):
        fill(net, "a", 20, bucket(net["a"].site, name))
    net.fullsync("a", "b")
    net["a"].site.metadata.reads.clear()
    before = net.calls.copy()

    run = net.fullsync("a", "b")

    assert (State.COMPLETE, 3, 3, 0, 0) == (
        run.state,
        run.tally.compared,
        run.tally.nodes,
        run.tally.entries,
        run.tally.sent,
    )
    assert {"hello": 1, "fold": 1, "accounts": 1, "tree": 3, "incomplete": 1} == {
        verb: count - before["a", "b", verb]
        for (_, _, verb), count in net.calls.items()
        if count > before["a", "b", verb]
    }
    assert 0 == net["a"].site.metadata.reads[Table.KEYS]


def test_cost_grows_with_the_differences():
    """2,000 keys of which 20 differ: 20 records are read and sent, and at most 17 nodes a difference."""
    net = unlinked("a", "b")
    photos = fill(net, "a", 2000)
    net.fullsync("a", "b")
    for n in range(0, 2000, 100):
        put(net["a"].site, photos, f"key{n:05}", b"changed")
    tree.fold(net["a"].site)
    net["a"].site.metadata.reads.clear()

    run = net.fullsync("a", "b")

    assert (20, 20) == (run.tally.sent, run.tally.applied)
    assert run.tally.nodes <= 1 + 16 + 20 * 16
    assert run.tally.entries <= 20 * 2 * 2000 // 256 + 200
    assert 20 == net["a"].site.metadata.reads[Table.KEYS]
    assert equal(net, "a", "b")


def test_every_difference_is_found():
    """New at the source, changed, deleted, missing at the sink: all end equal."""
    net = unlinked("a", "b")
    photos = fill(net, "a", 300)
    net.fullsync("a", "b")
    a = net["a"].site
    put(a, photos, "new", b"n")
    put(a, photos, "key00001", BODY)
    remove(a, photos, "key00002")
    put(a, photos, "key00002", b"again")
    remove(a, photos, "key00003")

    net.fullsync("a", "b")

    assert equal(net, "a", "b")
    assert BODY == text(net["b"].site, photos.id, "key00001")


def test_what_is_newer_at_the_sink_stays():
    """Counted, not overwritten; what only the sink has is counted too."""
    net = unlinked("a", "b")
    photos = fill(net, "a", 3)
    net.fullsync("a", "b")
    net.clock.advance(1000)
    put(net["b"].site, net.bucket("b"), "key00001", b"newer")
    put(net["b"].site, net.bucket("b"), "only here", b"x")

    run = net.fullsync("a", "b")

    assert (1, 1, 0) == (run.tally.newer_at_sink, run.tally.only_at_sink, run.tally.applied)
    assert b"newer" == text(net["b"].site, photos.id, "key00001")


def test_both_ways_ends_equal():
    """One run each way, and a further one moves nothing."""
    net = unlinked("a", "b").link("b", "a", enabled=False)
    photos = fill(net, "a", 100)
    net.fullsync("a", "b")
    net.clock.advance(1000)
    for name in ("a", "b"):
        for n in range(0, 100, 7):
            put(net[name].site, net.bucket(name), f"key{n:05}", name.encode())
            put(net[name].site, net.bucket(name), f"{name}{n}", BODY)

    net.fullsync("a", "b")
    net.fullsync("b", "a")

    assert equal(net, "a", "b")
    assert (0, 0) == (net.fullsync("a", "b").tally.sent, net.fullsync("b", "a").tally.sent)
    assert {b"b"} == {text(net[name].site, photos.id, "key00007") for name in "ab"}


def test_down_a_chain():
    """As many runs as the chain is long bring everything to its end."""
    net = unlinked("a", "b", "c")
    photos = fill(net, "a", 50, body=BODY)

    net.fullsync("a", "b")
    net.fullsync("b", "c")

    assert equal(net, "a", "b", "c")
    assert 50 == len(keys(net["c"].site, photos.id))


def test_a_deleted_bucket_goes_over():
    """Its tombstones and its state: the sink no longer shows it."""
    net = unlinked("a", "b")
    net["a"].names.decide("create_bucket", {"name": "photos", "owner": "ann"})
    photos = net.bucket("a")
    put(net["a"].site, photos, "k")
    net.fullsync("a", "b")
    remove(net["a"].site, photos, "k")
    net["a"].links.change(dict.clear)
    net["a"].names.decide("delete_bucket", {"name": "photos", "owner": "ann"})
    net.link("a", "b", enabled=False)

    net.fullsync("a", "b")

    assert [] == list(accounts.named_buckets(net["b"].site))
    assert equal(net, "a", "b")


def test_missing_blocks_are_repaired():
    """Records without their blocks are named by the sink and completed, though no tree differs."""
    net = Net("a", "b").link("a", "b")
    photos = net.make_bucket()
    for n in range(120):
        put(net["a"].site, photos, f"k{n}", b"x" * 5 * KIB)
    net.records_only()
    net["a"].outbox("b").drop()

    run = net.fullsync("a", "b")

    assert (State.COMPLETE, 120, 0) == (run.state, run.tally.completed, run.tally.sent)
    assert [] == net["b"].sink_of(net["b"].links.read().get("a")).incomplete("", 10)
    assert 120 == len(list(net["b"].site.blocks.uploads()))


def test_a_lost_block_does_not_stop_the_run():
    """One object cannot be completed: counted as failed, the rest goes over, and it is not complete."""
    net = unlinked("a", "b")
    photos = fill(net, "a", 10, body=BODY)
    broken = put(net["a"].site, photos, "broken", BODY)
    inner_blocks(net["a"].site).delete(BlockId(broken.upload, "0", 2))

    run = net.fullsync("a", "b")

    assert State.INCOMPLETE is run.state
    assert run.tally.failed
    assert 11 == len(keys(net["b"].site, photos.id))
    net.cut.add(("b", "a"))
    assert BODY == text(net["b"].site, photos.id, "key00003")


def test_a_held_record_makes_the_run_incomplete():
    """A sink whose clock is an hour behind holds everything: said so, nothing merged, later repaired."""
    net = unlinked("a", "b")
    photos = fill(net, "a", 5)
    net.fullsync("a", "b")
    slow = type(net.clock)(net.clock.now_ms() - 3_600_000)
    whole = net["b"]
    net.nodes["b"] = replace(whole, site=replace(whole.site, clock=slow))
    put(net["a"].site, photos, "key00001", b"changed")

    run = net.fullsync("a", "b")
    assert (State.INCOMPLETE, 1) == (run.state, run.tally.held)

    net.nodes["b"] = whole
    assert State.COMPLETE is net.fullsync("a", "b").state
    assert equal(net, "a", "b")


def test_dry_run():
    """Shows how many records would go, and sends none."""
    net = unlinked("a", "b")
    photos = fill(net, "a", 70)
    net.fullsync("a", "b")
    for n in range(30):
        put(net["a"].site, photos, f"key{n:05}", b"changed")
    before = net.calls["a", "b", "apply"]

    run = net.fullsync("a", "b", dry_run=True)

    assert (30, 0) == (run.tally.would_send, run.tally.sent)
    assert 0 == net.calls["a", "b", "apply"] - before
    assert not equal(net, "a", "b")
    assert run.completed_ms < net.clock.now_ms() + 1
    assert 30 == net.fullsync("a", "b").tally.applied


def test_a_sink_that_is_full_stops_the_run_where_it_is():
    """The error is shown; the next drive goes on from there."""
    net = unlinked("a", "b")
    fill(net, "a", 3, body=BODY)
    inner = inner_blocks(net["b"].site)

    class Full(type(inner)):
        def put(self, block_id, body):
            raise NoRoom("no space left")

    net["b"].site.blocks._inner = Full()
    run = net.fullsync("a", "b")
    assert (State.RUNNING, "NoRoom: no space left") == (run.state, run.error)

    net["b"].site.blocks._inner = inner
    run = net["a"].drive_fullsync("b", 1000)
    assert (State.COMPLETE, "") == (run.state, run.error)


def test_many_buckets():
    """350 buckets: a step compares a bounded number of roots, the run's row stays small, all arrive."""
    net = unlinked("a", "b")
    for n in range(350):
        put(net["a"].site, bucket(net["a"].site, f"bucket{n:04}"), "k")

    net.fullsync("a", "b")
    longest = steps = 0
    net["a"].start_fullsync("b")
    while net["a"].runs.read("b").state is State.RUNNING:
        before = net.calls["a", "b", "tree"]
        net["a"].drive_fullsync("b", 0)
        longest = max(longest, net.calls["a", "b", "tree"] - before)
        steps += 1

    assert equal(net, "a", "b")
    assert longest <= COMPARES_MAX
    assert steps >= 4


def test_keys_written_meanwhile_are_not_lost():
    """A key that changes while the run goes on is found by it or by the next one."""
    net = unlinked("a", "b")
    photos = fill(net, "a", 200)
    net["a"].start_fullsync("b")

    for n in range(40):
        put(net["a"].site, photos, f"key{n:05}", b"changed")
        net["a"].drive_fullsync("b", 0)
    while net["a"].drive_fullsync("b", 0) is not None:
        pass
    net.fullsync("a", "b")

    assert equal(net, "a", "b")


def test_accounts_go_first():
    """A bucket is known at the sink before its records are."""
    net = unlinked("a", "b")
    fill(net, "a", 5)

    net.fullsync("a", "b")

    assert ["hello", "fold", "accounts", "apply", "tree"] == [verb for _, _, verb in net.called][:5]


def test_a_step_copies_a_bounded_number_of_bytes(monkeypatch):
    """However large the objects that lack blocks, a unit of work ends soon after its share of bytes."""
    monkeypatch.setattr(fullsync, "BLOCK_BYTES_MAX", 300 * KIB)
    net = unlinked("a", "b")
    fill(net, "a", 12, body=BODY)
    net["a"].start_fullsync("b")
    most = 0

    while net["a"].runs.read("b").state is State.RUNNING:
        before = net.calls["a", "b", "put_block"]
        net["a"].drive_fullsync("b", 0)
        most = max(most, net.calls["a", "b", "put_block"] - before)

    assert 8 == most
    assert (12, State.COMPLETE) == (net["a"].runs.read("b").tally.completed, net["a"].runs.read("b").state)


def test_what_only_the_sink_has_is_counted():
    """However it is spread over the tree: what a sink of a one-way link wrote itself is told, not lost."""
    net = unlinked("a", "b")
    fill(net, "a", 100)
    put(net["a"].site, bucket(net["a"].site, "films"), "k")
    net.fullsync("a", "b")
    for n in range(300):
        put(net["b"].site, net.bucket("b"), f"only at b {n}")

    run = net.fullsync("a", "b")

    assert (300, 0, State.COMPLETE) == (run.tally.only_at_sink, run.tally.sent, run.state)
