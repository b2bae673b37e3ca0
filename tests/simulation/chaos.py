"""Chaos: what happens to whole sites and links while clients work, and the auditor who watches it.

    partition (one way or both) and heal · clock step · crash · flipped byte · lost block
The auditor looks without giving way, so it sees one moment of all sites:
    gc           a record that counts as complete has all its blocks; any other can be had somewhere
    true status  a link said to have caught up owes nothing, and its sink lacks nothing
"""

from __future__ import annotations

from chalicelib.replication import status
from chalicelib.replication.policy import replicates
from tests.simulation.atlas import Atlas
from tests.simulation.faults import Faults
from tests.simulation.net import Net
from tests.simulation.sites import SimSite
from tests.simulation.swarm import Swarm
from tests.simulation.table import OPERATIONS
from tests.simulation.watch import Ledger
from tests.simulation.world import World

FAULTS_MIN = 20  # of every seed
_BRIEF = ("create user", "create bucket", "delete bucket")
_SELDOM = ("copy", "self-copy", "delete", "gc")
SOUGHT = (*OPERATIONS, *_BRIEF * 3, *_SELDOM * 2)  # what is seldom under way is sought more often
PATIENCE = 100  # looks for an operation under way, 5 ms apart


class Chaos:
    """Strikes until told to stop."""

    def __init__(self, world: World, swarm: Swarm, net: Net, faults: Faults, atlas: Atlas) -> None:
        self._world = world
        self._swarm = swarm
        self._net = net
        self._faults = faults
        self._atlas = atlas
        self.over = False

    def work(self) -> None:
        """One blow after another."""
        rng = self._world.rng
        blows = (self._partition, self._step, self._crash, self._damage, self._damage)
        while self._goes_on():
            self._world.pause(rng.randrange(2 * self._swarm.chaos_ms))
            if not self._goes_on():
                return
            rng.choice(blows)(self._target())

    def _target(self) -> SimSite:
        """Any site; soon enough one where a certain operation is under way, so that none goes unharmed."""
        rng = self._world.rng
        sites = [site for _, site in sorted(self._net.sites.items())]
        wanted = rng.choice(SOUGHT)
        for _ in range(PATIENCE):
            busy = [site for site in sites if site.busy[wanted] > 0]
            if busy:
                return rng.choice(busy)
            self._world.pause(5)
        return rng.choice(sites)

    def _goes_on(self) -> bool:
        """While clients work, and after them until the run has seen enough: replication still works."""
        return not self.over or self._faults.total < FAULTS_MIN

    def _partition(self, site: SimSite) -> None:
        rng = self._world.rng
        other = rng.choice([s for name, s in sorted(self._net.sites.items()) if name != site.name])
        blocked = {(site.name, other.name)}
        if rng.random() < 0.6:
            blocked.add((other.name, site.name))
        self._faults.ambient("partition", [*+site.busy, *+other.busy])
        self._net.blocked |= blocked
        self._world.pause(rng.randrange(300, 5000))
        self._net.blocked -= blocked
        self._world.log("heal")
        for healed in (site, other):
            if healed.life is not None and rng.random() < 0.5:
                healed.life.wake()

    def _step(self, site: SimSite) -> None:
        limit = self._swarm.step_ms
        self._faults.ambient("clock step", [*+site.busy])
        site.clock.offset_ms = self._world.rng.randrange(-limit, limit)

    def _crash(self, site: SimSite) -> None:
        if site.life is not None and not site.life.process.dead and self._swarm.crash_rate:
            self._faults.ambient("crash", [*+site.busy])
            site.life.crash()

    def _damage(self, site: SimSite) -> None:
        providers = [self._net.sites[a] for a, b in self._swarm.topology.links if b == site.name]
        kind = self._world.rng.choice(("flipped byte", "lost block"))
        struck = self._atlas.strike(self._world.rng, site, providers, kind)
        if struck is not None:
            self._faults.ambient(kind, [*+site.busy])


class Auditor:
    """Looks at one moment of everything."""

    def __init__(self, world: World, swarm: Swarm, ledger: Ledger) -> None:
        self._world = world
        self._swarm = swarm
        self._ledger = ledger
        self.over = False

    def work(self) -> None:
        """Look again and again."""
        while not self.over:
            self._world.pause(500 + self._world.rng.randrange(2000))
            self.look()

    def look(self) -> None:
        """Look once."""
        for site in self._ledger.sites.values():
            self._blocks(site)
            for link in status.links(site.raw):
                if link.caught_up:
                    self.nothing_owed(site, link.site)

    def _blocks(self, site: SimSite) -> None:
        for key, head in site.watch.heads.items():
            if not head.upload:
                continue
            if key not in site.watch.incomplete:
                if not site.holds(head):
                    self._world.fail("gc", f"{site.name} lacks blocks of {head.key} {head.stamp}")
            elif not any(other.holds(head) for other in self._ledger.sites.values()):
                self._world.fail("gc", f"no site has all blocks of {head.key} {head.stamp}")

    def nothing_owed(self, site: SimSite, sink: str) -> None:
        """Law true status: what `caught_up` claims."""
        for item in site.watch.owed[sink]:
            self._world.fail("true status", f"{site.name} caught up with {sink}, yet owes {item}")
        for (bucket_id, hashed), head in site.watch.heads.items():
            bucket = site.watch.bucket(bucket_id)
            if bucket is None or not replicates(bucket, sink):
                continue
            why = site.watch.lacks(sink, ("object", bucket_id, hashed, str(head.stamp)))
            if why:
                self._world.fail("true status", f"{site.name} caught up with {sink}, {head.key}: {why}")
