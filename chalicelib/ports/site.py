"""Site: everything one site's code needs, wired once by `bootstrap` and passed to every use case.

    metadata, blocks   this site's own stores (`blocks` verifies what it reads)
    reader             a BlockStore to read objects through: `blocks`, then proxy_get where there are links
    direct             what presigns URLs of the block store; None where blocks only go through us
    announcer          says what a commit owes to this site's sinks; knows the links, so objects need not
    rules              the site's limits; every one has a name and a reason

Source  DESIGN §4: bootstrap is the only place that chooses adapters.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from chalicelib.domain.manifest import BLOCK_SIZE, INLINE_MAX
from chalicelib.ports.blocks import BlockStore
from chalicelib.ports.direct import DirectBlocks
from chalicelib.ports.metadata import Metadata, Write
from chalicelib.ports.system import (
    Buffers,
    Clock,
    Hashing,
    Ids,
    Locks,
    Log,
    Parallel,
    Vault,
)

HOUR_MS = 3600 * 1000


@dataclass(frozen=True, slots=True)
class Rules:
    """The limits of one site."""

    block_size: int = BLOCK_SIZE
    inline_max: int = INLINE_MAX  # 8 KiB on DynamoDB, where a row is read and paid whole
    leeway_ms: int = 24 * HOUR_MS  # how long a reader or an open upload may take (Riak CS: 24 h)
    gc_hold_ms: int = 7 * 24 * HOUR_MS  # how long an unreachable sink may keep superseded blocks alive
    blocks_in_flight: int = 3  # per upload: one hashing, one writing, one arriving
    read_ahead: int = 2  # per download: blocks fetched before they are asked for
    conflict_tries: int = 64  # a compare-and-set that loses this often means a key hotter than we serve
    region: str = ""  # "" accepts any region a client signs for
    fullsync_interval_ms: int = 6 * HOUR_MS  # of links without one of their own; 0: never (Riak CS: 6 h)
    documents: bool = False  # write manifest documents beside the blocks (S3, MinIO)
    deletes: bool = True  # a process that may not delete blocks closes uploads; GC, elsewhere, does the rest


@dataclass(frozen=True, slots=True)
class Owed:
    """What a commit announces: the kind and name of a record, its stamp and size, and who has it."""

    kind: str  # "object" | "user" | "bucket"
    bucket_id: str  # "" for a user
    name: str  # the key, or the id of the user or bucket
    stamp: str
    size: int
    blocks: bool  # whether blocks will be owed after the record
    has: tuple[str, ...] = ()
    replaces: bool = False  # another record had the key: GC will ask whether every sink has this one


class Announcer(Protocol):
    """Law *announced*: one outbox item per record and link, in the record's own transaction."""

    def writes(self, owed: Iterable[Owed]) -> list[Write]:
        """The outbox rows to commit together with the records."""

    def committed(self) -> None:
        """Called after the commit: something may be owed now."""


@dataclass(frozen=True)
class Site:
    """One site, wired."""

    id: str
    metadata: Metadata
    blocks: BlockStore
    reader: BlockStore
    announcer: Announcer
    clock: Clock
    ids: Ids
    parallel: Parallel
    buffers: Buffers
    locks: Locks
    hashing: Hashing
    vault: Vault
    log: Log
    rules: Rules = Rules()
    read_only: bool = False
    direct: DirectBlocks | None = None
