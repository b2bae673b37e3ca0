"""Prometheus: the site's counters and the state of its links as text.

In      a Node
Out     text/plain; version=0.0.4: counters end in _total, gauges carry their unit
Source  Prometheus exposition format 0.0.4; DESIGN §1.8.
"""

from __future__ import annotations

from collections.abc import Iterable

from chalicelib.replication import status
from chalicelib.replication.node import Node
from chalicelib.replication.runs import State

_GAUGES: tuple[tuple[str, str, str], ...] = (
    ("link_up", "Whether the link worked when it was last used (1) or not (0).", "up"),
    ("link_caught_up", "Whether the sink holds everything that is owed to it.", "caught_up"),
    ("link_records_behind", "Records owed to the sink.", "records_behind"),
    ("link_blocks_behind", "Records whose blocks are owed to the sink.", "blocks_behind"),
    ("link_bytes_behind", "Bytes owed to the sink.", "bytes_behind"),
)


def _family(name: str, kind: str, told: str, samples: Iterable[tuple[str, float]]) -> list[str]:
    lines = [f"# HELP causeway_{name} {told}", f"# TYPE causeway_{name} {kind}"]
    lines.extend(f"causeway_{name}{labels} {value:g}" for labels, value in samples)
    return lines


def text(node: Node) -> str:
    """Everything there is to scrape."""
    links = status.links(node)
    lines: list[str] = []
    for name, told, attribute in _GAUGES:
        samples = [(_label(link.site), float(getattr(link, attribute))) for link in links]
        lines += _family(name, "gauge", told, samples)
    lag = [(_label(link.site), link.lag_ms / 1000) for link in links]
    lines += _family("link_lag_seconds", "gauge", "Age of the oldest item owed to the sink.", lag)
    running = [(_label(link.site), float(link.fullsync.state is State.RUNNING)) for link in links]
    lines += _family("fullsync_running", "gauge", "Whether a fullsync to the sink is running.", running)
    completed = [(_label(link.site), link.fullsync.completed_ms / 1000) for link in links]
    told = "Start of the last fullsync that compared everything, seconds since 1970; 0 for never."
    lines += _family("fullsync_completed_timestamp_seconds", "gauge", told, completed)
    counts = sorted(node.counters.all().items())
    for name in sorted({name for (name, _), _ in counts}):
        samples = [(_label(link) if link else "", float(n)) for (key, link), n in counts if key == name]
        lines += _family(name, "counter", f"Counted since the server started: {name}.", samples)
    return "\n".join(lines) + "\n"


def _label(site: str) -> str:
    return f'{{link="{site}"}}'
