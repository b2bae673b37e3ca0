"""Users and buckets across sites: sealed secrets, forwarded decisions, names that two sites want."""

from dataclasses import replace

import pytest

from chalicelib.domain.account import BucketState
from chalicelib.domain.errors import Corrupt, Indeterminate, Unavailable
from chalicelib.domain.forms import decode_user, encode_bucket, encode_user
from chalicelib.domain.stamp import Stamp
from chalicelib.objects import accounts
from chalicelib.objects.errors import BucketAlreadyExists, BucketNotEmpty, NoSuchBucket, UserAlreadyExists
from chalicelib.objects.names import secret_context
from chalicelib.ports.peers import Outcome
from chalicelib.replication import replicated_accounts
from tests.builders import MINUTE_MS, Net, bucket, keys, put, text, through_door

FROM_PRIMARY = replicated_accounts.Source("a", True)


@pytest.fixture(params=["sink", "door"])
def net(request):
    """a is the primary; a and b stream to each other."""
    over = {"over": through_door} if request.param == "door" else {}
    return Net("a", "b", **over).both_ways("a", "b")


def secret_at(node, user):
    """A user's secret in clear, as a site knows it."""
    found = accounts.find_user(node.site, user.access_key)
    return node.site.vault.open(found.secret, secret_context(user.access_key))


def make_user(net, at="a", name="Ann", **more):
    return net[at].names.decide("create_user", {"name": name, **more})


def make_bucket(net, at, name="photos", owner="ann"):
    return net[at].names.decide("create_bucket", {"name": name, "owner": owner})


