"""Watch: sees every commit of every site the moment it takes effect, and judges it.

    merge, no resurrection   a head only ever moves to a greater stamp
    announced                a new head comes with an outbox item for every enabled link whose sink lacks
                             it; an item goes only when the sink holds what it named, blocks and all
    durable                  a bucket is deleted only when no site shows an object in it
    stays home               no row of a bucket at a site that may not hold it
It keeps the heads, the history of every key and what is owed, so that the other checkers can look
without reading a store.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from chalicelib.domain import codec
from chalicelib.domain import stamp as stamps
from chalicelib.domain.account import Bucket, BucketState
from chalicelib.domain.forms import decode_bucket
from chalicelib.domain.manifest import BlockId, Record, index_refs, part_refs
from chalicelib.domain.names import key_hash
from chalicelib.ports.metadata import Delete, Put, Table, Write
from chalicelib.replication.outbox import MARKS
from chalicelib.replication.policy import replicates
from tests.simulation.world import World

if TYPE_CHECKING:
    from tests.simulation.sites import SimSite

Key = tuple[str, str]  # bucket id, key hash
Item = tuple[str, str, str, str]  # kind, bucket id, name, stamp


class Ledger:
    """What the watches of all sites know together."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.sites: dict[str, SimSite] = {}
        self.sinks: dict[str, list[str]] = {}
        self.committed: set[int] = set()  # operations whose record ever was a head at its own site
        self.blocks: dict[str, tuple[BlockId, ...]] = {}  # upload → what a record naming it names
        self.delivered: set[tuple[str, BlockId]] = set()  # (site, block) seen there once


