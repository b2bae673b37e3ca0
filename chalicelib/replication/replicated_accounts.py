"""Users and buckets on the wire: sealed for one receiver, merged by stamp, names by epoch.

seal_user   a user whose secret only the receiving site can read
form_for    what a link is sent: no user of this site alone, and administrators only from the primary's own
            links, or over a link that `administers`
apply       merge a user or bucket that came over a link; the same rule for administrators
stamps      what fullsync compares: "user:<access key>" and "bucket:<id>" → stamp
Source      DESIGN §5 "Users and buckets": a secret is a register with a stamp of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from chalicelib.domain.account import Bucket, BucketState, User, may_hold
from chalicelib.domain.errors import Conflict, Corrupt
from chalicelib.domain.forms import decode_bucket, decode_user, encode_bucket, encode_user
from chalicelib.domain.stamp import too_far_ahead
from chalicelib.objects import accounts, rows
from chalicelib.objects.names import secret_context
from chalicelib.ports.peers import Answer, Outcome
from chalicelib.ports.site import Site
from chalicelib.replication.links import Link, site_record


def seal_user(site: Site, user: User, public_key: bytes) -> bytes:
    """The form of `user` for the site that owns `public_key`."""
    context = secret_context(user.access_key)
    secret = site.vault.open(user.secret, context)
    return encode_user(replace(user, secret=site.vault.seal(public_key, secret, context)))


def form_for(site: Site, kind: str, name: str, link: Link) -> bytes | None:
    """What to send of a user or bucket, or None if it is not here, or not for that link."""
    if kind == "user":
        user = accounts.find_user(site, name)
        sent = user is not None and not user.local and (not user.admin or _gives_administrators(site, link))
        return seal_user(site, user, link.public_key) if user is not None and sent else None
    bucket = accounts.find_bucket(site, name)
    return encode_bucket(bucket) if bucket is not None else None


def _gives_administrators(site: Site, link: Link) -> bool:
    """Whether the other site takes administrators from this one."""
    record = site_record(site.metadata)
    return link.administers or (record is not None and record.primary == site.id)


def stamps(site: Site) -> dict[str, str]:
    """The stamp of every bucket and user but those of this site alone."""
    found = {
        f"user:{user.access_key}": str(user.stamp) for user in accounts.all_users(site) if not user.local
    }
    found |= {f"bucket:{bucket.id}": str(bucket.stamp) for bucket in accounts.all_buckets(site)}
    return found


@dataclass(frozen=True, slots=True)
class Source:
    """Where a user or bucket came from: which site, whether it is the primary, and whether the link
    `administers`."""

    site: str
    primary: bool
    administers: bool = False


def apply(site: Site, kind: str, form: bytes, has: tuple[str, ...], source: Source) -> Answer:
    """Merge one user or bucket. A lost race is run again here: often enough it was the same record, on
    its way to us over the link while a client waited for the primary's answer."""
    for _ in range(site.rules.conflict_tries):
        try:
            return _merge(site, kind, form, has, source)
        except Conflict:
            continue
        except (Corrupt, ValueError, TypeError, AttributeError) as problem:
            return Answer(Outcome.REFUSED, f"not a {kind}: {problem}")
    return Answer(Outcome.HELD, "somebody else is changing the same name; try again")


def _merge(site: Site, kind: str, form: bytes, has: tuple[str, ...], source: Source) -> Answer:
    if kind == "user":
        return _apply_user(site, decode_user(form), has, source)
    if kind == "bucket":
        return _apply_bucket(site, decode_bucket(form), has, source)
    return Answer(Outcome.REFUSED, f"unknown kind {kind[:20]!r}")


def _apply_user(site: Site, user: User, has: tuple[str, ...], source: Source) -> Answer:
    if too_far_ahead(user.stamp, site.clock.now_ms()):
        return Answer(Outcome.HELD, f"stamp {user.stamp} is ahead of this site's clock")
    known = accounts.find_user(site, user.access_key)
    if known is not None and known.stamp >= user.stamp:
        return Answer(Outcome.HAVE)
    if user.local or (known is not None and known.local):
        return Answer(Outcome.REFUSED, f"{user.access_key} is a user of one site alone")
    if (user.admin or (known is not None and known.admin)) and not (source.primary or source.administers):
        return Answer(Outcome.REFUSED, f"site {source.site} may not make or change administrators here")
    if known is not None and known.secret_stamp >= user.secret_stamp:
        kept = replace(user, secret=known.secret, secret_stamp=known.secret_stamp)
    else:
        context = secret_context(user.access_key)
        kept = replace(user, secret=site.vault.keep(user.secret, context))
    if kept.email and (known is None or known.email != kept.email):
        holder = _email_holder(site, kept)
        if holder is not None and holder.epoch == kept.epoch:
            # One primary gave the address up for one user and to another; that change comes first.
            return Answer(Outcome.HELD, f"{kept.email} still belongs to {holder.access_key} here")
        if holder is not None:
            site.log.event("email_conflict", access_key=kept.access_key)
            kept = replace(kept, email="")
    accounts.save_user(site, known, kept, has)
    return Answer(Outcome.APPLIED)


def _email_holder(site: Site, user: User) -> User | None:
    """Another user here that has the user's e-mail address."""
    holder = site.metadata.get([rows.user_email(user.email)])[0]
    if holder is None or holder == user.access_key.encode():
        return None
    return accounts.find_user(site, holder.decode())


def _apply_bucket(site: Site, bucket: Bucket, has: tuple[str, ...], source: Source) -> Answer:
    if too_far_ahead(bucket.stamp, site.clock.now_ms()):
        return Answer(Outcome.HELD, f"stamp {bucket.stamp} is ahead of this site's clock")
    known = accounts.find_bucket(site, bucket.id)
    if known is not None and known.stamp >= bucket.stamp:
        return Answer(Outcome.HAVE)
    if known is not None and not _may_change(site, known, bucket, source):
        return Answer(Outcome.REFUSED, f"site {source.site} may not change bucket {known.name} like that")
    name_form = site.metadata.get([rows.bucket_name(bucket.name)])[0]
    owns = _takes_name(site, known, bucket, name_form)
    accounts.save_bucket(site, known, bucket, has, owns_name=owns, name_form=name_form)
    return Answer(Outcome.APPLIED)


def _may_change(site: Site, known: Bucket, bucket: Bucket, source: Source) -> bool:
    """Whose a bucket is never changes. Who may hold it changes, where it is held, only by the primary and
    by sites that may hold it too: another could open a bucket that stays home, and be sent it."""
    if (known.owner, known.home, known.name) != (bucket.owner, bucket.home, bucket.name):
        return False
    if known.sites == bucket.sites or not may_hold(known, site.id):
        return True
    return source.primary or may_hold(known, source.site)


def _takes_name(site: Site, known: Bucket | None, bucket: Bucket, name_form: bytes | None) -> bool:
    """Whether the bucket's name points at it here. Two decisions for one name: the newer epoch keeps
    it, then the newer stamp; the other keeps its data under its id and is listed."""
    if name_form is None:
        return bucket.state is not BucketState.DELETED and known is None
    holder = decode_bucket(name_form)
    if holder.id == bucket.id:
        return True
    if bucket.state is BucketState.DELETED:
        return False
    takes = (bucket.epoch, bucket.stamp) > (holder.epoch, holder.stamp)
    site.log.event("bucket_name_moved", bucket=bucket.name, taken=takes)
    return takes
