"""The real world behind ports/system.py: clock, chance, threads, buffers, locks and the log.

    SystemClock, SystemIds          the operating system's
    ThreadParallel, Inline          work beside the caller, or before `start` returns
    ByteBudget                      block buffers, in order of asking
    FileLocks, MemoryLocks          among processes of one machine, or within one
    JsonLog, NullLog                one JSON object per line, or nothing

Source  ports/system.py; contracts: tests/conformance/system.py.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO, TypeVar

from chalicelib.domain.errors import Busy
from chalicelib.ports.system import BUFFER_WAIT_MS, Clock

T = TypeVar("T")

PATIENCE_MS = 60_000  # a lock held longer is let go: longer than any copy of one block
POLL_MS_MAX = 20  # between looks at a lock: from 1 ms, doubling
LOGGED_CHARACTERS_MAX = 2_000  # of one text in the log
LOGGED_DEPTH_MAX = 4
_SECRET = re.compile(r"secret|password|token|signature|authorization", re.IGNORECASE)
_SECRET_IN_TEXT = re.compile(
    r"((?:secret|password|token|signature|authorization)[\w-]*\s*[=:]\s*)[^&\s]+", re.IGNORECASE
)


class SystemClock:
    """The wall clock."""

    def now_ms(self) -> int:
        """ms since 1970 UTC."""
        return time.time_ns() // 1_000_000

    def sleep_ms(self, ms: int) -> None:
        """Let other threads run."""
        time.sleep(ms / 1000)


class SystemIds:
    """The operating system's random numbers."""

    def token(self, nbytes: int) -> str:
        """2 × nbytes hex digits."""
        return secrets.token_hex(nbytes)


class ThreadParallel:
    """A fixed number of threads. Work that starts work runs it at once, for a full pool whose threads
    wait for their own work would wait for ever."""

    def __init__(self, workers: int) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="work")
        self._here = threading.local()

    def start(self, work: Callable[[], T]) -> Future[T]:
        """Queue `work` for the next free thread."""
        if getattr(self._here, "inside", False):
            return Inline().start(work)
        return self._pool.submit(self._run, work)

    def close(self) -> None:
        """Wait for what was started, then end the threads."""
        self._pool.shutdown()

    def _run(self, work: Callable[[], T]) -> T:
        self._here.inside = True
        return work()


class Inline:
    """Everything at once, in the caller's thread."""

    def start(self, work: Callable[[], T]) -> Future[T]:
        """Run `work`; what it raises waits for `result`."""
        done: Future[T] = Future()
        try:
            done.set_result(work())
        except Exception as problem:
            done.set_exception(problem)
        return done


@dataclass(eq=False)
class _Waiting:
    nbytes: int
    granted: threading.Event = field(default_factory=threading.Event)


class ByteBudget:
    """At most `total_bytes` taken at a time, first come, first served; a request for more than there is
    in all is let through when nothing else is taken. One who waits for a second helping while holding
    a first waits for others who do the same: take once, or `try_take`."""

    def __init__(self, total_bytes: int) -> None:
        self._total = total_bytes
        self._taken = 0
        self._queue: deque[_Waiting] = deque()
        self._lock = threading.Lock()

    @contextmanager
    def hold(self, nbytes: int) -> Iterator[None]:
        """Take for the length of the context."""
        self.take(nbytes)
        try:
            yield
        finally:
            self.give(nbytes)

    def take(self, nbytes: int, wait_ms: int = BUFFER_WAIT_MS) -> None:
        """Wait for our turn, and for room; Busy after `wait_ms`."""
        with self._lock:
            if not self._queue and self._fits(nbytes):
                self._taken += nbytes
                return
            waiting = _Waiting(nbytes)
            self._queue.append(waiting)
        try:
            if not waiting.granted.wait(wait_ms / 1000):
                raise Busy(f"no block buffer became free for {wait_ms} ms; try again later")
        except BaseException:  # also when the thread is being interrupted: leave no place taken
            self._leave(waiting)
            raise

    def try_take(self, nbytes: int) -> bool:
        """Take, if nobody waits and there is room."""
        with self._lock:
            if self._queue or not self._fits(nbytes):
                return False
            self._taken += nbytes
            return True

    def give(self, nbytes: int) -> None:
        """Give back; who waited longest goes first."""
        with self._lock:
            assert nbytes <= self._taken, "gave back more than was taken"
            self._taken -= nbytes
            self._admit()

    def _fits(self, nbytes: int) -> bool:
        return self._taken == 0 or self._taken + nbytes <= self._total

    def _admit(self) -> None:
        while self._queue and self._fits(self._queue[0].nbytes):
            waiting = self._queue.popleft()
            self._taken += waiting.nbytes
            waiting.granted.set()

    def _leave(self, waiting: _Waiting) -> None:
        with self._lock:
            if waiting.granted.is_set():
                self._taken -= waiting.nbytes
            else:
                self._queue.remove(waiting)
            self._admit()


