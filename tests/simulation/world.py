"""World: one seed, one virtual clock, one task at a time; every port call is a point of switching.

    spawn(process, name, role, work) → Task    pause(ms), wait(task), Event.wait(ms): give way
    kill(process)    a crash: every task of the process ends with Crash where it stands
    fail(law, why)   a law was broken: the run ends here

A task is a greenlet under the hub (`run`). Who is due earliest runs next, ties by the seed's chance,
so a seed gives one interleaving and always the same. A pause after which nobody else would have run
returns without a switch: the order is the same, only quicker.
Source  research/models.md §3 "Simulation in Python"; Neon's desim.
"""

from __future__ import annotations

import hashlib
import heapq
import random
import traceback
from collections.abc import Callable
from typing import Any

from greenlet import getcurrent, greenlet

STEPS_MAX = 600_000  # a run needs about 20,000: more is a loop that never ends


class Crash(BaseException):
    """The process died here. Nothing of production catches it."""


class Halt(BaseException):
    """A law was broken; the whole run ends."""


class Died(Exception):
    """What whoever waits for a task of a dead process is told."""


class Process:
    """What dies together: the tasks of one life of a site."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False
        self.tasks: dict[int, Task] = {}


class Task:
    """Work that was started; keeps the contract of ports.system.Task."""

    __slots__ = (
        "done",
        "error",
        "greenlet",
        "name",
        "number",
        "process",
        "role",
        "token",
        "value",
        "waiters",
        "world",
    )

    def __init__(self, world: World, process: Process, name: str, role: str, number: int) -> None:
        self.world = world
        self.process = process
        self.name = name
        self.role = role
        self.number = number
        self.done = False
        self.value: Any = None
        self.error: BaseException | None = None
        self.waiters: list[Task] = []
        self.token = 0
        self.greenlet: greenlet | None = None

    def result(self) -> Any:
        """Wait for the end; the value, or raise what the work raised."""
        self.world.wait(self)
        if self.error is not None:
            raise self.error
        return self.value


class World:
    """The scheduler."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.now = 0
        self.steps = 0
        self.trace: list[tuple[object, ...]] = []
        self.violation: str | None = None
        self.outside = Process("outside")
        self.current: Task = Task(self, self.outside, "hub", "hub", 0)
        self._heap: list[tuple[int, float, int, Task, int]] = []
        self._count = 0
        self._hub = getcurrent()
        self._dying: list[Process] = []
        self._live: dict[int, Task] = {}

    # ---------------------------------------------------------------- running

    def run(self, work: Callable[[], Any]) -> None:
        """Run `work` as the first task, and whatever it starts, until it ends or a law is broken."""
        self._hub = getcurrent()
        first = self.spawn(self.outside, "director", "director", work)
        heap = self._heap
        while not first.done and self.violation is None:
            if not heap:
                waiting = sorted(f"{task.process.name}/{task.name}" for task in self._live.values())
                self.violation = f"deadlock: nobody is due, these wait: {waiting}"
                break
            at, _, _, task, token = heapq.heappop(heap)
            if task.done or token != task.token:
                continue
            self.now = at
            self._switch(task)
        if first.error is not None and self.violation is None:
            self.violation = "the director failed: " + "".join(traceback.format_exception(first.error))

    def _switch(self, task: Task) -> None:
        self.steps += 1
        if self.steps > STEPS_MAX:
            self.violation = "progress: the run does not end"
            return
        self.current = task
        task.token += 1
        assert task.greenlet is not None
        task.greenlet.switch()
        while self._dying:
            self._bury(self._dying.pop(0))

    def close(self) -> None:
        """End whatever is left, so that nothing of this world runs later."""
        self.violation = self.violation or ""
        for task in list(self._live.values()):
            task.process.dead = True
        for task in list(self._live.values()):
            self._throw(task)
        self._heap.clear()

    # ------------------------------------------------------------------ tasks

    def spawn(self, process: Process, name: str, role: str, work: Callable[[], Any]) -> Task:
        """Start a task."""
        self._count += 1
        task = Task(self, process, name, role, self._count)
        task.greenlet = greenlet(lambda: self._body(task, work), self._hub)
        process.tasks[task.number] = task
        self._live[task.number] = task
        self._at(self.now, task)
        return task

    def _body(self, task: Task, work: Callable[[], Any]) -> None:
        try:
            if task.process.dead:
                raise Crash
            task.value = work()
        except Crash:
            task.error = Died(task.process.name)
        except Halt:
            task.error = Died("halt")
        except Exception as problem:
            task.error = problem
        task.done = True
        task.process.tasks.pop(task.number, None)
        self._live.pop(task.number, None)
        for waiter in task.waiters:
            self._at(self.now, waiter)
        task.waiters.clear()

    def _at(self, at: int, task: Task) -> None:
        self._count += 1
        heapq.heappush(self._heap, (at, self.rng.random(), self._count, task, task.token))

    def pause(self, ms: int) -> None:
        """Give way for `ms`."""
        task = self.current
        if task.process.dead:
            raise Crash
        at = self.now + ms
        if self._heap and self._heap[0][0] <= at:
            self._at(at, task)
            self._give_way(task)
        else:
            self.steps += 1
            self.now = at

    def _give_way(self, task: Task) -> None:
        self._hub.switch()
        if self.violation is not None:
            raise Halt
        if task.process.dead:
            raise Crash

    def wait(self, task: Task, ms: int | None = None) -> bool:
        """Until `task` has ended, or for `ms`; whether it has."""
        me = self.current
        if me.process.dead:
            raise Crash
        if task.done:
            return True
        until = None if ms is None else self.now + ms
        task.waiters.append(me)
        while not task.done:
            if until is not None:
                if self.now >= until:
                    task.waiters.remove(me)
                    return False
                self._at(until, me)
            self._give_way(me)
        return True

    def rouse(self, task: Task) -> None:
        """Let a task that gave way go on now."""
        self._at(self.now, task)

    def rest(self, ms: int | None) -> None:
        """Give way until roused, or for `ms`."""
        me = self.current
        if me.process.dead:
            raise Crash
        if ms is not None:
            self._at(self.now + ms, me)
        self._give_way(me)

    # --------------------------------------------------------------- the end

    def kill(self, process: Process) -> None:
        """The process dies at once; if the caller is part of it, it must raise Crash next."""
        process.dead = True
        self._dying.append(process)

    def _bury(self, process: Process) -> None:
        for task in sorted(process.tasks.values(), key=lambda task: task.number):
            self._throw(task)

    def _throw(self, task: Task) -> None:
        if task.done or task.greenlet is None:
            return
        self.current = task
        task.token += 1
        # A task that never began has no frame to throw into: `_body` sees that its process is dead.
        if task.greenlet:
            task.greenlet.throw(Crash)
        else:
            task.greenlet.switch()

    def fail(self, law: str, why: str) -> None:
        """A law is broken."""
        if self.violation is None:
            self.violation = f"{law}: {why}"
        raise Halt

    # ------------------------------------------------------------------ trace

    def log(self, *what: object) -> None:
        """One line of the trace."""
        self.trace.append((self.now, self.current.process.name, self.current.name, *what))

    def fingerprint(self) -> str:
        """A hash of everything that happened, the clock and the next chance."""
        told = repr((self.trace, self.now, self.steps, self.rng.random()))
        return hashlib.sha256(told.encode()).hexdigest()


class Event:
    """Wakes whoever waits for it; remembers one wake nobody waited for."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._set = False
        self._waiting: list[Task] = []

    def set(self) -> None:
        """Wake."""
        self._set = True
        for task in self._waiting:
            self._world.rouse(task)
        self._waiting.clear()

    def wait(self, ms: int) -> None:
        """Until set, or for `ms`."""
        if not self._set:
            me = self._world.current
            self._waiting.append(me)
            self._world.rest(ms)
            if me in self._waiting:
                self._waiting.remove(me)
        self._set = False
