"""Sites: stores that last, and lives that do not. Boots the production node over faulty ports.

SimSite   name, clock, rows and blocks in memory; outlives its processes
Life      one process: the node, its pumps, its GC, its fullsync, its tree folding
Work done by daemons is what hosts do in production: serve what is owed when woken or due, start and
drive fullsyncs, collect, fold.
"""

from __future__ import annotations

import random
import traceback
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from chalicelib.adapters.hashing import Blake3Hashing
from chalicelib.adapters.memory_blocks import MemoryBlocks
from chalicelib.adapters.memory_metadata import MemoryMetadata
from chalicelib.adapters.system import MemoryLocks
from chalicelib.adapters.vault import AesVault
from chalicelib.domain.errors import StoreError
from chalicelib.domain.manifest import BlockRef, Record
from chalicelib.objects import tree
from chalicelib.objects.verified import VerifiedBlocks
from chalicelib.ports.site import Site
from chalicelib.replication import node as nodes
from chalicelib.replication.links import Link, LinkBook, SiteRecord, found_site
from chalicelib.replication.outbox import RECORD, STAGES, OutboxAnnouncer
from tests.simulation.atlas import Atlas
from tests.simulation.faults import Faults, FaultyBlocks, FaultyMetadata
from tests.simulation.net import Net, WirePeer
from tests.simulation.swarm import Swarm
from tests.simulation.system import SimBuffers, SimClock, SimCounters, SimIds, SimLog, SimParallel
from tests.simulation.watch import Ledger, Watch, blocks_of
from tests.simulation.world import Event, Process, Task, World

HASHING = Blake3Hashing()
INCARNATION = "1"
DOWN_MS = 500  # between tries of a link that is down
IDLE_MS = 20_000  # a pump with nothing due looks again this often, as a host would


class SimSite:
    """One site for the length of the run."""

    def __init__(self, world: World, swarm: Swarm, name: str, ledger: Ledger, atlas: Atlas) -> None:
        self.world = world
        self.swarm = swarm
        self.name = name
        self.ledger = ledger
        self.atlas = atlas
        rng = random.Random(f"{world.seed}/{name}")
        self.clock = SimClock(world, rng.choice(swarm.offsets_ms), rng.choice(swarm.drifts), swarm.grain_ms)
        self.ids = SimIds(rng)
        self.rows = MemoryMetadata(swarm.shards, swarm.items_max, swarm.checks_contend)
        self.blocks = MemoryBlocks()
        self.vault = AesVault(rng.randbytes(32), self.ids)
        self.watch = Watch(ledger, name)
        self.life: Life | None = None
        self.busy: Counter[str] = Counter()  # operations under way here, for the tally
        self.lives = 0

    def found(self, links: list[Link], primary: str) -> SiteRecord:
        """Set the site up before anything can go wrong."""
        self.record = found_site(self.rows, SiteRecord(self.name, INCARNATION, primary))
        LinkBook(self.rows, self.clock).change(lambda by: by.update({link.site: link for link in links}))
        self.raw = _node(self, self.rows, self.blocks, self.world.outside, None, lambda: None)
        return self.record

    def boot(self, net: Net, faults: Faults) -> Life:
        """A new process."""
        self.lives += 1
        self.life = Life(self, net, faults)
        return self.life

    def true_block(self, ref: BlockRef) -> bytes | None:
        """The block as it lies here, if it is whole."""
        body = self.blocks.get(ref)
        if body is None or len(body) != ref.block.size or HASHING.check(body) != ref.block.check:
            return None
        return body

    def holds(self, record: Record) -> bool:
        """Whether every block of a record is here, but for what the atlas took away."""
        if not record.upload:
            return True
        here = {block_id for block_id, _ in self.blocks.list_upload(record.upload)}
        return all(b in here or self.atlas.took(self.name, b) for b in blocks_of(self.ledger, record))


