"""Who owes whom the blocks of an object that is copied onto itself, or replaced, while they are on their
way. Found by tests/simulation."""

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.manifest import part_refs
from chalicelib.domain.names import key_hash
from chalicelib.objects import rows
from chalicelib.objects.copy import copy_object
from chalicelib.objects.get import current
from chalicelib.objects.put import PutRequest
from chalicelib.ports.metadata import Delete
from chalicelib.replication import status
from chalicelib.replication.outbox import RECORD, SMALL
from tests.builders import Net, inner_blocks, put, remove, text

BODY = bytes(range(256)) * 1000  # four blocks


@pytest.fixture
def net():
    """a and b stream to each other."""
    return Net("a", "b").both_ways("a", "b")


def copied_onto_itself(net, record):
    """b gives the object new metadata before its blocks have arrived there."""
    request = PutRequest("k", "ann", metadata=(("colour", "blue"),))
    return copy_object(net["b"].site, record, net.bucket("b"), request)


def here(net, at, record):
    return len(list(inner_blocks(net[at].site).list_upload(record.upload)))


def test_a_copy_onto_itself_holds_its_bytes(net):
    """b's record no longer needs a: a may collect what it superseded itself."""
    photos = net.make_bucket()
    record = put(net["a"].site, photos, "k", BODY)
    net["a"].serve_records(net["a"].links.read().get("b"))

    copied_onto_itself(net, record)

    assert 4 == here(net, "b", record)
    assert 0 == status.incomplete_records(net["b"])
    net["b"].links.change(dict.clear)  # no proxy_get could help now
    assert BODY == text(net["b"].site, photos.id, "k")


def test_a_copy_onto_itself_waits_for_its_bytes(net):
    """They are nowhere to be had: nothing is acknowledged that rests on them."""
    photos = net.make_bucket()
    record = put(net["a"].site, photos, "k", BODY)
    net["a"].serve_records(net["a"].links.read().get("b"))
    net.cut |= {("a", "b"), ("b", "a")}

    with pytest.raises(Unavailable):
        copied_onto_itself(net, record)

    assert record == current(net["b"].site, photos.id, key_hash("k"))


def test_a_key_replaced_at_the_sink_is_not_incomplete_for_ever(net):
    """What was incomplete is gone at both sites; a fullsync takes it off the sink's list."""
    photos = net.make_bucket()
    put(net["a"].site, photos, "k", BODY)
    net["a"].serve_records(net["a"].links.read().get("b"))
    remove(net["b"].site, net.bucket("b"), "k")
    net["b"].serve_all(net["b"].links.read().get("a"))  # so that a has nothing to send any more
    net.deliver()
    assert 1 == status.incomplete_records(net["b"])

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


def test_blocks_stay_owed_until_the_bucket_is_known(net):
    """A record may come before its bucket: what is not known to be wanted is not known to be there."""
    net.cut.add(("a", "b"))
    net["a"].names.decide("create_bucket", {"name": "photos", "owner": "ann"})
    photos = net.bucket("a")
    record = put(net["a"].site, photos, "k", BODY)
    link = net["a"].links.read().get("b")
    net.cut.clear()
    bucket, item = (owing for _, owing in list(net["a"].outbox("b").all()))
    assert ("bucket", "object") == (bucket.item.kind, item.item.kind)
    net["a"].outbox("b").retry(bucket, RECORD, "the sink holds it")

    net.deliver()

    assert record == current(net["b"].site, photos.id, key_hash("k"))
    assert [RECORD, SMALL] == sorted(stage for stage, _ in net.owed("a", "b"))
    net.clock.advance(1000)
    net["a"].serve_all(link)
    assert 4 == here(net, "b", record)


def test_a_block_of_a_bucket_not_known_yet_is_not_known(net):
    """Three answers: a site that cannot say who may have a block does not say that it has none."""
    photos = net.make_bucket()
    record = put(net["a"].site, photos, "k", BODY)
    net["a"].site.metadata.transact([Delete(rows.bucket(photos.id))])
    door = net["a"].sink_of(net["a"].links.read().get("b"))

    with pytest.raises(Unavailable):
        door.get_block(next(part_refs(record, record.parts)), ("b",))
