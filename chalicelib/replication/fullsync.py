"""Fullsync: compare two sites by their hash trees and stream what is missing or stale.

    hello ─▶ fold both trees ─▶ brake ─▶ accounts
    ─▶ for every bucket the link carries: roots ─▶ nodes ─▶ entries ─▶ sink.apply
    ─▶ blocks of all records the sink holds without them ─▶ done

step(…)  → Continue | Done, one bounded unit of work: one batch of records, of nodes or of blocks, or what
fits STEP_MS of folding, roots or accounts. Writes that come meanwhile keep no run from going on: it folds
what was there when it began.
The cursor is stored after every unit, so a run killed anywhere goes on there: at most one batch of
records is sent twice. "Complete" is said only when every root was compared and nothing failed.

Worked example, 100,000 keys of which 100 differ: 1 root, then about 100 nodes on each of 3 levels, then
the entries of about 100 lowest nodes with 24 keys each, then 100 records. Nothing else is read.

Errors  Unavailable stops the step, not the run: the next step begins at the same cursor
Source  DESIGN §5 "Fullsync"; riak_repl2_fscoordinator and what went wrong there (riakcs.md §1.4).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from chalicelib.domain.account import Bucket
from chalicelib.domain.errors import Corrupt, Missing, Refused
from chalicelib.domain.hashtree import DEPTH
from chalicelib.domain.manifest import Record
from chalicelib.objects import accounts, rows, tree
from chalicelib.objects.get import current
from chalicelib.ports.counters import Counters
from chalicelib.ports.peers import Delivery, Outcome, Peer
from chalicelib.ports.site import Site
from chalicelib.replication import replicated_accounts
from chalicelib.replication.links import Link
from chalicelib.replication.policy import replicates
from chalicelib.replication.realtime import copy_blocks
from chalicelib.replication.runs import Cursor, Phase, Run, Tally

ENTRIES_MAX = 64  # below a node with this few keys, their digests are cheaper than more levels
RECORDS_MAX = 50  # a batch: what a kill makes us send twice
BLOCK_BYTES_MAX = 32 * 1024 * 1024  # a step: within the lease over a slow line; one object may be more
COMPARES_MAX = 100  # roots a step: each is a request
STEP_MS = 10_000  # after which a step begins no other request: well within the lease
BRAKE_KEYS = 100  # fewer keys than this may vanish without a question
BRAKE_BUCKETS = 1000  # remembered for the brake, the largest first: a run must fit its row
BRAKE_SHARE = 0.5  # a sink that lacks more of a bucket it once had whole is asked about
# Stages before the first root. "" is the first one, which versions that know no others begin again at.
_HERE, _THERE, _BRAKE, _SEND = "fold here", "fold there", "brake", "send"
_FOLDED = ("folded",)  # beside no bucket: both trees are


@dataclass(frozen=True, slots=True)
class Asks:
    """The run stops and asks: going on could spread a disaster."""

    why: str


class Fullsync:
    """One run over one link, a step at a time. Once `until_ms` has passed a step begins no more blocks than
    the first few, and folds no more; it ends when the batch of records it has begun is answered."""

    def __init__(
        self, site: Site, link: Link, peer: Peer, counters: Counters, until_ms: int | None = None
    ) -> None:
        self._until_ms = until_ms
        self._site = site
        self._link = link
        self._peer = peer
        self._counters = counters

    def step(self, run: Run) -> Run | Asks:
        """Do one unit of work and say where the run stands now."""
        phase = run.cursor.phase
        if phase is Phase.ACCOUNTS:
            return self._accounts(run)
        if phase is Phase.BUCKETS:
            return self._next_bucket(run)
        if phase is Phase.TREE:
            return self._descend(run)
        return self._blocks(run)

    # --------------------------------------------------------------- accounts

    def _accounts(self, run: Run) -> Run | Asks:
        """What comes before the first root, a stage a step or more: who is there, fold here and there, the
        brake, users and buckets. The cursor's stack names the stage and where in it the run stands."""
        stage, at = run.cursor.stack or ("", "")
        if stage == _HERE:
            folded = tree.fold_for(self._site, f"to/{self._link.site}", at, self._ends_ms())
            return _at(run, _THERE, at) if folded else run  # what is folded stays so
        if stage == _THERE:
            folded = self._peer.fold(at, self._ends_ms() - self._site.clock.now_ms())
            return _at(run, _BRAKE, "") if folded else run
        if stage == _BRAKE:
            return self._brake(run, at)
        if stage == _SEND:
            return self._stale_accounts(run, at)
        return self._greet(run)

    def _ends_ms(self) -> int:
        """When a step that began now shall begin no more requests."""
        ends_ms = self._site.clock.now_ms() + STEP_MS
        return ends_ms if self._until_ms is None else min(ends_ms, self._until_ms)

    def _greet(self, run: Run) -> Run | Asks:
        hello = self._peer.hello()
        if hello.incarnation != self._link.incarnation and not run.anyway:
            return Asks(
                f"site {self._link.site} is a new incarnation: it was restored or set up again. "
                "`causeway fullsync start --anyway` streams everything to it"
            )
        return _at(run, _HERE, self._site.ids.token(8))

    def _brake(self, run: Run, after: str) -> Run | Asks:
        """Look at buckets the sink once had whole, in order of id, before the first record goes."""
        if run.anyway:
            return _at(run, _SEND, "")
        remembered = sorted(
            name for name, keys in run.confirmed.items() if keys >= BRAKE_KEYS and name > after
        )
        ends_ms = self._ends_ms()
        for looked, bucket_id in enumerate(remembered):
            if looked and (looked == COMPARES_MAX or self._site.clock.now_ms() >= ends_ms):
                return _at(run, _BRAKE, remembered[looked - 1])
            theirs = self._peer.tree(bucket_id, [""])[0].keys
            if theirs < run.confirmed[bucket_id] * BRAKE_SHARE:
                return Asks(
                    f"site {self._link.site} lacks most of what it once confirmed, without tombstones. "
                    "`causeway fullsync start --anyway` streams it again"
                )
        return _at(run, _SEND, "")

    def _stale_accounts(self, run: Run, after: str) -> Run:
        """Send users and buckets, in order of name, that the sink has older or not at all."""
        theirs = self._peer.accounts()
        stale = [
            name
            for name, stamp in sorted(replicated_accounts.stamps(self._site).items())
            if name > after and theirs.get(name, "") < stamp
        ]
        ends_ms = self._ends_ms()
        for at in range(0, len(stale), RECORDS_MAX):
            if at and self._site.clock.now_ms() >= ends_ms:
                return _at(run, _SEND, stale[at - 1])
            tally = self._send_accounts(stale[at : at + RECORDS_MAX], run.tally, run)
            run = replace(run, tally=tally)
        buckets = sum(1 for _ in self._carried())
        return replace(
            run, cursor=Cursor(Phase.BUCKETS, stack=_FOLDED), tally=replace(run.tally, buckets=buckets)
        )

    def _send_accounts(self, names: list[str], tally: Tally, run: Run) -> Tally:
        deliveries = []
        for name in names:
            kind, _, key = name.partition(":")
            form = replicated_accounts.form_for(self._site, kind, key, self._link)
            if form is not None:
                deliveries.append(Delivery(kind, form, (self._site.id,)))
        return self._deliver(deliveries, tally, run)

    def _carried(self, after: str = "") -> Iterator[Bucket]:
        """Buckets the link carries, deleted ones too: their tombstones count, in order of id."""
        for bucket in accounts.all_buckets(self._site, after):
            if replicates(bucket, self._link.site):
                yield bucket

    # ---------------------------------------------------------------- buckets

    def _next_bucket(self, run: Run) -> Run:
        """Compare roots until one differs, or there were many, or it took long."""
        if not run.cursor.bucket and run.cursor.stack != _FOLDED:
            return replace(run, cursor=Cursor())  # an older version got it here, which folded later
        confirmed, compared = dict(run.confirmed), 0
        ends_ms = self._ends_ms()
        for bucket in self._carried(after=run.cursor.bucket):
            if compared == COMPARES_MAX or (compared and self._site.clock.now_ms() >= ends_ms):
                return run
            compared += 1
            mine = tree.nodes(self._site, bucket.id, [""])[0]
            theirs = self._peer.tree(bucket.id, [""])[0]
            tally = replace(
                run.tally,
                compared=run.tally.compared + 1,
                nodes=run.tally.nodes + 1,
                only_at_sink=run.tally.only_at_sink + (0 if mine.keys else theirs.keys),
            )
            run = replace(run, tally=tally)
            if mine != theirs and mine.keys:
                root = "=" if max(mine.keys, theirs.keys) <= ENTRIES_MAX else ""
                return replace(run, cursor=Cursor(Phase.TREE, bucket.id, (root,)))
            confirmed = _remembered(confirmed, bucket.id, mine.keys)
            run = replace(run, confirmed=confirmed, cursor=Cursor(Phase.BUCKETS, bucket.id))
        return replace(run, cursor=Cursor(Phase.BLOCKS))

    def _descend(self, run: Run) -> Run:
        """Take prefixes off the stack: look at their children, or at their entries."""
        bucket_id, stack = run.cursor.bucket, run.cursor.stack
        if not stack:
            return replace(run, cursor=Cursor(Phase.BUCKETS, bucket_id))
        prefix, rest = stack[0], stack[1:]
        if prefix.startswith("="):
            return self._compare_entries(run, bucket_id, prefix[1:], rest)
        children = [prefix + digit for digit in "0123456789abcdef"]
        mine = tree.nodes(self._site, bucket_id, children)
        theirs = self._peer.tree(bucket_id, children)
        different, only_there = [], 0
        for child, my, their in zip(children, mine, theirs, strict=True):
            if not my.keys:
                only_there += their.keys
            if my == their or not my.keys:
                continue
            few = max(my.keys, their.keys) <= ENTRIES_MAX
            different.append(f"={child}" if few or len(child) >= DEPTH else child)
        tally = replace(
            run.tally,
            nodes=run.tally.nodes + len(children),
            only_at_sink=run.tally.only_at_sink + only_there,
        )
        return replace(run, cursor=Cursor(Phase.TREE, bucket_id, (*different, *rest)), tally=tally)

    def _compare_entries(self, run: Run, bucket_id: str, prefix: str, rest: tuple[str, ...]) -> Run:
        prefix, _, after = prefix.partition("/")
        mine = tree.entries(self._site, bucket_id, prefix)
        theirs = dict(self._peer.entries(bucket_id, prefix))
        differ = [key for key, digest in mine if theirs.get(key) != digest and key > after]
        only_there = len(theirs.keys() - {key for key, _ in mine}) if not after else 0
        tally = replace(
            run.tally,
            entries=run.tally.entries + (len(mine) if not after else 0),
            only_at_sink=run.tally.only_at_sink + only_there,
        )
        batch = differ[:RECORDS_MAX]
        tally = self._send_objects(bucket_id, batch, tally, run)
        if len(differ) > RECORDS_MAX:
            rest = (f"={prefix}/{batch[-1]}", *rest)
        return replace(run, cursor=Cursor(Phase.TREE, bucket_id, rest), tally=tally)

    # ---------------------------------------------------------------- sending

    def _send_objects(self, bucket_id: str, keys: list[str], tally: Tally, run: Run) -> Tally:
        if not keys:
            return tally
        forms = self._site.metadata.get([rows.head(bucket_id, key) for key in keys])
        deliveries = [Delivery("object", form, (self._site.id,)) for form in forms if form is not None]
        return self._deliver(deliveries, tally, run)

    def _deliver(self, deliveries: list[Delivery], tally: Tally, run: Run) -> Tally:
        if run.dry_run or not deliveries:
            return replace(tally, would_send=tally.would_send + len(deliveries))
        answers = self._peer.apply(deliveries)
        applied = refused = newer = held = 0
        for answer in answers:  # blocks that are owed now: the sink names those records in the last phase
            applied += answer.outcome in (Outcome.APPLIED, Outcome.BLOCKS)
            newer += answer.outcome is Outcome.HAVE
            held += answer.outcome is Outcome.HELD
            refused += answer.outcome is Outcome.REFUSED
        return replace(
            tally,
            sent=tally.sent + len(deliveries),
            applied=tally.applied + applied,
            newer_at_sink=tally.newer_at_sink + newer,
            held=tally.held + held,
            refused=tally.refused + refused,
            bytes=tally.bytes + sum(len(d.form) for d in deliveries),
        )

    # ----------------------------------------------------------------- blocks

    def _copy(self, record: Record) -> tuple[int, bool, bool]:
        """(bytes sent, whether the sink now has every block, whether time was up before). A block that is
        lost here must not keep the rest of the run waiting; a sink that cannot be reached does."""
        try:
            sent, whole = copy_blocks(
                self._site, self._peer, record, self._link.site, self._counters, self._until_ms
            )
            return sent, whole, not whole
        except (Missing, Refused, Corrupt) as problem:
            self._site.log.event("fullsync_blocks_failed", upload=record.upload, why=str(problem))
            return 0, False, False

    def _blocks(self, run: Run) -> Run:
        """Give the sink the blocks of records it holds without them; the sink names those itself."""
        page = self._peer.incomplete(run.cursor.bucket, RECORDS_MAX)
        last, looked_at = run.cursor.bucket, 0
        copied, repaired, failed = 0, 0, 0
        for bucket_id, hashed in page:
            if copied >= BLOCK_BYTES_MAX or (looked_at and self._late()):
                break  # never without a record looked at: a step comes forward, or it would never end
            before, last, looked_at = last, f"{bucket_id}/{hashed}", looked_at + 1
            record = self._mine(bucket_id, hashed)
            if run.dry_run:
                continue
            if record is None:
                with suppress(Missing):  # its bucket is not known there yet
                    self._peer.wanted(bucket_id, hashed)  # a row whose head needs no blocks any more goes
                continue
            sent, whole, late = self._copy(record)
            copied += sent
            if late:  # the next step begins with this record again
                last, looked_at = before, -1
                break
            repaired += whole and sent > 0
            failed += not whole
        tally = replace(
            run.tally,
            bytes=run.tally.bytes + copied,
            completed=run.tally.completed + repaired,
            failed=run.tally.failed + failed,
        )
        if looked_at == len(page) < RECORDS_MAX:
            return replace(run, cursor=Cursor(Phase.DONE), tally=tally)
        return replace(run, cursor=Cursor(Phase.BLOCKS, last), tally=tally)

    def _late(self) -> bool:
        return self._until_ms is not None and self._site.clock.now_ms() >= self._until_ms

    def _mine(self, bucket_id: str, hashed: str) -> Record | None:
        """This site's record of a key, if the link may carry it."""
        if not replicates(accounts.find_bucket(self._site, bucket_id), self._link.site):
            return None
        record = current(self._site, bucket_id, hashed)
        return record if record is not None and record.upload else None


def _at(run: Run, stage: str, at: str) -> Run:
    return replace(run, cursor=Cursor(Phase.ACCOUNTS, stack=(stage, at)))


def _remembered(confirmed: dict[str, int], bucket_id: str, keys: int) -> dict[str, int]:
    """What the brake must know: how many keys the sink once had whole, of buckets that are large."""
    known = {**confirmed, bucket_id: keys}
    largest = sorted((name for name in known if known[name] >= BRAKE_KEYS), key=lambda name: -known[name])
    return {name: known[name] for name in largest[:BRAKE_BUCKETS]}
