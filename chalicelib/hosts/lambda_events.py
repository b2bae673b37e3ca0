"""What Lambda does besides HTTP: serve what a bucket event tells of, and what schedules drive.

    on_documents   an S3 event, alone or in SQS messages: send the records whose documents came
    sweep          each minute: serve what is due, each link in its turn; fold the tree
    schedule       each minute: start the runs whose time has come, a message for each that nobody drives
    fullsync_step  such a message: go on with the run until time is nearly up, then hand on by another
    fullsync       where there is no queue: start them and drive them
    collect        GC

Promise an event that is doubled, late, reordered, lost or about something gone changes when a record is
        sent, never what arrives: the outbox knows what is owed, the record is read again at sending, and
        what is not sent now the sweep sends. So nothing here fails because a sink does
        None begins anything more once its share of the function's time has passed; what is left is the
        next one's. What it has begun by then has the slack to end in: a call that nobody answers fits. A
        site that does not answer costs the others one such call, and is left alone until the next sweep
Errors  MalformedEvent: no S3 event at all; in SQS its message is tried again, then put among the dead
Source  AWS "Event message structure" of S3, "Partial batch responses"; DESIGN §5 "Realtime", "Fullsync".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote_plus

from chalicelib.domain.errors import StoreError
from chalicelib.objects import documents, tree
from chalicelib.objects.documents import Told
from chalicelib.ports.queues import Queue
from chalicelib.replication import status
from chalicelib.replication.links import Link
from chalicelib.replication.node import Node
from chalicelib.replication.runs import State
from chalicelib.replication.status import Lag
from chalicelib.replication.turns import by_turns, in_turn

Event = dict[str, Any]
Count = dict[str, int]

SLACK_MS = 12_000  # left of a function's time when the last step begins: a call in vain takes 3 s and 8 s
FULLSYNC_SLACK_MS = 20_000  # a step of fullsync may be a hundred records with their blocks
SLACK_SHARE = 4  # but never more than a quarter, or a function with little time would do nothing for ever
RECORDS_SHARE = 2  # of a sweep's time may pass before the first block goes: an endless stream of records
FOLD_MS = 10_000  # of a sweep's time no link gets: 3,500 marks at 40 ms for 14, 58 PUTs a second
FOLD_SHARE = 4  # but never more than a quarter


ADMINISTRATOR_MADE = (
    "This site has users already, so its first administrator was made before, and its keys are shown once "
    "only. An administrator makes others: causeway user create NAME --admin. If no keys are left, delete the "
    "rows of the users table, then invoke this again."
)


class MalformedEvent(ValueError):
    """Somebody sent what can never be dealt with."""


# ------------------------------------------------------------------------------------- documents


def on_documents(event: Event, serve: Callable[[Told], int], prefix: str, tell: Callable[..., None]) -> Count:
    """Serve every document an S3 event tells of; how many there were, and items dealt with. `prefix` is
    where this site's things begin in the bucket."""
    count = {"documents": 0, "served": 0, "ignored": 0, "failed": 0}
    for key in keys_in(event):
        told = documents.parse(key.removeprefix(prefix)) if key.startswith(prefix) else None
        if told is None:
            count["ignored"] += 1
            tell("document_ignored", key=key[:200])
            continue
        count["documents"] += 1
        try:
            count["served"] += serve(told)
        except StoreError as problem:  # owed still: the sweep will serve it
            count["failed"] += 1
            tell("document_not_served", key=key[:200], problem=f"{type(problem).__name__}: {problem}"[:300])
    return count


def keys_in(event: Any) -> Iterator[str]:
    """The keys of objects that an S3 event says were created, as S3 or MinIO words it."""
    if not isinstance(event, dict):
        raise MalformedEvent("not an event")
    if event.get("Event") == "s3:TestEvent":  # sent once, when a notification is set up
        return
    records = event.get("Records")
    if not isinstance(records, list):
        raise MalformedEvent("an S3 event has Records")
    for record in records:
        try:
            name, key = record["eventName"], record["s3"]["object"]["key"]
            created = name.removeprefix("s3:").startswith("ObjectCreated:")
            decoded = unquote_plus(key, errors="surrogateescape")
        except (KeyError, TypeError, AttributeError):
            raise MalformedEvent("a record of an S3 event has eventName and s3.object.key") from None
        if created:
            yield decoded


def is_sqs(event: Any) -> bool:
    """Whether an event is a batch of SQS messages."""
    records = event.get("Records") if isinstance(event, dict) else None
    if not isinstance(records, list) or not records or not isinstance(records[0], dict):
        return False
    return records[0].get("eventSource") == "aws:sqs"


