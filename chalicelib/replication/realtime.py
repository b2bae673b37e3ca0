"""Realtime, the source's side: serve the outbox of one link until nothing is due.

    due items → read each record again → policy → sink.apply → settled, or its blocks are owed
    block lanes → wanted → put_block for each → wanted again, [] → settled

send_records, send_blocks   one bounded step each: what was due, up to a batch; how much was done
An item leaves the outbox only when the sink has answered that it holds all that was promised.
A failure moves the item to a later try with the reason; it delays nothing else. A sink that does not answer
is no item's failure: everything stays due as it is. Which of the two it is, `hello` tells; but where there
is little time (a function) one that did not answer is down without a further question. It may have been what
was sent: so a sink that is back is sent one record at a time for a while, what it does not answer to is
moved, and what was tried in vain goes after the rest.
Source  DESIGN §5 "Realtime"; laws announced, stays home.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from chalicelib.domain import codec, stamp
from chalicelib.domain.errors import Missing, StoreError, Unavailable
from chalicelib.domain.manifest import BlockId, BlockRef, Record, index_refs, part_refs
from chalicelib.domain.names import key_hash
from chalicelib.objects import accounts, bodies, documents, rows
from chalicelib.ports.counters import Counters
from chalicelib.ports.peers import Answer, Delivery, Outcome, Peer
from chalicelib.ports.site import Site
from chalicelib.replication import replicated_accounts
from chalicelib.replication.links import Link
from chalicelib.replication.outbox import RECORD, Outbox, Owing
from chalicelib.replication.policy import replicates

BATCH_MAX = 100  # records a request: bounded memory on both sides
BATCH_BYTES_MAX = 1024 * 1024  # of records, so that inline bodies do not make a request too large
BLOCKS_AT_ONCE = 4  # block copies in flight on a lane


@dataclass(slots=True)
class Progress:
    """What one step did: `failed`, the last thing that went wrong; `down`, that the sink does not answer
    at all and the lane had better pause; `hung`, that it let us wait in vain; `unfinished`, that time was up
    before all of it was dealt with."""

    taken: int = 0
    done: int = 0
    bytes: int = 0
    failed: str = ""
    down: bool = False
    hung: bool = False
    unfinished: bool = False


class Realtime:
    """One link's stream. Once `until_ms` has passed it begins nothing more; but a step always does something,
    or what has little time would never end: one request of records, some blocks of one object. `back` says
    that the sink let us wait in vain, and answered again a moment ago."""

    def __init__(
        self,
        site: Site,
        link: Link,
        peer: Peer,
        outbox: Outbox,
        counters: Counters,
        until_ms: int | None = None,
        *,
        back: bool = False,
    ) -> None:
        self._until_ms = until_ms
        self._back = back
        self._site = site
        self._link = link
        self._peer = peer
        self._outbox = outbox
        self._counters = counters

    # ---------------------------------------------------------------- records

    def send_records(self, due: list[Owing] | None = None) -> Progress:
        """Hand over the records that are due, or those of `due`."""
        due = self._outbox.due(RECORD, BATCH_MAX) if due is None else due
        progress = Progress(taken=len(due))
        if not due:
            return progress
        ready, settled = self._ready(due)
        self._outbox.settle(settled)
        progress.done += len(settled)
        for at, batch in enumerate([[one] for one in ready] if self._back else _in_order(ready)):
            if at and self._late():
                progress.unfinished = True
                break
            try:
                answers = self._peer.apply([delivery for _, delivery in batch])
            except StoreError as problem:
                if self._down(problem, progress):
                    # The link is down: everything stays due as it is, so that it goes on at once
                    # when the link is back, and a long cut costs no write per item.
                    progress.failed = _told(problem)
                    if problem.unanswered and len(batch) == 1:
                        self._outbox.retry(batch[0][0], RECORD, progress.failed)
                else:
                    self._send_singly(batch, progress)
                if progress.down or progress.unfinished:
                    break
                continue
            self._take_answers(batch, answers, progress)
        return progress

    def _late(self) -> bool:
        return self._until_ms is not None and self._site.clock.now_ms() >= self._until_ms

    def _down(self, problem: StoreError, progress: Progress) -> bool:
        """Whether the sink does not answer at all; else it is there, but did not take what was sent. Who has
        little time takes a call in vain for the answer; a server asks, or one record the sink hangs on would
        have its whole batch sent for ever."""
        progress.hung = problem.unanswered
        in_vain = problem.unreached or (problem.unanswered and self._until_ms is not None)
        progress.down = in_vain or not self._answers_at_all()
        return progress.down

    def _answers_at_all(self) -> bool:
        try:
            self._peer.hello()
        except StoreError:
            return False
        return True

    def _send_singly(self, batch: list[tuple[Owing, Delivery]], progress: Progress) -> None:
        """The sink answers, but not to this batch: find what it chokes on, and delay only that. Two calls in
        vain, one after the other, are a sink that is down; one is, where there is little time."""
        patience = 1 if self._until_ms is None else 0
        for at, one in enumerate(batch):
            if at and self._late():
                progress.unfinished = True
                return
            try:
                answers = self._peer.apply([one[1]])
            except StoreError as problem:
                progress.failed = _told(problem)
                self._outbox.retry(one[0], RECORD, progress.failed)
                patience -= problem.unanswered
                if problem.unreached or patience < 0:  # each more would be waited for as long
                    progress.down, progress.hung = True, problem.unanswered
                    return
                continue
            patience = 1 if self._until_ms is None else 0
            self._take_answers([one], answers, progress)

    def _take_answers(
        self, batch: list[tuple[Owing, Delivery]], answers: list[Answer], progress: Progress
    ) -> None:
        settled = []
        size = sum(len(delivery.form) for _, delivery in batch)
        for (owing, _), answer in zip(batch, answers, strict=True):
            if answer.outcome in (Outcome.HAVE, Outcome.APPLIED):
                settled.append(owing)
            elif answer.outcome is Outcome.BLOCKS:
                self._outbox.advance(owing)
                progress.done += 1
            else:
                self._outbox.retry(owing, RECORD, f"{answer.outcome}: {answer.reason}")
        self._outbox.settle(settled)
        progress.done += len(settled)
        progress.bytes += size
        self._counters.add("records_sent_total", len(batch), link=self._link.site)
        self._counters.add("replicated_bytes_total", size, link=self._link.site)

    def _ready(self, due: list[Owing]) -> tuple[list[tuple[Owing, Delivery]], list[Owing]]:
        """What to send, and what needs no sending: superseded here, or not for that site. One that
        cannot be read now is tried again later and delays no other."""
        ready: list[tuple[Owing, Delivery]] = []
        settled: list[Owing] = []
        for owing in due:
            try:
                form = self._form(owing)
            except StoreError as problem:
                self._outbox.retry(owing, RECORD, _told(problem))
                continue
            if form is None:
                settled.append(owing)
                continue
            has = tuple(sorted({*owing.item.has, self._site.id}))
            ready.append((owing, Delivery(owing.item.kind, form, has)))
        return ready, settled

    def _form(self, owing: Owing) -> bytes | None:
        """What this site has now of what is owed, None if nothing is any more."""
        item = owing.item
        if item.kind != "object":
            return replicated_accounts.form_for(self._site, item.kind, item.name, self._link)
        form = self._site.metadata.get([rows.head(item.bucket_id, item.name)])[0]
        if form is None:
            return None
        record = codec.decode_record(form)
        if record.stamp > stamp.parse(item.stamp):
            # A later item, or the sink itself, has what replaced it: bytes too, for a site holds every
            # block of what it stamps (objects.copy).
            return None
        bucket = accounts.find_bucket(self._site, record.bucket_id)
        if bucket is None:  # it came over another link before its bucket: who may hold it is not known
            raise Unavailable("its bucket has not arrived at this site yet")
        if not replicates(bucket, self._link.site):
            return None
        if self._site.rules.documents and item.tries:
            documents.publish(self._site, record, form)
        return form

    # ----------------------------------------------------------------- blocks

    def send_blocks(self, stage: str, limit: int = 16, due: list[Owing] | None = None) -> Progress:
        """Copy the blocks of records that have arrived: what is due, or `due`."""
        due = self._outbox.due(stage, limit) if due is None else due
        progress = Progress(taken=len(due))
        for at, owing in enumerate(due):
            if at and self._late():
                progress.unfinished = True
                break
            try:
                sent, whole = self._copy(owing)
            except StoreError as problem:
                progress.failed = _told(problem)
                down = self._down(problem, progress)
                if problem.unanswered or not down:
                    self._outbox.retry(owing, stage, progress.failed)
                if down:
                    break
                continue
            progress.bytes += sent
            if not whole:  # owed still: the next one goes on where this one stopped
                progress.unfinished = True
                break
            progress.done += 1
            self._outbox.settle([owing])
        return progress

    def _copy(self, owing: Owing) -> tuple[int, bool]:
        form = self._form(owing)
        if form is None:
            return 0, True
        record = codec.decode_record(form)
        return copy_blocks(self._site, self._peer, record, self._link.site, self._counters, self._until_ms)


def _told(problem: StoreError) -> str:
    return f"{type(problem).__name__}: {problem}"


def copy_blocks(
    site: Site, peer: Peer, record: Record, to: str, counters: Counters, until_ms: int | None = None
) -> tuple[int, bool]:
    """Give `peer` the blocks of `record` that it lacks, none but the first few begun after `until_ms`; how
    many bytes went over, and whether it has them all now. What is left is asked for again: nothing goes
    twice.

    Raises Missing when a block is not here either, Refused or Unavailable as the peer says.
    """
    sent = 0
    hashed = key_hash(record.key)
    before: set[BlockId] = set()
    while True:
        wanted = set(peer.wanted(record.bucket_id, hashed))
        if not wanted:
            return sent, True
        if wanted == before:
            raise Missing("the sink keeps lacking blocks that were sent")
        before = wanted
        refs = [ref for ref in _refs(site, record, wanted) if ref.id in wanted]
        if not refs:
            return sent, True  # the sink's head is a newer record by now: that one has its own item
        for at in range(0, len(refs), BLOCKS_AT_ONCE):
            if sent and until_ms is not None and site.clock.now_ms() >= until_ms:
                return sent, False  # never without having done something, or it would never end
            tasks = []
            for ref in refs[at : at + BLOCKS_AT_ONCE]:
                # Taken before the task starts: a task that waits for the budget inside the pool could
                # keep those from running that would give some back.
                site.buffers.take(ref.block.size)
                tasks.append(site.parallel.start(partial(_send_block, site, peer, ref)))
            sizes = [task.result() for task in tasks]
            sent += sum(sizes)
            counters.add("blocks_sent_total", len(sizes), link=to)
            counters.add("replicated_bytes_total", sum(sizes), link=to)


def _refs(site: Site, record: Record, wanted: set[BlockId]) -> list[BlockRef]:
    index = [ref for ref in index_refs(record) if ref.id in wanted]
    return index or list(part_refs(record, bodies.parts_of(site, record)))


def _send_block(site: Site, peer: Peer, ref: BlockRef) -> int:
    try:
        body = site.reader.get(ref)
        if body is None:
            raise Missing(f"block {ref.id.number} of upload {ref.id.upload} is not here")
        peer.put_block(ref, body)
        return len(body)
    finally:
        site.buffers.give(ref.block.size)


def _in_order(ready: list[tuple[Owing, Delivery]]) -> list[list[tuple[Owing, Delivery]]]:
    """What was tried in vain goes in batches of its own, after the others: it keeps none of them waiting."""
    fresh = [one for one in ready if not one[0].item.tries]
    return _batches(fresh) + _batches([one for one in ready if one[0].item.tries])


def _batches(ready: list[tuple[Owing, Delivery]]) -> list[list[tuple[Owing, Delivery]]]:
    batches: list[list[tuple[Owing, Delivery]]] = []
    size = 0
    for one in ready:
        size += len(one[1].form)
        if not batches or size > BATCH_BYTES_MAX:
            batches.append([])
            size = len(one[1].form)
        batches[-1].append(one)
    return batches
