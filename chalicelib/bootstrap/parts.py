"""Settings → what is wired alike in every process: the system's ports, the rules, the site, its node.

Source  DESIGN §4; ports/site.py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from chalicelib.adapters.hashing import Blake3Hashing
from chalicelib.adapters.http_peer import READ_S, HttpPeer
from chalicelib.adapters.system import ByteBudget, JsonLog, SystemClock, SystemIds, ThreadParallel
from chalicelib.adapters.vault import AesVault
from chalicelib.bootstrap.aws import own_places
from chalicelib.bootstrap.direct import direct_blocks
from chalicelib.bootstrap.tables import direct_peer
from chalicelib.domain.errors import Refused
from chalicelib.objects.verified import VerifiedBlocks
from chalicelib.ports.blocks import BlockStore
from chalicelib.ports.counters import Counters
from chalicelib.ports.metadata import Metadata
from chalicelib.ports.peers import Peer
from chalicelib.ports.site import Rules, Site
from chalicelib.ports.system import Locks, Log
from chalicelib.replication.door import link_context
from chalicelib.replication.links import Link, LinkBook, SiteRecord, found_site
from chalicelib.replication.node import Node, node
from chalicelib.replication.outbox import OutboxAnnouncer
from chalicelib.settings import Backend, Settings, SettingsError

PARALLEL = 16  # blocks being filed or fetched at a time: enough to keep a disk or a bucket busy
INLINE_MAX_DYNAMODB = 8 * 1024  # a row is read and paid for whole
INCARNATION_BYTES = 8
LINKS_KEEP_MS = 5000  # on DynamoDB, where reading them with every write would be paid for
_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True)
class Stores:
    """Where one process keeps and finds things; `close` lets go of them."""

    metadata: Metadata
    blocks: BlockStore
    locks: Locks
    counters: Counters
    master_key: bytes
    close: Callable[[], None]
    deletes: bool = True  # whether this process may remove blocks
    record: bytes | None = None  # the site's, where it was read on the way
    raises: bool = True  # whether this process may raise the version in it


class LevelLog:
    """A Log that passes on what is important enough."""

    def __init__(self, inner: Log, level: str) -> None:
        self._inner = inner
        self._told = _LEVELS[_LEVELS.index(level) :]

    def event(self, name: str, **fields: object) -> None:
        """One line, unless it is below the level."""
        if fields.get("level", "info") in self._told:
            self._inner.event(name, **fields)


def open_log(settings: Settings) -> Log:
    """The log every process of a site writes to: lines are appended whole."""
    stream = sys.stderr
    if settings.log_file is not None:
        stream = open(settings.log_file, "a", encoding="utf-8")  # noqa: SIM115 - open as long as we are
    return LevelLog(JsonLog(stream, SystemClock()), settings.log_level)


def rules(settings: Settings, deletes: bool = True) -> Rules:
    """The site's limits."""
    aws = settings.backend is Backend.AWS
    inline_max = settings.inline_max or (INLINE_MAX_DYNAMODB if aws else Rules().inline_max)
    return Rules(
        block_size=settings.block_size,
        inline_max=inline_max,
        leeway_ms=settings.leeway,
        gc_hold_ms=settings.gc_hold,
        fullsync_interval_ms=settings.fullsync_interval,
        region=settings.region,
        documents=aws,
        deletes=deletes,
    )


def site_record(settings: Settings, stores: Stores) -> SiteRecord:
    """Who this site is; refuses to open one site's data as another's."""
    fresh = SiteRecord(settings.site, SystemIds().token(INCARNATION_BYTES), settings.primary or settings.site)
    try:
        record = found_site(stores.metadata, fresh, stores.record, raises=stores.raises)
    except Refused as refused:
        raise SettingsError([str(refused)]) from refused
    if record.site != settings.site:
        raise SettingsError([f"CAUSEWAY_SITE={settings.site}: this is the data of site {record.site}"])
    if settings.primary and record.primary != settings.primary:
        problem = f"this site was set up with primary {record.primary}"
        raise SettingsError([f"CAUSEWAY_PRIMARY={settings.primary}: {problem}"])
    return record


def wire(
    settings: Settings,
    stores: Stores,
    log: Log,
    wake: Callable[[], None] = lambda: None,
    read_s: float = READ_S,
) -> Node:
    """The site and its links; `wake` is called after a commit that owes something to a sink, and `read_s` is
    how long another site is waited for."""
    clock, ids, hashing = SystemClock(), SystemIds(), Blake3Hashing()
    record = site_record(settings, stores)
    # Links lie in a row of their own: a local read is cheaper than being behind.
    keep_ms = 0 if settings.backend is Backend.DIRECTORY else LINKS_KEEP_MS
    links = LinkBook(stores.metadata, clock, keep_ms)
    blocks = VerifiedBlocks(stores.blocks, hashing)
    site = Site(
        id=settings.site,
        metadata=stores.metadata,
        blocks=blocks,
        reader=blocks,
        announcer=OutboxAnnouncer(stores.metadata, clock, links, wake),
        clock=clock,
        ids=ids,
        parallel=ThreadParallel(PARALLEL),
        buffers=ByteBudget(settings.buffer_bytes),
        locks=stores.locks,
        hashing=hashing,
        vault=AesVault(stores.master_key, ids),
        log=log,
        rules=rules(settings, stores.deletes),
        read_only=settings.read_only,
        direct=direct_blocks(settings),
    )
    return node(site, record, links, dialler(site, settings, read_s), stores.counters)


def dialler(site: Site, settings: Settings, read_s: float = READ_S) -> Callable[[Link], Peer]:
    """Link → Peer, one connection pool for each link as it is set up now."""

    @lru_cache(maxsize=256)
    def peer(to: str, endpoint: str, secret: bytes, ca_file: str) -> Peer:
        return HttpPeer(
            endpoint,
            me=site.id,
            other=to,
            secret=site.vault.unwrap(secret, link_context(to)),
            now_ms=site.clock.now_ms,
            ca_file=ca_file or str(settings.ca_file or ""),
            log=site.log,
            read_s=read_s,
        )

    @lru_cache(maxsize=256)
    def over_tables(
        to: str, endpoint: str, secret: bytes, ca_file: str, tables: str, public_key: bytes
    ) -> Peer:
        http = peer(to, endpoint, secret, ca_file)
        return direct_peer(site, to, tables, public_key, http, own_places(settings))

    def dial(link: Link) -> Peer:
        reached = (link.site, link.endpoint, link.secret, link.ca_file)
        return over_tables(*reached, link.tables, link.public_key) if link.tables else peer(*reached)

    return dial
