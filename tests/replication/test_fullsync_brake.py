"""The brake: a fullsync stops and asks rather than spread a disaster."""

from dataclasses import replace

import pytest

from chalicelib.objects import rows
from chalicelib.ports.metadata import Put, Table
from chalicelib.replication.runs import State
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
