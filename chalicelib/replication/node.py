"""Node: one site's replication, wired. What hosts, the admin API and the simulator drive.

    serve_records, serve_blocks   send what one link is owed and is due; when to come back
    serve_document                send what one document's record is owed for, over every link
    drive_fullsync                go on with a link's run for a while
    schedule                      start the runs whose time has come
    collect                       GC, holding what sinks have not confirmed
    sink_of                       this site as one link sees it

Source  DESIGN §4, §5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from chalicelib.domain.errors import Conflict, StoreError
from chalicelib.domain.manifest import Record
from chalicelib.objects import documents, gc
from chalicelib.objects.due import Due
from chalicelib.ports.counters import Counters
from chalicelib.ports.peers import Peer
from chalicelib.ports.site import Site
from chalicelib.replication.closing import others_empty
from chalicelib.replication.contacts import Contacts
from chalicelib.replication.fullsync import Asks, Fullsync
from chalicelib.replication.links import Link, LinkBook, SiteRecord
from chalicelib.replication.outbox import LARGE, RECORD, SMALL, Outbox, unconfirmed
from chalicelib.replication.primary import PrimaryNames, decide_for, local_names
from chalicelib.replication.proxy_get import ProxyGetBlocks
from chalicelib.replication.realtime import Progress, Realtime
from chalicelib.replication.runs import LEASE_MS, Phase, Run, Runs, State
from chalicelib.replication.sink import Sink
from chalicelib.replication.turns import by_turns, in_turn

Dial = Callable[[Link], Peer]


@dataclass(frozen=True)
class Node:
    """One site and its links."""

    site: Site
    record: SiteRecord
    links: LinkBook
    runs: Runs
    contacts: Contacts
    counters: Counters
    dial: Dial
    names: PrimaryNames
    proxy: ProxyGetBlocks

    def outbox(self, sink: str) -> Outbox:
        """What a sink is owed."""
        return Outbox(self.site.metadata, self.site.clock, sink)

    def sink_of(self, link: Link) -> Sink:
        """This site as `link.site` sees it."""
        local = local_names(self.site, self.record, self.links, self.dial)
        return Sink(
            self.site,
            self.record,
            link,
            self.proxy.fetch_for,
            decide_for(self.site, local, self.record),
            others_empty(self.record, self.links, self.dial),
        )

    def _realtime(self, link: Link, until_ms: int | None = None) -> Realtime:
        peer, outbox, back = self.dial(link), self.outbox(link.site), self.contacts.back(link.site)
        return Realtime(self.site, link, peer, outbox, self.counters, until_ms, back=back)

    def serve_records(self, link: Link, until_ms: int | None = None) -> Progress:
        """Send one batch of records that are due; after `until_ms` no request but the first begins."""
        return self._note(link, self._realtime(link, until_ms).send_records())

    def serve_blocks(self, link: Link, stage: str, until_ms: int | None = None) -> Progress:
        """Copy the blocks of some records on one lane; after `until_ms` none begins but the first few of
        the first record."""
        return self._note(link, self._realtime(link, until_ms).send_blocks(stage))

    def _note(self, link: Link, progress: Progress) -> Progress:
        if progress.taken:
            self.contacts.note(link.site, progress.failed, down=progress.down, hung=progress.hung)
        return progress

    def serve_all(self, link: Link, until_ms: int | None = None) -> int:
        """Send everything that is due now, on every lane; how many items were dealt with. Where time is
        short each lane has its turn; no step begins after `until_ms`."""
        done, down = 0, False

        def serve(stage: str, ends_ms: int | None) -> None:
            nonlocal done, down
            while not down and self._before(ends_ms):
                send = self.serve_records if stage == RECORD else partial(self.serve_blocks, stage=stage)
                step = send(link, until_ms=ends_ms)
                done, down = done + step.done, step.down
                if not step.taken or step.unfinished:
                    break

        stages = (RECORD, SMALL, LARGE) if link.blocks else (RECORD,)
        if until_ms is not None:
            by_turns(self.site.clock, until_ms, stages, serve)
            return done
        for stage in stages:
            serve(stage, None)
        return done

    def greet(self, link: Link) -> bool:
        """Say hello, so that a link nobody uses is known to be up or down too; whether it is up."""
        try:
            self.dial(link).hello()
        except StoreError as problem:
            error = f"{type(problem).__name__}: {problem}"
            self.contacts.note(link.site, error, down=True, hung=problem.unanswered)
            return False
        self.contacts.note(link.site)
        return True

    def _before(self, until_ms: int | None) -> bool:
        return until_ms is None or self.site.clock.now_ms() < until_ms

    def serve_document(self, told: documents.Told, until_ms: int | None = None) -> int:
        """Send what a new document's record is owed for, to every started sink; how many items were dealt
        with. Items that were tried before, large blocks, and sinks that did not answer a moment ago are left
        to whoever serves what is due."""
        done = 0
        failure: StoreError | None = None
        for link in in_turn(self.links.read().sinks(), self.site.clock.now_ms()):
            try:
                done += self._serve_told(link, told, until_ms) if link.started else 0
            except StoreError as problem:  # one sink's trouble keeps no other waiting
                failure = problem
        if failure is not None:
            raise failure
        return done

    def _serve_told(self, link: Link, told: documents.Told, until_ms: int | None) -> int:
        if self.contacts.down(link.site) or not self._before(until_ms):
            return 0
        outbox, realtime = self.outbox(link.site), self._realtime(link, until_ms)
        due = outbox.find(RECORD, told.kind, told.bucket_id, told.name, told.stamp.ms)
        if not due:
            return 0
        since_ms = self.site.clock.now_ms()
        step = self._note(link, realtime.send_records(due))
        done = step.done
        if link.blocks and not step.down and self._before(until_ms):
            arrived = outbox.find(SMALL, told.kind, told.bucket_id, told.name, since_ms)
            done += self._note(link, realtime.send_blocks(SMALL, due=arrived)).done
        return done

    def next_due_ms(self, link: Link) -> int | None:
        """When something next falls due on any lane."""
        outbox = self.outbox(link.site)
        stages = (RECORD, SMALL, LARGE) if link.blocks else (RECORD,)
        times = [outbox.next_due_ms(stage) for stage in stages]
        return min((time for time in times if time is not None), default=None)

    # --------------------------------------------------------------- fullsync

    def start_fullsync(self, sink: str, *, anyway: bool = False, dry_run: bool = False) -> Run:
        """Begin a run now, unless one is running."""
        link = self.links.read().get(sink)
        now_ms, every_ms = self.site.clock.now_ms(), self.interval_ms(link)
        return self.runs.start(sink, now_ms, every_ms, anyway=anyway, dry_run=dry_run)

    def interval_ms(self, link: Link) -> int:
        """How often a link is compared: its own interval, or the site's; 0 for never."""
        own = link.fullsync_interval_ms
        return self.site.rules.fullsync_interval_ms if own is None else own

    def schedule(self) -> list[str]:
        """Start every run whose time has come; the sinks whose run is running now."""
        now_ms = self.site.clock.now_ms()
        running = []
        for link in self.links.read().by_site.values():
            if not link.sink:
                continue
            run = self.runs.read(link.site)
            if link.backfilling and run.state is State.COMPLETE:
                self._end_backfill(link.site, run)  # should whoever drove the run have died before
            if self._due(link, run, now_ms):
                try:
                    run = self.start_fullsync(link.site)
                except Conflict:
                    continue
            if run.state is State.RUNNING:
                running.append(link.site)
        return running

    def _due(self, link: Link, run: Run, now_ms: int) -> bool:
        """Its interval is over; or what ran was too early to end the backfill, for all it compared."""
        if not link.enabled or run.state in (State.RUNNING, State.ASKING):
            return False
        ended = run.state in (State.COMPLETE, State.INCOMPLETE)
        early = ended and self._backfills(link, now_ms) and not self._backfills(link, run.started_ms)
        every_ms = self.interval_ms(link)
        # A shorter interval than the last run was planned by counts from now on.
        return early or (every_ms > 0 and min(run.next_ms, run.started_ms + every_ms) <= now_ms)

    def drive_fullsync(self, sink: str, budget_ms: int, dies_in_ms: int | None = None) -> Run | None:
        """Go on with a run for about `budget_ms`; None if there is none or somebody else drives it. A
        process that will be ended in `dies_in_ms` begins no block after its budget, and its lease ends with
        it: should it be killed, the next one need not wait longer."""
        now_ms = self.site.clock.now_ms()
        run = self.runs.lease(sink, now_ms, LEASE_MS if dies_in_ms is None else dies_in_ms)
        if run is None:
            return None
        link = self.links.read().get(sink)
        until_ms = now_ms + budget_ms
        dies_ms = None if dies_in_ms is None else now_ms + dies_in_ms
        stops_ms = None if dies_in_ms is None else until_ms
        fullsync = Fullsync(self.site, link, self.dial(link), self.counters, stops_ms)
        while run.state is State.RUNNING:
            stepped, stop = self._step(fullsync, link, run)
            stop = stop or self.site.clock.now_ms() >= until_ms
            stepped = self._leased(stepped, stop, dies_ms)
            if not self.runs.store(sink, run, stepped):
                return None
            run = stepped
            if stop:
                break
        if run.state is State.COMPLETE:
            self._end_backfill(sink, run)
        return run

    def _leased(self, run: Run, stop: bool, dies_ms: int | None) -> Run:
        if stop or run.state is not State.RUNNING:
            return replace(run, lease_until_ms=0)
        leased_ms = self.site.clock.now_ms() + LEASE_MS
        return replace(run, lease_until_ms=leased_ms if dies_ms is None else min(leased_ms, dies_ms))

    def _step(self, fullsync: Fullsync, link: Link, run: Run) -> tuple[Run, bool]:
        """The run after one more step, and whether to stop driving for now."""
        try:
            stepped = fullsync.step(run)
            if not isinstance(stepped, Asks) and stepped.cursor.phase is Phase.DONE:
                self._accept(link, run)
        except StoreError as problem:
            error = f"{type(problem).__name__}: {problem}"
            hung = problem.unanswered
            self.contacts.note(link.site, error, down=problem.unreached or hung, hung=hung)
            return replace(run, error=error), True
        self.contacts.note(link.site)
        if isinstance(stepped, Asks):
            return replace(run, state=State.ASKING, error=stepped.why), True
        if stepped.cursor.phase is not Phase.DONE:
            return replace(stepped, error=""), False
        return self._ended(stepped), True

    def _accept(self, link: Link, run: Run) -> None:
        """Everything was streamed to what the operator said is the sink now: stop asking about it."""
        if run.anyway and not run.dry_run:
            self.links.update(link.site, incarnation=self.dial(link).hello().incarnation)

    def _ended(self, run: Run) -> Run:
        tally = run.tally
        whole = not (tally.held or tally.refused or tally.failed or run.dry_run)
        return replace(
            run,
            state=State.COMPLETE if whole else State.INCOMPLETE,
            ended_ms=self.site.clock.now_ms(),
            completed_ms=run.started_ms if whole else run.completed_ms,
            error="" if whole or run.dry_run else "the sink held or refused some records",
        )

    def _backfills(self, link: Link, started_ms: int) -> bool:
        """Whether a run started then passes by nothing that was committed unannounced."""
        return link.backfilling and started_ms >= link.enabled_ms + self.links.known_ms

    def _end_backfill(self, sink: str, run: Run) -> None:
        link = self.links.reread().by_site.get(sink)
        if link is not None and self._backfills(link, run.started_ms):
            self.links.update(sink, backfilling=False)

    # --------------------------------------------------------------------- gc

    def collect(self, *, now_ms: int | None = None, stop_ms: int | None = None) -> gc.Report:
        """One GC run. An upload of which cannot be read whether sinks have what superseded it is not touched.
        A bucket that stayed closing because its DeleteBucket died is opened again, now or by a later run."""
        try:
            self.names.reopen_abandoned()
        except StoreError as problem:
            self.site.log.event("buckets_not_reopened", problem=f"{type(problem).__name__}: {problem}"[:300])
        return gc.run(self.site, self._owes, now_ms=now_ms, stop_ms=stop_ms)

    def _owes(self, entry: Due, head: Record) -> bool | None:
        """Whether a sink has yet to confirm what has the key now; None: it cannot be told. The three answers
        of gc.Owes."""
        try:
            sinks = [link.site for link in self.links.read().sinks()]
            if sinks and not entry.superseded:
                return True  # from before there were marks: it waits as long as any upload may
            where = entry.bucket_id, entry.key_hash, str(head.stamp)
            return unconfirmed(self.site.metadata, sinks, *where)
        except StoreError:
            return None


def node(
    base: Site,
    record: SiteRecord,
    links: LinkBook,
    dial: Dial,
    counters: Counters,
) -> Node:
    """Wire a site's replication: `base` reads locally, the node's site reads through proxy_get."""
    contacts = Contacts(base.metadata, base.clock)
    proxy = ProxyGetBlocks(base, links, dial, counters, contacts)
    site = replace(base, reader=proxy)
    return Node(
        site=site,
        record=record,
        links=links,
        runs=Runs(site.metadata),
        contacts=contacts,
        counters=counters,
        dial=dial,
        names=PrimaryNames(site, record, links, dial),
        proxy=proxy,
    )
