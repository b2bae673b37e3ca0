"""`causeway serve`: the main process, which owns the site, and the workers that answer HTTP.

    main      owns the data directory, writes SQLite, runs the background work; serves no request
    worker n  answers HTTP on the socket that main opened (worker.py)

A worker that dies is started again, after a pause if it had not lived long. Workers never outlive main.
SIGTERM, SIGINT   workers finish what is under way (at most 10 s), then the site is closed: exit 0
Exit     0 stopped · 1 could not start · 70 the disk failed to keep a write (law *durable*: stop)
Source   DESIGN §4; docs/adr/0001-host.md.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from typing import Protocol

from chalicelib import bootstrap
from chalicelib.hosts.background import Background
from chalicelib.hosts.listener import STOP_S_MAX, listen
from chalicelib.hosts.minio_events import listening
from chalicelib.hosts.worker import READY, Orders
from chalicelib.objects.documents import Told
from chalicelib.ports.system import Log
from chalicelib.settings import Settings

START_S_MAX = 20.0  # a worker that is not ready by then will not be
LOOK_S = 0.1  # how often the main process looks after its workers
YOUNG_LOOKS = 20  # a worker that dies before it is 2 s old makes us wait,
PAUSE_LOOKS = 10  # 1 s, before the next one: its successor will probably die of the same
EXIT_DISK_FAILED = 70
_STOP = {signal.SIGTERM, signal.SIGINT}


class MainSite(Protocol):
    """What bootstrap gives the main process."""

    @property
    def log(self) -> Log: ...


class Open(Protocol):
    """Opens a site for its main process; leaving the context closes it."""

    def __call__(self, settings: Settings) -> AbstractContextManager[MainSite]: ...


@contextmanager
def open_site(settings: Settings) -> Iterator[MainSite]:
    """The site and its background work."""
    with bootstrap.open_main(settings) as wired:
        background = Background(wired.node, wired.wakeup)
        background.start()
        try:
            with _bucket_events(settings, wired):
                yield wired
        finally:
            background.stop()


def _bucket_events(settings: Settings, wired: bootstrap.Main) -> AbstractContextManager[None]:
    """Workers commit to tables in DynamoDB without a word to us; the bucket tells what they wrote."""
    events = bootstrap.document_events(settings)
    if events is None:
        return nullcontext()

    def wake(told: Told) -> int:
        wired.wakeup.wake()
        return 0

    return listening(events, settings.blocks_prefix, wake, wired.log)


class NotReady(Exception):
    """A worker ended, or said nothing, before it could serve."""


class Worker:
    """One worker process."""

    def __init__(self, settings: Settings, build: str, listening: socket.socket) -> None:
        self.looks = 0
        self._ready, ready_fd = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "chalicelib.hosts.worker"],
            stdin=subprocess.PIPE,
            pass_fds=(listening.fileno(), ready_fd),
        )
        os.close(ready_fd)
        orders = Orders(settings, build, listening.fileno(), ready_fd, os.getpid())
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it is dead already, as `ended` will say
            pickle.dump(orders, self._process.stdin)
            self._process.stdin.flush()

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_until_ready(self) -> None:
        """NotReady unless it serves within START_S_MAX."""
        readable, _, _ = select.select([self._ready], [], [], START_S_MAX)
        if not readable or os.read(self._ready, 1) != READY:
            raise NotReady(f"worker {self.pid} did not start, exit status {self._process.poll()}")

    def ended(self) -> int | None:
        """Its exit status, None while it lives."""
        self.looks += 1
        return self._process.poll()

    def ask_to_stop(self) -> None:
        """Let it finish what is under way."""
        self._process.terminate()

    def wait_or_kill(self, timeout_s: float) -> None:
        """Until it is gone."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        os.close(self._ready)


class Workers:
    """As many workers as there shall be."""

    def __init__(self, settings: Settings, build: str, listening: socket.socket, log: Log) -> None:
        self._settings = settings
        self._build = build
        self._listening = listening
        self._log = log
        self._running: list[Worker] = []
        self._pauses: list[int] = []  # looks until a place is filled again

    def start(self) -> None:
        """Start all; NotReady if one cannot."""
        self._running = [self._new() for _ in range(self._settings.workers)]
        for worker in self._running:
            worker.wait_until_ready()

    def look(self) -> int | None:
        """Replace the dead; the exit status of one after which nobody may go on."""
        for worker in list(self._running):
            status = worker.ended()
            if status is None:
                continue
            self._log.event("worker_died", level="error", pid=worker.pid, status=status)
            self._running.remove(worker)
            worker.wait_or_kill(0)
            if status == EXIT_DISK_FAILED:
                return status
            self._pauses.append(PAUSE_LOOKS if worker.looks < YOUNG_LOOKS else 0)
        self._running += [self._new() for pause in self._pauses if pause <= 0]
        self._pauses = [pause - 1 for pause in self._pauses if pause > 0]
        return None

    def stop(self) -> None:
        """Stop all, those that finish in time with all they had begun."""
        for worker in self._running:
            worker.ask_to_stop()
        for worker in self._running:
            worker.wait_or_kill(STOP_S_MAX + 1)
        self._running = []

    def _new(self) -> Worker:
        return Worker(self._settings, self._build, self._listening)


def serve(
    settings: Settings,
    open_main: Open = open_site,
    build_worker: str = "chalicelib.hosts.faces:build_worker",
) -> int:
    """Run a site until it is told to stop; the exit status. Call it from the main thread."""
    # Before any thread begins, so that none of them gets these: sigtimedwait below does.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    try:
        # The port first: if it is taken, nothing of the site has been touched.
        with listen(settings.host, settings.port) as taken:
            # Port 0 has become a real one by now: others must be told that one.
            told = replace(settings, port=taken.getsockname()[1])
            with open_main(told) as site:
                workers = Workers(told, build_worker, taken, site.log)
                try:
                    return _run(workers, taken, site.log)
                finally:
                    taken.close()  # while the last requests end, a new client shall not wait in vain
                    workers.stop()
                    site.log.event("stopped")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run(workers: Workers, listening: socket.socket, log: Log) -> int:
    try:
        workers.start()
    except NotReady as problem:
        log.event("not_started", level="error", error=str(problem))
        return 1
    host, port = listening.getsockname()[:2]
    log.event("ready", host=host, port=port, pid=os.getpid())
    while signal.sigtimedwait(_STOP, LOOK_S) is None:
        status = workers.look()
        if status is not None:
            return status
    log.event("stopping")
    return 0
