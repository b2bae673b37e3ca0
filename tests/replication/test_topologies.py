"""Who gets what: buckets that stay home, chains, rings and meshes."""

import pytest

from chalicelib.objects import accounts
from chalicelib.replication.outbox import RECORD
from tests.builders import KIB, MINUTE_MS, Net, keys, put, remove, text
from tests.conformance.peers import blocks_of, sent

BODY = bytes(range(256)) * 1000  # four blocks


class TestStaysHome:
    """Policy: what may leave a site."""

    @pytest.fixture
    def net(self):
        return Net("a", "b", "c").link("a", "b").link("a", "c").link("b", "c")

    def test_nothing_of_a_bucket_that_stays_home_leaves(self, net):
        """No record, no inline body, no block, by realtime or fullsync; settled, not owed for ever."""
        home = net.make_bucket("a", "home", sites=["a"])
        record = put(net["a"].site, home, "small", b"never leaves")
        put(net["a"].site, home, "large", BODY)

        net.deliver()
        run = net.fullsync("a", "b")

        assert [] == net.owed("a", "b")
        assert 0 == run.tally.sent
        for other in ("b", "c"):
            assert [] == keys(net[other].site, home.id)
            assert not any(
                record.inline in value
                for rows in net[other].site.metadata._partitions.values()
                for value in rows.values.values()
            )
        assert "complete" == run.state

    def test_some_sites_only(self, net):
        """A bucket for a and c reaches c from a, and never b."""
        some = net.make_bucket("a", "some", sites=["a", "c"])
        put(net["a"].site, some, "k", BODY)

        net.deliver()

        assert [] == keys(net["b"].site, some.id)
        assert BODY == text(net["c"].site, some.id, "k")

    def test_a_sink_refuses_what_it_may_not_hold(self, net):
        """Should a source send it all the same."""
        home = net.make_bucket("a", "home", sites=["a"])
        record = put(net["a"].site, home, "k", b"never leaves")

        (answer,) = net["a"].dial(net["a"].links.read().get("b")).apply([sent(record)])

        assert "refused" == answer.outcome
        assert "may not be held" in answer.reason

    def test_no_block_is_served_to_who_may_not_hold_it(self, net):
        """get_block answers as if it were not there."""
        home = net.make_bucket("a", "home", sites=["a"])
        (ref, *_) = blocks_of(put(net["a"].site, home, "k", BODY))

        assert net["b"].dial(net["b"].links.read().get("a")).get_block(ref, ("b",)) is None

    def test_a_record_before_its_bucket_waits(self, net):
        """At b the record is there and its bucket is not yet: it is kept for c, not dropped."""
        photos = net.make_bucket("a", "photos")
        films = net["a"].names.decide("create_bucket", {"name": "films", "owner": "ann"})
        put(net["a"].site, accounts.require_bucket(net["a"].site, "films"), "k", b"x")
        for _, owing in list(net["a"].outbox("b").all()):
            if owing.item.kind == "bucket":
                net["a"].outbox("b").retry(owing, RECORD, "late")
        net.cut.add(("a", "c"))

        net.deliver()
        ((_, item),) = net.owed("b", "c")
        assert "bucket has not arrived" in item.error

        net.clock.advance(MINUTE_MS)
        net.deliver()
        net.clock.advance(MINUTE_MS)
        net.deliver()
        assert ["k"] == keys(net["c"].site, films.id)
        assert [] == net.owed("b", "c")
        assert [] == keys(net["c"].site, photos.id)


class TestCascade:
    """Chains, rings and meshes."""

    def test_a_chain(self):
        """a → b → c: what a writes and deletes arrives at c, blocks too."""
        net = Net("a", "b", "c").chain("a", "b", "c")
        photos = net.make_bucket()
        put(net["a"].site, photos, "k", BODY)
        put(net["a"].site, photos, "gone", BODY)
        remove(net["a"].site, photos, "gone")

        net.deliver()

        net.cut |= {("c", "b"), ("c", "a")}
        assert BODY == text(net["c"].site, photos.id, "k")
        assert ["k"] == keys(net["c"].site, photos.id)

    @pytest.mark.parametrize("names", [["a", "b"], ["a", "b", "c"], ["a", "b", "c", "d"]])
    def test_a_ring(self, names):
        """Round a ring of any length each record is applied once at each site, and then all is quiet."""
        net = Net(*names).chain(*names, names[0])
        photos = net.make_bucket()
        for name in names:
            net.clock.advance(1)
            put(net[name].site, net.bucket(name), f"from {name}", BODY)

        net.deliver()

        for name in names:
            assert len(names) == len(keys(net[name].site, photos.id))
            assert [] == [one for other in names for one in net.owed(name, other)]
        # n objects, each to everybody but its own site; the bucket is a's, so only the last keeps it.
        for name in names:
            ((_, sent),) = [
                (k, n) for k, n in net[name].counters.all().items() if k[0] == "records_sent_total"
            ]
            assert len(names) - 1 + (name != names[-1]) == sent

    def test_no_loop(self):
        """b never sends a record back to where it came from."""
        net = Net("a", "b").both_ways("a", "b")
        photos = net.make_bucket()
        put(net["a"].site, photos, "k", BODY)

        net.deliver()

        assert 0 == net.calls["b", "a", "apply"]

    def test_a_mesh_with_rivals(self):
        """Three sites write one key at once: everywhere the same one wins."""
        net = Net("a", "b", "c")
        for one, other in (("a", "b"), ("b", "c"), ("a", "c")):
            net.both_ways(one, other)
        photos = net.make_bucket()
        for name in "abc":
            put(net[name].site, net.bucket(name), "k", name.encode() * 100 * KIB)

        net.deliver()

        assert {b"c" * 100 * KIB} == {text(net[name].site, photos.id, "k") for name in "abc"}
