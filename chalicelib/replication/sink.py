"""Sink: what a site answers to another over a link. The only writer of replicated records.

Reached through the signed HTTP API (`replication.door` → here) or, run with the sink's own tables
and bucket, directly from the source's functions. Every verb is idempotent: a replay has no effect.

apply       resolve against the head, one transaction: record, listing, dirty mark, incomplete row,
            the upload, and what this site owes its own sinks in turn
wanted      which blocks of a head are still missing; none: the record is no longer incomplete
put_block   verified before it is filed, the upload looked at again afterwards
get_block   three answers: the block, None for "definitely not", Unavailable for "don't know"
fold        a run's pass over the dirty marks, kept here: how far it is would name keys that stay home
bucket_empty   closed here first, looked at then: what is acknowledged before is seen, nothing is after
Source      DESIGN §5; laws merge, no resurrection, no loop, stays home, gc.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chalicelib.domain import codec, hashtree, resolution
from chalicelib.domain.account import Bucket, BucketState
from chalicelib.domain.errors import Conflict, Corrupt, Missing, Refused, StoreError, Unavailable
from chalicelib.domain.filing import check_record
from chalicelib.domain.forms import decode_bucket, encode_upload
from chalicelib.domain.hashtree import Node
from chalicelib.domain.manifest import BlockId, BlockRef, Record, index_refs, part_refs
from chalicelib.domain.names import key_hash
from chalicelib.domain.stamp import too_far_ahead
from chalicelib.domain.upload import Upload, UploadState
from chalicelib.objects import accounts, bodies, commit, rows, tree, uploads
from chalicelib.objects.get import current
from chalicelib.objects.list import is_empty
from chalicelib.objects.verified import matches
from chalicelib.ports.metadata import ABSENT, Check, Delete, Put, Table, Write
from chalicelib.ports.peers import Answer, Delivery, Hello, Outcome
from chalicelib.ports.site import Site
from chalicelib.replication import replicated_accounts
from chalicelib.replication.links import STORED_FORM_VERSION, Link, SiteRecord
from chalicelib.replication.policy import replicates

WANTED_MAX = 1000  # 4 GiB of blocks: the answer stays small whatever the object
FOLD_MS_MAX = 20_000  # a request's worth: an API gateway waits for 29 s
DELIVERIES_MAX = 100  # one request's worth: bounded memory at the sink, bounded loss on a time-out

FetchOn = Callable[[BlockRef, tuple[str, ...]], bytes | None]
Decide = Callable[[str, dict[str, Any], str, Link], dict[str, Any]]
AskOn = Callable[[Bucket, tuple[str, ...]], bool]


def _nobody(ref: BlockRef, asked: tuple[str, ...]) -> bytes | None:
    return None


def _undecided(verb: str, arguments: dict[str, Any], key: str, link: Link) -> dict[str, Any]:
    raise Refused("this site does not decide on names; ask the primary")


def _no_others(closing: Bucket, asked: tuple[str, ...]) -> bool:
    return True


class Sink:
    """This site as `link.site` sees it; keeps the contract of ports.peers.Peer."""

    def __init__(
        self,
        site: Site,
        record: SiteRecord,
        link: Link,
        fetch_on: FetchOn = _nobody,
        decide: Decide = _undecided,
        ask_on: AskOn = _no_others,
    ) -> None:
        self._site = site
        self._record = record
        self._link = link
        self._fetch_on = fetch_on
        self._decide = decide
        self._ask_on = ask_on

    def hello(self) -> Hello:
        """Who this site is."""
        return Hello(
            self._site.id,
            self._record.incarnation,
            STORED_FORM_VERSION,
            self._site.clock.now_ms(),
            self._record.primary,
            self._site.vault.public_key(),
            self._site.read_only,
        )

    # ---------------------------------------------------------------- records

    def apply(self, deliveries: Sequence[Delivery]) -> list[Answer]:
        """Merge records into this site."""
        # The primary's word on buckets counts even where only the decisions asked for here come from it.
        if not self._link.source and not (self._from_primary() and _only_buckets(deliveries)):
            raise Refused(f"site {self._link.site} is no source of this site")
        if len(deliveries) > DELIVERIES_MAX:
            raise Refused(f"at most {DELIVERIES_MAX} records at a time")
        return [self._apply(delivery) for delivery in deliveries]

    def _apply(self, delivery: Delivery) -> Answer:
        has = tuple(sorted({*delivery.has, self._link.site}))
        if delivery.kind != "object":
            return replicated_accounts.apply(self._site, delivery.kind, delivery.form, has, self._source())
        try:
            record = check_record(codec.decode_record(delivery.form))
        except (Corrupt, ValueError, TypeError, AttributeError) as problem:
            return Answer(Outcome.REFUSED, f"not a record: {problem}")
        needs = codec.record_version(record)
        if needs > self._record.version:  # over tables whose own site could not read it
            return Answer(Outcome.HELD, f"site {self._site.id} knows no version {needs} yet: upgrade it")
        # Whoever stamped it has it, though a fullsync does not carry who else does.
        return self._apply_object(record, tuple(sorted({*has, record.stamp.site})))

    def _from_primary(self) -> bool:
        return self._link.site == self._record.primary

    def _source(self) -> replicated_accounts.Source:
        return replicated_accounts.Source(self._link.site, self._from_primary(), self._link.administers)

    def _apply_object(self, record: Record, has: tuple[str, ...]) -> Answer:
        site = self._site
        if too_far_ahead(record.stamp, site.clock.now_ms()):
            return Answer(Outcome.HELD, f"stamp {record.stamp} is ahead of this site's clock")
        bucket = accounts.find_bucket(site, record.bucket_id)
        if bucket is not None and not replicates(bucket, site.id):
            return Answer(Outcome.REFUSED, f"bucket {bucket.name} may not be held at {site.id}")
        if bucket is not None and not replicates(bucket, self._link.site):
            return Answer(Outcome.REFUSED, f"bucket {bucket.name} may not be held at {self._link.site}")
        form = codec.encode_record(record)
        hashed = key_hash(record.key)
        for _ in range(site.rules.conflict_tries):
            where = [rows.head(record.bucket_id, hashed)]
            where.append(rows.incomplete(record.bucket_id, hashed, site.metadata.shards))
            head_form, incomplete = site.metadata.get(where)
            head = codec.decode_record(head_form) if head_form is not None else None
            if not resolution.supersedes(record, head):
                # By upload, not by stamp: a copy onto itself made here before the blocks came names the
                # very blocks that whoever sends the original owes us.
                same = head is not None and head.upload == record.upload
                return Answer(Outcome.BLOCKS if same and incomplete is not None else Outcome.HAVE)
            writes = commit.record_writes(site, record, form, head, head_form, has)
            try:
                needs_blocks = self._add_upload(record, head, incomplete, writes)
                site.metadata.transact(writes)
            except _Busy:
                return Answer(Outcome.HELD, "its blocks are being collected here; try again")
            except Conflict:
                continue
            site.announcer.committed()
            return Answer(Outcome.BLOCKS if needs_blocks else Outcome.APPLIED)
        return Answer(Outcome.HELD, "lost too many races for this key; try again")

    def _add_upload(
        self, record: Record, head: Record | None, incomplete: bytes | None, writes: list[Write]
    ) -> bool:
        """Add the upload and incomplete rows; whether blocks are owed."""
        site = self._site
        row = rows.incomplete(record.bucket_id, key_hash(record.key), site.metadata.shards)
        if not record.upload:
            if incomplete is not None:
                writes.append(Delete(row))
            return False
        upload = uploads.load(site, record.upload)
        if upload is not None and upload.state is UploadState.CLOSING:
            raise _Busy
        if upload is not None and upload.state is UploadState.COMMITTED:
            writes.append(Check(rows.upload(upload.id), encode_upload(upload)))
            complete = head is not None and head.upload == record.upload and incomplete is None
            if complete or record.origin == site.id:
                return False
        else:
            fresh = Upload(
                record.upload,
                record.bucket_id,
                record.key,
                UploadState.COMMITTED,
                site.clock.now_ms(),
                record.origin,
                multipart=record.multipart,
                owner=record.owner,
            )
            was = encode_upload(upload) if upload is not None else ABSENT
            writes.append(Put(rows.upload(record.upload), encode_upload(fresh), was))
        writes.append(Put(row, str(record.stamp).encode()))
        return True

    # ----------------------------------------------------------------- blocks

    def wanted(self, bucket_id: str, key_hash_: str) -> list[BlockId]:
        """Blocks of the head that are missing here, WANTED_MAX at a time. Missing while the bucket has not
        arrived: "nothing" would release the other site from what it owes."""
        if accounts.find_bucket(self._site, bucket_id) is None:
            raise Missing("its bucket has not arrived at this site yet")
        if not self._shows(bucket_id):
            return []
        site = self._site
        row = rows.incomplete(bucket_id, key_hash_, site.metadata.shards)
        head_form, incomplete = site.metadata.get([rows.head(bucket_id, key_hash_), row])
        if head_form is None or incomplete is None:
            return []
        record = codec.decode_record(head_form)
        missing = missing_blocks(site, record)
        if not missing:
            try:
                site.metadata.transact([Delete(row, incomplete)])
            except Conflict:
                return self.wanted(bucket_id, key_hash_)  # a newer record came: look at that one
        return [ref.id for ref in missing[:WANTED_MAX]]

    def put_block(self, ref: BlockRef, body: bytes) -> None:
        """File a block of an upload that a record brought here."""
        if not self._link.source:
            raise Refused(f"site {self._link.site} is no source of this site")
        if not self._names(ref):
            raise Refused("no record here names this block")
        if whole_here(self._site, ref):
            return
        keep_block(self._site, ref, body)

    def _names(self, ref: BlockRef) -> bool:
        """Whether the key's own record says that this block belongs to it and what it must be: what the
        sender says of it proves nothing."""
        upload = uploads.load(self._site, ref.id.upload)
        if upload is None or not self._shows(upload.bucket_id):
            return False
        record = current(self._site, upload.bucket_id, key_hash(upload.key))
        if record is None or record.upload != upload.id:
            return False
        return bodies.block_of(self._site, record, ref.id) == ref.block

    def _shows(self, bucket_id: str) -> bool:
        """Whether the other site may know what is in a bucket."""
        return replicates(accounts.find_bucket(self._site, bucket_id), self._link.site)

    def get_block(self, ref: BlockRef, asked: tuple[str, ...]) -> bytes | None:
        """A block this site has, or can get from a site not asked yet."""
        site = self._site
        if not self._link.proxy_get:
            raise Refused(f"proxy_get is not enabled for {self._link.site}")
        upload = uploads.load(site, ref.id.upload)
        if upload is None or upload.state is UploadState.CLOSING:
            return None
        bucket = accounts.find_bucket(site, upload.bucket_id)
        if bucket is None:
            raise Unavailable("its bucket has not arrived at this site yet: who may have it is not known")
        if not replicates(bucket, self._link.site):
            return None
        try:
            body = site.blocks.get(ref)
        except Corrupt:
            body = None
        if body is None:
            body = self._fetch_on(ref, (*asked, site.id))
        return body if body is not None and matches(site.hashing, ref, body) else None

    # --------------------------------------------------------------- fullsync

    def fold(self, run: str, for_ms: int) -> bool:
        """Fold what was committed here before `run` first asked, FOLD_MS_MAX at a time; whether all is."""
        until_ms = self._site.clock.now_ms() + min(for_ms, FOLD_MS_MAX)
        return tree.fold_for(self._site, f"from/{self._link.site}", run, until_ms)

    def tree(self, bucket_id: str, prefixes: Sequence[str]) -> list[Node]:
        """Nodes of this site's tree, as far as it is folded."""
        if not self._shows(bucket_id):
            return [hashtree.EMPTY] * len(prefixes)
        return tree.nodes(self._site, bucket_id, prefixes)

    def entries(self, bucket_id: str, prefix: str) -> list[tuple[str, bytes]]:
        """Entries of this site's tree below `prefix`."""
        if not self._shows(bucket_id):
            return []
        return tree.entries(self._site, bucket_id, prefix)

    def incomplete(self, after: str, limit: int) -> list[tuple[str, str]]:
        """Records of this site whose blocks are not all here."""
        found: list[bytes] = []
        for shard in range(self._site.metadata.shards):
            pk = rows.incomplete_pk(shard)
            page = self._site.metadata.scan(
                Table.INCOMPLETE, pk, start=after.encode(), after=bool(after), limit=limit
            )
            found.extend(sk for sk, _ in page)
        pairs = [sk.decode().rsplit("/", 1) for sk in sorted(found)[:limit]]
        return [(bucket_id, hashed) for bucket_id, hashed in pairs]

    def accounts(self) -> dict[str, str]:
        """Stamps of every user and bucket here."""
        return replicated_accounts.stamps(self._site)

    # ------------------------------------------------------------------ names

    def decide(self, verb: str, arguments: dict[str, Any], idempotency_key: str) -> dict[str, Any]:
        """Decide on a name, if this site is the primary."""
        return self._decide(verb, arguments, idempotency_key, self._link)

    def bucket_empty(self, form: bytes, asked: tuple[str, ...]) -> bool:
        """Close this site's copy of a bucket; whether it and those of sites not asked yet show nothing."""
        if not self._link.source and not self._from_primary():
            raise Refused(f"site {self._link.site} is no source of this site")
        closing = decode_bucket(form)
        if closing.state is not BucketState.CLOSING:
            raise Refused("only whoever closes a bucket asks whether it is empty")
        has = tuple(sorted({self._link.site, closing.stamp.site}))
        answer = replicated_accounts.apply(self._site, "bucket", form, has, self._source())
        here = accounts.find_bucket(self._site, closing.id)
        if here is None or here.state is BucketState.OPEN:
            why = answer.reason or "it was opened again"
            raise Unavailable(f"bucket {closing.name} is not closed at site {self._site.id}: {why}")
        return is_empty(self._site, closing.id) and self._ask_on(closing, asked)


