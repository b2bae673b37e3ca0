"""The contract of ports/peers.py. A Peer passes it by overriding the `over` fixture.

class TestSink(PeerContract):
    @pytest.fixture
    def over(self):
        return Wire                      # over(net, me, link) → Peer

Sites a and b stream to each other; `peer` is b as a sees it. `photos` is a bucket both know.
"""

from dataclasses import replace

import pytest

from chalicelib.domain import codec
from chalicelib.domain.account import BucketState
from chalicelib.domain.errors import Indeterminate, Refused, Unavailable
from chalicelib.domain.forms import encode_bucket
from chalicelib.domain.hashtree import EMPTY
from chalicelib.domain.manifest import Record, part_refs
from chalicelib.domain.names import key_hash
from chalicelib.domain.stamp import SKEW_MAX_MS, Stamp
from chalicelib.objects import accounts, tree
from chalicelib.objects.errors import NoSuchBucket
from chalicelib.objects.get import current
from chalicelib.ports.peers import Delivery, Outcome
from chalicelib.replication import replicated_accounts
from tests.builders import START_MS, Net, inner_blocks, keys, put, remove, text

LARGE = bytes(range(256)) * 600  # three blocks


def sent(record, *has):
    """A record on its way."""
    return Delivery("object", codec.encode_record(record), has or ("a",))


def blocks_of(record):
    """Every block a plain PUT's record names."""
    return list(part_refs(record, record.parts))