class Watch:
    """One site's."""

    def __init__(self, ledger: Ledger, name: str) -> None:
        self._ledger = ledger
        self._world = ledger.world
        self._name = name
        self.heads: dict[Key, Record] = {}
        self.forms: dict[Key, bytes] = {}
        self.history: dict[Key, list[Record]] = defaultdict(list)
        self.owed: dict[str, dict[Item, set[bytes]]] = defaultdict(dict)  # item → where it lies
        self.buckets: dict[str, Bucket] = {}
        self.incomplete: set[Key] = set()
        self.uploads: dict[str, int] = {}  # upload → the step in which a record here first named it

    def bucket(self, bucket_id: str) -> Bucket | None:
        """The bucket as this site knows it."""
        return self.buckets.get(bucket_id)

    def committed(self, site: SimSite, writes: Sequence[Write]) -> None:
        """A transaction took effect."""
        touched: list[tuple[str, Item]] = []
        heads: list[Record] = []
        for write in writes:
            table = write.row.table
            if table is Table.KEYS and isinstance(write, Put):
                heads.append(self._head(write.row.pk, write.value))
            elif table is Table.OUTBOX and f"/{MARKS}/" not in write.row.pk:
                touched.append(self._outbox(write))
            elif table is Table.BUCKETS and isinstance(write, Put) and write.row.pk == "id":
                self._bucket(decode_bucket(write.value))
            elif table is Table.INCOMPLETE:
                self._incompleteness(write)
        for record in heads:
            self._announced(record)
        for sink, item in touched:
            if item in self.owed[sink] and not self.owed[sink][item]:
                del self.owed[sink][item]
                self._settled(sink, item)

    def _bucket(self, bucket: Bucket) -> None:
        self.buckets[bucket.id] = bucket
        if bucket.state is not BucketState.DELETED or bucket.stamp.site != self._name:
            return
        for site in self._ledger.sites.values():
            kept = [r for (b, _), r in site.watch.heads.items() if b == bucket.id and r.live]
            if kept:
                self._world.fail("durable", f"{bucket.name} deleted while {site.name} holds {kept[0].key}")

    def _outbox(self, write: Write) -> tuple[str, Item]:
        sink, item = _item(write.row.pk, write.row.sk)
        place = write.row.pk.encode() + write.row.sk
        if isinstance(write, Put):
            self.owed[sink].setdefault(item, set()).add(place)
        elif isinstance(write, Delete) and item in self.owed[sink]:
            self.owed[sink][item].discard(place)
        return sink, item

    def _incompleteness(self, write: Write) -> None:
        key = _key(write.row.sk.decode())
        if isinstance(write, Put):
            self.incomplete.add(key)
        elif isinstance(write, Delete):
            self.incomplete.discard(key)

    def _head(self, pk: str, form: bytes) -> Record:
        record = codec.decode_record(form)
        key = _key(pk)
        before = self.heads.get(key)
        self._world.log("head", record.key, str(record.stamp)[8:], record.live, number_of(record))
        if before is not None and record.stamp <= before.stamp and form != self.forms[key]:
            law = "no resurrection" if record.live and not before.live else "merge"
            self._world.fail(law, f"{self._name} {record.key}: {before.stamp} gave way to {record.stamp}")
        bucket = self.buckets.get(record.bucket_id)
        if bucket is not None and not replicates(bucket, self._name):
            self._world.fail("stays home", f"{self._name} holds {record.key} of {bucket.name}")
        self.uploads.setdefault(record.upload, self._world.steps)
        self.heads[key] = record
        self.forms[key] = form
        self.history[key].append(record)
        if record.stamp.site == self._name and record.live:
            self._ledger.committed.add(number_of(record))
        return record

    def _announced(self, record: Record) -> None:
        key = (record.bucket_id, key_hash(record.key))
        item = ("object", *key, str(record.stamp))
        for sink in self._ledger.sinks[self._name]:
            if item not in self.owed[sink] and not self._has(sink, key, record):
                self._world.fail(
                    "announced", f"{self._name} owes {sink} {record.key} {record.stamp}, no item"
                )

    def _has(self, sink: str, key: Key, record: Record) -> bool:
        theirs = self._ledger.sites[sink].watch.heads.get(key)
        return theirs is not None and theirs.stamp >= record.stamp

    def _settled(self, sink: str, item: Item) -> None:
        why = self.lacks(sink, item)
        if why:
            self._world.fail("announced", f"{self._name} settled {item} for {sink}: {why}")

    def lacks(self, sink: str, item: Item) -> str:
        """What `sink` lacks of what `item` promises, "" for nothing."""
        kind, bucket_id, name, stamp = item
        other = self._ledger.sites[sink].watch
        if kind == "bucket":
            known = other.buckets.get(name)
            return "" if known is not None and str(known.stamp) >= stamp else "an older bucket"
        if kind != "object":
            return ""
        if bucket_id in self.buckets and not replicates(self.buckets[bucket_id], sink):
            return ""
        key = (bucket_id, name)
        theirs, mine = other.heads.get(key), self.heads[key]
        promised = stamps.parse(stamp)
        if mine.stamp > promised:  # superseded here: then what superseded it is owed, or there already
            later = (kind, bucket_id, name, str(mine.stamp))
            if later in self.owed[sink] or (theirs is not None and theirs.stamp >= mine.stamp):
                return ""
        if theirs is None or theirs.stamp < promised:
            return f"the sink has {theirs.stamp if theirs else None}"
        # Blocks are owed by who had the upload first, unless another site owes them: not back to where
        # they came from, and not twice where a later record over them came over another link.
        ours = theirs.upload and self.uploads.get(theirs.upload, 0) < other.uploads[theirs.upload]
        if theirs.stamp == promised and ours and not self._ledger.sites[sink].holds(theirs):
            return "" if self._owed_elsewhere(sink, key) else "its blocks are not all there"
        return ""

    def _owed_elsewhere(self, sink: str, key: Key) -> bool:
        others = (site.watch.owed[sink] for site in self._ledger.sites.values() if site.watch is not self)
        return any(item[1:3] == key for owed in others for item in owed)


def blocks_of(ledger: Ledger, record: Record) -> tuple[BlockId, ...]:
    """Every block a record names. Index blocks are read wherever one is whole."""
    if not record.upload:
        return ()
    known = ledger.blocks.get(record.upload)
    if known is None:
        ids = [ref.id for ref in index_refs(record)]
        parts = record.parts
        if ids:
            parts = codec.decode_parts(b"".join(_anywhere(ledger, ref) for ref in index_refs(record)))
        known = (*ids, *(ref.id for ref in part_refs(record, parts)))
        ledger.blocks[record.upload] = known
    return known


def _anywhere(ledger: Ledger, ref: object) -> bytes:
    for site in ledger.sites.values():
        body = site.true_block(ref)
        if body is not None:
            return body
    ledger.world.fail("durable", f"index block {ref} is nowhere")
    raise AssertionError


def _key(path: str) -> Key:
    bucket_id, _, hashed = path.rpartition("/")
    return bucket_id, hashed


def _item(pk: str, sk: bytes) -> tuple[str, Item]:
    kind, bucket_id, name, stamp = sk[6:].decode().rstrip("+").split(":")
    return pk.split("/")[0], (kind, bucket_id, name, stamp)


def number_of(record: Record) -> int:
    """The number of the operation that wrote a record; 0 for a tombstone."""
    return int(dict(record.metadata).get("op", 0))
