"""The rows of DESIGN §7 that can be measured so far: what is done, how often, and what would be good.

Each throughput row alternates the peers, `repeats` times each, and reports medians; both servers stay
up all the time, an idle one costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks import lag, load, memory
from benchmarks.load import Work
from benchmarks.peers import Peer, causeway, linked_minios, linked_sites, minio

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
FLOOR = 0.5  # of every ratio, now
SMALL, LARGE, LISTED, STREAM = "small", "large", "listed", "stream"  # buckets
Say = Callable[[str], None]
WARM_KEYS = 64  # every process has answered
SMALL_KEYS = 2000
LARGE_KEYS = 8


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything."""

    seconds: float
    repeats: int
    keys: int  # of the bucket that is listed
    stream_bytes: int  # of each object while memory is watched
    puts: int  # whose lag is taken


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `reach`: the ratio DESIGN §7 asks for; for memory, bytes over idle."""

    name: str
    title: str
    unit: str
    ours: float
    theirs: float | None
    reach: float
    less_is_better: bool = False
    ours_all: list[float] = field(default_factory=list)
    theirs_all: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float | None:
        """Ours to theirs, None where the row is not a comparison."""
        return self.ours / self.theirs if self.theirs and not self.absolute else None

    @property
    def reached(self) -> bool:
        """Whether it is as DESIGN §7 wants it."""
        value = self.ours if self.absolute else self.ratio
        assert value is not None
        return value <= self.reach if self.less_is_better else value >= self.reach

    @property
    def above_floor(self) -> bool:
        """Whether it is good enough for now: at least half as good as the peer."""
        if self.absolute:
            return self.reached
        assert self.ratio is not None
        return self.ratio <= 1 / FLOOR if self.less_is_better else self.ratio >= FLOOR

    @property
    def absolute(self) -> bool:
        """Compared with itself idle, not with the peer."""
        return self.unit == "MiB over idle"


@dataclass(frozen=True, slots=True)
class Throughput:
    """A row about how much is done in a second."""

    title: str
    unit: str
    per: int  # how many of what is counted make one unit; 0 counts operations
    reach: float
    work: Work

    def measure(self, name: str, ours: Peer, theirs: Peer, plan: Plan) -> Row:
        """Alternately."""
        found: dict[str, list[float]] = {"ours": [], "theirs": []}
        for n in range(plan.repeats):
            for who, peer in (("theirs", theirs), ("ours", ours)):
                found[who].append(self._once(peer, f"{name}-{n}", plan))
        mine, other = found["ours"], found["theirs"]
        medians = (median(mine), median(other))
        return Row(name, self.title, self.unit, *medians, self.reach, ours_all=mine, theirs_all=other)

    def _once(self, peer: Peer, label: str, plan: Plan) -> float:
        w = self.work
        keys = w.keys or plan.keys
        done = load.run(peer.target, Work(w.verb, w.bucket, w.clients, w.size, keys, label), plan.seconds)
        if w.verb == "put" and w.size >= MIB:
            _forget(peer, w.bucket, label)
        return done.amount_per_second / self.per if self.per else done.per_second


THROUGHPUT = {
    "put-4k": Throughput("PUT 4 KiB, 8 clients", "/s", 0, 1.5, Work("put", SMALL, 8, 4 * KIB)),
    "get-4k": Throughput("GET 4 KiB, 8 clients", "/s", 0, 1.5, Work("get", SMALL, 8, 4 * KIB, SMALL_KEYS)),
    "put-64m": Throughput("PUT 64 MiB, 4 clients", "MiB/s", MIB, 0.8, Work("put", LARGE, 4, 64 * MIB)),
    "get-64m": Throughput(
        "GET 64 MiB, 4 clients", "MiB/s", MIB, 1.0, Work("get", LARGE, 4, 64 * MIB, LARGE_KEYS)
    ),
    "list": Throughput("LIST, pages of 1,000 keys, 4 clients", "keys/s", 1, 1.5, Work("list", LISTED, 4)),
}
MEMORY, LAG = "memory", "lag"
NAMES = (*THROUGHPUT, MEMORY, LAG)


def prepare(
    peers: tuple[Peer, Peer], wanted: tuple[str, ...], plan: Plan, say: Callable[[str], None]
) -> None:
    """Make buckets, and fill those that are read."""
    for peer in peers:
        for bucket in (SMALL, LARGE, LISTED):
            peer.s3().create_bucket(Bucket=bucket)
        fills = [
            ("get-4k", SMALL, SMALL_KEYS, 4 * KIB, 8),
            ("get-64m", LARGE, LARGE_KEYS, 64 * MIB, 4),
            ("list", LISTED, plan.keys, 16, 16),
        ]
        for row, bucket, keys, size, clients in fills:
            if row in wanted:
                done = load.fill(peer.target, bucket, keys, size, clients)
                say(f"{peer.target.name}: {keys:,} objects of {size:,} bytes in {done.seconds:.0f} s")


def measure_memory(directory: Path, plan: Plan) -> Iterator[Row]:
    """Of servers just started: what a load leaves behind would count as idle."""
    found: dict[str, tuple[int, int]] = {}
    for who, start in (("theirs", minio), ("ours", causeway)):
        with start(directory) as peer:
            peer.s3().create_bucket(Bucket=STREAM)
            load.fill(peer.target, STREAM, WARM_KEYS, 4 * KIB, 8)
            found[who] = memory.stream(peer, STREAM, plan.stream_bytes, 8)
    size = _size(plan.stream_bytes)
    for way, n in (("in", 0), ("out", 1)):
        title = f"memory, 8 objects of {size} streaming {way}"
        figures = (found["ours"][n] / MIB, found["theirs"][n] / MIB)
        yield Row(f"memory-{way}", title, "MiB over idle", *figures, 128, less_is_better=True)


def measure_lag(directory: Path, plan: Plan) -> list[Row]:
    """The lag of both, one pair of servers after the other: four at once would share two cores."""
    found: dict[str, list[list[float]]] = {"ours": [], "theirs": []}
    for who, linked in (("theirs", linked_minios), ("ours", linked_sites)):
        with linked(directory, "lag") as (source, sink):
            for _ in range(plan.repeats):
                found[who].append(lag.lags_ms(source, sink, "lag", plan.puts, len(found[who])))
    rows = []
    for name, share in (("p50", 0.50), ("p99", 0.99)):
        mine = [lag.percentile(run, share) for run in found["ours"]]
        other = [lag.percentile(run, share) for run in found["theirs"]]
        title = f"record visible at the sink after the PUT's 200, {name}"
        figures = (median(mine), median(other))
        rows.append(Row(f"lag-{name}", title, "ms", *figures, 0.5, True, mine, other))
    return rows


def _forget(peer: Peer, bucket: str, label: str) -> None:
    """Delete what a PUT row of large objects left."""
    s3 = peer.s3()
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{label}-"):
        keys = [{"Key": each["Key"]} for each in page.get("Contents", [])]
        if keys:
            s3.delete_objects(Bucket=bucket, Delete={"Objects": keys})


def _size(size: int) -> str:
    return f"{size / GIB:.3g} GiB" if size >= GIB else f"{size // MIB} MiB"
