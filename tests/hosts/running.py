"""Starts a server process for a test and speaks to it in bytes."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
START_S_MAX = 20.0


class Server:
    """A running server; its log is read from the file it writes."""

    def __init__(self, command: list[str], log: Path, environment: dict[str, str] | None = None) -> None:
        self._log = log
        inherited = {n: v for n, v in os.environ.items() if not n.startswith("CAUSEWAY_")}
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                stderr=output,
                env=inherited | (environment or {}),
                start_new_session=True,
            )
        self.ready = self.wait_for_event("ready")
        self.port = int(self.ready["port"])

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = self._log.read_text(errors="replace").splitlines()
        told = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        return [event for event in told if event["event"] == name]

    def wait_for_event(self, name: str, seconds: float = START_S_MAX, count: int = 1) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if len(found := self.events(name)) >= count:
                return found[-1]
            if self.process.poll() is not None and len(found := self.events(name)) < count:
                break
            time.sleep(0.02)
        raise AssertionError(f"no event {name} in the log:\n{self._log.read_text(errors='replace')[-2000:]}")

    def connect(self) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), 10)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client

    def ask(self, request: bytes, *, half_close: bool = False) -> bytes:
        """Everything the server says until it closes the connection."""
        with self.connect() as client:
            client.sendall(request)
            if half_close:
                client.shutdown(socket.SHUT_WR)
            return everything(client)

    def get(self, path: bytes, method: bytes = b"GET") -> bytes:
        return self.ask(method + b" " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


@contextmanager
def toy(directory: Path, *arguments: str) -> Iterator[Server]:
    """A toy server on a free port."""
    server = Server(["-m", "tests.hosts.toy", "0", *arguments], directory / "log")
    try:
        yield server
    finally:
        server.stop()


def everything(client: socket.socket) -> bytes:
    """All bytes until the end; ConnectionResetError if it does not end well."""
    received = []
    while piece := client.recv(1 << 16):
        received.append(piece)
    return b"".join(received)


def answer(client: socket.socket, *, head: bool = False) -> tuple[int, bytes, bytes]:
    """One answer of a kept connection: status, head, body by Content-Length."""
    raw = b""
    while b"\r\n\r\n" not in raw:
        piece = client.recv(1 if head else 4096)
        assert piece, f"closed after {raw!r}"
        raw += piece
    front, _, body = raw.partition(b"\r\n\r\n")
    found = re.search(rb"(?i)\r\ncontent-length: (\d+)", front)
    length = int(found[1]) if found and not head else 0
    while len(body) < length:
        piece = client.recv(length - len(body))
        assert piece, f"closed {length - len(body)} bytes too early"
        body += piece
    assert len(body) == length, f"{len(body) - length} bytes too many: {body[length:]!r}"
    return status_of(front), front, body


def status_of(raw: bytes) -> int:
    match = re.match(rb"HTTP/1\.1 (\d{3}) ", raw)
    assert match, f"not an answer: {raw[:100]!r}"
    return int(match[1])