def _until(attempt: Callable[[], bool], clock: Clock, patience_ms: int) -> bool:
    """Try again and again; False when patience ran out. Counts its own sleeps: clocks jump."""
    slept_ms, poll_ms = 0, 1
    while not attempt():
        if slept_ms >= patience_ms:
            return False
        clock.sleep_ms(poll_ms)
        slept_ms += poll_ms
        poll_ms = min(2 * poll_ms, POLL_MS_MAX)
    return True


class MemoryLocks:
    """Locks within one process, polled through the Clock port so that the simulator can run others."""

    def __init__(self, clock: Clock, patience_ms: int = PATIENCE_MS) -> None:
        self._clock = clock
        self._patience_ms = patience_ms
        self._held: set[str] = set()
        self._lock = threading.Lock()

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Be alone with `name`, or be let in after patience ran out."""
        alone = _until(lambda: self._enter(name), self._clock, self._patience_ms)
        try:
            yield
        finally:
            if alone:
                self._held.discard(name)

    def _enter(self, name: str) -> bool:
        with self._lock:
            if name in self._held:
                return False
            self._held.add(name)
            return True


class FileLocks:
    """flock on a file per name under `directory`; the system lets go when a process dies. Every holder
    opens the file for itself, so threads of one process exclude one another too."""

    def __init__(self, directory: Path, clock: Clock, patience_ms: int = PATIENCE_MS) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._clock = clock
        self._patience_ms = patience_ms

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Be alone with `name`, or be let in after patience ran out."""
        path = self._directory / hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
        got: list[int] = []
        _until(lambda: _flock(path, got), self._clock, self._patience_ms)
        try:
            yield
        finally:
            for fd in got:
                # Removed while it is still ours: whoever opened it meanwhile sees that the name is
                # another file's, or nobody's, and opens again.
                with suppress(FileNotFoundError):
                    path.unlink()
                os.close(fd)


def _flock(path: Path, got: list[int]) -> bool:
    """Lock the file that `path` names now and put its descriptor in `got`."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ours, named = os.fstat(fd), os.stat(path)
        if (ours.st_dev, ours.st_ino) == (named.st_dev, named.st_ino):
            got.append(fd)
            return True
    except (BlockingIOError, FileNotFoundError):
        pass
    finally:
        if not got:
            os.close(fd)
    return False


class JsonLog:
    """One JSON object per line: ts, level (`level=…`, or info), event, then the fields. Fields with a
    name like a secret's are blacked out, and so is what follows `token=` and the like in a text."""

    def __init__(self, stream: TextIO, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock
        self._lock = threading.Lock()

    def event(self, name: str, **fields: object) -> None:
        """Write a line; a log that cannot be written stops nobody."""
        now = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
        at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        head = {"ts": at, "level": str(fields.pop("level", "info")), "event": name}
        line = json.dumps({**head, **_fields(fields, 0), **head})
        with self._lock, suppress(OSError, ValueError):  # ValueError: the stream is closed
            self._stream.write(line + "\n")
            self._stream.flush()


class NullLog:
    """Says nothing."""

    def event(self, name: str, **fields: object) -> None:
        """Drop it."""


def _plain(value: object, depth: int) -> object:
    """`value` as JSON can hold it, without what looks like a secret."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth < LOGGED_DEPTH_MAX and isinstance(value, dict):
        return _fields(value, depth)
    if depth < LOGGED_DEPTH_MAX and isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner, depth + 1) for inner in value]
    text = bytes(value).hex() if isinstance(value, bytes | bytearray) else str(value)
    return _SECRET_IN_TEXT.sub(r"\1…", text[:LOGGED_CHARACTERS_MAX])


def _fields(fields: Mapping[str, object], depth: int) -> dict[str, object]:
    return {
        str(name): "…" if _SECRET.search(str(name)) else _plain(value, depth + 1)
        for name, value in fields.items()
    }
