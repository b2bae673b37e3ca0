"""Direct download: the blocks of an object with what they must be, and URLs to get them from the store.

    page(site, record, start, limit)    the blocks from byte `start` on → (located, next start or None)

A block that is not here yet has no URL: an ordinary ranged GET brings it, through proxy_get, which keeps it.
Whoever reads checks every block against its hash, as this site would, and reads a damaged one that way too.
Errors  NotImplemented: this site's store cannot · Missing, Corrupt: the part list cannot be had
Source  DESIGN §5 "GET at the sink"; docs/direct.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import islice

from chalicelib.domain.chunking import Slice, slices
from chalicelib.domain.manifest import Record
from chalicelib.domain.names import key_hash
from chalicelib.objects import bodies, rows
from chalicelib.objects.direct_put import BLOCKS_MAX, offered, url_seconds
from chalicelib.ports.direct import Presigned
from chalicelib.ports.site import Site


@dataclass(frozen=True, slots=True)
class Located:
    """Bytes [piece.start, piece.end) of a block are the object's from `offset` on."""

    offset: int
    piece: Slice
    url: Presigned | None


def page(
    site: Site, record: Record, start: int, end: int, limit: int = BLOCKS_MAX
) -> tuple[list[Located], int | None]:
    """The blocks of bytes [start, end) of a live record, at most `limit`; where the next page starts."""
    store, expires_s = offered(site), url_seconds(site)
    end = min(end, record.size)
    if not record.upload or start >= end:
        return [], None
    pieces = list(islice(slices(record, bodies.parts_of(site, record), start, end), limit))
    here = _here(site, record, pieces)
    found, at = [], start
    for piece, there in zip(pieces, here, strict=True):
        url = store.presign_get(piece.ref.id, expires_s) if there else None
        found.append(Located(at, piece, url))
        at += piece.end - piece.start
    return found, at if at < end else None


def _here(site: Site, record: Record, pieces: list[Slice]) -> list[bool]:
    """Whether each block is in our store: all are, unless the record is known to be incomplete."""
    row = rows.incomplete(record.bucket_id, key_hash(record.key), site.metadata.shards)
    if site.metadata.get([row])[0] is None:
        return [True] * len(pieces)
    store = offered(site)
    tasks = [site.parallel.start(partial(store.vouched, piece.ref.id)) for piece in pieces]
    try:
        return [task.result() is not None for task in tasks]
    finally:
        bodies.settle_all(tasks)