class TestUsers:
    """A user made anywhere signs in everywhere."""

    def test_the_secret_arrives_re_wrapped(self, net):
        """The same secret at both sites, each under its own master key."""
        user = make_user(net)
        net.deliver()

        here, there = (accounts.find_user(net[name].site, user.access_key) for name in "ab")
        assert secret_at(net["a"], user) == secret_at(net["b"], user)
        assert here.secret != there.secret
        with pytest.raises(Corrupt):
            net["a"].site.vault.unwrap(there.secret, secret_context(user.access_key))

    def test_nothing_in_clear_goes_over_the_line(self, net):
        """What is sent holds neither the secret nor what only the sender can open."""
        user = make_user(net)
        secret = secret_at(net["a"], user)

        form = replicated_accounts.seal_user(net["a"].site, user, net["b"].site.vault.public_key())

        assert secret.encode() not in form
        assert user.secret not in form
        with pytest.raises(Corrupt):
            net["a"].site.vault.unseal(decode_user(form).secret, secret_context(user.access_key))

    def test_a_secret_sealed_for_somebody_else_is_refused(self, net):
        """It cannot be opened, so it is not stored; the reason is told."""
        user = make_user(net)
        form = replicated_accounts.seal_user(net["a"].site, user, net["a"].site.vault.public_key())

        answer = replicated_accounts.apply(net["b"].site, "user", form, ("a",), FROM_PRIMARY)

        assert Outcome.REFUSED is answer.outcome
        assert answer.reason
        assert accounts.find_user(net["b"].site, user.access_key) is None

    def test_a_disabled_user_is_disabled_everywhere(self, net):
        """And keeps the secret."""
        user = make_user(net)
        net["b"].names.decide("update_user", {"access_key": user.access_key, "enabled": False})
        net.deliver()

        assert [False, False] == [accounts.find_user(net[n].site, user.access_key).enabled for n in "ab"]
        assert secret_at(net["a"], user) == secret_at(net["b"], user)

    def test_a_new_secret_replaces_the_old_one_everywhere(self, net):
        """Asked for at b, decided at a, in force at both."""
        user = make_user(net)
        net.deliver()
        old = secret_at(net["b"], user)

        net["b"].names.decide("update_user", {"access_key": user.access_key, "new_secret": True})

        assert old != secret_at(net["b"], user) == secret_at(net["a"], user)

    def test_an_older_user_changes_nothing(self, net):
        """Any order of the same updates ends the same."""
        user = make_user(net)
        changed = net["a"].names.decide("update_user", {"access_key": user.access_key, "name": "Anna"})
        key = net["b"].site.vault.public_key()
        forms = [replicated_accounts.seal_user(net["a"].site, each, key) for each in (changed, user)]

        outcomes = [
            replicated_accounts.apply(net["b"].site, "user", form, (), FROM_PRIMARY).outcome for form in forms
        ]

        assert [Outcome.APPLIED, Outcome.HAVE] == outcomes
        assert "Anna" == accounts.find_user(net["b"].site, user.access_key).name

    def test_an_address_that_moved_from_one_user_to_another(self, net):
        """Whichever change arrives first, in the end the address is where the primary put it."""
        ann, bob = make_user(net, email="x@example.org"), make_user(net, name="Bob")
        net.deliver()
        ann = net["a"].names.decide("update_user", {"access_key": ann.access_key, "email": ""})
        bob = net["a"].names.decide("update_user", {"access_key": bob.access_key, "email": "x@example.org"})
        key, b = net["b"].site.vault.public_key(), net["b"].site
        ann_form, bob_form = (replicated_accounts.seal_user(net["a"].site, each, key) for each in (ann, bob))

        outcomes = [
            replicated_accounts.apply(b, "user", form, (), FROM_PRIMARY).outcome
            for form in (bob_form, ann_form, bob_form)
        ]

        assert [Outcome.HELD, Outcome.APPLIED, Outcome.APPLIED] == outcomes
        assert "x@example.org" == accounts.find_user(b, bob.access_key).email
        assert "" == accounts.find_user(b, ann.access_key).email

    @pytest.mark.parametrize("form", [b"", b"{}", b'{"v":1}', b'{"v":1,"stamp":7}', b"\xff"])
    @pytest.mark.parametrize("kind", ["user", "bucket", "group"])
    def test_garbage_is_refused(self, net, kind, form):
        """With a reason, and nothing is raised."""
        answer = replicated_accounts.apply(net["b"].site, kind, form, (), FROM_PRIMARY)

        assert Outcome.REFUSED is answer.outcome
        assert answer.reason

    def test_a_user_of_another_version(self, net):
        """Fields of the wrong type are garbage too."""
        user = make_user(net)
        odd = encode_user(replace(user, stamp="yesterday"))

        assert (
            Outcome.REFUSED is replicated_accounts.apply(net["b"].site, "user", odd, (), FROM_PRIMARY).outcome
        )


