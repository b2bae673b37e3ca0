"""Status: how every link stands, computed from the outbox and the runs, never from what was hoped.

    lag(node, sink)  how far a sink is behind, for a metric each minute
    links(node)  one LinkStatus for each link: up or down, items, bytes and seconds behind, the last
                 error, proxy_get counts, where fullsync stands
"Caught up" needs an empty outbox, no backfill outstanding, and no item held.
Source  DESIGN §1.8; law *true status*; `riak-repl status` (research/riakcs.md §1.8).
"""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.objects import rows
from chalicelib.ports.metadata import Table
from chalicelib.replication.node import Node
from chalicelib.replication.outbox import RECORD
from chalicelib.replication.runs import Run

LAG_ITEMS = 200  # of each shard and stage


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """One link as an operator sees it. `lag_ms`: age of the oldest owed item, 0 when nothing is owed."""

    site: str
    endpoint: str
    role: str
    enabled: bool
    started: bool
    blocks: bool
    backfilling: bool
    up: bool
    contact_ms: int
    records_behind: int
    blocks_behind: int
    bytes_behind: int
    lag_ms: int
    caught_up: bool
    error: str
    proxy_get: bool
    proxy_get_blocks: int
    proxy_get_errors: int
    records_sent: int
    blocks_sent: int
    bytes_sent: int
    fullsync: Run
    fullsync_interval_ms: int


def links(node: Node) -> list[LinkStatus]:
    """Every link, in order of name."""
    counts = node.counters.all()
    return [_link(node, site, counts) for site in sorted(node.links.read().by_site)]


def _link(node: Node, name: str, counts: dict[tuple[str, str], int]) -> LinkStatus:
    link = node.links.read().by_site[name]
    now_ms = node.site.clock.now_ms()
    records = blocks = size = 0
    oldest_ms, error = now_ms, ""
    if link.sink:
        for stage, owing in node.outbox(name).all():
            records += stage == RECORD
            blocks += stage != RECORD
            size += owing.item.size
            oldest_ms = min(oldest_ms, owing.item.created_ms)
            error = owing.item.error or error
    contact = node.contacts.read(name)
    behind = records + blocks
    return LinkStatus(
        site=name,
        endpoint=link.endpoint,
        role="+".join(r for r, on in (("sink", link.sink), ("source", link.source)) if on) or "none",
        enabled=link.enabled,
        started=link.started,
        blocks=link.blocks,
        backfilling=link.backfilling,
        up=contact.up,
        contact_ms=contact.at_ms,
        records_behind=records,
        blocks_behind=blocks,
        bytes_behind=size,
        lag_ms=max(0, now_ms - oldest_ms) if behind else 0,
        caught_up=link.sink and link.enabled and not behind and not link.backfilling,
        error=error or contact.error,
        proxy_get=link.proxy_get,
        proxy_get_blocks=counts.get(("proxy_get_blocks_total", name), 0),
        proxy_get_errors=counts.get(("proxy_get_errors_total", name), 0),
        records_sent=counts.get(("records_sent_total", name), 0),
        blocks_sent=counts.get(("blocks_sent_total", name), 0),
        bytes_sent=counts.get(("replicated_bytes_total", name), 0),
        fullsync=node.runs.read(name),
        fullsync_interval_ms=node.interval_ms(link),
    )


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a sink is behind, at a bounded price: exact up to LAG_ITEMS a shard and stage, `more` than
    that beyond it. The oldest item is among those looked at unless so many fall due before it."""

    records: int
    blocks: int
    bytes: int
    age_ms: int
    more: bool


def lag(node: Node, sink: str) -> Lag:
    """What a metric each minute may cost: 24 pages on DynamoDB, most of them empty."""
    now_ms = node.site.clock.now_ms()
    records = blocks = size = 0
    oldest_ms, more = now_ms, False
    for stage, page in node.outbox(sink).firsts(LAG_ITEMS):
        records += len(page) if stage == RECORD else 0
        blocks += len(page) if stage != RECORD else 0
        size += sum(owing.item.size for owing in page)
        oldest_ms = min([oldest_ms, *(owing.item.created_ms for owing in page)])
        more = more or len(page) == LAG_ITEMS
    return Lag(records, blocks, size, now_ms - oldest_ms, more)


def incomplete_records(node: Node) -> int:
    """How many records of this site lack blocks here."""
    found = 0
    for shard in range(node.site.metadata.shards):
        start = b""
        while True:
            page = node.site.metadata.scan(
                Table.INCOMPLETE, rows.incomplete_pk(shard), start=start, after=bool(start)
            )
            found += len(page)
            if len(page) < 1000:
                break
            start = page[-1][0]
    return found
