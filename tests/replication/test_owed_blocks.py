"""Who owes whom the blocks of an object that is copied onto itself, or replaced, while they are on their
way. Found by tests/simulation."""

import pytest

from chalicelib.domain.errors import Indeterminate, Unavailable
from chalicelib.objects.copy import copy_object
from chalicelib.objects.put import PutRequest
from chalicelib.replication import status
from chalicelib.replication.outbox import RECORD
from tests.builders import Net, inner_blocks, put, remove

BODY = bytes(range(256)) * 1000  # four blocks


@pytest.fixture
def net():
    """a and b stream to each other."""
    return Net("a", "b").both_ways("a", "b")


def serve(net, at, other):
    """Everything `at` owes, its own lanes only."""
    while net[at].serve_all(net[at].links.read().get(other)):
        pass


def copied_onto_itself(net, photos, record):
    """b gives the object new metadata before its blocks have arrived there."""
    request = PutRequest("k", "ann", metadata=(("colour", "blue"),))
    return copy_object(net["b"].site, record, net.bucket("b"), request)


def here(net, at, record):
    return len(list(inner_blocks(net[at].site).list_upload(record.upload)))


def test_the_sinks_copy_onto_itself_still_gets_its_blocks(net):
    """a promised b the blocks; b's newer record over them does not release a."""
    photos = net.make_bucket()
    record = put(net["a"].site, photos, "k", BODY)
    net["a"].serve_records(net["a"].links.read().get("b"))
    copied_onto_itself(net, photos, record)
    serve(net, "b", "a")

    serve(net, "a", "b")

    assert (4, 4) == (here(net, "a", record), here(net, "b", record))
    assert [] == net.owed("a", "b")
    assert 0 == status.incomplete_records(net["b"])


def test_so_it_does_when_the_first_answer_was_lost(net):
    """The record arrived, a was not told so, and b's copy is back before a asks again."""
    photos = net.make_bucket()
    record = put(net["a"].site, photos, "k", BODY)
    net.lost_answers += [Indeterminate("of apply"), Unavailable("of hello")]
    net["a"].serve_records(net["a"].links.read().get("b"))
    assert [RECORD] == [stage for stage, _ in net.owed("a", "b")]
    copied_onto_itself(net, photos, record)
    serve(net, "b", "a")

    serve(net, "a", "b")

    assert 4 == here(net, "b", record)
    assert [] == net.owed("a", "b")


def test_a_key_replaced_at_the_sink_is_not_incomplete_for_ever(net):
    """What was incomplete is gone at both sites; a fullsync takes it off the sink's list."""
    photos = net.make_bucket()
    put(net["a"].site, photos, "k", BODY)
    net["a"].serve_records(net["a"].links.read().get("b"))
    remove(net["b"].site, net.bucket("b"), "k")
    net.deliver()

    net.fullsync("a", "b")

    assert 0 == status.incomplete_records(net["b"])


def test_a_fullsync_starts_no_echo():
    """What a stamped reaches b only through c's fullsync: b does not offer it back to a."""
    net = Net("a", "b", "c").both_ways("a", "b").chain("a", "c", "b")
    photos = net.make_bucket()
    net.cut |= {("a", "b"), ("c", "b")}
    put(net["a"].site, photos, "k")
    net.deliver()
    net.cut.discard(("c", "b"))

    net.fullsync("c", "b")

    assert [] == net.owed("b", "a")
