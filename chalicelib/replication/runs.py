"""Fullsync runs as they are stored: where one stands, what it did, when the next is due, who drives it.

    site table  "fullsync" / <sink>   Run

A run is driven by whoever holds its lease: taken by compare-and-set with a fence that grows, given
up by time. Every store of the run names the fence, so a driver that lost its lease can write nothing.

Source  DESIGN §5 "two runs on one link exclude each other by a fenced lease".
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from chalicelib.domain import codec
from chalicelib.domain.errors import Conflict
from chalicelib.ports.metadata import Metadata, Put, RowId, Table, expected

LEASE_MS = 30 * 1000  # longer than any unit of work over a healthy link


class Phase(StrEnum):
    """The parts of a run, in order."""

    ACCOUNTS = "accounts"
    BUCKETS = "buckets"
    TREE = "tree"
    BLOCKS = "blocks"
    DONE = "done"


class State(StrEnum):
    """What a link's fullsync is doing."""

    NEVER = "never"
    RUNNING = "running"
    COMPLETE = "complete"
    INCOMPLETE = "incomplete"  # ended, but the sink held or refused some records
    STOPPED = "stopped"
    ASKING = "asking"


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a run goes on: `bucket` is done up to (or, in BLOCKS, the last record seen); `stack` of
    prefixes still to compare, "=" before those whose entries are next. Before the first root it is the
    stage and where that stands, which an older version does not look at: it begins the phase again."""

    phase: Phase = Phase.ACCOUNTS
    bucket: str = ""
    stack: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of one run. `bytes` went over the link as records and blocks."""

    buckets: int = 0
    compared: int = 0
    nodes: int = 0
    entries: int = 0
    sent: int = 0
    applied: int = 0
    completed: int = 0
    newer_at_sink: int = 0
    only_at_sink: int = 0
    held: int = 0
    refused: int = 0
    failed: int = 0
    bytes: int = 0
    would_send: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """The fullsync of one link. Times are ms since 1970 UTC, 0 for never."""

    state: State = State.NEVER
    cursor: Cursor = Cursor()
    tally: Tally = Tally()
    started_ms: int = 0
    ended_ms: int = 0
    completed_ms: int = 0  # start of the last run that compared everything
    next_ms: int = 0
    error: str = ""
    anyway: bool = False
    dry_run: bool = False
    fence: int = 0
    lease_until_ms: int = 0
    confirmed: dict[str, int] = field(default_factory=dict)  # bucket id → keys the sink once had whole


def _row(sink: str) -> RowId:
    return RowId(Table.SITE, "fullsync", sink.encode())


def encode(run: Run) -> bytes:
    """The stored form of a run."""
    return codec.encode_document(asdict(run))


def decode(form: bytes | None) -> Run:
    """The run a row holds; a link that never ran has one too."""
    if form is None:
        return Run()
    fields: dict[str, Any] = codec.decode_document(form)
    cursor = fields["cursor"]
    fields["state"] = State(fields["state"])
    fields["cursor"] = Cursor(Phase(cursor["phase"]), cursor["bucket"], tuple(cursor["stack"]))
    fields["tally"] = Tally(**fields["tally"])
    return Run(**fields)


class Runs:
    """Reads and changes runs."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata

    def read(self, sink: str) -> Run:
        """The run of one link."""
        return decode(self._metadata.get([_row(sink)])[0])

    def _swap(self, sink: str, form: bytes | None, run: Run) -> None:
        self._metadata.transact([Put(_row(sink), encode(run), expected(form))])

    def start(self, sink: str, now_ms: int, interval_ms: int, *, anyway: bool, dry_run: bool) -> Run:
        """Begin a run, unless one is running: then that one."""
        form = self._metadata.get([_row(sink)])[0]
        run = decode(form)
        if run.state is State.RUNNING:
            return run
        begun = replace(
            run,
            state=State.RUNNING,
            cursor=Cursor(),
            tally=Tally(),
            started_ms=now_ms,
            ended_ms=0,
            error="",
            anyway=anyway,
            dry_run=dry_run,
            next_ms=next_start(run.next_ms, now_ms, interval_ms),
            lease_until_ms=0,
        )
        self._swap(sink, form, begun)
        return begun

    def stop(self, sink: str, now_ms: int) -> Run:
        """End a run; its progress is forgotten, as Riak CS does."""
        form = self._metadata.get([_row(sink)])[0]
        run = decode(form)
        if run.state not in (State.RUNNING, State.ASKING):
            return run
        stopped = replace(run, state=State.STOPPED, ended_ms=now_ms, cursor=Cursor(), fence=run.fence + 1)
        self._swap(sink, form, stopped)
        return stopped

    def lease(self, sink: str, now_ms: int, lease_ms: int = LEASE_MS) -> Run | None:
        """Become the driver of a running run; None if somebody else is."""
        form = self._metadata.get([_row(sink)])[0]
        run = decode(form)
        if run.state is not State.RUNNING or run.lease_until_ms > now_ms:
            return None
        mine = replace(run, fence=run.fence + 1, lease_until_ms=now_ms + min(lease_ms, LEASE_MS))
        try:
            self._swap(sink, form, mine)
        except Conflict:
            return None
        return mine

    def store(self, sink: str, before: Run, after: Run) -> bool:
        """Store progress; False if the lease was lost, and then nothing is stored."""
        try:
            self._swap(sink, encode(before), after)
        except Conflict:
            return False
        return True


def next_start(planned_ms: int, now_ms: int, interval_ms: int) -> int:
    """The next time on the grid of the interval after `now_ms`: late or restarted runs never drift."""
    if interval_ms <= 0:
        return 0
    if not planned_ms:
        return now_ms + interval_ms
    if planned_ms > now_ms:
        return planned_ms
    return planned_ms + ((now_ms - planned_ms) // interval_ms + 1) * interval_ms
