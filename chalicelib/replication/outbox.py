"""The outbox: one item per record and link, in the record's own transaction (law *announced*).

    outbox table  <sink>/<stage>/<shard>   <next try ms><kind>:<bucket id>:<name>:<stamp>[+] → Item
                  <sink>/owed/<shard>      <kind>:<bucket id>:<name>:<stamp> → the item's mark

stage   record   the record itself is owed
        small, large   it has arrived, its blocks are owed; two lanes, so that one huge object never
                 keeps a thousand small ones waiting
An item names a record and never carries it: the record is read again when it is sent.
mark     items lie in order of time and move, so none can be found by its key. GC must know whether a sink
         has a certain record: an item of a record that took another's place has a mark, which comes in the
         same commit, never moves, and goes with the item ("+": it has one). Nobody's place, no mark: what
         nothing waits for costs no row
Source  DESIGN §5 "Realtime"; riak_repl's lost realtime queue (research/riakcs.md §4.1) is what it cures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from chalicelib.domain import codec
from chalicelib.domain.errors import Conflict
from chalicelib.domain.names import key_hash, shard_of
from chalicelib.ports.metadata import Delete, Metadata, Put, RowId, Table, Write
from chalicelib.ports.site import Owed
from chalicelib.ports.system import Clock
from chalicelib.replication.links import LinkBook

RECORD, SMALL, LARGE = "record", "small", "large"
STAGES = (RECORD, SMALL, LARGE)
LARGE_BYTES = 16 * 1024 * 1024  # more than a few blocks: its own lane
RETRY_FIRST_MS = 200
RETRY_MAX_MS = 60 * 1000  # a healed link is noticed within a minute even if nothing new is written
RETRY_NOW_MS = 10_000  # a request's worth: within RETRY_MAX_MS everything falls due by itself
ERROR_CHARS_MAX = 200
MARKS = "owed"
_MARKED = b"+"
FIND_MAX = 100  # items read for one record: a tenth of a second of a shard at its busiest
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Item:
    """What is owed: `name` is a key hash, a bucket id or an access key."""

    kind: str
    bucket_id: str
    name: str
    stamp: str
    created_ms: int
    size: int
    blocks: bool
    has: tuple[str, ...]
    tries: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Owing:
    """An item where it lies."""

    row: RowId
    form: bytes
    item: Item

    @property
    def marked(self) -> bool:
        """Whether a mark goes with it."""
        return self.row.sk.endswith(_MARKED)


def encode(item: Item) -> bytes:
    """The stored form of an item."""
    return codec.encode_document({name: getattr(item, name) for name in Item.__slots__})


def decode(form: bytes) -> Item:
    """The item a form holds."""
    fields: dict[str, Any] = codec.decode_document(form)
    fields["has"] = tuple(fields["has"])
    return Item(**fields)


def pk(sink: str, stage: str, shard: int) -> str:
    """One shard of what is owed to a sink at a stage."""
    return f"{sink}/{stage}/{shard}"


def row(sink: str, stage: str, item: Item, due_ms: int, shards: int, marked: bool = False) -> RowId:
    """Where an item due at `due_ms` lies."""
    hashed = item.name if item.kind == "object" else key_hash(item.name)
    sk = due_ms.to_bytes(6) + _name(item.kind, item.bucket_id, item.name, item.stamp)
    return RowId(Table.OUTBOX, pk(sink, stage, shard_of(hashed, shards)), sk + (_MARKED if marked else b""))


def mark(sink: str, bucket_id: str, hashed: str, stamp: str, shards: int) -> RowId:
    """Where the mark of an object's item lies."""
    return RowId(
        Table.OUTBOX, pk(sink, MARKS, shard_of(hashed, shards)), _name("object", bucket_id, hashed, stamp)
    )


def _name(kind: str, bucket_id: str, name: str, stamp: str) -> bytes:
    return f"{kind}:{bucket_id}:{name}:{stamp}".encode()


