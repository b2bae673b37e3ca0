"""What GC shall look at, and when: one row an upload and reason, written with whatever caused it.

Reasons  open        an upload was opened: if it is still open when due, close it
         superseded  a newer record took the key: if no record names the upload, close it
         parts       a multipart upload was committed: drop attempts that Complete did not name
         closing     an upload was closed a leeway ago, and whoever was still filing blocks into it has
                     ended: delete its blocks once more, and the rows of its parts
         closed      that was done a leeway ago, and whoever was doing it as well has ended: its row goes
Source   DESIGN §5 "GC"; Riak CS `riak-cs-gc` entries (research/riakcs.md §1.10).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chalicelib.domain import codec
from chalicelib.domain.names import key_hash
from chalicelib.domain.stamp import Stamp
from chalicelib.objects import rows
from chalicelib.ports.metadata import Put, RowId
from chalicelib.ports.site import Site

OPEN, SUPERSEDED, PARTS, CLOSING, CLOSED = "open", "superseded", "parts", "closing", "closed"


@dataclass(frozen=True, slots=True)
class Due:
    """One entry: what to look at and since when. `stamp`, of what was superseded: its record's stamp and
    that of the record in its place (`both`); entries of earlier versions have the second alone."""

    reason: str
    upload: str
    bucket_id: str
    key_hash: str
    since_ms: int
    stamp: str = ""

    @property
    def superseded(self) -> str:
        """The stamp of the record that was superseded; "" where an earlier version did not note it."""
        return self.stamp.rpartition(" ")[0]


def both(old: Stamp, new: Stamp) -> str:
    """What an entry notes of a record and the one that took its place."""
    return f"{old} {new}"


def row(site: Site, due_ms: int, reason: str, upload: str) -> RowId:
    """Where the entry for `upload` and `reason` at `due_ms` lies."""
    return rows.due(due_ms, f"{upload}/{reason}", site.metadata.shards)


def put(
    site: Site,
    due_ms: int,
    reason: str,
    upload: str,
    bucket_id: str,
    hashed: str,
    stamp: str = "",
) -> Put:
    """The write that makes GC look at `upload` at `due_ms`."""
    entry = {
        "reason": reason,
        "upload": upload,
        "bucket_id": bucket_id,
        "key_hash": hashed,
        "since_ms": site.clock.now_ms(),
        "stamp": stamp,
    }
    return Put(row(site, due_ms, reason, upload), codec.encode_document(entry))


def for_key(site: Site, due_ms: int, reason: str, upload: str, bucket_id: str, key: str) -> Put:
    """As `put`, for a key whose hash the caller does not have at hand."""
    return put(site, due_ms, reason, upload, bucket_id, key_hash(key))


def decode(form: bytes) -> Due:
    """The entry a row holds."""
    fields: dict[str, Any] = codec.decode_document(form)
    return Due(**fields)
