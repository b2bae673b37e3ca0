"""Decisions about unique names, as the primary makes them."""

import pytest

from chalicelib.domain.account import BucketState
from chalicelib.domain.errors import Conflict, Corrupt, Refused, Unavailable
from chalicelib.objects import accounts, names, uploads
from chalicelib.objects.errors import (
    AccessDenied,
    BucketAlreadyExists,
    BucketAlreadyOwnedByYou,
    BucketNotEmpty,
    InvalidRequest,
    NoSuchBucket,
    NoSuchUser,
    OperationAborted,
    TooManyBuckets,
    UserAlreadyExists,
)
from chalicelib.objects.multipart import create
from chalicelib.objects.names import CLOSING_MAX_MS, LocalNames, secret_context
from chalicelib.objects.put import PutRequest
from tests.builders import put, remove, site


def everywhere_empty(closing):
    """Every linked site's copy shows nothing."""
    return True


@pytest.fixture
def west():
    return site()


@pytest.fixture
def decided(west):
    return LocalNames(west, 1, everywhere_empty)


def make(decided, name="photos", owner="ann", **more):
    return decided.decide("create_bucket", {"name": name, "owner": owner, **more})


def drop(decided, name="photos", owner="ann", **more):
    return decided.decide("delete_bucket", {"name": name, "owner": owner, **more})


class TestBuckets:
    """create_bucket and delete_bucket."""

    def test_a_new_bucket_is_there(self, west, decided):
        """Found by its name, with the owner, region and home it was given."""
        made = make(decided, region="eu", home="east")

        assert made == accounts.require_bucket(west, "photos").bucket
        assert ("ann", "eu", "east", ("*",), 1) == (
            made.owner,
            made.region,
            made.home,
            made.sites,
            made.epoch,
        )

    def test_a_name_is_taken_once(self, decided):
        """By somebody else, or by oneself."""
        make(decided)

        with pytest.raises(BucketAlreadyOwnedByYou):
            make(decided)
        with pytest.raises(BucketAlreadyExists):
            make(decided, owner="bob")

    @pytest.mark.parametrize("name", ["", "AB", "admin", "1.2.3.4"])
    def test_a_bad_name(self, decided, name):
        """Refused with the rule."""
        with pytest.raises(InvalidRequest, match="bucket name"):
            make(decided, name)

    def test_not_too_many(self, decided, monkeypatch):
        """A limit for each owner, not for all."""
        monkeypatch.setattr(names, "BUCKETS_MAX", 2)
        make(decided, "one")
        make(decided, "two")

        with pytest.raises(TooManyBuckets):
            make(decided, "three")
        make(decided, "three", owner="bob")

    def test_a_deleted_bucket_frees_its_name(self, west, decided):
        """The next bucket of that name has another id and shows nothing of the old one."""
        old = make(decided)

        gone = drop(decided)

        with pytest.raises(NoSuchBucket):
            accounts.require_bucket(west, "photos")
        assert (BucketState.DELETED, old.id) == (gone.state, gone.id)
        assert make(decided, owner="bob").id != old.id

    def test_only_the_owner_deletes(self, west, decided):
        """Or an administrator."""
        make(decided)

        with pytest.raises(AccessDenied):
            drop(decided, owner="bob")
        with pytest.raises(NoSuchBucket):
            drop(decided, name="films")
        drop(decided, owner="root", admin=True)

    def test_a_bucket_with_a_key_stays(self, west, decided):
        """It is open again afterwards; an emptied one goes."""
        make(decided)
        photos = accounts.require_bucket(west, "photos")
        put(west, photos, "k")

        with pytest.raises(BucketNotEmpty):
            drop(decided)
        photos = accounts.require_bucket(west, "photos")
        remove(west, photos, "k")
        drop(decided)

    def test_a_bucket_with_an_open_upload_stays(self, west, decided):
        """Until the upload is closed."""
        make(decided)
        photos = accounts.require_bucket(west, "photos")
        upload = create(west, photos, PutRequest("k", "ann"))

        with pytest.raises(BucketNotEmpty):
            drop(decided)
        uploads.close(west, upload)
        drop(decided)

    def test_other_sites_are_asked(self, west):
        """One of them still shows a key: not empty."""
        decided = LocalNames(west, 1, lambda closing: False)
        make(decided)

        with pytest.raises(BucketNotEmpty):
            drop(decided)

        assert BucketState.OPEN is accounts.require_bucket(west, "photos").bucket.state

    @pytest.mark.parametrize("problem", [Unavailable("down"), Refused("no")])
    def test_a_site_that_cannot_be_asked(self, west, problem):
        """Whatever the reason: the bucket is open again, and the caller is told."""

        def ask(closing):
            raise problem

        decided = LocalNames(west, 1, ask)
        make(decided)

        with pytest.raises(type(problem)):
            drop(decided)

        assert BucketState.OPEN is accounts.require_bucket(west, "photos").bucket.state

    def test_nothing_is_written_while_it_closes(self, west):
        """From the moment others are asked, no PUT is acknowledged."""
        seen = []

        def ask(closing):
            with pytest.raises(NoSuchBucket):
                accounts.require_bucket(west, "photos")
            with pytest.raises(NoSuchBucket):
                put(west, photos, "k")
            seen.append(closing.id)
            return True

        decided = LocalNames(west, 1, ask)
        make(decided)
        photos = accounts.require_bucket(west, "photos")

        drop(decided)

        assert [photos.id] == seen

    def abandoned(self, west):
        """A bucket whose DeleteBucket died half-way."""

        def die(closing):
            raise KeyboardInterrupt

        decided = LocalNames(west, 1, die)
        make(decided)
        with pytest.raises(KeyboardInterrupt):
            drop(decided)

    def test_a_delete_that_died_can_be_repeated(self, west, decided):
        """The next DeleteBucket goes on from there."""
        self.abandoned(west)

        assert BucketState.DELETED is drop(decided).state

    def test_a_delete_that_died_does_not_close_a_bucket_for_ever(self, west, decided):
        """After ten minutes it is open again; one that is being deleted now is left alone."""
        self.abandoned(west)

        assert 0 == decided.reopen_abandoned()
        west.clock.advance(CLOSING_MAX_MS + 1)
        assert 1 == decided.reopen_abandoned()

        assert BucketState.OPEN is accounts.require_bucket(west, "photos").bucket.state
        assert 0 == decided.reopen_abandoned()

    def test_of_two_creators_one_wins(self, west, decided, monkeypatch):
        """Somebody took the name between the look and the commit: the second look says so."""
        save = accounts.save_bucket

        def raced(*args, **kwargs):
            monkeypatch.undo()
            make(decided, owner="bob")
            save(*args, **kwargs)

        monkeypatch.setattr(accounts, "save_bucket", raced)

        with pytest.raises(BucketAlreadyExists):
            make(decided)

        assert "bob" == accounts.require_bucket(west, "photos").bucket.owner