class OutboxAnnouncer:
    """The Announcer of a site with links. `wake` is called after every commit that owes something."""

    def __init__(self, metadata: Metadata, clock: Clock, links: LinkBook, wake: Callable[[], None]) -> None:
        self._metadata = metadata
        self._clock = clock
        self._links = links
        self._wake = wake

    def writes(self, owed: Iterable[Owed]) -> list[Write]:
        """One row per record and enabled sink that is not known to have it, its mark where it replaces
        another, and the links' own guard."""
        links, writes = self._links.guarded()
        sinks = links.sinks()
        if not sinks:
            return writes
        now_ms, shards = self._clock.now_ms(), self._metadata.shards
        for one in owed:
            name = key_hash(one.name) if one.kind == "object" else one.name
            item = Item(one.kind, one.bucket_id, name, one.stamp, now_ms, one.size, one.blocks, one.has)
            form = encode(item)
            owing = [link.site for link in sinks if link.site not in one.has]
            writes += [Put(row(to, RECORD, item, now_ms, shards, one.replaces), form) for to in owing]
            if one.replaces:
                writes += [Put(mark(to, one.bucket_id, name, one.stamp, shards), b"1") for to in owing]
        return writes

    def committed(self) -> None:
        """Something may be owed."""
        self._wake()


