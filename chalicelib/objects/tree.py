"""Keeping the hash tree: a commit leaves a dirty mark, `fold` turns marks into entries and nodes.

    tree table   dirty/<shard>          <bucket id>/<key hash> → stamp of the write
                 e/<bucket id>/<digit>  key hash → 16-byte digest
                 n/<bucket id>          "/" + prefix → node
                pass                   who asked → how far the pass of a run has come

A mark is deleted only if it still is the one that was read *before* the head, so a write that comes
in between leaves its own mark and is folded next time.

A pass goes over the marks once, in order of shard and key, and never back, so it ends though writes come
faster than they are folded. It misses none that was there when it began: a mark never moves, a later write
of its key leaves it where it is, and only a fold of that key takes it away. No clock is asked, for marks
bear stamps of other sites too.
Cost    one transaction for many marks; a PUT pays one row
Source  DESIGN §5 "Fullsync"; domain.hashtree.
"""

from __future__ import annotations

from collections.abc import Sequence

from chalicelib.domain import codec, hashtree
from chalicelib.domain.errors import Conflict
from chalicelib.domain.hashtree import Node
from chalicelib.objects import rows
from chalicelib.ports.metadata import Delete, Put, RowId, Table, Write, expected
from chalicelib.ports.site import Site

BATCH_MAX = 500  # marks a transaction: large enough to share nodes, small enough not to hold a writer
_ITEMS_PER_MARK = 3 + hashtree.DEPTH  # mark, entry, and at worst a node of its own on every level, root too
_PAGE = 1000
_TRIES = 20
_TURN_MS = 60_000  # how often a sweep folds


def _entry(bucket_id: str, hashed: str) -> RowId:
    return RowId(Table.TREE, f"e/{bucket_id}/{hashed[0]}", hashed.encode())


def _node(bucket_id: str, prefix: str) -> RowId:
    return RowId(Table.TREE, f"n/{bucket_id}", b"/" + prefix.encode())


def fold(site: Site, until_ms: int | None = None) -> int:
    """Fold every mark there is when it begins; how many were folded, those that came into its way among
    them. No batch begins after `until_ms`; should time never suffice, each minute begins at another shard."""
    shards = site.metadata.shards
    first = site.clock.now_ms() // _TURN_MS
    return sum(_fold_shard(site, (first + n) % shards, b"", until_ms)[0] for n in range(shards))


def fold_for(site: Site, who: str, run: str, until_ms: int) -> bool:
    """Go on with the pass that `run` needs; whether it is through: every mark there was when the run first
    asked is folded. No batch begins after `until_ms`; `who` has one pass at a time."""
    row = RowId(Table.TREE, "pass", who.encode())
    form = site.metadata.get([row])[0]
    stood = codec.decode_document(form) if form is not None else {}
    first, after = (stood["shard"], stood["after"].encode()) if stood.get("run") == run else (0, b"")
    for shard in range(first, site.metadata.shards):
        _, stopped = _fold_shard(site, shard, after, until_ms)
        if stopped is not None:
            stands = {"run": run, "shard": shard, "after": stopped.decode()}
            site.metadata.transact([Put(row, codec.encode_document(stands))])
            return False
        after = b""
    if form is not None:
        site.metadata.transact([Delete(row)])
    return True


def _fold_shard(site: Site, shard: int, after: bytes, until_ms: int | None) -> tuple[int, bytes | None]:
    """Fold a shard's marks behind `after`, in their order and each place once; how many, and after which
    one time was up, None at the end."""
    batch = max(1, min(BATCH_MAX, site.metadata.items_max // _ITEMS_PER_MARK))
    folded = 0
    while until_ms is None or site.clock.now_ms() < until_ms:
        with site.locks.hold("tree"):  # for a batch, not a pass: who waits for it has a time limit too
            marks = site.metadata.scan(
                Table.TREE, rows.dirty_pk(shard), start=after, after=bool(after), limit=batch
            )
            if not marks:
                return folded, None
            size, reached = _fold_batch(site, shard, marks)
        folded, after = folded + size, reached or after
        if reached == marks[-1][0] and len(marks) < batch:
            return folded, None
    return folded, after


def _fold_batch(site: Site, shard: int, marks: Sequence[tuple[bytes, bytes]]) -> tuple[int, bytes]:
    """How many of a shard's next marks were folded, and the place up to which none is left, b"" for none."""
    first, last = marks[0][0], marks[-1][0]
    for _ in range(_TRIES):
        try:
            site.metadata.transact(_fold_writes(site, shard, marks))
            return len(marks), marks[-1][0]
        except Conflict:  # one mark at a time after a lost race
            marks = site.metadata.scan(
                Table.TREE, rows.dirty_pk(shard), start=first, end=last + b"\0", limit=1
            )
            if not marks:
                return 0, last  # somebody else folded them
    return 0, b""


def _fold_writes(site: Site, shard: int, marks: Sequence[tuple[bytes, bytes]]) -> list[Write]:
    keys = [tuple(sk.decode().rsplit("/", 1)) for sk, _ in marks]
    nodes = {(b, prefix) for b, hashed in keys for prefix in hashtree.path(hashed)}
    order = sorted(nodes)
    wanted = [rows.head(b, h) for b, h in keys] + [_entry(b, h) for b, h in keys]
    wanted += [_node(b, prefix) for b, prefix in order]
    found = _get(site, wanted)
    heads, entries = found[: len(keys)], found[len(keys) : 2 * len(keys)]
    was = dict(zip(order, found[2 * len(keys) :], strict=True))
    now = {name: hashtree.decode(form) for name, form in was.items()}
    writes: list[Write] = []
    for (bucket_id, hashed), head, old, (sk, mark) in zip(keys, heads, entries, marks, strict=True):
        new = hashtree.entry_digest(head) if head is not None else None
        for prefix in hashtree.path(hashed):
            now[bucket_id, prefix] = hashtree.changed(now[bucket_id, prefix], old, new)
        if new is not None:
            writes.append(Put(_entry(bucket_id, hashed), new, expected(old)))
        writes.append(Delete(RowId(Table.TREE, rows.dirty_pk(shard), sk), mark))
    for (bucket_id, prefix), form in was.items():
        node = hashtree.encode(now[bucket_id, prefix])
        writes.append(Put(_node(bucket_id, prefix), node, expected(form)))
    return writes


def _get(site: Site, wanted: list[RowId]) -> list[bytes | None]:
    found: list[bytes | None] = []
    for at in range(0, len(wanted), site.metadata.items_max):
        found.extend(site.metadata.get(wanted[at : at + site.metadata.items_max]))
    return found


def nodes(site: Site, bucket_id: str, prefixes: Sequence[str]) -> list[Node]:
    """The nodes at `prefixes`; EMPTY where there is none."""
    return [hashtree.decode(form) for form in _get(site, [_node(bucket_id, p) for p in prefixes])]


def entries(site: Site, bucket_id: str, prefix: str) -> list[tuple[str, bytes]]:
    """(key hash, digest) of every key below `prefix`, in order."""
    found: list[tuple[str, bytes]] = []
    digits = prefix[:1] or "0123456789abcdef"
    for digit in digits:
        start, end = (prefix or digit).encode(), (prefix or digit).encode() + b"g"
        after = False
        while True:
            page = site.metadata.scan(
                Table.TREE, f"e/{bucket_id}/{digit}", start=start, after=after, end=end, limit=_PAGE
            )
            found.extend((sk.decode(), digest) for sk, digest in page)
            if len(page) < _PAGE:
                break
            start, after = page[-1][0], True
    return found
