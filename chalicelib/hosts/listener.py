"""The listening socket of one process: a thread for each client, and one that watches over them all.

    listener = Listener(listening, handle, …); listener.start() … listener.stop()

Several processes may hold the same socket; the kernel gives a client to whichever asks first, which is
one that is not busy.
Limits  `threads` clients at a time: an idle one is closed to let another in, else it waits in the backlog
Source  docs/adr/0001-host.md; RFC 9112 §9.5.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
from contextlib import suppress
from email.utils import formatdate

from chalicelib.hosts.connection import Connection, Handler
from chalicelib.hosts.line import Line, State
from chalicelib.ports.system import Clock, Log

TICK_S = 1.0  # in which the limits of line.State are counted
STOP_S_MAX = 10.0  # what is under way may take this long to end
BACKLOG = 1024
_FULL_MS = 20  # before another look for an idle client to close


class Listener:
    """Takes clients in and lets them go."""

    def __init__(
        self,
        listening: socket.socket,
        handle: Handler,
        *,
        clock: Clock,
        log: Log,
        threads: int,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.handle = handle
        self.log = log
        self.stopping = False
        self._clock = clock
        self._threads = threads
        self._tls = tls
        self._listening = listening
        self._listening.setblocking(False)
        self._waker, self._woken = socket.socketpair()
        self._lines: set[Line] = set()
        self._one_less = threading.Condition()
        self._stopped = threading.Event()
        self._tell_time()

    def start(self) -> None:
        """Take clients in from now on."""
        for work in (self._accept_all, self._watch):
            threading.Thread(target=work, name=work.__name__.strip("_"), daemon=True).start()

    def stop(self) -> bool:
        """Take nobody in any more, let what is under way end; whether it did in time."""
        self.stopping = True
        self._waker.close()
        for line in list(self._lines):
            if line.state is State.IDLE:
                line.cut()
        with self._one_less:
            ended = self._one_less.wait_for(lambda: not self._lines, STOP_S_MAX)
        self._stopped.set()
        return ended

    def _accept_all(self) -> None:
        poll = select.poll()
        poll.register(self._listening, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        while not self.stopping:
            if len(self._lines) >= self._threads and not self._make_room():
                select.select([self._woken], [], [], _FULL_MS / 1000)
                continue
            poll.poll()
            if not self.stopping:
                self._accept()
        self._listening.close()

    def _make_room(self) -> bool:
        for line in list(self._lines):
            if line.state is State.IDLE:
                line.cut()
                with self._one_less:
                    return self._one_less.wait_for(lambda: len(self._lines) < self._threads, TICK_S)
        return False

    def _accept(self) -> None:
        try:
            client, address = self._listening.accept()
        except BlockingIOError:  # another process was faster
            return
        except OSError as problem:  # the client went again, or we are out of descriptors
            self.log.event("accept_failed", level="warning", error=str(problem))
            select.select([self._woken], [], [], _FULL_MS / 1000)
            return
        client.setblocking(True)
        line = Line(client, self._tls)
        self._lines.add(line)
        try:
            threading.Thread(target=self._serve, args=(line, str(address[0])), daemon=True).start()
        except RuntimeError as problem:  # the system gives us no more threads
            self.log.event("accept_failed", level="error", error=str(problem))
            self._lines.discard(line)
            line.close()

    def _serve(self, line: Line, remote: str) -> None:
        try:
            Connection(line, remote, self).serve()
        finally:
            with self._one_less:
                self._lines.discard(line)
                self._one_less.notify_all()

    def _watch(self) -> None:
        while not self._stopped.wait(TICK_S):
            self._tell_time()
            for line in list(self._lines):
                with suppress(OSError):
                    line.watched()

    def _tell_time(self) -> None:
        self.date = formatdate(self._clock.now_ms() / 1000, usegmt=True)


def listen(host: str, port: int) -> socket.socket:
    """A socket to give to listeners; OSError if the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening


def tls_context(cert: str, key: str) -> ssl.SSLContext:
    """TLS 1.2 and later, HTTP/1.1 only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert, key)
    context.set_alpn_protocols(["http/1.1"])
    return context
