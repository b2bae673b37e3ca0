"""The commit: the one transaction by which a key gets a new record, here or from another site.

    head (compare-and-set) · listing row · outbox rows of the site's links · dirty mark of the tree
    · what GC shall look at later · the upload's own transition · the gate of the bucket

In      a bucket as it was read, a key, and `build(head, stamp)` that makes the record or raises
Out     the record now at the head
Errors  whatever `build` raises; NoSuchBucket when the bucket closed meanwhile; Unavailable after
        `conflict_tries` lost races; Indeterminate when an answer was lost and reading back cannot tell
Source  DESIGN §5 "PUT"; laws durable, atomic, announced.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chalicelib.domain import codec
from chalicelib.domain import stamp as stamps
from chalicelib.domain.account import Bucket, BucketState
from chalicelib.domain.errors import Conflict, Indeterminate, StoreError, Unavailable
from chalicelib.domain.forms import decode_bucket
from chalicelib.domain.manifest import Record
from chalicelib.domain.names import key_hash
from chalicelib.domain.stamp import Stamp
from chalicelib.objects import documents, due, listed, rows
from chalicelib.objects.errors import NoSuchBucket
from chalicelib.ports.metadata import Check, Delete, Put, Write, expected
from chalicelib.ports.site import Owed, Site


@dataclass(frozen=True, slots=True)
class OpenBucket:
    """A bucket and the very bytes it was read as, to check that it is still open at the commit."""

    bucket: Bucket
    form: bytes

    @property
    def id(self) -> str:
        """The bucket's id."""
        return self.bucket.id


Build = Callable[[Record | None, Stamp], Record]


def commit(site: Site, bucket: OpenBucket, key: str, build: Build, *extra: Write) -> Record:
    """Give `key` the record that `build` makes of its head; `extra` writes go with it or not at all."""
    hashed = key_hash(key)
    for _ in range(site.rules.conflict_tries):
        head_form = site.metadata.get([rows.head(bucket.id, hashed)])[0]
        head = codec.decode_record(head_form) if head_form is not None else None
        stamp = stamps.after(head.stamp if head else None, site.clock.now_ms(), site.id)
        record = build(head, stamp)
        form = codec.encode_record(record)
        writes = record_writes(site, record, form, head, head_form)
        gate = [] if site.metadata.checks_contend else [Check(rows.bucket(bucket.id), bucket.form)]
        try:
            site.metadata.transact([*writes, *extra, *gate])
        except Conflict:
            _still_open(site, bucket)
            _still_possible(site, extra)
            continue
        except Indeterminate:
            _settle(site, record, form, extra)
        if site.metadata.checks_contend:
            _stayed_open(site, bucket)
        if site.rules.documents:
            documents.publish(site, record, form)
        site.announcer.committed()
        return record
    raise Unavailable(f"lost {site.rules.conflict_tries} races for one key")


def record_writes(
    site: Site,
    record: Record,
    form: bytes,
    head: Record | None,
    head_form: bytes | None,
    has: tuple[str, ...] = (),
) -> list[Write]:
    """What every new head brings with it, whoever wrote it."""
    hashed = key_hash(record.key)
    shards = site.metadata.shards
    writes: list[Write] = [
        Put(rows.head(record.bucket_id, hashed), form, expected(head_form)),
        Put(rows.dirty(record.bucket_id, hashed, shards), str(record.stamp).encode()),
    ]
    row = rows.listing(record.bucket_id, record.key, shards)
    if record.live:
        writes.append(Put(row, listed.encode(record)))
    elif head is not None and head.live:
        writes.append(Delete(row))
    if head is not None and head.upload and head.upload != record.upload:
        due_ms = site.clock.now_ms() + site.rules.leeway_ms
        noted = due.both(head.stamp, record.stamp)
        writes.append(due.put(site, due_ms, due.SUPERSEDED, head.upload, record.bucket_id, hashed, noted))
    owed = Owed(
        "object",
        record.bucket_id,
        record.key,
        str(record.stamp),
        record.size,
        bool(record.upload),
        has,
        replaces=head is not None,
    )
    writes.extend(site.announcer.writes([owed]))
    return writes


def _still_open(site: Site, bucket: OpenBucket) -> None:
    """The gate where a check in every transaction would make transactions collide: look again."""
    form = site.metadata.get([rows.bucket(bucket.id)])[0]
    if form is None or decode_bucket(form).state is not BucketState.OPEN:
        raise NoSuchBucket(bucket.bucket.name)
    if form != bucket.form:
        raise Unavailable("the bucket changed during the request; try again")


def _stayed_open(site: Site, bucket: OpenBucket) -> None:
    """The same look after the commit: the record stands, so no answer may say that nothing happened."""
    try:
        _still_open(site, bucket)
    except (NoSuchBucket, StoreError) as problem:
        raise Indeterminate("written while the bucket was being changed; read it back") from problem


def _still_possible(site: Site, extra: Sequence[Write]) -> None:
    """Tell a lost race for the head from an upload that was closed: the second never comes good."""
    guarded = [w for w in extra if isinstance(w.expect, bytes)]
    if not guarded:
        return
    now = site.metadata.get([w.row for w in guarded])
    for write, value in zip(guarded, now, strict=True):
        if value != write.expect:
            raise Conflict(f"{write.row.table} row changed")


def _settle(site: Site, record: Record, form: bytes, extra: Sequence[Write]) -> None:
    """Find out whether a commit whose answer was lost took place; raise if that cannot be known."""
    hashed = key_hash(record.key)
    marks = [w for w in extra if isinstance(w, Put)]
    try:
        found = site.metadata.get([rows.head(record.bucket_id, hashed), *(w.row for w in marks)])
    except StoreError as problem:  # "refused" is said of this look, not of the commit
        raise Indeterminate("the commit's answer was lost and cannot be read back now") from problem
    if found[0] == form:
        return
    # A later write may already stand at the head; then our own upload row still tells.
    if any(value == mark.value for mark, value in zip(marks, found[1:], strict=True)):
        return
    head = codec.decode_record(found[0]) if found[0] is not None else None
    if head is None or head.stamp < record.stamp:
        raise Unavailable("the commit did not take place")
    raise Indeterminate("whether the write took place is unknown; read it back")