class Outbox:
    """What is owed over one link, read and settled by whoever serves it."""

    def __init__(self, metadata: Metadata, clock: Clock, sink: str) -> None:
        self._metadata = metadata
        self._clock = clock
        self._sink = sink

    def due(self, stage: str, limit: int) -> list[Owing]:
        """Up to `limit` items whose time has come, the oldest first."""
        end = (self._clock.now_ms() + 1).to_bytes(6)
        found = [
            owing
            for shard in range(self._metadata.shards)
            for owing in self._page(stage, shard, b"", end, limit)
        ]
        found.sort(key=lambda owing: owing.row.sk)
        return found[:limit]

    def find(self, stage: str, kind: str, bucket_id: str, name: str, from_ms: int) -> list[Owing]:
        """Items of one record that fell due at `from_ms` or soon after: where a commit, or `advance`, put
        them. Finding none proves nothing: an item that was tried meanwhile has moved on."""
        shard = shard_of(name if kind == "object" else key_hash(name), self._metadata.shards)
        end = (self._clock.now_ms() + 1).to_bytes(6)
        page = self._page(stage, shard, from_ms.to_bytes(6), end, FIND_MAX)
        wanted = (kind, bucket_id, name)
        return [one for one in page if (one.item.kind, one.item.bucket_id, one.item.name) == wanted]

    def next_due_ms(self, stage: str) -> int | None:
        """When the next item falls due, None if nothing is owed."""
        firsts = [
            page[0].row.sk[:6]
            for shard in range(self._metadata.shards)
            if (page := self._page(stage, shard, b"", None, 1))
        ]
        return int.from_bytes(min(firsts)) if firsts else None

    def firsts(self, limit: int) -> Iterator[tuple[str, list[Owing]]]:
        """Of each stage and shard, the items that are due next, at most `limit` of them."""
        for stage in STAGES:
            for shard in range(self._metadata.shards):
                yield stage, self._page(stage, shard, b"", None, limit)

    def all(self) -> Iterator[tuple[str, Owing]]:
        """Everything owed, with its stage, but for what is moved back in time meanwhile (`retry_now`)."""
        for stage in STAGES:
            for shard in range(self._metadata.shards):
                start = b""
                while True:
                    page = self._page(stage, shard, start, None, _PAGE)
                    for owing in page:
                        yield stage, owing
                    if len(page) < _PAGE:
                        break
                    start = page[-1].row.sk

    def _page(self, stage: str, shard: int, start: bytes, end: bytes | None, limit: int) -> list[Owing]:
        where = pk(self._sink, stage, shard)
        page = self._metadata.scan(Table.OUTBOX, where, start=start, after=bool(start), end=end, limit=limit)
        return [Owing(RowId(Table.OUTBOX, where, sk), form, decode(form)) for sk, form in page]

    def settle(self, done: Iterable[Owing]) -> None:
        """Remove items whose sink has all that was promised, and their marks: never an item before its mark,
        which would be left for ever."""
        rows: list[Write] = []
        for owing in done:
            if owing.marked:
                rows.append(Delete(self._mark(owing.item)))
            rows.append(Delete(owing.row))
        for at in range(0, len(rows), self._metadata.items_max):
            self._metadata.transact(rows[at : at + self._metadata.items_max])

    def _mark(self, item: Item) -> RowId:
        return mark(self._sink, item.bucket_id, item.name, item.stamp, self._metadata.shards)

    def advance(self, owing: Owing) -> None:
        """The record has arrived: owe its blocks from now on."""
        stage = LARGE if owing.item.size > LARGE_BYTES else SMALL
        moved = replace(owing.item, tries=0, error="")
        self._move(owing, stage, moved, self._clock.now_ms())

    def retry(self, owing: Owing, stage: str, error: str) -> None:
        """Try again later, each time twice as late, up to RETRY_MAX_MS."""
        item = owing.item
        wait_ms = min(RETRY_MAX_MS, RETRY_FIRST_MS << min(item.tries, 16))
        again = replace(item, tries=item.tries + 1, error=error[:ERROR_CHARS_MAX])
        self._move(owing, stage, again, self._clock.now_ms() + wait_ms)

    def _move(self, owing: Owing, stage: str, item: Item, due_ms: int) -> None:
        to = row(self._sink, stage, item, due_ms, self._metadata.shards, owing.marked)
        writes: list[Write] = [Put(to, encode(item))]
        if to != owing.row:
            writes.append(Delete(owing.row, owing.form))
        try:
            self._metadata.transact(writes)
        except Conflict:
            return  # somebody else settled or moved it first: nothing is lost, the item is theirs

    def retry_now(self, until_ms: int | None = None, began_ms: int | None = None) -> bool:
        """A healed link: whatever waits for its next try is due now, as far as there is time: RETRY_NOW_MS,
        or until `until_ms`. Whether all is that has waited since `began_ms`, the first of several such calls:
        at the latest RETRY_MAX_MS after it, for then it has fallen due by itself."""
        now_ms = self._clock.now_ms()
        until_ms = now_ms + RETRY_NOW_MS if until_ms is None else until_ms
        end = ((now_ms if began_ms is None else began_ms) + RETRY_MAX_MS + 1).to_bytes(6)
        for stage in STAGES:
            for shard in range(self._metadata.shards):
                start = (now_ms + 1).to_bytes(6)
                while start < end:
                    page = self._page(stage, shard, start, end, _PAGE)
                    for owing in page:
                        if self._clock.now_ms() >= until_ms:
                            return False
                        self._move(owing, stage, replace(owing.item, tries=0), now_ms)
                    if len(page) < _PAGE:
                        break
                    start = page[-1].row.sk
        return True

    def drop(self) -> None:
        """The link was disabled or removed: what it was owed is forgotten; a fullsync brings it back. Marks
        whose items an earlier version took go too; those of commits under way stay with their items."""
        marks = list(self._marks())
        page: list[Owing] = []
        for _, owing in list(self.all()):
            page.append(owing)
            if len(page) == self._metadata.items_max:
                self.settle(page)
                page = []
        self.settle(page)
        for at in range(0, len(marks), self._metadata.items_max):
            self._metadata.transact([Delete(row) for row in marks[at : at + self._metadata.items_max]])

    def _marks(self) -> Iterator[RowId]:
        for shard in range(self._metadata.shards):
            where, start = pk(self._sink, MARKS, shard), b""
            while page := self._metadata.scan(
                Table.OUTBOX, where, start=start, after=bool(start), limit=_PAGE
            ):
                yield from (RowId(Table.OUTBOX, where, sk) for sk, _ in page)
                start = page[-1][0]


def unconfirmed(metadata: Metadata, sinks: Iterable[str], bucket_id: str, hashed: str, stamp: str) -> bool:
    """Whether some of `sinks` has yet to confirm this record of a key, which took another's place. Its marks
    came with the record and never come again: once this is False it stays so."""
    marks = [mark(sink, bucket_id, hashed, stamp, metadata.shards) for sink in sinks]
    return any(form is not None for form in metadata.get(marks)) if marks else False
