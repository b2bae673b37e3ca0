"""Keeping the hash tree: a commit leaves a dirty mark, `fold` turns marks into entries and nodes.

    tree table   dirty/<shard>          <bucket id>/<key hash> → stamp of the write
                 e/<bucket id>/<digit>  key hash → 16-byte digest
                 n/<bucket id>          "/" + prefix → node

A mark is deleted only if it still is the one that was read *before* the head, so a write that comes
in between leaves its own mark and is folded next time.
Cost    one transaction for many marks; a PUT pays one row
Source  DESIGN §5 "Fullsync"; domain.hashtree.
"""

from __future__ import annotations

from collections.abc import Sequence

from chalicelib.domain import hashtree
from chalicelib.domain.errors import Conflict
from chalicelib.domain.hashtree import Node
from chalicelib.objects import rows
from chalicelib.ports.metadata import Delete, Put, RowId, Table, Write, expected
from chalicelib.ports.site import Site

BATCH_MAX = 500  # marks a transaction: large enough to share nodes, small enough not to hold a writer
_ITEMS_PER_MARK = 3 + hashtree.DEPTH  # mark, entry, and at worst a node of its own on every level, root too
_PAGE = 1000
_TRIES = 20


def _entry(bucket_id: str, hashed: str) -> RowId:
    return RowId(Table.TREE, f"e/{bucket_id}/{hashed[0]}", hashed.encode())


def _node(bucket_id: str, prefix: str) -> RowId:
    return RowId(Table.TREE, f"n/{bucket_id}", b"/" + prefix.encode())


def fold(site: Site, until_ms: int | None = None) -> int:
    """Fold every mark there is now; how many were folded. No batch begins after `until_ms`."""
    folded = 0
    batch = max(1, min(BATCH_MAX, site.metadata.items_max // _ITEMS_PER_MARK))
    with site.locks.hold("tree"):
        for shard in range(site.metadata.shards):
            while until_ms is None or site.clock.now_ms() < until_ms:
                marks = site.metadata.scan(Table.TREE, rows.dirty_pk(shard), limit=batch)
                if not marks:
                    break
                folded += _fold_batch(site, shard, marks)
    return folded


def folded_by(site: Site, until_ms: int | None) -> bool:
    """Fold; whether there was time for all of it."""
    fold(site, until_ms)
    return until_ms is None or site.clock.now_ms() < until_ms


def _fold_batch(site: Site, shard: int, marks: Sequence[tuple[bytes, bytes]]) -> int:
    for attempt in range(_TRIES):
        size = len(marks) if attempt == 0 else 1  # after a lost race, one mark at a time
        try:
            site.metadata.transact(_fold_writes(site, shard, marks[:size]))
            return size
        except Conflict:
            marks = site.metadata.scan(Table.TREE, rows.dirty_pk(shard), limit=len(marks))
            if not marks:
                return 0
    return 0


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