class TestUsers:
    """create_user and update_user."""

    def make(self, decided, name="Ann", **more):
        return decided.decide("create_user", {"name": name, **more})

    def update(self, decided, user, **changes):
        return decided.decide("update_user", {"access_key": user.access_key, **changes})

    def test_a_new_user_is_there(self, west, decided):
        """Found by access key; the secret opens only for that user."""
        user = self.make(decided, email=" Ann@Example.org ", admin=True)

        assert user == accounts.find_user(west, user.access_key)
        assert ("ann@example.org", True, True) == (user.email, user.admin, user.enabled)
        assert 40 == len(west.vault.unwrap(user.secret, secret_context(user.access_key)))
        with pytest.raises(Corrupt):
            west.vault.unwrap(user.secret, secret_context("another"))

    def test_an_address_is_taken_once(self, decided):
        """Nobody else may have it, in whatever letters; given up, it is free."""
        ann = self.make(decided, email="ann@example.org")

        with pytest.raises(UserAlreadyExists):
            self.make(decided, email="ANN@example.org")
        bob = self.make(decided, "Bob", email="bob@example.org")
        with pytest.raises(UserAlreadyExists):
            self.update(decided, bob, email="ann@example.org")
        self.update(decided, ann, email="")
        self.update(decided, bob, email="ann@example.org")
        self.make(decided, "Carl", email="bob@example.org")

    def test_users_without_an_address(self, decided):
        """There may be many."""
        assert self.make(decided).access_key != self.make(decided).access_key

    @pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 257])
    def test_a_bad_name(self, decided, name):
        """Refused in words."""
        with pytest.raises(InvalidRequest, match="name"):
            self.make(decided, name)

    @pytest.mark.parametrize(
        "email", ["ann", "@example.org", "ann@", "a nn@example.org", "a" * 250 + "@b.cd"]
    )
    def test_a_bad_address(self, decided, email):
        """Refused in words."""
        with pytest.raises(InvalidRequest, match="e-mail"):
            self.make(decided, email=email)

    def test_an_update_changes_what_it_names(self, west, decided):
        """And nothing else; its stamp is greater."""
        user = self.make(decided, email="ann@example.org")

        changed = self.update(decided, user, enabled=False)

        assert (False, "Ann", user.email, user.secret) == (
            changed.enabled,
            changed.name,
            changed.email,
            changed.secret,
        )
        assert changed.stamp > user.stamp
        assert changed.secret_stamp == user.secret_stamp

    def test_a_new_secret(self, west, decided):
        """Another secret with a stamp of its own."""
        user = self.make(decided)
        context = secret_context(user.access_key)

        changed = self.update(decided, user, new_secret=True)

        assert west.vault.unwrap(user.secret, context) != west.vault.unwrap(changed.secret, context)
        assert changed.secret_stamp == changed.stamp > user.secret_stamp

    def test_the_last_administrator_stays(self, west, decided):
        """Who is shut out with nobody left inside could never come back."""
        root = self.make(decided, "root", admin=True)
        self.update(decided, self.make(decided, "shut out", admin=True), enabled=False)
        self.make(decided, "no administrator")

        with pytest.raises(InvalidRequest, match=f"{root.access_key} is the last administrator"):
            self.update(decided, root, enabled=False)

        assert root == accounts.find_user(west, root.access_key)
        self.make(decided, "second", admin=True)
        assert not self.update(decided, root, enabled=False).enabled
        assert not self.update(decided, root, enabled=False).enabled, "who is out already is not the last"

    def test_two_administrators_that_disable_each_other(self, west, decided, monkeypatch):
        """Both see the other one; the commits let one of them win."""
        one, two = (self.make(decided, name, admin=True) for name in ("one", "two"))
        save = accounts.save_user

        def raced(*args, **kwargs):
            monkeypatch.undo()
            self.update(decided, two, enabled=False)
            save(*args, **kwargs)

        monkeypatch.setattr(accounts, "save_user", raced)

        with pytest.raises(InvalidRequest, match="last administrator"):
            self.update(decided, one, enabled=False)

        assert accounts.find_user(west, one.access_key).enabled

    def test_nobody(self, decided):
        """An access key that nobody has."""
        with pytest.raises(NoSuchUser):
            decided.decide("update_user", {"access_key": "CWNOBODY", "enabled": False})


