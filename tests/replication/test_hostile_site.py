"""What a linked site that turned hostile cannot do: overwrite blocks, read or change what stays home."""

from dataclasses import replace

import pytest

from chalicelib.domain import codec
from chalicelib.domain.errors import Refused
from chalicelib.domain.hashtree import EMPTY
from chalicelib.domain.manifest import Block, part_refs
from chalicelib.domain.names import key_hash
from chalicelib.domain.stamp import Stamp
from chalicelib.objects import accounts, get
from chalicelib.objects.commit import OpenBucket
from chalicelib.ports.peers import Delivery, Outcome
from chalicelib.replication import setup
from chalicelib.replication.links import LINKS
from tests.builders import KIB, Net, put, text


@pytest.fixture
def net():
    """a and b stream to each other."""
    return Net("a", "b").both_ways("a", "b")


def seen_by(net, at, link):
    """What `link` meets when it asks `at`."""
    return net[at].sink_of(net[at].links.read().get(link))


def test_a_block_is_only_taken_as_the_record_names_it(net):
    """A peer that says of a block what it must be is not believed: the key's own record says it."""
    photos = net.make_bucket()
    record = put(net["a"].site, photos, "big", b"x" * (100 * KIB))
    ref = next(part_refs(record, record.parts))
    forged = b"y" * ref.block.size
    hashing = net["a"].site.hashing
    lie = replace(ref, block=Block(len(forged), hashing.hash(forged), hashing.check(forged)))

    with pytest.raises(Refused):
        seen_by(net, "a", "b").put_block(lie, forged)

    assert b"x" * (100 * KIB) == text(net["a"].site, photos.id, "big")


def test_a_whole_block_is_not_written_again(net):
    """A block that is here and true stays the file it is, whoever sends it once more."""
    photos = net.make_bucket()
    record = put(net["a"].site, photos, "big", b"x" * (100 * KIB))
    ref = next(part_refs(record, record.parts))
    body = net["a"].site.blocks.get(ref)
    written = []
    net["a"].site.blocks.put = lambda *args: written.append(args)

    seen_by(net, "a", "b").put_block(ref, body)

    assert [] == written


def test_a_bucket_that_stays_home_shows_a_stranger_nothing(net):
    """Tree, entries, incomplete and wanted tell a site that may not hold a bucket nothing about it."""
    home = net.make_bucket(sites=["a"])
    put(net["a"].site, home, "payroll", b"x")
    door = seen_by(net, "a", "b")

    assert [EMPTY] == door.tree(home.id, [""])
    assert [] == door.entries(home.id, "")
    assert [] == door.wanted(home.id, key_hash("payroll"))


def test_a_stranger_cannot_write_into_a_bucket_that_stays_home(net):
    """A tombstone from a site that may not hold the bucket is refused, and the object stays."""
    home = net.make_bucket(sites=["a"])
    record = put(net["a"].site, home, "payroll", b"x")
    later = replace(record, stamp=Stamp(record.stamp.ms + 1, 0, "b"), live=False)

    answer = seen_by(net, "a", "b").apply([Delivery("object", codec.encode_record(later), ("b",))])[0]

    assert Outcome.REFUSED is answer.outcome
    assert get.head(net["a"].site, home.id, "payroll")


def test_a_commit_that_read_old_links_is_made_again(net):
    """Enabling a link between a commit's look at the links and its transaction leaves nothing unannounced."""
    photos = net.make_bucket()
    net.deliver()
    setup.realtime(net["a"], "b", "disable")
    site = net["a"].site
    writes, told = site.announcer.writes, []

    def enabled_meanwhile(owed):
        found = writes(owed)
        if not told:
            told.append(True)
            setup.realtime(net["a"], "b", "enable")
        return found

    site.announcer.writes = enabled_meanwhile
    put(site, OpenBucket(photos.bucket, photos.form), "key", b"x")

    assert any(w.row == LINKS for w in writes([]))
    assert 1 == sum(owing.item.kind == "object" for _, owing in net["a"].outbox("b").all())
    assert accounts.find_bucket(site, photos.id)