def _only_buckets(deliveries: Sequence[Delivery]) -> bool:
    return all(delivery.kind == "bucket" for delivery in deliveries)


class _Busy(StoreError):
    """The upload is being collected here."""


def whole_here(site: Site, ref: BlockRef) -> bool:
    """Whether the block is filed here and true."""
    try:
        return site.blocks.get(ref) is not None
    except Corrupt:
        return False


def missing_blocks(site: Site, record: Record) -> list[BlockRef]:
    """Which blocks `record` names are not filed here; its index blocks first, alone."""
    if not record.upload:
        return []
    here = {block_id: size for block_id, size in site.blocks.list_upload(record.upload)}
    lost = [ref for ref in index_refs(record) if here.get(ref.id) != ref.block.size]
    if lost:
        return lost
    parts = bodies.parts_of(site, record)
    return [ref for ref in part_refs(record, parts) if here.get(ref.id) != ref.block.size]


def keep_block(site: Site, ref: BlockRef, body: bytes) -> None:
    """File a block that came from another site. Refused for wrong bytes or an upload not to be kept.

    We did not open this upload, so we look at it once more afterwards: if GC closed it between our
    look and the write, the block is taken back (law *gc*). A process that may not delete leaves that to
    GC, which looks at a closing upload again a leeway after it was closed, longer than a write may take;
    should even that be over, it is told to come once more.
    """
    if not matches(site.hashing, ref, body):
        raise Refused("the block's bytes do not match its hash")
    before = uploads.load(site, ref.id.upload)
    if before is None or before.state is not UploadState.COMMITTED:
        raise Refused("no record here names this upload")
    site.blocks.put(ref.id, body)
    after = uploads.load(site, ref.id.upload)
    if after is not None and after.state is UploadState.COMMITTED:
        return
    if site.rules.deletes:
        site.blocks.delete(ref.id)
    elif after is None:
        uploads.leave_to_gc(site, before)
    raise Refused("the upload was collected meanwhile")
