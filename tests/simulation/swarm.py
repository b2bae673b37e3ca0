"""Swarm: what differs from seed to seed. Each draws its own sites, limits, rates and clocks.

Two kinds of clocks: `calm` ones stay within a fraction of leeway, so that GC runs while clients do;
`wild` ones step by up to half an hour, past the skew a receiver merges, with a leeway far above that.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from chalicelib.ports.site import Rules

MINUTE_MS = 60_000


@dataclass(frozen=True)
class Topology:
    """Links as (source, sink); `rounds` is the longest path between two sites."""

    name: str
    sites: tuple[str, ...]
    links: tuple[tuple[str, str], ...]
    rounds: int
    equal: bool  # whether every site hears of every other's writes


TOPOLOGIES = (
    Topology("one way", ("a", "b"), (("a", "b"),), 1, False),
    Topology("both ways", ("a", "b"), (("a", "b"), ("b", "a")), 1, True),
    Topology("chain", ("a", "b", "c"), (("a", "b"), ("b", "c")), 2, False),
    Topology("chain, both ways", ("a", "b", "c"), (("a", "b"), ("b", "a"), ("b", "c"), ("c", "b")), 2, True),
    Topology("ring", ("a", "b", "c"), (("a", "b"), ("b", "c"), ("c", "a")), 2, True),
    Topology("mesh", ("a", "b", "c"), tuple((x, y) for x in "abc" for y in "abc" if x != y), 1, True),
)
WEIGHTS = (2, 5, 2, 2, 3, 2)


@dataclass(frozen=True)
class Swarm:
    """One seed's world."""

    topology: Topology
    rules: Rules
    shards: int
    items_max: int
    checks_contend: bool
    buffer_bytes: int
    parts_in_record_max: int
    grain_ms: int
    offsets_ms: tuple[int, ...]
    drifts: tuple[float, ...]
    step_ms: int
    links_keep_ms: int
    fullsync_ms: int
    pumps: int
    latency_ms: int
    fault_rate: float
    crash_rate: float
    link_rate: float
    chaos_ms: int
    clients: int
    operations: int
    think_ms: int
    keys: int
    tiny: bool  # whether batches, pages and steps hold next to nothing, so that all of them are many
    realtime_ends: bool  # in the final phase, whether the outboxes are served before fullsync

    @property
    def name(self) -> str:
        """For the first line of a run."""
        return f"{self.topology.name}, " + ", ".join(
            f"{field}={getattr(self, field)}"
            for field in ("shards", "checks_contend", "grain_ms", "step_ms", "fault_rate", "clients", "keys")
        )


def draw(seed: int) -> Swarm:
    """The world of a seed."""
    rng = random.Random(f"swarm {seed}")
    topology = rng.choices(TOPOLOGIES, WEIGHTS)[0]
    wild = rng.random() < 0.25
    leeway_ms = 240 * MINUTE_MS if wild else rng.choice((12_000, 25_000))
    step_ms = 30 * MINUTE_MS if wild else 3000
    clients = rng.choice((2, 3))
    return Swarm(
        topology=topology,
        rules=Rules(
            block_size=64,
            inline_max=16,
            leeway_ms=leeway_ms,
            gc_hold_ms=10 * leeway_ms,
            blocks_in_flight=rng.choice((1, 3)),
            read_ahead=rng.choice((0, 2)),
            conflict_tries=rng.choice((6, 64)),
            documents=rng.random() < 0.2,
            # A generator of its own: every other choice of the seed stays as it was.
            deletes=random.Random(f"deletes {seed}").random() < 0.6,
        ),
        shards=rng.choice((1, 1, 3)),
        items_max=rng.choice((100, 1000)),
        checks_contend=rng.random() < 0.3,
        buffer_bytes=rng.choice((64, 256, 4096)),
        parts_in_record_max=rng.choice((450, 700, 52_000)),
        grain_ms=rng.choice((1, 1, 20, 500)),
        offsets_ms=(0, 0, step_ms // 2, -step_ms // 2) if rng.random() < 0.6 else (0,),
        drifts=(0.0, 0.05, -0.05) if rng.random() < 0.3 else (0.0,),
        step_ms=step_ms,
        links_keep_ms=rng.choice((0, 5000, 30_000)),
        fullsync_ms=rng.choice((4000, 9000, 60_000)),
        pumps=rng.choice((1, 1, 2)),
        latency_ms=rng.choice((4, 20, 80)),
        fault_rate=rng.choice((0.002, 0.005, 0.012)),
        crash_rate=rng.choice((0.0, 0.0005, 0.0015)),
        link_rate=rng.choice((0.01, 0.04, 0.10)),
        chaos_ms=rng.choice((600, 1500, 3000)),
        clients=clients,
        operations=1 + 216 // (clients * len(topology.sites)),
        think_ms=rng.choice((100, 500, 1200)),
        keys=rng.choice((2, 4, 8)),
        tiny=rng.random() < 0.4,
        realtime_ends=rng.random() < 0.7,
    )
