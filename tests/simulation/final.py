"""The final phase: faults have stopped, links are healed; what the laws promise then must hold.

convergence  after as many rounds of fullsync as the longest path, sinks hold nothing older than their
             sources, sites that hear of each other are equal; one more round applies nothing and,
             where sites are equal, compares only roots
true bytes   every site serves every visible key, whole
gc           after leeway, a site's blocks are exactly those its records name; no row is left over
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from chalicelib.domain import hashtree
from chalicelib.domain.account import BucketState
from chalicelib.domain.stamp import SKEW_MAX_MS
from chalicelib.objects import accounts, gc, rows, tree
from chalicelib.objects import list as listing
from chalicelib.objects.names import secret_context
from chalicelib.ports.metadata import Table
from chalicelib.replication import outbox, status
from chalicelib.replication.policy import replicates
from chalicelib.replication.runs import Run, State
from tests.simulation.atlas import Atlas
from tests.simulation.chaos import Auditor
from tests.simulation.clients import read
from tests.simulation.oracle import FAILED, Oracle
from tests.simulation.sites import SimSite
from tests.simulation.swarm import Swarm
from tests.simulation.watch import Ledger, blocks_of, number_of
from tests.simulation.world import World

DRAIN_MS = 20 * 60_000  # the outboxes are empty by then, whatever the last retry was


class Final:
    """One run's end."""

    def __init__(
        self,
        world: World,
        swarm: Swarm,
        ledger: Ledger,
        oracle: Oracle,
        atlas: Atlas,
        auditor: Auditor,
    ) -> None:
        self._world = world
        self._swarm = swarm
        self._topology = swarm.topology
        self._sites = list(ledger.sites.values())
        self._ledger = ledger
        self._oracle = oracle
        self._atlas = atlas
        self._auditor = auditor

    def work(self) -> None:
        """Everything, in order."""
        self._settle_down()
        if self._swarm.realtime_ends:
            self._drain()
        for _ in range(self._topology.rounds):
            self._round()
        self._converged()
        for _, _, run in self._round():
            self._moves_nothing(run)
        self._drain()
        self._caught_up()
        self._serves()
        self._collect()
        self._serves()
        self._auditor.look()

    # ---------------------------------------------------------------- driving

    def _settle_down(self) -> None:
        """Every site is up, nothing late is under way, every clock has reached every stamp, no daemon
        works beside us."""
        world = self._world
        world.pause(6000)
        while any(site.life is None or site.life.process.dead for site in self._sites):
            world.pause(500)
        for site in self._sites:
            assert site.life is not None
            site.life.resting = True
            site.life.wake()
        newest = max((r.stamp.ms for s in self._sites for r in s.watch.heads.values()), default=0)
        newest = max(newest, *(b.stamp.ms for s in self._sites for b in s.watch.buckets.values()))
        users = [user for s in self._sites for user in accounts.all_users(s.raw.site)]
        newest = max([newest, *(user.stamp.ms for user in users)])
        behind = newest - SKEW_MAX_MS - min(site.clock.now_ms() for site in self._sites)
        world.pause(max(30_000, int(behind * 1.1) + self._swarm.grain_ms))

    def _do(self, site: SimSite, role: str, work: Callable[[], Any]) -> Any:
        assert site.life is not None
        return site.life.call(role, work).result()

    def _drain(self) -> None:
        """Serve every outbox until it is empty."""
        until = self._world.now + DRAIN_MS + 4 * self._swarm.step_ms
        while any(site.watch.owed[sink] for site in self._sites for sink in self._ledger.sinks[site.name]):
            for source, sink in self._topology.links:
                node = self._node(source)
                link = node.links.read().get(sink)
                self._do(self._ledger.sites[source], "realtime", partial(node.serve_all, link))
            self._world.pause(5000)
            if self._world.now > until:
                owed = {(s.name, k): v for s in self._sites for k, v in s.watch.owed.items() if v}
                self._world.fail("progress", f"still owed long after: {owed}")

    def _node(self, name: str) -> Any:
        life = self._ledger.sites[name].life
        assert life is not None
        return life.node

    def _round(self) -> list[tuple[str, str, Run]]:
        """One fullsync on every link, in an order of the seed's."""
        links = list(self._topology.links)
        self._world.rng.shuffle(links)
        return [(source, sink, self._fullsync(source, sink)) for source, sink in links]

    def _fullsync(self, source: str, sink: str) -> Run:
        node, site = self._node(source), self._ledger.sites[source]
        began = self._world.now
        while node.runs.read(sink).state is State.RUNNING:  # begun under chaos: let it end
            self._drive(node, site, sink)
            if self._world.now - began > DRAIN_MS + 4 * self._swarm.step_ms:
                self._world.fail(
                    "progress", f"a fullsync {source} → {sink} does not end: {node.runs.read(sink)}"
                )
        self._do(site, "fullsync", lambda: node.start_fullsync(sink))
        while (run := node.runs.read(sink)).state is State.RUNNING:
            self._drive(node, site, sink)
        if run.state is not State.COMPLETE:
            self._world.fail("convergence", f"a fullsync {source} → {sink} without faults ended {run}")
        return run

    def _drive(self, node: Any, site: SimSite, sink: str) -> None:
        if self._do(site, "fullsync", lambda: node.drive_fullsync(sink, 5000)) is None:
            self._world.pause(10_000)  # its lease is still held by a driver that died

    # --------------------------------------------------------------- checking

    def _moves_nothing(self, run: Run) -> None:
        tally = run.tally
        if tally.applied or tally.completed:
            self._world.fail("convergence", f"one more fullsync moved something: {tally}")
        if self._topology.equal and (tally.sent or tally.nodes != tally.compared):
            self._world.fail("convergence", f"equal sites compared more than roots: {tally}")

    def _converged(self) -> None:
        for source, sink in self._topology.links:
            one, other = self._ledger.sites[source], self._ledger.sites[sink]
            for key, record in one.watch.heads.items():
                bucket = one.watch.bucket(key[0])
                if bucket is None or not replicates(bucket, sink):
                    continue
                theirs = other.watch.heads.get(key)
                if theirs is None or theirs.stamp < record.stamp:
                    self._world.fail("convergence", f"{sink} holds {theirs} older than {source}'s {record}")
                if theirs.stamp == record.stamp and one.watch.forms[key] != other.watch.forms[key]:
                    self._world.fail("merge", f"{source} and {sink} hold two records {record.stamp}")
                if key in other.watch.incomplete or not other.holds(theirs):
                    self._world.fail("convergence", f"{sink} lacks blocks of {theirs.key} {theirs.stamp}")
            self._same_accounts(one, other)
        for site in self._sites:
            self._failed_never_show(site)
            self._tree_is_true(site)
            self._listing_is_true(site)

    def _same_accounts(self, one: SimSite, other: SimSite) -> None:
        mine, theirs = one.raw.site, other.raw.site
        for bucket in accounts.all_buckets(mine):
            if accounts.find_bucket(theirs, bucket.id) != bucket and self._topology.equal:
                self._world.fail("convergence", f"{other.name} has another bucket {bucket.name}")
        for user in accounts.all_users(mine):
            known = accounts.find_user(theirs, user.access_key)
            if known is None or known.stamp < user.stamp:
                self._world.fail("convergence", f"{other.name} lacks user {user.name}")
            context = secret_context(user.access_key)
            if one.vault.unwrap(user.secret, context) != other.vault.unwrap(known.secret, context):
                self._world.fail("convergence", f"user {user.name} has another secret at {other.name}")
        names = [user.name for user in accounts.all_users(mine)]
        twice = [name for name in self._oracle.users if names.count(name) > 1]
        if twice:
            self._world.fail("exactly once", f"users made twice: {twice}")
        here = {b.name: b.id for b in accounts.named_buckets(mine)}
        there = {b.name: b.id for b in accounts.named_buckets(theirs)}
        if here != there and self._topology.equal:
            self._world.fail("convergence", f"names differ: {one.name} {here}, {other.name} {there}")

    def _failed_never_show(self, site: SimSite) -> None:
        for head in site.watch.heads.values():
            if head.live and self._oracle.ops[number_of(head)].status == FAILED:
                self._world.fail("answers", f"{site.name} shows {head.key}, told that nothing happened")

    def _tree_is_true(self, site: SimSite) -> None:
        self._do(site, "fold", lambda: tree.fold(site.life.node.site))
        sums: dict[str, hashtree.Node] = {}
        for (bucket_id, _), form in site.watch.forms.items():
            node = sums.get(bucket_id, hashtree.EMPTY)
            sums[bucket_id] = hashtree.changed(node, None, hashtree.entry_digest(form))
        for bucket_id, node in sums.items():
            kept = tree.nodes(site.raw.site, bucket_id, [""])[0]
            if kept != node:
                self._world.fail("convergence", f"{site.name}'s tree of {bucket_id} is wrong: {kept}")

    def _listing_is_true(self, site: SimSite) -> None:
        for bucket_id in {key[0] for key in site.watch.heads}:
            heads = [r for (b, _), r in site.watch.heads.items() if b == bucket_id and r.live]
            page = listing.list_objects(
                site.raw.site, bucket_id, prefix="", delimiter="", after="", max_keys=1000
            )
            shown = [(entry.key, entry.size, entry.etag) for entry in page.keys]
            if shown != sorted((r.key, r.size, r.etag) for r in heads):
                self._world.fail("atomic", f"{site.name}'s listing of {bucket_id} is wrong: {shown}")

    def _caught_up(self) -> None:
        for source, sink in self._topology.links:
            link = next(one for one in status.links(self._node(source)) if one.site == sink)
            if not link.caught_up:
                self._world.fail("true status", f"nothing is owed, but {source} → {sink} is {link}")
            self._auditor.nothing_owed(self._ledger.sites[source], sink)
        for site in self._sites:
            if status.incomplete_records(site.raw):
                self._world.fail("true status", f"{site.name}: incomplete {site.watch.incomplete}")

    def _serves(self) -> None:
        """Every site serves every visible key of an open bucket, from the first byte to the last."""
        for site in self._sites:
            assert site.life is not None
            for (bucket_id, _), head in list(site.watch.heads.items()):
                bucket = site.watch.bucket(bucket_id)
                if bucket is None or bucket.state is BucketState.DELETED:
                    continue
                op = self._oracle.begin("get", site, bucket_id, head.key)

                def work(op: Any = op, bucket_id: str = bucket_id, site: SimSite = site) -> None:
                    read(self._world, self._oracle, site, site.life, op, bucket_id, whole=True)

                try:
                    self._do(site, "get", work)
                except Exception as problem:  # noqa: BLE001 - whatever it is, it must not be
                    self._world.fail("durable", f"{site.name} cannot serve {head.key}: {problem!r}")

    # --------------------------------------------------------------------- gc

    def _collect(self) -> None:
        leeway_ms = self._swarm.rules.leeway_ms
        for _ in range(5):  # superseded or stale; closing; closed; and once more for what those left
            self._world.pause(int(leeway_ms * 1.2) + 2 * self._swarm.step_ms)
            for site in self._sites:
                node = self._node(site.name)
                report = self._do(site, "gc", node.collect)
                if report.problems or report.held or report.lost:
                    self._world.fail("gc", f"{site.name}: {report}")
        for site in self._sites:
            self._exactly_what_is_named(site)
            self._nothing_is_marked(site)

    def _nothing_is_marked(self, site: SimSite) -> None:
        for sink in self._ledger.sinks[site.name]:
            for shard in range(self._swarm.shards):
                if site.rows.scan(Table.OUTBOX, outbox.pk(sink, outbox.MARKS, shard)):
                    self._world.fail("gc", f"{site.name} owes {sink} nothing and keeps a mark")

    def _exactly_what_is_named(self, site: SimSite) -> None:
        named = {block for head in site.watch.heads.values() for block in blocks_of(self._ledger, head)}
        here = {
            block_id for upload in site.blocks.uploads() for block_id, _ in site.blocks.list_upload(upload)
        }
        if here - named:
            self._world.fail("gc", f"{site.name} keeps blocks nobody names: {sorted(map(str, here - named))}")
        if named - here:
            self._world.fail("gc", f"{site.name} lost blocks: {sorted(map(str, named - here))}")
        if gc.orphans(site.raw.site):
            self._world.fail("gc", f"{site.name} has orphans {gc.orphans(site.raw.site)}")
        for shard in range(self._swarm.shards):
            left = site.rows.scan(Table.UPLOADS, rows.due_pk(shard))
            if left:
                self._world.fail("gc", f"{site.name} still means to look at {left[:3]}")
        heads = {head.upload for head in site.watch.heads.values() if head.upload}
        for upload in self._ledger.blocks:
            row = site.rows.get([rows.upload(upload)])[0]
            if row is not None and upload not in heads:
                self._world.fail("gc", f"{site.name} keeps the row of upload {upload}")
