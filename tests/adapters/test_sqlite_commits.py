"""The queue before the SQLite writer: nobody waits in vain, and no two commits overlap."""

import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.adapters.sqlite.commits import TICKETS_MAX, Commits, Ticket
from chalicelib.domain.errors import Indeterminate, Unavailable


class WatchedWork:
    """Answers every transaction, and notes what the commits held and whether two overlapped."""

    def __init__(self) -> None:
        self.inside = threading.Lock()
        self.sizes: list[int] = []
        self.unwritten = 0
        self.rests = 0

    def commit(self, tickets: Sequence[Ticket]) -> None:
        assert self.inside.acquire(blocking=False), "two commits at a time"
        time.sleep(random.random() * 0.0005)
        for ticket in tickets:
            ticket.outcomes = [None for _ in ticket.transactions]
        self.sizes.append(len(tickets))
        self.unwritten += 1
        self.inside.release()

    def rest_due(self) -> bool:
        return self.unwritten >= 7

    def rest(self) -> None:
        assert self.inside.acquire(blocking=False), "a rest during a commit"
        self.unwritten = 0
        self.rests += 1
        self.inside.release()


@pytest.mark.parametrize("threads", [1, 2, 3, 16])
def test_every_ticket_is_answered(threads: int):
    """Callers that come, go and pause at random all get their answers, one commit at a time."""
    for _ in range(10):
        work = WatchedWork()
        commits = Commits(work)

        def call(thread: int, commits: Commits = commits) -> None:
            chance = random.Random(thread)
            for _ in range(20):
                ticket = Ticket([[]])
                commits.submit(ticket)
                assert [None] == ticket.outcomes
                time.sleep(chance.choice([0, 0, 0.0002]))

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(call, range(threads)))
        commits.close()

        assert 20 * threads == sum(work.sizes)
        assert work.rests >= len(work.sizes) // 7 - 1


def test_a_lone_caller_keeps_its_thread():
    """With nobody else in, the commit runs in the caller's own thread."""
    threads = []

    class Noted(WatchedWork):
        def commit(self, tickets: Sequence[Ticket]) -> None:
            threads.append(threading.current_thread())
            super().commit(tickets)

    commits = Commits(Noted())
    for _ in range(3):
        commits.submit(Ticket([[]]))
    commits.close()

    assert [threading.current_thread()] * 3 == threads


def test_a_lone_caller_does_not_put_off_the_rest():
    """However fast one caller commits, the rest it owes comes before its next commit but one."""

    class Counted(WatchedWork):
        def commit(self, tickets: Sequence[Ticket]) -> None:
            super().commit(tickets)
            owed.append(self.unwritten)

    owed: list[int] = []
    commits = Commits(Counted())
    for _ in range(200):
        commits.submit(Ticket([[]]))
    commits.close()

    assert max(owed) <= 8


def test_who_waits_together_is_committed_together():
    """All that queued up during a commit, within the limit, are the next one."""
    started, go_on = threading.Event(), threading.Event()

    class Slow(WatchedWork):
        def commit(self, tickets: Sequence[Ticket]) -> None:
            started.set()
            assert go_on.wait(10)
            super().commit(tickets)

    work = Slow()
    commits = Commits(work)
    waiting = TICKETS_MAX + 3
    with ThreadPoolExecutor(waiting + 1) as pool:
        pool.submit(commits.submit, Ticket([[]]))
        assert started.wait(10)
        for _ in range(waiting):
            pool.submit(commits.submit, Ticket([[]]))
        while len(commits._queue) < waiting:
            time.sleep(0.001)
        go_on.set()
    commits.close()

    assert [1, TICKETS_MAX, 3] == work.sizes


def test_broken_work_strands_nobody():
    """When `commit` itself raises, its callers have Indeterminate, and the next are answered too."""

    class Broken(WatchedWork):
        def commit(self, tickets: Sequence[Ticket]) -> None:
            time.sleep(0.001)
            raise AssertionError("broken")

    commits = Commits(Broken())

    def kind_of_outcome(_: int) -> type[BaseException]:
        ticket = Ticket([[]])
        try:
            commits.submit(ticket)
        except AssertionError as error:
            return type(error)
        return type(ticket.outcomes[0])

    with ThreadPoolExecutor(4) as pool:
        kinds = set(pool.map(kind_of_outcome, range(40)))

    assert Indeterminate in kinds
    assert kinds <= {Indeterminate, AssertionError}
    commits.close()
    with pytest.raises(Unavailable):
        commits.submit(Ticket([[]]))
