"""A small HTTP/1.1 server that changes nothing: targets, header names and their order stay as they were sent.

    server = Server(answer)          answer(Request) → Answer, in a thread for each connection
    server.port; server.close()

Here    keep-alive, chunked request bodies, Expect: 100-continue (answered at once, as AWS's fronts do)
Bodies  beyond `body_max` bytes are read and thrown away; Request.length says how many there were
HEAD    gets the Content-Length an answer names itself, or that of the body it would have had
"""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import responses

HEAD_BYTES_MAX = 64 * 1024
NO_BODY = (204, 304)


class Broken(Exception):
    """What came is not HTTP, or it ended too early."""


@dataclass(frozen=True)
class Request:
    """As it came."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    length: int
    peer: str

    @property
    def path(self) -> str:
        """Percent-encoded, as sent."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The same."""
        return self.target.partition("?")[2]

    def header(self, name: str, default: str = "") -> str:
        """The first of that name."""
        return next((value for n, value in self.headers if n.lower() == name.lower()), default)


@dataclass(frozen=True)
class Answer:
    """Headers go out as they are; Content-Length is added unless one is there."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    close: bool = field(default=False, compare=False)

    def head(self, method: str) -> bytes:
        """Status line and headers."""
        lines = [f"HTTP/1.1 {self.status} {responses.get(self.status, '')}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        counted = any(name.lower() == "content-length" for name, _ in self.headers)
        if not counted and self.status not in NO_BODY:
            lines.append(f"Content-Length: {len(self.body)}")
        lines.append(f"Connection: {'close' if self.close else 'keep-alive'}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")


class Server:
    """Listens on a free port of the loopback until it is closed."""

    def __init__(self, answer: Callable[[Request], Answer], body_max: int = 64 << 20) -> None:
        self._answer, self._body_max = answer, body_max
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Hang up on everybody."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes `accept`, which `close` does not
        self._listener.close()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, address = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection, address[0]), daemon=True).start()

    def _serve(self, connection: socket.socket, peer: str) -> None:
        self._open.add(connection)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with connection, connection.makefile("rb", 256 * 1024) as stream:
                while self._one(connection, stream, peer):
                    pass
        except (OSError, Broken, ValueError):
            pass  # the client's business
        finally:
            self._open.discard(connection)

    def _one(self, connection: socket.socket, stream, peer: str) -> bool:
        first = stream.readline(HEAD_BYTES_MAX).rstrip(b"\r\n").decode("latin-1")
        if not first:
            return False
        method, target, _ = first.split(" ", 2)
        headers = _headers(stream)
        named = {name.lower(): value for name, value in headers}
        if named.get("expect", "").lower() == "100-continue":
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body, length = self._body(stream, named)
        answer = self._answer(Request(method, target, headers, body, length, peer))
        sends_body = method != "HEAD" and answer.status not in NO_BODY
        connection.sendall(answer.head(method) + (answer.body if sends_body else b""))
        return not answer.close and named.get("connection", "").lower() != "close"

    def _body(self, stream, named: dict[str, str]) -> tuple[bytes, int]:
        if named.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks(stream)
        length = int(named.get("content-length", "0"))
        return self._read(stream, length, self._body_max), length

    def _chunks(self, stream) -> tuple[bytes, int]:
        kept, length = b"", 0
        while size := int(stream.readline(1024).split(b";")[0], 16):
            kept += self._read(stream, size, self._body_max - len(kept))
            length += size
            stream.readline(16)
        while stream.readline(HEAD_BYTES_MAX) not in (b"\r\n", b"\n", b""):
            pass  # trailers
        return kept, length

    @staticmethod
    def _read(stream, length: int, keep: int) -> bytes:
        kept = stream.read(min(length, keep))
        left = length - len(kept)
        if len(kept) < min(length, keep):
            raise Broken("the body ended early")
        while left:
            dropped = len(stream.read(min(left, 1 << 20)))
            if not dropped:
                raise Broken("the body ended early")
            left -= dropped
        return kept


def _headers(stream) -> tuple[tuple[str, str], ...]:
    found, size = [], 0
    while (line := stream.readline(HEAD_BYTES_MAX)) not in (b"\r\n", b"\n"):
        size += len(line)
        if not line or size > HEAD_BYTES_MAX:
            raise Broken("no end of the headers")
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            raise Broken(f"no header: {line[:80]!r}")
        found.append((name, value.strip()))
    return tuple(found)
