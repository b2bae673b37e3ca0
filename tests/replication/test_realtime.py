"""Realtime: what is committed at the source arrives at the sink, once, whatever happens on the way."""

import pytest

from chalicelib.domain.manifest import BlockId
from chalicelib.objects.copy import copy_object
from chalicelib.objects.put import PutRequest
from chalicelib.ports.site import Rules
from chalicelib.replication.outbox import LARGE, RECORD, SMALL
from tests.builders import (
    KIB,
    Net,
    inner_blocks,
    keys,
    put,
    remove,
    text,
    through_door,
)

BODY = bytes(range(256)) * 1000  # four blocks


@pytest.fixture(params=["sink", "door"])
def net(request):
    """a streams to b, by direct calls or signed and packed."""
    over = {"over": through_door} if request.param == "door" else {}
    return Net("a", "b", **over).link("a", "b")


@pytest.fixture
def a(net):
    return net["a"].site


@pytest.fixture
def b(net):
    return net["b"].site


def test_record_then_blocks(net, photos, a, b):
    """The record is visible at the sink first, its blocks follow, then nothing is owed."""
    put(a, photos, "k", BODY)
    assert [RECORD] == [stage for stage, _ in net.owed("a", "b")]

    net.records_only()
    assert ["k"] == keys(b, photos.id)
    assert [SMALL] == [stage for stage, _ in net.owed("a", "b")]
    assert [] == list(b.blocks.uploads())

    net.deliver()
    assert [] == net.owed("a", "b")
    net["b"].links.change(dict.clear)  # no proxy_get could help now
    assert BODY == text(b, photos.id, "k")


def test_everything_a_client_does(net, photos, a, b):
    """Small, large, empty, overwritten, deleted, copied: the sink shows what the source shows."""
    put(a, photos, "empty", b"")
    put(a, photos, "small", b"hello")
    large = put(a, photos, "large", BODY)
    put(a, photos, "over", BODY)
    put(a, photos, "over", b"written")
    put(a, photos, "gone", BODY)
    remove(a, photos, "gone")
    copy_object(a, large, photos, PutRequest("copied", "ann"))
    copy_object(a, large, photos, PutRequest("large", "ann", metadata=(("a", "b"),)))

    net.deliver()

    assert keys(a, photos.id) == keys(b, photos.id)
    assert [text(a, photos.id, k) for k in keys(a, photos.id)] == [
        text(b, photos.id, k) for k in keys(a, photos.id)
    ]
    assert [] == net.owed("a", "b")


def test_an_object_with_an_index(a):
    """Index blocks go first, then what they name."""
    net = Net("a", "b", rules=Rules(block_size=KIB, inline_max=8)).link("a", "b")
    photos = net.make_bucket()
    put(net["a"].site, photos, "k", BODY * 6)

    net.deliver()

    assert [] == net.owed("a", "b")
    net.cut.add(("b", "a"))
    assert BODY * 6 == text(net["b"].site, photos.id, "k")


def test_a_second_upload_of_the_same_bytes_is_another_upload(net, photos, a, b):
    """No block is shared between uploads, so each can be collected alone."""
    one, two = put(a, photos, "one", BODY), put(a, photos, "two", BODY)

    net.deliver()

    assert sorted([one.upload, two.upload]) == list(b.blocks.uploads())


def test_superseded_items_are_dropped(net, photos, a):
    """Ten writes of one key while the link is stopped: one record goes over."""
    for n in range(10):
        put(a, photos, "k", str(n).encode())
    before = net["a"].counters.all()["records_sent_total", "b"]

    net.deliver()

    assert 1 == net["a"].counters.all()["records_sent_total", "b"] - before
    assert [] == net.owed("a", "b")


def test_blocks_of_a_superseded_record_are_not_sent(net, photos, a, b):
    """Its blocks were owed when the next record came: they stay at home."""
    put(a, photos, "k", BODY)
    net.records_only()
    put(a, photos, "k", b"newer")

    net.deliver()

    assert [] == net.owed("a", "b")
    assert [] == list(b.blocks.uploads())


def test_a_sink_that_is_newer_keeps_what_it_has(net, photos, a, b):
    """The older record is answered with HAVE and settled."""
    old = put(a, photos, "k", BODY)
    net.clock.advance(1000)
    put(b, net.bucket("b"), "k", b"newer")

    net.deliver()

    assert b"newer" == text(b, photos.id, "k")
    assert [] == net.owed("a", "b")
    assert old.upload not in list(b.blocks.uploads())


def test_a_restart_forgets_nothing(net, photos, a, b):
    """Whatever is owed lies in the store, not in a process."""
    put(a, photos, "k", BODY)
    net.records_only()
    net.restart("a")
    net.restart("b")

    net.deliver()

    assert BODY == text(b, photos.id, "k")
    assert [] == net.owed("a", "b")


def test_a_stopped_link_keeps_what_it_owes(net, photos, a, b):
    """Stopped: owed, not sent. Started again: sent."""
    net["a"].links.update("b", started=False)
    put(a, photos, "k", b"x")

    net.deliver()
    assert ([], 1) == (keys(b, photos.id), len(net.owed("a", "b")))

    net["a"].links.update("b", started=True)
    net.deliver()
    assert ["k"] == keys(b, photos.id)


def test_a_disabled_link_owes_nothing(net, photos, a):
    """What is committed while it is disabled is left to a fullsync."""
    net["a"].links.update("b", enabled=False)

    put(a, photos, "k", b"x")

    assert [] == net.owed("a", "b")


def test_large_objects_have_a_lane_of_their_own(net, photos, a, b, monkeypatch):
    """A small object's blocks arrive though a large one is stuck."""
    monkeypatch.setattr("chalicelib.replication.outbox.LARGE_BYTES", 300 * KIB)
    stuck = put(a, photos, "large", BODY * 2)
    put(a, photos, "small", BODY)
    inner_blocks(a).delete(BlockId(stuck.upload, "0", 0))

    net.deliver()

    assert [LARGE] == [stage for stage, _ in net.owed("a", "b")]
    assert BODY == text(b, photos.id, "small")


def test_many_records_go_in_batches(net, photos, a, b):
    """250 records in three requests."""
    for n in range(250):
        put(a, photos, f"{n:03}", b"x")
    before = net.calls["a", "b", "apply"]

    net.deliver()

    assert 250 == len(keys(b, photos.id))
    if before:
        assert 3 == net.calls["a", "b", "apply"] - before