class TestForwarding:
    """b asks the primary and applies the answer before its client is answered."""

    def test_the_next_request_finds_it(self, net):
        """Bucket and user are at b at once, without any delivery."""
        made = make_bucket(net, "b")
        user = make_user(net, "b")

        photos = net.bucket("b")
        put(net["b"].site, photos, "k")
        assert (made.id, "b") == (photos.id, photos.bucket.home)
        assert user == accounts.find_user(net["b"].site, user.access_key)
        assert secret_at(net["b"], user) == secret_at(net["a"], user)

    def test_a_no_is_a_no(self, net):
        """The primary's refusal is raised at b as it would be at a."""
        make_bucket(net, "a")
        make_user(net, email="ann@example.org")

        with pytest.raises(BucketAlreadyExists):
            make_bucket(net, "b", owner="bob")
        with pytest.raises(UserAlreadyExists):
            make_user(net, "b", email="ann@example.org")
        with pytest.raises(NoSuchBucket):
            net["b"].names.decide("delete_bucket", {"name": "nothing", "owner": "ann"})

    def test_the_primary_cannot_be_reached(self, net):
        """Plain words, and objects go on meanwhile."""
        make_bucket(net, "b")
        before = net["b"].dial

        def cut(link):
            class Down:
                def __getattr__(self, verb):
                    raise Unavailable("no route")

            return Down()

        net["b"].names._dial = cut
        with pytest.raises(Unavailable, match="site a decides on names and cannot be reached now"):
            make_bucket(net, "b", "films")
        put(net["b"].site, net.bucket("b"), "k", b"goes on")

        assert b"goes on" == text(net["b"].site, net.bucket("b").id, "k")
        net["b"].names._dial = before
        make_bucket(net, "b", "films")

    def test_no_link_to_the_primary(self, net):
        """Says which command makes one."""
        net["b"].links.change(dict.clear)

        with pytest.raises(Unavailable, match="causeway connect"):
            make_bucket(net, "b")

    @pytest.mark.parametrize("lost", [1, 2])
    def test_a_lost_answer_is_asked_for_again(self, net, lost):
        """The decision took place once; the same key gets the same answer."""
        dial = net["b"].dial
        answers = [Indeterminate("lost")] * lost

        class Lossy:
            def __init__(self, link):
                self._peer = dial(link)

            def decide(self, *args):
                answer = self._peer.decide(*args)
                if answers:
                    raise answers.pop()
                return answer

        net["b"].names._dial = Lossy

        user = make_user(net, "b", email="ann@example.org")
        made = make_bucket(net, "b")

        assert made == net.bucket("a").bucket == net.bucket("b").bucket
        assert [user.access_key] == [each.access_key for each in accounts.all_users(net["a"].site)]

    def test_the_answer_is_stored_with_the_decision(self, net):
        """The primary died right after deciding: the repeated request is answered, not decided again."""
        primary = net["a"]
        peer = primary.sink_of(primary.links.read().get("b"))
        metadata = primary.site.metadata
        metadata.problems = [("after", KeyboardInterrupt())]

        with pytest.raises(KeyboardInterrupt):
            peer.decide("create_user", {"name": "Ann"}, "key1")
        answer = peer.decide("create_user", {"name": "Ann"}, "key1")

        assert [answer["name"]] == [user.access_key for user in accounts.all_users(primary.site)]

    def test_what_cannot_be_stored_at_the_asking_site_is_told(self, net):
        """b's clock is an hour behind: decided, and not claimed to be in force here."""
        slow = type(net.clock)(net.clock.now_ms() - 60 * MINUTE_MS)
        object.__setattr__(net["b"].names._site, "clock", slow)
        net["b"].names._dial = lambda link: net["a"].sink_of(net["a"].links.read().get("b"))

        with pytest.raises(Unavailable, match="not yet stored at b"):
            make_bucket(net, "b")