def test_an_unknown_verb(decided):
    """Is refused."""
    with pytest.raises(InvalidRequest):
        decided.decide("drop_table", {})


def test_who_may_hold_a_bucket_can_be_changed():
    """update_bucket names the sites that may hold a bucket; anything but site ids is refused."""
    at = site("a")
    names = LocalNames(at, 1, lambda _: True)
    names.decide("create_bucket", {"name": "photos", "owner": "ann"})

    changed = names.decide("update_bucket", {"name": "photos", "sites": ["a", "b"]})

    assert ("a", "b") == changed.sites == accounts.require_bucket(at, "photos").bucket.sites
    for wrong in ([], "b", ["B!"], ["x"] * 65):
        with pytest.raises(InvalidRequest):
            names.decide("update_bucket", {"name": "photos", "sites": wrong})


def test_a_commit_lost_to_something_else_is_made_again(monkeypatch):
    """Links that change under a decision cost it another try, not the client an error."""
    at = site("a")
    save, lost = accounts.save_bucket, []

    def loses_once(*args, **kwargs):
        if not lost:
            lost.append(True)
            raise Conflict("links changed")
        save(*args, **kwargs)

    monkeypatch.setattr(accounts, "save_bucket", loses_once)

    assert (
        "photos"
        == LocalNames(at, 1, lambda _: True).decide("create_bucket", {"name": "photos", "owner": "ann"}).name
    )


def test_a_name_that_is_always_lost_is_given_up(monkeypatch):
    """After some lost races the caller decides whether to go on."""

    def loses(*args, **kwargs):
        raise Conflict("again")

    monkeypatch.setattr(accounts, "save_bucket", loses)

    with pytest.raises(OperationAborted):
        LocalNames(site("a"), 1, lambda _: True).decide("create_bucket", {"name": "photos", "owner": "ann"})
