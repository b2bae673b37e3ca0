"""One HTTP process: started by server.py, told what to do on standard input, gone when server.py is.

    python -m chalicelib.hosts.worker < pickle of Orders

The main process keeps the other end of standard input open as long as it lives: its end of file means
that the main process is dead, however it died. PR_SET_PDEATHSIG says the same, faster, where it exists.

SIGTERM  take nobody in any more, finish what is under way, leave with 0 · SIGINT is the main process's
Errors   exit status of whatever ended it; 70 when the disk failed (the main process then stops too)
Source   DESIGN §4; prctl(2); docs/adr/0001-host.md for SWITCH_S.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import os
import pickle
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from chalicelib.hosts.connection import Handler
from chalicelib.hosts.listener import Listener, tls_context
from chalicelib.hosts.memory import keep_freed
from chalicelib.ports.system import Clock, Log
from chalicelib.settings import Settings

SWITCH_S = 0.0002  # a thread back from I/O otherwise waits 5 ms for a busy one to give way
READY = b"R"
_PR_SET_PDEATHSIG = 1
_WAITED = {signal.SIGTERM}


class Wired(Protocol):
    """What bootstrap gives a worker."""

    @property
    def handle(self) -> Handler: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def log(self) -> Log: ...

    def close(self) -> None:
        """Let go of what is open."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What a worker is told. `build` is "module:function", Settings → Wired."""

    settings: Settings
    build: str
    listening_fd: int
    ready_fd: int
    main_pid: int


def build_function(name: str) -> Callable[[Settings], Any]:
    """The function called `module:function`."""
    module, _, function = name.partition(":")
    found: Callable[[Settings], Any] = getattr(importlib.import_module(module), function)
    return found


def main() -> int:
    """Serve until told to stop."""
    signal.pthread_sigmask(signal.SIG_SETMASK, _WAITED)  # every thread's, so that only sigwait sees it
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches us as well
    orders: Orders = pickle.load(sys.stdin.buffer)
    _die_with(orders.main_pid)
    sys.setswitchinterval(SWITCH_S)
    keep_freed()
    wired: Wired = build_function(orders.build)(orders.settings)
    listener = Listener(
        socket.socket(fileno=orders.listening_fd),
        wired.handle,
        clock=wired.clock,
        log=wired.log,
        threads=orders.settings.threads,
        tls=_tls(orders.settings),
    )
    gc.collect()
    gc.freeze()  # what was loaded stays: no reason to look at it again and again
    listener.start()
    os.write(orders.ready_fd, READY)
    os.close(orders.ready_fd)
    signal.sigwait(_WAITED)
    if not listener.stop():
        wired.log.event("stopped_with_requests_under_way", level="warning")
    wired.close()
    return 0


def _tls(settings: Settings) -> Any:
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    return tls_context(str(settings.tls_cert), str(settings.tls_key))


def _die_with(main_pid: int) -> None:
    """Never outlive the main process: it owns the data directory, and the next one will want the port."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != main_pid:
        os._exit(1)

    def wait_for_the_end() -> None:
        os.read(sys.stdin.fileno(), 1)
        os._exit(1)

    threading.Thread(target=wait_for_the_end, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
