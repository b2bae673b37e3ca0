"""The simulated world behind ports/system.py: a clock per site, chance from the seed, tasks for threads.

SimClock     the world's time plus an offset, a drift and a grain; may step
SimIds       the seed's chance          SimParallel  a task of the same process
SimBuffers   a byte budget, first come, first served, as adapters.system.ByteBudget
SimCounters  sums, gone with the process
Source       ports/system.py
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from chalicelib.domain.errors import Busy
from chalicelib.ports.system import BUFFER_WAIT_MS
from tests.simulation.world import Process, Task, World

EPOCH_MS = 1_790_000_000_000  # some day in 2026


class SimClock:
    """One site's wall clock. It outlives the site's processes, as a machine's clock does."""

    def __init__(self, world: World, offset_ms: int, drift: float, grain_ms: int) -> None:
        self._world = world
        self._drift = drift
        self._grain_ms = grain_ms
        self.offset_ms = offset_ms

    def now_ms(self) -> int:
        """What the site's clock shows."""
        now = EPOCH_MS + self.offset_ms + int(self._world.now * (1 + self._drift))
        return now - now % self._grain_ms

    def sleep_ms(self, ms: int) -> None:
        """Give way."""
        self._world.pause(ms)


class SimIds:
    """Tokens from a stream of the site's own, so that one site's needs do not change another's."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def token(self, nbytes: int) -> str:
        """2 × nbytes hex digits."""
        return self._rng.randbytes(nbytes).hex()


class SimParallel:
    """Starts tasks in the caller's process, doing what the caller does."""

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._process = process

    def start(self, work: Callable[[], Any]) -> Task:
        """A task beside the caller."""
        caller = self._world.current
        return self._world.spawn(self._process, f"{caller.name}+", caller.role, work)


class SimBuffers:
    """At most `total` bytes, in order of asking."""

    def __init__(self, world: World, process: Process, total: int) -> None:
        self._world = world
        self._process = process
        self._total = total
        self.taken = 0
        self._queue: deque[tuple[int, Task]] = deque()

    @contextmanager
    def hold(self, nbytes: int) -> Iterator[None]:
        """Take for the length of the context."""
        self.take(nbytes)
        try:
            yield
        finally:
            self.give(nbytes)

    def take(self, nbytes: int, wait_ms: int = BUFFER_WAIT_MS) -> None:
        """Wait for our turn and for room; Busy after `wait_ms`."""
        if self.try_take(nbytes):
            return
        waiting = (nbytes, self._world.current)
        self._queue.append(waiting)
        until = self._world.now + wait_ms
        while waiting in self._queue:
            if self._world.now >= until:
                self._queue.remove(waiting)
                self._admit()
                raise Busy("no buffer became free")
            self._world.rest(until - self._world.now)

    def try_take(self, nbytes: int) -> bool:
        """Take, if nobody waits and there is room."""
        if self._queue or not self._fits(nbytes):
            return False
        self.taken += nbytes
        return True

    def give(self, nbytes: int) -> None:
        """Give back; who waited longest goes first."""
        if self._process.dead:  # what a dead process held is nobody's, whenever its frames are cleared
            return
        if nbytes > self.taken:
            self._world.fail("budget", "more was given back than was taken")
        self.taken -= nbytes
        self._admit()

    def _admit(self) -> None:
        while self._queue and self._fits(self._queue[0][0]):
            size, task = self._queue.popleft()
            self.taken += size
            self._world.rouse(task)

    def _fits(self, nbytes: int) -> bool:
        return self.taken == 0 or self.taken + nbytes <= self._total


class SimCounters:
    """Counts."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, name: str, by: int = 1, *, link: str = "") -> None:
        """Count up."""
        self._counts[name, link] += by

    def all(self) -> dict[tuple[str, str], int]:
        """Everything."""
        return dict(self._counts)


class SimLog:
    """Production's log lines, in the trace."""

    def __init__(self, world: World) -> None:
        self._world = world

    def event(self, name: str, **fields: object) -> None:
        """One line."""
        self._world.log("log", name, *(f"{k}={v}" for k, v in sorted(fields.items())))
