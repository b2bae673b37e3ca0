"""Decisions about names that must be unique everywhere: made here at the primary, forwarded elsewhere.

    create_bucket {name, owner, region, home}           → bucket
    delete_bucket {name, owner}                         → bucket (deleted)
    update_bucket {name, sites}                         → bucket: who may hold it, from now on
    create_user   {name, email, admin}                  → user
    update_user   {access_key, name?, email?, enabled?, new_secret?} → user

In      verb and arguments as plain JSON values
Out     the decided record itself, as its stored form would hold it
Errors  the `objects.errors` class that S3 has for it
Source  DESIGN §5 "Users and buckets"; Riak CS Stanchion (research/riakcs.md §3.6).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Protocol

from chalicelib.domain import stamp as stamps
from chalicelib.domain.account import LOCAL, Bucket, BucketState, User
from chalicelib.domain.errors import Conflict, StoreError
from chalicelib.domain.forms import decode_bucket, encode_bucket, encode_user
from chalicelib.domain.names import bucket_name_problem, check_site
from chalicelib.objects import accounts, rows
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
from chalicelib.objects.list import is_empty
from chalicelib.ports.metadata import Check, Write
from chalicelib.ports.site import Site

BUCKETS_MAX = 1000  # per user: ListBuckets stays one page (Riak CS: 100, AWS: 10,000)
SITES_MAX = 64  # sites a bucket may name: more than any sensible topology has
TEXT_MAX = 256  # a name or e-mail address; keeps a user far below a row's size
EMAIL_BYTES_MAX = 254  # RFC 5321
ACCESS_KEY_BYTES = 10
RACES_MAX = 8  # lost in a row: then it is for the caller to say whether to go on
CLOSING_MAX_MS = 10 * 60 * 1000  # a DeleteBucket that takes longer has died: every site answers in a minute

Decision = Bucket | User
Also = Callable[[Decision], Iterable[Write]]


class Names(Protocol):
    """Who decides: this site, or the primary over a link."""

    def decide(self, verb: str, arguments: dict[str, Any]) -> Decision:
        """The decided record, already stored at this site."""


def _nothing(decision: Decision) -> Iterable[Write]:
    return ()


def _nobody(bucket: Bucket) -> None:
    pass


class LocalNames:
    """Decides at this site. `others_empty` closes a bucket at every other site and asks whether it is empty
    there; raises Unavailable. `tell_open` lets those know that it is open again."""

    def __init__(
        self,
        site: Site,
        epoch: int,
        others_empty: Callable[[Bucket], bool],
        tell_open: Callable[[Bucket], None] = _nobody,
    ) -> None:
        self._site = site
        self._epoch = epoch
        self._others_empty = others_empty
        self._tell_open = tell_open
        self._verbs: dict[str, Callable[[dict[str, Any], Also], Decision]] = {
            "create_bucket": self._create_bucket,
            "delete_bucket": self._delete_bucket,
            "update_bucket": self._update_bucket,
            "create_user": self._create_user,
            "update_user": self._update_user,
        }

    def decide(self, verb: str, arguments: dict[str, Any], also: Also = _nothing) -> Decision:
        """Carry out one verb; what `also` says of the decision is written in the same transaction."""
        if verb not in self._verbs:
            raise InvalidRequest(f"unknown decision {verb!r}")
        for _ in range(RACES_MAX):
            try:
                return self._verbs[verb](arguments, also)
            except Conflict:  # nothing was written: look again, for it may have been another name's doing
                continue
        raise OperationAborted("somebody else is changing the same name; try again")

    def _create_bucket(self, arguments: dict[str, Any], also: Also) -> Bucket:
        name, owner = str(arguments["name"]), str(arguments["owner"])
        problem = bucket_name_problem(name)
        if problem:
            raise InvalidRequest(f"bucket name {name!r}: {problem}")
        standing = self._site.metadata.get([rows.bucket_name(name)])[0]
        if standing is not None:
            bucket = decode_bucket(standing)
            raise (BucketAlreadyOwnedByYou if bucket.owner == owner else BucketAlreadyExists)(name)
        owned, before = 0, None
        for bucket in accounts.all_buckets(self._site):
            owned += bucket.owner == owner and bucket.state is not BucketState.DELETED
            if bucket.name == name:
                before = max(before, bucket.stamp) if before else bucket.stamp
        if owned >= BUCKETS_MAX:
            raise TooManyBuckets(f"{BUCKETS_MAX} buckets a user")
        now_ms = self._site.clock.now_ms()
        # Newer than whatever had the name, though the clock went back: a site that hears of this one first
        # gives it the name, and one that hears of the deletion first has the name free.
        stamp = stamps.after(before, now_ms, self._site.id)
        bucket = Bucket(
            id=f"{stamp}-{self._site.ids.token(4)}",
            name=name,
            owner=owner,
            created_ms=now_ms,
            stamp=stamp,
            region=str(arguments.get("region", "")),
            home=str(arguments.get("home", "")) or self._site.id,
            sites=_sites({"sites": ["*"], **arguments}),
            epoch=self._epoch,
        )
        accounts.save_bucket(self._site, None, bucket, also=also(bucket))
        return bucket

    def _moved(self, bucket: Bucket, state: BucketState, also: Also = _nothing) -> Bucket:
        stamp = stamps.after(bucket.stamp, self._site.clock.now_ms(), self._site.id)
        moved = replace(bucket, state=state, stamp=stamp, epoch=self._epoch)
        form = encode_bucket(bucket)
        accounts.save_bucket(self._site, bucket, moved, name_form=form, also=also(moved))
        return moved

    def _delete_bucket(self, arguments: dict[str, Any], also: Also) -> Bucket:
        name, owner = str(arguments["name"]), str(arguments["owner"])
        form = self._site.metadata.get([rows.bucket_name(name)])[0]
        if form is None:
            raise NoSuchBucket(name)
        bucket = decode_bucket(form)
        if bucket.owner != owner and not arguments.get("admin"):
            raise AccessDenied(name)
        # A DeleteBucket that died half-way left it closing: this one goes on from there.
        closing = bucket if bucket.state is BucketState.CLOSING else self._moved(bucket, BucketState.CLOSING)
        try:
            empty = is_empty(self._site, bucket.id) and self._others_empty(closing)
        except StoreError:
            self._reopened(closing)
            raise
        if not empty:
            self._reopened(closing)
            raise BucketNotEmpty(name)
        return self._moved(closing, BucketState.DELETED, also)

    def _reopened(self, closing: Bucket) -> None:
        self._tell_open(self._moved(closing, BucketState.OPEN))

    def reopen_abandoned(self) -> int:
        """Open again what a DeleteBucket that died left closing; how many buckets."""
        before_ms = self._site.clock.now_ms() - CLOSING_MAX_MS
        reopened = 0
        for bucket in list(accounts.named_buckets(self._site)):
            if bucket.state is BucketState.CLOSING and bucket.stamp.ms < before_ms:
                try:
                    self._reopened(bucket)
                except Conflict:  # somebody is going on with it
                    continue
                reopened += 1
        return reopened

    def _update_bucket(self, arguments: dict[str, Any], also: Also) -> Bucket:
        form = self._site.metadata.get([rows.bucket_name(str(arguments["name"]))])[0]
        if form is None:
            raise NoSuchBucket(str(arguments["name"]))
        bucket = decode_bucket(form)
        stamp = stamps.after(bucket.stamp, self._site.clock.now_ms(), self._site.id)
        changed = replace(bucket, sites=_sites(arguments), stamp=stamp, epoch=self._epoch)
        accounts.save_bucket(self._site, bucket, changed, name_form=form, also=also(changed))
        return changed

    def _create_user(self, arguments: dict[str, Any], also: Also) -> User:
        name = _text(arguments, "name")
        email = _email(arguments)
        if email and self._site.metadata.get([rows.user_email(email)])[0] is not None:
            raise UserAlreadyExists(f"the e-mail address {email} is taken")
        now_ms = self._site.clock.now_ms()
        stamp = stamps.after(None, now_ms, self._site.id)
        access_key = _access_key(self._site.ids.token(ACCESS_KEY_BYTES))
        user = User(
            id=self._site.ids.token(16),
            access_key=access_key,
            name=name,
            email=email,
            created_ms=now_ms,
            stamp=stamp,
            secret_stamp=stamp,
            secret=self._new_secret(access_key),
            admin=bool(arguments.get("admin", False)),
            epoch=self._epoch,
        )
        accounts.save_user(self._site, None, user, also=also(user))
        return user

    def _update_user(self, arguments: dict[str, Any], also: Also) -> User:
        user = accounts.find_user(self._site, str(arguments["access_key"]))
        if user is None:
            raise NoSuchUser(str(arguments["access_key"]))
        stamp = stamps.after(user.stamp, self._site.clock.now_ms(), self._site.id)
        if user.local and arguments.get("email"):
            raise InvalidRequest("a user of one site alone has no e-mail address: the primary decides")
        changed = replace(user, stamp=stamp, epoch=LOCAL if user.local else self._epoch)
        if arguments.get("name") is not None:
            changed = replace(changed, name=_text(arguments, "name"))
        if arguments.get("email") is not None:
            email = _email(arguments)
            holder = self._site.metadata.get([rows.user_email(email)])[0] if email else None
            if holder is not None and holder != user.access_key.encode():
                raise UserAlreadyExists(f"the e-mail address {email} is taken")
            changed = replace(changed, email=email)
        if arguments.get("enabled") is not None:
            changed = replace(changed, enabled=bool(arguments["enabled"]))
        if arguments.get("new_secret"):
            secret = self._new_secret(user.access_key)
            changed = replace(changed, secret=secret, secret_stamp=stamp)
        kept = self._administered(user) if user.admin and user.enabled and not changed.enabled else []
        accounts.save_user(self._site, user, changed, also=[*also(changed), *kept])
        return changed

    def _administered(self, without: User) -> list[Write]:
        """What lets a commit fail unless somebody else may still administer this site. InvalidRequest if
        nobody may now: whoever shut the last one out could not let anybody in again."""
        for user in accounts.all_users(self._site):
            if user.admin and user.enabled and user.access_key != without.access_key:
                return [Check(rows.user(user.access_key), encode_user(user))]  # two may disable each other
        raise InvalidRequest(
            f"{without.access_key} is the last administrator; make another first: "
            "causeway user create NAME --admin"
        )

    def _new_secret(self, access_key: str) -> bytes:
        # 40 characters of base64, the form every S3 client expects of a secret key.
        secret = base64.b64encode(bytes.fromhex(self._site.ids.token(30))).decode()
        return self._site.vault.wrap(secret, secret_context(access_key))


def secret_context(access_key: str) -> str:
    """What a user's wrapped secret is bound to, so that two users' secrets cannot be swapped."""
    return f"user/{access_key}"


def _access_key(token: str) -> str:
    return "CW" + base64.b32encode(bytes.fromhex(token)).decode().rstrip("=")


def _sites(arguments: dict[str, Any]) -> tuple[str, ...]:
    sites = arguments.get("sites")
    if not isinstance(sites, list) or not sites or len(sites) > SITES_MAX:
        raise InvalidRequest(f"sites: a list of 1 to {SITES_MAX} site ids, or of * for everywhere")
    try:
        return tuple(site if site == "*" else check_site(str(site)) for site in sites)
    except ValueError as problem:
        raise InvalidRequest(str(problem)) from problem


def _text(arguments: dict[str, Any], name: str) -> str:
    text = str(arguments.get(name, "")).strip()
    if not text or len(text) > TEXT_MAX or not text.isprintable():
        raise InvalidRequest(f"{name}: 1 to {TEXT_MAX} printable characters")
    return text


def _email(arguments: dict[str, Any]) -> str:
    email = str(arguments.get("email") or "").strip().lower()
    if not email:
        return ""
    local, at, domain = email.partition("@")
    wrong = not at or not local or not domain or not email.isprintable() or " " in email
    if wrong or len(email.encode()) > EMAIL_BYTES_MAX:
        raise InvalidRequest(f"e-mail address {email[:80]!r}: use name@domain")
    return email