class PeerContract:
    """What every way to reach another site promises."""

    @pytest.fixture
    def net(self, over):
        return Net("a", "b", over=over).both_ways("a", "b")

    @pytest.fixture
    def photos(self, net):
        return net.make_bucket()

    @pytest.fixture
    def peer(self, net, photos):
        return net["a"].dial(net["a"].links.read().get("b"))

    @pytest.fixture
    def here(self, net):
        return net["a"].site

    @pytest.fixture
    def there(self, net):
        return net["b"].site

    def outcomes(self, answers):
        return [answer.outcome for answer in answers]

    # ---------------------------------------------------------------- records

    def test_hello(self, peer, there):
        """Who answers, which life of it, whom it takes for the primary, what to seal for."""
        hello = peer.hello()

        assert ("b", "b-life-1", "a", 2) == (hello.site, hello.incarnation, hello.primary, hello.version)
        assert (START_MS, False) == (hello.now_ms, hello.read_only)
        assert there.vault.public_key() == hello.public_key

    def test_an_inline_record(self, peer, here, there, photos):
        """Applied, readable at once; the second time it has it."""
        record = put(here, photos, "k", b"hello")

        assert [Outcome.APPLIED] == self.outcomes(peer.apply([sent(record)]))
        assert [Outcome.HAVE] == self.outcomes(peer.apply([sent(record)]))

        assert b"hello" == text(there, photos.id, "k")

    def test_an_older_record_changes_nothing(self, peer, here, there, photos):
        """It has something newer."""
        old = put(here, photos, "k", b"old")
        new = put(here, photos, "k", b"new")

        answers = peer.apply([sent(new), sent(old)])

        assert [Outcome.APPLIED, Outcome.HAVE] == self.outcomes(answers)
        assert b"new" == text(there, photos.id, "k")

    def test_a_tombstone(self, peer, here, there, photos):
        """Applied; the record it deleted no longer gets in."""
        record = put(here, photos, "k")
        remove(here, photos, "k")
        dead = head_of(here, photos, "k")

        assert [Outcome.APPLIED, Outcome.HAVE] == self.outcomes(peer.apply([sent(dead), sent(record)]))
        assert [] == keys(there, photos.id)

    def test_a_record_with_blocks(self, peer, here, there, photos):
        """Its blocks are owed until every one has arrived, and only then it has it."""
        record = put(here, photos, "k", LARGE)
        hashed = key_hash("k")

        assert [Outcome.BLOCKS] == self.outcomes(peer.apply([sent(record)]))
        assert [Outcome.BLOCKS] == self.outcomes(peer.apply([sent(record)]))
        assert [ref.id for ref in blocks_of(record)] == peer.wanted(photos.id, hashed)
        for ref in blocks_of(record):
            assert ref.id in peer.wanted(photos.id, hashed)
            peer.put_block(ref, here.blocks.get(ref))
        assert [] == peer.wanted(photos.id, hashed)
        assert [Outcome.HAVE] == self.outcomes(peer.apply([sent(record)]))

        assert LARGE == text(there, photos.id, "k")

    def test_one_answer_each_in_order(self, peer, here, there, photos):
        """What is no record is refused and keeps no other waiting."""
        good = [put(here, photos, f"k{n}") for n in range(3)]
        bad = [Delivery("object", b"garbage", ("a",)), Delivery("nonsense", b"{}", ("a",))]
        key_too_long = sent(Record(photos.id, "k" * 1025, Stamp(START_MS, 0, "a"), False, 1))

        answers = peer.apply([sent(good[0]), bad[0], sent(good[1]), bad[1], key_too_long, sent(good[2])])

        applied, refused = Outcome.APPLIED, Outcome.REFUSED
        assert [applied, refused, applied, refused, refused, applied] == self.outcomes(answers)
        assert all(answer.reason for answer in answers if answer.outcome is refused)
        assert ["k0", "k1", "k2"] == keys(there, photos.id)

    def test_not_too_many_at_a_time(self, peer, here, photos):
        """A hundred records; one more is refused as a whole."""
        record = sent(put(here, photos, "k"))

        assert 100 == len(peer.apply([record] * 100))
        with pytest.raises(Refused):
            peer.apply([record] * 101)

    def test_a_stamp_too_far_ahead_is_held(self, peer, there, photos):
        """Told with its stamp, and nothing is merged until the clock reaches it."""
        ahead = Record(photos.id, "k", Stamp(START_MS + SKEW_MAX_MS + 1, 0, "a"), False, 1)

        (answer,) = peer.apply([sent(ahead)])

        assert Outcome.HELD is answer.outcome
        assert str(ahead.stamp) in answer.reason

    # ----------------------------------------------------------------- blocks

    def test_wrong_bytes_are_refused(self, peer, here, there, photos):
        """A block that fails its hash is not filed."""
        record = put(here, photos, "k", LARGE)
        peer.apply([sent(record)])
        ref = blocks_of(record)[0]

        for body in (b"x" * ref.block.size, here.blocks.get(ref)[:-1], b""):
            with pytest.raises(Refused):
                peer.put_block(ref, body)

        assert [] == list(there.blocks.uploads())

    def test_a_block_without_a_record_is_refused(self, peer, here, there, photos):
        """Nothing there names the upload: it could never be collected."""
        (ref, *_) = blocks_of(put(here, photos, "k", LARGE))

        with pytest.raises(Refused):
            peer.put_block(ref, here.blocks.get(ref))

        assert [] == list(there.blocks.uploads())

    def test_a_block_twice(self, peer, here, there, photos):
        """A replay has no effect."""
        record = put(here, photos, "k", LARGE)
        peer.apply([sent(record)])

        for ref in blocks_of(record) * 2:
            peer.put_block(ref, here.blocks.get(ref))

        assert LARGE == text(there, photos.id, "k")

    def test_get_block(self, peer, there, photos):
        """The block itself; None, definitely not, for what is not there."""
        record = put(there, photos, "k", LARGE)
        first, second, _ = blocks_of(record)
        inner_blocks(there).delete(second.id)

        assert LARGE[: first.block.size] == peer.get_block(first, ("a",))
        assert peer.get_block(second, ("a",)) is None

    def test_get_block_of_an_unknown_upload(self, peer, here, photos):
        """None: that site never heard of it."""
        (ref, *_) = blocks_of(put(here, photos, "k", LARGE))

        assert peer.get_block(ref, ("a",)) is None

    def test_a_damaged_block_is_not_handed_out(self, peer, there, photos):
        """None rather than wrong bytes."""
        (ref, *_) = blocks_of(put(there, photos, "k", LARGE))
        inner_blocks(there).put(ref.id, b"x" * ref.block.size)

        assert peer.get_block(ref, ("a",)) is None

    def test_proxy_get_must_be_enabled(self, net, peer, there, photos):
        """Else Refused."""
        (ref, *_) = blocks_of(put(there, photos, "k", LARGE))
        net["b"].links.update("a", proxy_get=False)
        net.clock.advance(31_000)  # past every cache of links

        with pytest.raises(Refused):
            peer.get_block(ref, ("a",))

    # --------------------------------------------------------------- fullsync

    def test_trees_of_equal_sites_are_equal(self, peer, here, photos):
        """Root, nodes and entries; nothing that differs by site gets into them."""
        for n in range(20):
            peer.apply([sent(put(here, photos, f"k{n}", b"x" * n))])
        tree.fold(here)
        assert peer.fold("run", 1000)

        for prefixes in ([""], ["a", "b", "0000"]):
            assert tree.nodes(here, photos.id, prefixes) == peer.tree(photos.id, prefixes)
        for prefix in ("", "a", "ab"):
            assert tree.entries(here, photos.id, prefix) == peer.entries(photos.id, prefix)

    def test_the_tree_of_an_unknown_bucket(self, peer):
        """Empty."""
        assert [EMPTY] == peer.tree("nothing", [""])
        assert [] == peer.entries("nothing", "")

    def test_the_root_counts_what_was_folded(self, peer, here, there, photos):
        """Everything that was committed before the run asked for it; a further run asks anew."""
        for n, run in enumerate(("one", "two")):
            put(there, photos, f"k{n}")

            assert n == peer.tree(photos.id, [""])[0].keys
            assert peer.fold(run, 1000)
            assert n + 1 == peer.tree(photos.id, [""])[0].keys

    def test_a_fold_without_time(self, peer, there, photos):
        """Says that it is not done; the next one is."""
        put(there, photos, "k")

        assert not peer.fold("run", 0)
        assert 0 == peer.tree(photos.id, [""])[0].keys
        assert peer.fold("run", 1000)
        assert 1 == peer.tree(photos.id, [""])[0].keys

    def test_incomplete(self, peer, here, photos):
        """Records without their blocks, in order, page by page; complete ones are not among them."""
        records = [put(here, photos, f"k{n}", LARGE) for n in range(5)]
        for record in records:
            peer.apply([sent(record)])
        for ref in blocks_of(records[0]):
            peer.put_block(ref, here.blocks.get(ref))
        peer.wanted(photos.id, key_hash("k0"))

        first = peer.incomplete("", 3)
        second = peer.incomplete("/".join(first[-1]), 3)

        assert sorted((photos.id, key_hash(f"k{n}")) for n in range(1, 5)) == first + second
        assert 3 == len(first)

    def test_accounts(self, net, peer, there):
        """Every user's and bucket's stamp."""
        user = net["a"].names.decide("create_user", {"name": "Ann"})
        form = replicated_accounts.seal_user(net["a"].site, user, there.vault.public_key())
        peer.apply([Delivery("user", form, ("a",))])

        stamps = peer.accounts()

        assert replicated_accounts.stamps(there) == stamps
        assert str(user.stamp) == stamps[f"user:{user.access_key}"]

    # ------------------------------------------------------------------ names

    def test_who_is_not_the_primary_does_not_decide(self, peer):
        """It says who does."""
        with pytest.raises(Refused, match="site a decides"):
            peer.decide("create_bucket", {"name": "films", "owner": "ann"}, "key1")

    def test_the_primary_decides_once(self, net, there):
        """The same idempotency key gets the same answer, another key is another question."""
        primary = net["b"].dial(net["b"].links.read().get("a"))
        films = {"name": "films", "owner": "ann"}

        answers = [primary.decide("create_bucket", films, key) for key in ("key1", "key1", "key2")]

        assert ("bucket", answers[0]) == (answers[0]["kind"], answers[1])
        assert "BucketAlreadyOwnedByYou" == answers[2]["refused"]
        assert 1 == len([b for b in accounts.named_buckets(net["a"].site) if b.name == "films"])

    def test_an_empty_bucket(self, peer, there, photos):
        """It is closed there before it is called empty: nothing more is acknowledged into it."""
        assert peer.bucket_empty(closing(photos), ("a", "b"))

        # Where a check in every transaction would make them collide, the look comes after the commit.
        with pytest.raises((NoSuchBucket, Indeterminate)):
            put(there, photos, "k")

    def test_a_bucket_that_is_not_empty(self, net, peer, there, photos):
        """A key keeps it; opened again by its newer stamp, it goes on, and no late question closes it."""
        put(there, photos, "k")

        assert not peer.bucket_empty(closing(photos), ("a", "b"))
        opened = encode_bucket(replace(photos.bucket, stamp=Stamp(START_MS + 2, 0, "a")))
        assert [Outcome.APPLIED] == self.outcomes(peer.apply([Delivery("bucket", opened, ("a",))]))
        put(there, net.bucket("b"), "k", b"goes on")

        with pytest.raises(Unavailable, match="opened again"):
            peer.bucket_empty(closing(photos), ("a", "b"))
        assert b"goes on" == text(there, photos.id, "k")

    def test_only_a_closing_bucket_is_asked_about(self, peer, photos):
        """Anything else is no question."""
        with pytest.raises(Refused):
            peer.bucket_empty(encode_bucket(photos.bucket), ())


def closing(bucket):
    """A bucket as its primary closes it."""
    stamp = Stamp(START_MS + 1, 0, "a")
    return encode_bucket(replace(bucket.bucket, state=BucketState.CLOSING, stamp=stamp))


def head_of(at, into, key):
    """Whatever is at the head of a key."""
    return current(at, into.id, key_hash(key))