class TestBuckets:
    """Deleting asks everybody; a name that two sites decided on goes to the newer epoch."""

    def test_a_key_at_another_site_keeps_the_bucket(self, net):
        """Though it has not been delivered yet."""
        make_bucket(net, "a")
        net.deliver()
        put(net["b"].site, net.bucket("b"), "k")

        with pytest.raises(BucketNotEmpty):
            net["a"].names.decide("delete_bucket", {"name": "photos", "owner": "ann"})

        net.deliver()
        assert ["k"] == keys(net["a"].site, net.bucket("a").id)

    def test_an_empty_bucket_goes_everywhere(self, net):
        """Asked for at b."""
        make_bucket(net, "b")

        gone = net["b"].names.decide("delete_bucket", {"name": "photos", "owner": "ann"})
        net.deliver()

        assert BucketState.DELETED is gone.state
        for name in "ab":
            with pytest.raises(NoSuchBucket):
                net.bucket(name)

    def test_a_site_that_cannot_be_asked(self):
        """The bucket stays, open."""
        net = Net("a", "b").both_ways("a", "b")
        make_bucket(net, "a")
        net.cut.add(("a", "b"))

        with pytest.raises(Unavailable):
            net["a"].names.decide("delete_bucket", {"name": "photos", "owner": "ann"})

        assert BucketState.OPEN is net.bucket("a").bucket.state

    def test_a_died_delete_is_undone_by_gc_at_the_primary_only(self, net):
        """The primary opens the bucket again; another site waits for it to say so."""
        made = make_bucket(net, "a")
        closing = replace(made, state=BucketState.CLOSING, stamp=Stamp(made.stamp.ms, 1, "a"))
        accounts.save_bucket(net["a"].site, made, closing, name_form=encode_bucket(made))
        net.deliver()
        net.clock.advance(60 * MINUTE_MS)

        net["b"].collect()
        with pytest.raises(NoSuchBucket):
            net.bucket("b")
        net["a"].collect()
        net.deliver()

        assert net.bucket("a").bucket == net.bucket("b").bucket

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    @pytest.mark.parametrize("epochs", [(1, 2), (2, 1), (1, 1)])
    def test_two_decisions_for_one_name(self, net, order, epochs):
        """Whichever arrives first, every site gives the name to the newer epoch, then to the newer stamp;
        the other bucket keeps its data under its id."""
        there = net["b"].site
        rivals = []
        for n, name in enumerate("cd"):
            stamp = Stamp(net.clock.now_ms() + n, 0, name)
            rivals.append(
                replace(
                    bucket(Net(name)[name].site).bucket,
                    id=f"{stamp}-{name}",
                    stamp=stamp,
                    home=name,
                    epoch=epochs[n],
                )
            )

        for n in order:
            replicated_accounts.apply(there, "bucket", encode_bucket(rivals[n]), (), FROM_PRIMARY)

        winner = max(rivals, key=lambda each: (each.epoch, each.stamp))
        assert winner == accounts.require_bucket(there, "photos").bucket
        assert all(each == accounts.find_bucket(there, each.id) for each in rivals)

    def test_a_name_is_reused(self, net):
        """Deleted and made again while b was away: b ends with the new bucket, in whatever order."""
        old = make_bucket(net, "a")
        net.deliver()
        net["a"].names.decide("delete_bucket", {"name": "photos", "owner": "ann"})
        gone = accounts.find_bucket(net["a"].site, old.id)
        net.clock.advance(1)
        new = make_bucket(net, "a", owner="bob")

        for each in (new, gone):
            replicated_accounts.apply(net["b"].site, "bucket", encode_bucket(each), (), FROM_PRIMARY)

        assert new == net.bucket("b").bucket
        assert BucketState.DELETED is accounts.find_bucket(net["b"].site, old.id).state


def test_a_site_that_may_not_hold_a_bucket_cannot_open_it(net):
    """A bucket that stays home is not opened, given away or renamed by a site that may not hold it."""
    bucket = net.make_bucket(sites=["b"])
    there = net["b"].site
    held = accounts.find_bucket(there, bucket.id)
    stranger = replicated_accounts.Source("x", False)
    later = Stamp(held.stamp.ms + 1, 0, "x")

    for changed in (
        replace(held, sites=("*",), stamp=later),
        replace(held, owner="mallory", stamp=later),
    ):
        answer = replicated_accounts.apply(there, "bucket", encode_bucket(changed), (), stranger)
        assert Outcome.REFUSED is answer.outcome

    assert held == accounts.find_bucket(there, bucket.id)


@pytest.mark.parametrize("first", ["new", "old"])
def test_a_name_taken_again_after_the_clock_went_back(net, first):
    """The new bucket has the name at every site, whichever of the two a site hears of first."""
    make_bucket(net, "a")
    net.deliver()
    old = net["a"].names.decide("delete_bucket", {"name": "photos", "owner": "ann"})
    net.clock.advance(-10 * MINUTE_MS)
    new = make_bucket(net, "a")
    forms = [encode_bucket(new), encode_bucket(old)]

    for form in forms if first == "new" else reversed(forms):
        replicated_accounts.apply(net["b"].site, "bucket", form, ("a",), FROM_PRIMARY)

    assert new.stamp > old.stamp
    for name in "ab":
        assert [new] == list(accounts.named_buckets(net[name].site))