def _node(
    sim: SimSite, rows: Any, blocks: Any, process: Process, life: Life | None, wake: Callable[[], None]
) -> nodes.Node:
    world, swarm = sim.world, sim.swarm
    verified = VerifiedBlocks(blocks, HASHING)
    links = LinkBook(rows, sim.clock, swarm.links_keep_ms)
    base = Site(
        id=sim.name,
        metadata=rows,
        blocks=verified,
        reader=verified,
        announcer=OutboxAnnouncer(rows, sim.clock, links, wake),
        clock=sim.clock,
        ids=sim.ids,
        parallel=SimParallel(world, process),
        buffers=SimBuffers(world, process, swarm.buffer_bytes),
        locks=MemoryLocks(sim.clock),
        hashing=HASHING,
        vault=sim.vault,
        log=SimLog(world),
        rules=swarm.rules,
    )

    def dial(link: Link) -> WirePeer:
        assert life is not None
        return WirePeer(life.net, sim.name, link.site)

    return nodes.node(base, sim.record, links, dial, SimCounters())


class Life:
    """One process of a site."""

    def __init__(self, site: SimSite, net: Net, faults: Faults) -> None:
        self.site = site
        self.world = site.world
        self.net = net
        self.faults = faults
        self.process = Process(f"{site.name}{site.lives}")
        self.wakes = {
            (sink, lane): Event(self.world) for sink in site.ledger.sinks[site.name] for lane in STAGES
        }
        rows = FaultyMetadata(site.rows, self)
        blocks = FaultyBlocks(site.blocks, self)
        self.node = _node(site, rows, blocks, self.process, self, self.wake)
        self.resting = False  # the final phase drives by hand

    def wake(self) -> None:
        for event in self.wakes.values():
            event.set()

    def crash(self) -> None:
        """The process dies; the machine starts it again after a while."""
        if self.process.dead:
            return
        world, site = self.world, self.site
        world.log("crash", self.process.name)
        world.kill(self.process)
        down_ms = world.rng.randrange(50, 1500)

        def restart() -> None:
            world.pause(down_ms)
            site.boot(self.net, self.faults).start()

        world.spawn(world.outside, f"restart {site.name}", "restart", restart)

    def call(self, role: str, work: Callable[[], Any]) -> Task:
        """Run `work` as an operation of this process."""

        def counted() -> Any:
            self.site.busy[role] += 1
            try:
                return work()
            finally:
                self.site.busy[role] -= 1

        return self.world.spawn(self.process, role, role, counted)

    # ---------------------------------------------------------------- daemons

    def start(self) -> None:
        """Begin what a host does all the time."""
        swarm = self.site.swarm
        for sink, lane in self.wakes:
            for _ in range(swarm.pumps):
                self._daemon("realtime", partial(self._pump, sink, lane), 0)
        self._daemon("fullsync", self._fullsync, swarm.fullsync_ms // 3)
        self._daemon("gc", self._collect, swarm.rules.leeway_ms // 3)
        self._daemon("fold", lambda: tree.fold(self.node.site), 2000)

    def _daemon(self, role: str, turn: Callable[[], object], every_ms: int) -> None:
        world = self.world

        def loop() -> None:
            while not self.resting:
                if every_ms:
                    world.pause(every_ms // 2 + world.rng.randrange(every_ms))
                self.site.busy[role] += 1
                try:
                    turn()
                except StoreError as problem:
                    world.log("gave up", role, type(problem).__name__, str(problem)[:60])
                    world.pause(100)
                except Exception as problem:  # noqa: BLE001 - a daemon that dies is a bug
                    world.fail("bug", f"{role}: " + "".join(traceback.format_exception(problem)))
                finally:
                    self.site.busy[role] -= 1

        world.spawn(self.process, role, role, loop)

    def _pump(self, sink: str, lane: str) -> None:
        node = self.node
        link = node.links.read().get(sink)
        step = node.serve_records(link) if lane == RECORD else node.serve_blocks(link, lane)
        if step.down:
            self.world.pause(DOWN_MS)
        if step.done or self.resting:
            return
        due_ms = node.outbox(sink).next_due_ms(lane)
        wait_ms = IDLE_MS if due_ms is None else min(IDLE_MS, due_ms - self.site.clock.now_ms())
        self.site.busy["realtime"] -= 1
        try:
            self.wakes[sink, lane].wait(max(10, wait_ms))
        finally:
            self.site.busy["realtime"] += 1

    def _fullsync(self) -> None:
        for sink in self.node.schedule():
            self.node.drive_fullsync(sink, 300)

    def _collect(self) -> None:
        report = self.node.collect()
        if report.problems:
            self.world.fail("gc", f"{self.site.name}: {report.problems}")
