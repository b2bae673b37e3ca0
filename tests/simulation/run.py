"""One seed from the beginning to the end: set up, clients under chaos, healing, what must hold then."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType

from chalicelib.objects import bodies, multipart, tree
from chalicelib.replication import fullsync, outbox, realtime, sink
from chalicelib.replication.links import Link
from tests.simulation import swarm as swarms
from tests.simulation.atlas import Atlas
from tests.simulation.chaos import Auditor, Chaos
from tests.simulation.clients import Client
from tests.simulation.faults import Faults
from tests.simulation.final import Final
from tests.simulation.net import Net
from tests.simulation.oracle import Oracle
from tests.simulation.sites import INCARNATION, SimSite
from tests.simulation.watch import Ledger
from tests.simulation.world import World

PRIMARY = "a"


@dataclass
class Result:
    """What came of a seed."""

    seed: int
    swarm: swarms.Swarm
    violation: str
    fingerprint: str
    operations: int
    faults: int
    reads: int
    steps: int
    tally: dict[tuple[str, str], int]
    trace: list[tuple[object, ...]]

    def told(self, lines: int = 60) -> str:
        """How to see it again, and how it ended."""
        shown = self.trace[max(0, len(self.trace) - lines) :]
        tail = "\n".join(" ".join(str(word) for word in line) for line in shown)
        return f"{tail}\n\nSIM_SEED={self.seed} ({self.swarm.name})\n{self.violation}"


@contextmanager
def _small(swarm: swarms.Swarm) -> Iterator[None]:
    """Limits that objects of a few hundred bytes reach."""
    limits: list[tuple[ModuleType, str, int]] = [
        (multipart, "PART_BYTES_MIN", 16),
        (bodies, "PARTS_IN_RECORD_MAX", swarm.parts_in_record_max),
        (outbox, "LARGE_BYTES", 300),
    ]
    if swarm.tiny:
        limits += [
            (fullsync, "ENTRIES_MAX", 1),
            (fullsync, "RECORDS_MAX", 2),
            (fullsync, "COMPARES_MAX", 2),
            (realtime, "BATCH_MAX", 3),
            (sink, "WANTED_MAX", 3),
            (tree, "BATCH_MAX", 2),
        ]
    before = [(module, name, getattr(module, name)) for module, name, _ in limits]
    try:
        for module, name, value in limits:
            setattr(module, name, value)
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


def run_seed(seed: int) -> Result:
    """Run one seed; `violation` is "" when every law held."""
    swarm = swarms.draw(seed)
    run = Run(seed, swarm)
    with _small(swarm):
        try:
            run.world.run(run.direct)
        finally:
            broken = run.world.violation or ""
            run.world.close()
    return Result(
        seed,
        swarm,
        broken,
        run.world.fingerprint(),
        len(run.oracle.ops) - 1,
        run.faults.total,
        run.oracle.reads,
        run.world.steps,
        dict(run.faults.tally),
        run.world.trace,
    )


class Run:
    """Everything of one seed, wired."""

    def __init__(self, seed: int, swarm: swarms.Swarm) -> None:
        self.swarm = swarm
        self.world = World(seed)
        self.atlas = Atlas()
        self.ledger = Ledger(self.world)
        self.faults = Faults(self.world, swarm.fault_rate, swarm.crash_rate, swarm.link_rate)
        self.net = Net(self.world, self.faults, swarm.latency_ms)
        self.oracle = Oracle(self.world, self.ledger)
        topology = swarm.topology
        for name in topology.sites:
            self.ledger.sinks[name] = [sink for source, sink in topology.links if source == name]
        for name in topology.sites:
            site = SimSite(self.world, swarm, name, self.ledger, self.atlas)
            self.ledger.sites[name] = self.net.sites[name] = site
        for site in self.ledger.sites.values():
            site.found(self._links(site), PRIMARY)

    def _links(self, site: SimSite) -> list[Link]:
        links = []
        for name, other in self.ledger.sites.items():
            sink = (site.name, name) in self.swarm.topology.links
            source = (name, site.name) in self.swarm.topology.links
            if sink or source:
                links.append(
                    Link(
                        name,
                        "",
                        b"",
                        other.vault.public_key(),
                        INCARNATION,
                        sink=sink,
                        source=source,
                        enabled=sink,
                        started=sink,
                        proxy_get=True,
                        fullsync_interval_ms=self.swarm.fullsync_ms,
                    )
                )
        return links

    # -------------------------------------------------------------- the phases

    def direct(self) -> None:
        """The whole run, as the director sees it."""
        world = self.world
        for site in self.ledger.sites.values():
            site.boot(self.net, self.faults).start()
        buckets = self._make_buckets()
        chaos = Chaos(world, self.swarm, self.net, self.faults, self.atlas)
        auditor = Auditor(world, self.swarm, self.ledger)
        self.faults.on = True
        blows = world.spawn(world.outside, "chaos", "chaos", chaos.work)
        audits = world.spawn(world.outside, "auditor", "auditor", auditor.work)
        clients = []
        for name, site in self.ledger.sites.items():
            for number in range(self.swarm.clients):
                rng = random.Random(f"{world.seed}/{name}/{number}")
                client = Client(world, self.swarm, self.oracle, site, buckets[name], rng)
                clients.append(world.spawn(world.outside, f"client {name}{number}", "client", client.work))
        for task in clients:
            task.result()
        chaos.over = auditor.over = True
        blows.result()
        audits.result()
        self.faults.on = False
        Final(world, self.swarm, self.ledger, self.oracle, self.atlas, auditor).work()

    def _make_buckets(self) -> dict[str, list[str]]:
        """One bucket for everybody and one that stays at each end, known to every site before we start."""
        primary = self.ledger.sites[PRIMARY]
        assert primary.life is not None
        names = primary.life.node.names
        everywhere = {"name": "shared", "owner": "alice"}
        task = primary.life.call("create bucket", lambda: names.decide("create_bucket", everywhere))
        shared = task.result().id
        buckets = {name: [shared] * 3 for name in self.ledger.sites}
        for home in self.swarm.topology.sites:
            wanted = {"name": f"home-{home}", "owner": "alice", "sites": [home], "home": home}
            task = primary.life.call(
                "create bucket", lambda wanted=wanted: names.decide("create_bucket", wanted)
            )
            buckets[home].append(task.result().id)
        while not all(
            bucket_id in site.watch.buckets
            for site in self.ledger.sites.values()
            for bucket_id in primary.watch.buckets
        ):
            self.world.pause(200)
        return buckets
