"""What a linked site may ask for: not to be an administrator here, unless the link `administers`."""

from dataclasses import replace

import pytest

from chalicelib.bootstrap.administrator import first_administrator
from chalicelib.domain.errors import Refused
from chalicelib.domain.forms import encode_user
from chalicelib.domain.stamp import Stamp
from chalicelib.objects import accounts
from chalicelib.objects.errors import AccessDenied
from chalicelib.objects.names import secret_context
from chalicelib.ports.peers import Delivery, Outcome
from chalicelib.replication import replicated_accounts, setup
from tests.builders import Net, through_door


@pytest.fixture
def net():
    """a is the primary."""
    return Net("a", "b", "c", over=through_door).both_ways("a", "b").both_ways("b", "c")


def admin_at(net, name="a"):
    """The administrator of a site's first start."""
    first_administrator(net[name])
    return next(user for user in accounts.all_users(net[name].site) if user.admin)


def trust(net, one, other):
    """What `causeway connect --administers` says at both."""
    net[one].links.update(other, administers=True)
    net[other].links.update(one, administers=True)


class TestDecisions:
    """b asks the primary."""

    def asked(self, net, verb, **arguments):
        return net["b"].dial(net["b"].links.read().get("a")).decide(verb, arguments, f"key {verb}")

    def test_no_administrator_is_made(self, net):
        with pytest.raises(Refused, match="--administers"):
            self.asked(net, "create_user", name="mallory", admin=True)
        assert [] == list(accounts.all_users(net["a"].site))

    @pytest.mark.parametrize("change", [{"new_secret": True}, {"enabled": False}, {"name": "x"}])
    def test_no_administrator_is_changed(self, net, change):
        """Least of all given a secret that the asking site may read."""
        admin = admin_at(net)
        with pytest.raises(Refused, match="--administers"):
            self.asked(net, "update_user", access_key=admin.access_key, **change)
        assert admin == accounts.find_user(net["a"].site, admin.access_key)

    def test_the_home_is_the_site_that_asks(self, net):
        """Whatever it says."""
        self.asked(net, "create_bucket", name="photos", owner="ann", home="a")
        assert "b" == net.bucket("a").bucket.home

    def test_nobody_elses_bucket_is_deleted(self, net):
        """`admin` is not believed."""
        net.make_bucket()
        assert (
            "AccessDenied"
            == self.asked(net, "delete_bucket", name="photos", owner="x", admin=True)["refused"]
        )
        with pytest.raises(AccessDenied):
            net["b"].names.decide("delete_bucket", {"name": "photos", "owner": "x", "admin": True})

    def test_a_bucket_that_stays_home_is_not_touched(self, net):
        """Neither opened to others nor deleted by a site that may not hold it."""
        net.make_bucket("a", "home", sites=["a"])
        with pytest.raises(Refused):
            self.asked(net, "update_bucket", name="home", sites=["*"], admin=True)
        with pytest.raises(Refused):
            self.asked(net, "delete_bucket", name="home", owner="ann")
        assert ("a",) == net.bucket("a", "home").bucket.sites

    def test_a_site_says_who_may_hold_its_own_buckets(self, net):
        """Made there, decided there."""
        net["b"].names.decide("create_bucket", {"name": "photos", "owner": "ann"})
        net["b"].names.decide("update_bucket", {"name": "photos", "sites": ["b"]})
        assert ("b",) == net.bucket("a").bucket.sites

    def test_a_link_that_administers(self, net):
        """May all of it."""
        trust(net, "a", "b")
        net.make_bucket()
        made = net["b"].names.decide("create_user", {"name": "root", "admin": True})
        net["b"].names.decide("update_user", {"access_key": made.access_key, "new_secret": True})
        net["b"].names.decide("delete_bucket", {"name": "photos", "owner": "x", "admin": True})
        assert accounts.find_user(net["a"].site, made.access_key).admin


class TestApply:
    """b hands over users."""

    def outcome(self, net, to, user, **changes):
        """Of what b sends of `user`, with another stamp and secret."""
        there, b = net[to].site, net["b"].site
        stamp = Stamp(net.clock.now_ms() + 1, 0, "b")
        sealed = b.vault.seal(there.vault.public_key(), "x" * 40, secret_context(user.access_key))
        sent = replace(user, stamp=stamp, secret_stamp=stamp, secret=sealed, **changes)
        (answer,) = (
            net["b"].dial(net["b"].links.read().get(to)).apply([Delivery("user", encode_user(sent), ())])
        )
        return answer.outcome

    def test_administrators_come_from_the_primary(self, net):
        """New, changed, or no longer called one: b may not."""
        admin = admin_at(net)
        ann = net["a"].names.decide("create_user", {"name": "Ann"})
        for user, changes in [(admin, {}), (admin, {"admin": False}), (ann, {"admin": True})]:
            assert Outcome.REFUSED is self.outcome(net, "a", user, **changes)
        assert Outcome.REFUSED is self.outcome(net, "a", replace(ann, access_key="CWNEW"), admin=True)
        assert [admin, ann] == sorted(accounts.all_users(net["a"].site), key=lambda user: user.stamp)

    def test_a_link_that_administers(self, net):
        """Its administrators are believed."""
        admin = admin_at(net)
        trust(net, "a", "b")
        assert Outcome.APPLIED is self.outcome(net, "a", admin)

    def test_along_a_chain(self, net):
        """The primary's administrator is known at b. What c would refuse is not sent to it, and not owed."""
        admin = admin_at(net)
        net.deliver()
        net.fullsync("b", "c")
        assert accounts.find_user(net["b"].site, admin.access_key).admin
        assert accounts.find_user(net["c"].site, admin.access_key) is None
        assert [] == net.owed("b", "c")

        trust(net, "b", "c")
        net.fullsync("b", "c")
        assert accounts.find_user(net["c"].site, admin.access_key).admin


class TestUsersOfOneSite:
    """The first administrator of a site that is not the primary."""

    def test_it_stays_there(self, net):
        """Neither owed nor compared nor sent."""
        admin = admin_at(net, "b")
        net.deliver()
        net.fullsync("b", "a")
        assert admin.local
        assert {} == replicated_accounts.stamps(net["b"].site)
        assert (
            replicated_accounts.form_for(
                net["b"].site, "user", admin.access_key, net["b"].links.read().get("a")
            )
            is None
        )
        assert [] == list(accounts.all_users(net["a"].site))

    def test_the_primarys_goes_everywhere_it_is_linked_to(self, net):
        admin = admin_at(net)
        net.deliver()
        assert not admin.local
        assert accounts.find_user(net["b"].site, admin.access_key).admin

    def test_it_is_changed_there(self, net):
        """Nobody else could: the primary does not know it."""
        admin = admin_at(net, "b")
        net.cut.add(("b", "a"))
        changed = net["b"].names.decide("update_user", {"access_key": admin.access_key, "new_secret": True})
        assert changed.local and changed.secret != admin.secret


def test_connect_says_whether_a_link_administers(net):
    """Only when asked to; connecting again without it takes it back."""
    wanted = setup.Wanted("b", "http://127.0.0.1:9", "s" * 64, "00" * 32, "b-life-1", prove=False)
    assert not setup.connect(net["a"], wanted).administers
    assert setup.connect(net["a"], replace(wanted, administers=True)).administers
    assert not setup.connect(net["a"], wanted).administers
