"""The rows of users and buckets, and the one transaction that changes each.

save_bucket, save_user   compare-and-set of the record and its name rows, with what links are owed
require_bucket           an open bucket by name, as `commit.OpenBucket`
find_user                a user by access key, its secret still wrapped
Errors                   NoSuchBucket; Conflict when somebody else changed it meanwhile
Source                   DESIGN §5 "Users and buckets".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from chalicelib.domain.account import Bucket, BucketState, User
from chalicelib.domain.forms import decode_bucket, decode_user, encode_bucket, encode_user
from chalicelib.objects import documents, rows
from chalicelib.objects.commit import OpenBucket
from chalicelib.objects.errors import NoSuchBucket
from chalicelib.ports.metadata import ABSENT, Delete, Put, Table, Write, expected
from chalicelib.ports.site import Owed, Site

_PAGE = 1000


def require_bucket(site: Site, name: str) -> OpenBucket:
    """The open bucket called `name`."""
    form = site.metadata.get([rows.bucket_name(name)])[0]
    if form is None:
        raise NoSuchBucket(name)
    bucket = decode_bucket(form)
    if bucket.state is not BucketState.OPEN:
        raise NoSuchBucket(name)
    return OpenBucket(bucket, form)


def find_bucket(site: Site, bucket_id: str) -> Bucket | None:
    """The bucket with that id, whatever its state."""
    form = site.metadata.get([rows.bucket(bucket_id)])[0]
    return decode_bucket(form) if form is not None else None


def find_user(site: Site, access_key: str) -> User | None:
    """The user with that access key."""
    form = site.metadata.get([rows.user(access_key)])[0]
    return decode_user(form) if form is not None else None


def named_buckets(site: Site) -> Iterator[Bucket]:
    """Every bucket that a name points at, in order of name."""
    for form in _all(site, Table.BUCKETS, "name"):
        yield decode_bucket(form)


def all_buckets(site: Site, after: str = "") -> Iterator[Bucket]:
    """Every bucket, deleted ones too, in order of id, behind the id `after`."""
    for form in _all(site, Table.BUCKETS, "id", after.encode()):
        yield decode_bucket(form)


def all_users(site: Site) -> Iterator[User]:
    """Every user, in order of access key."""
    for form in _all(site, Table.USERS, "key"):
        yield decode_user(form)


def _all(site: Site, table: Table, pk: str, start: bytes = b"") -> Iterator[bytes]:
    while True:
        page = site.metadata.scan(table, pk, start=start, after=bool(start), limit=_PAGE)
        for _, form in page:
            yield form
        if len(page) < _PAGE:
            return
        start = page[-1][0]


def save_bucket(
    site: Site,
    old: Bucket | None,
    new: Bucket,
    has: tuple[str, ...] = (),
    *,
    owns_name: bool = True,
    name_form: bytes | None = None,
    also: Iterable[Write] = (),
) -> None:
    """Replace `old` (None: a new bucket) by `new`. If it `owns_name`, its name points at it (or at
    nothing once it is deleted); `name_form` is what the name row holds now; `also` goes with it."""
    form = encode_bucket(new)
    writes: list[Write] = [Put(rows.bucket(new.id), form, expected(encode_bucket(old)) if old else ABSENT)]
    name_row = rows.bucket_name(new.name)
    if owns_name and new.state is not BucketState.DELETED:
        writes.append(Put(name_row, form, expected(name_form)))
    elif owns_name and name_form is not None:
        writes.append(Delete(name_row, name_form))
    owed = Owed("bucket", new.id, new.id, str(new.stamp), 0, False, has)
    site.metadata.transact([*writes, *also, *site.announcer.writes([owed])])
    if site.rules.documents and not has:
        documents.publish_account(site, "bucket", new.id, new.stamp, form)
    site.announcer.committed()


def save_user(
    site: Site, old: User | None, new: User, has: tuple[str, ...] = (), *, also: Iterable[Write] = ()
) -> None:
    """Replace `old` (None: a new user) by `new`, and keep the e-mail row pointing at it; `also` goes
    with it. A user of this site alone is owed to nobody."""
    writes: list[Write] = [
        Put(
            rows.user(new.access_key),
            encode_user(new),
            expected(encode_user(old)) if old else ABSENT,
        )
    ]
    key = new.access_key.encode()
    if new.email and (old is None or old.email != new.email):
        writes.append(Put(rows.user_email(new.email), key, ABSENT))
    if old is not None and old.email and old.email != new.email:
        writes.append(Delete(rows.user_email(old.email), key))
    owed = [] if new.local else [Owed("user", "", new.access_key, str(new.stamp), 0, False, has)]
    site.metadata.transact([*writes, *also, *site.announcer.writes(owed)])
    if site.rules.documents and not has:
        documents.publish_account(site, "user", new.access_key, new.stamp, encode_user(new))
    site.announcer.committed()
