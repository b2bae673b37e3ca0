"""Who waits for whom: transactions of many threads become few commits.

    Commits(work).submit(ticket)   returns when the ticket's transactions have their outcomes

A caller that finds nobody committing commits its own ticket at once, with no change of thread.
Whoever comes meanwhile queues up, and the writer thread takes the whole queue as one commit.

Promise one `work` call at a time, in order of arrival; every submitted ticket is answered once,
        with Indeterminate if `work` itself breaks
Errors  Unavailable: closed
Limits  a commit takes at most TICKETS_MAX tickets; each caller has one
Source  group commit as in LevelDB's DBImpl::Write; DESIGN §4.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from chalicelib.domain.errors import Indeterminate, Unavailable
from chalicelib.ports.metadata import Write

TICKETS_MAX = 256  # bounds the time one commit keeps the next waiting

Outcome = Exception | None


class Ticket:
    """Transactions of one caller; `outcomes` is filled in by the commit, in their order."""

    __slots__ = ("_answered", "outcomes", "transactions")

    def __init__(self, transactions: Sequence[Sequence[Write]]) -> None:
        self.transactions = transactions
        self.outcomes: list[Outcome] = [Indeterminate("the commit broke off") for _ in transactions]
        self._answered = threading.Lock()
        self._answered.acquire()

    def answer(self) -> None:
        """Let the caller go on."""
        self._answered.release()

    def wait(self) -> None:
        """Until `answer`."""
        self._answered.acquire()


class Work(Protocol):
    """What the tickets are for. Calls never overlap."""

    def commit(self, tickets: Sequence[Ticket]) -> None:
        """Fill in every outcome."""

    def rest_due(self) -> bool:
        """Whether `rest` should run soon."""

    def rest(self) -> None:
        """What is better done while no caller waits for its result."""


class Commits:
    """The queue before the writer, and the writer's thread."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._changed = threading.Condition(threading.Lock())
        self._queue: deque[Ticket] = deque()
        self._busy = False  # somebody is inside `work`; the queue is looked at again afterwards
        self._crowd = 0  # tickets in the last commit of the thread: above 1, company is coming
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="sqlite-writer", daemon=True)
        self._thread.start()

    def submit(self, ticket: Ticket) -> None:
        """Have the ticket's outcomes filled in."""
        if self._join(ticket):
            ticket.wait()
            return
        try:
            self._work.commit((ticket,))
        finally:
            self._leave()

    def close(self) -> None:
        """Answer what is queued, take nothing more, end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _join(self, ticket: Ticket) -> bool:
        """True: queued, will be answered. False: the caller shall commit, nobody else is in."""
        with self._changed:
            if self._closed:
                raise Unavailable("the metadata file is closed")
            if self._alone():
                self._busy = True
                return False
            self._queue.append(ticket)
            if not self._busy:
                self._changed.notify()
            return True

    def _alone(self) -> bool:
        """Whether the caller may commit by itself: nobody waits, and no rest is put off by it."""
        idle = not self._busy and not self._queue
        return idle and self._crowd <= 1 and not self._work.rest_due()

    def _leave(self) -> None:
        with self._changed:
            self._busy = False
            if self._queue or self._closed or self._work.rest_due():
                self._changed.notify()

    def _run(self) -> None:
        while (batch := self._next()) is not None:
            if batch:
                self._commit(batch)
            if self._work.rest_due():
                self._work.rest()
            with self._changed:
                self._busy = False

    def _commit(self, batch: list[Ticket]) -> None:
        try:
            self._work.commit(batch)
        except Exception as error:  # it promised not to; the thread must live on all the same
            for ticket in batch:
                ticket.outcomes = [Indeterminate(repr(error)) for _ in ticket.transactions]
        for ticket in batch:
            ticket.answer()

    def _next(self) -> list[Ticket] | None:
        """What to commit, maybe nothing when only a rest is due; None at the end."""
        with self._changed:
            while self._busy or not (self._queue or self._closed or self._work.rest_due()):
                self._changed.wait()
            if self._closed and not self._queue:
                return None
            taken = min(len(self._queue), TICKETS_MAX)
            batch = [self._queue.popleft() for _ in range(taken)]
            self._crowd = taken
            self._busy = True
            return batch