def body_of(message: str) -> Event:
    """The S3 event in an SQS message, whether it came straight from the bucket or by SNS."""
    try:
        event = json.loads(message)
        if isinstance(event, dict) and event.get("Type") == "Notification":
            event = json.loads(event["Message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        event = None
    if not isinstance(event, dict):
        raise MalformedEvent("the message holds no S3 event")
    return event


# ------------------------------------------------------------------------------------- schedules


def share_ms(left_ms: int, slack_ms: int = SLACK_MS) -> int:
    """Of the time a function has left, what may pass before its last step begins."""
    return left_ms - min(slack_ms, left_ms // SLACK_SHARE)


def lags(node: Node) -> dict[str, Lag]:
    """How far each sink is behind; one that was stopped counts too."""
    return {link.site: status.lag(node, link.site) for link in node.links.read().sinks()}


def sweep(node: Node, left_ms: int) -> Count:
    """Serve what is due over every started link, records everywhere first; then fold the tree. Each link
    has its share of the time, and the fold has what is kept for it."""
    clock = node.site.clock
    now_ms = clock.now_ms()
    ends_ms = now_ms + share_ms(left_ms)
    until_ms = ends_ms - min(FOLD_MS, (ends_ms - now_ms) // FOLD_SHARE)
    links = in_turn((link for link in node.links.read().sinks() if link.started), now_ms)
    serving = _Sweep(node)
    by_turns(clock, now_ms + (until_ms - now_ms) // RECORDS_SHARE, links, serving.records)
    by_turns(clock, until_ms, links, serving.everything)
    return {**serving.count, "folded": tree.fold(node.site, ends_ms)}


class _Sweep:
    """What one sweep has done over its links, and which of them did not answer: those are left alone."""

    def __init__(self, node: Node) -> None:
        self.count = {"served": 0, "failed": 0}
        self._node = node
        self._down: set[str] = set()

    def records(self, link: Link, until_ms: int) -> None:
        """Records alone, so that one sink's blocks never keep another's records waiting."""

        def serve() -> int:
            done = 0
            while self._node.site.clock.now_ms() < until_ms:
                progress = self._node.serve_records(link, until_ms)
                done += progress.done
                if not progress.done or progress.unfinished:
                    break
            return done

        self._guarded(link, serve, greets=self._node.contacts.down(link.site))

    def everything(self, link: Link, until_ms: int) -> None:
        """On every lane. A link nobody uses is known to be up or down too: it is greeted."""
        greets = not self._node.contacts.heard(link.site)
        self._guarded(link, lambda: self._node.serve_all(link, until_ms), greets=greets)

    def _guarded(self, link: Link, serve: Callable[[], int], *, greets: bool) -> None:
        """Who did not answer is asked the cheapest question first: a batch of records is more to lose."""
        if link.site in self._down:
            return
        try:
            if not greets or self._node.greet(link):
                self.count["served"] += serve()
        except StoreError as problem:
            self.count["failed"] += 1
            told = f"{type(problem).__name__}: {problem}"
            self._node.site.log.event("sweep_failed", link=link.site, problem=told)
        if self._node.contacts.down(link.site):
            self._down.add(link.site)


def fullsync(node: Node, left_ms: int) -> Count:
    """Drive every run that is running, each for its share of the time."""
    count = {"running": 0, "driven": 0, "failed": 0}
    began_ms = node.site.clock.now_ms()
    ends_ms, dies_ms = began_ms + share_ms(left_ms, FULLSYNC_SLACK_MS), began_ms + left_ms
    sinks = node.schedule()
    for at, sink in enumerate(sinks):
        now_ms = node.site.clock.now_ms()
        for_ms = (ends_ms - now_ms) // (len(sinks) - at)
        if for_ms <= 0:
            break
        count["running"] += 1
        try:
            count["driven"] += node.drive_fullsync(sink, for_ms, dies_ms - now_ms) is not None
        except StoreError as problem:
            count["failed"] += 1
            error = f"{type(problem).__name__}: {problem}"
            node.site.log.event("fullsync_failed", link=sink, problem=error)
    return count


def schedule(node: Node, queue: Queue) -> Count:
    """A message for each run that nobody drives: begun now, or left by a driver that died or had no time."""
    count = {"running": 0, "sent": 0, "failed": 0}
    for sink in node.schedule():
        count["running"] += 1
        if node.runs.read(sink).lease_until_ms > node.site.clock.now_ms():
            continue
        try:
            queue.send(run_message(sink))
            count["sent"] += 1
        except StoreError as problem:  # the next minute's will do it
            count["failed"] += 1
            node.site.log.event("fullsync_not_sent", link=sink, problem=str(problem)[:300])
    return count


def run_message(sink: str) -> str:
    """Names a run; where it stands is read when the message is dealt with."""
    return json.dumps({"sink": sink})


def fullsync_step(node: Node, queue: Queue | None, message: str, left_ms: int) -> Count:
    """Drive one run for as long as there is time. Doubled messages are harmless: one driver has the lease.
    A sink that cannot be reached is asked again by the schedule, not at once."""
    try:
        sink = json.loads(message)["sink"]
    except (ValueError, KeyError, TypeError, RecursionError):
        sink = None
    if not isinstance(sink, str):
        raise MalformedEvent("the message names no sink")
    if sink not in node.links.read().by_site:
        return {"driven": 0, "ended": 0, "handed_on": 0}  # the link was taken away, and its run with it
    run = node.drive_fullsync(sink, share_ms(left_ms, FULLSYNC_SLACK_MS), left_ms)
    going = run is not None and run.state is State.RUNNING and not run.error
    if going and queue is not None:
        queue.send(run_message(sink))
    ended = run is not None and run.state is not State.RUNNING
    return {"driven": int(run is not None), "ended": int(ended), "handed_on": int(going)}


def collect(node: Node, left_ms: int) -> Count:
    """One GC run, as far as it comes."""
    report = node.collect(stop_ms=node.site.clock.now_ms() + share_ms(left_ms))
    if report.problems:
        node.site.log.event("gc_problems", problems=report.problems[:20])
    return {
        "collected": report.collected,
        "blocks": report.blocks,
        "held": report.held,
        "lost": report.lost,
        "unfinished": int(report.unfinished),
    }
