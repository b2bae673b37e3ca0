"""The demonstration's sites, as real server processes, and the line between them, which can be cut.

Site    `causeway serve` of a data directory on a free port of loopback, and its admin API
Relay   a TCP line to one site; cut() breaks every connection and refuses new ones, heal() lets them in
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from chalicelib.cli import world
from chalicelib.cli.admin_client import AdminClient
from chalicelib.cli.failure import Exit, Failure
from chalicelib.cli.place import of_data

HOST = "127.0.0.1"
START_S_MAX = 30.0
STOP_S_MAX = 15.0
_LOOK_S = 0.05
_PIECE = 256 * 1024
_LOG_LINES_SHOWN = 3


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@dataclass
class Site:
    """One site of the demonstration."""

    name: str
    primary: str
    data: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """Where clients reach it."""
        return f"http://{HOST}:{self.port}"

    @property
    def log(self) -> Path:
        """What it says about itself."""
        return self.data.with_suffix(".log")

    @cached_property
    def admin(self) -> AdminClient:
        """Its admin API, once it is up."""
        return AdminClient(of_data(self.data, self.endpoint))

    def start(self) -> None:
        """Start its processes; they end with the terminal, or by `stop`."""
        command = [sys.executable, "-m", "chalicelib.cli.main", "serve", "--site", self.name]
        command += ["--primary", self.primary, "--data", str(self.data), "--host", HOST]
        command += ["--port", str(self.port), "--log-file", str(self.log)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def wait_until_ready(self) -> None:
        """Failure if it does not serve in time."""
        until = world.elapsed_s() + START_S_MAX
        while world.elapsed_s() < until and self.process is not None and self.process.poll() is None:
            with suppress(Failure):
                self.admin.get("site")
                return
            world.sleep_s(_LOOK_S)
        said = " ".join(self.log.read_text(errors="replace").splitlines()[-_LOG_LINES_SHOWN:])
        raise Failure(Exit.UNREACHABLE, f"site {self.name} did not start: {said}")

    def stop(self) -> None:
        """End it, letting it finish what is under way."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Relay:
    """A line to one port."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self.port = free_port()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listening: socket.socket | None = None
        self.heal()

    @property
    def endpoint(self) -> str:
        """What goes to this endpoint goes over the line."""
        return f"http://{HOST}:{self.port}"

    def heal(self) -> None:
        """Let connections in."""
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((HOST, self.port))
        listening.listen()
        self._listening = listening
        threading.Thread(target=self._accept, args=(listening,), daemon=True).start()

    def cut(self) -> None:
        """Break every connection, refuse new ones."""
        with self._lock:
            listening, self._listening = self._listening, None
            broken, self._open = self._open, set()
        if listening is not None:
            _break(listening)
        for line in broken:
            _break(line)

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                near, _ = listening.accept()
            except OSError:  # cut
                return
            try:
                far = socket.create_connection((HOST, self._to_port))
            except OSError:
                near.close()
                continue
            with self._lock:
                if self._listening is not listening:  # cut while this one came in
                    _break(near)
                    _break(far)
                    return
                self._open |= {near, far}
            for source, target in ((near, far), (far, near)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        piece = memoryview(bytearray(_PIECE))
        try:
            while count := source.recv_into(piece):
                target.sendall(piece[:count])
            target.shutdown(socket.SHUT_WR)  # the other direction may still have something to say
        except OSError:
            _break(source)
            _break(target)
        finally:
            with self._lock:
                self._open.discard(source)


def _break(line: socket.socket) -> None:
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
    line.close()
