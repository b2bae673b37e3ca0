"""One client's connection: requests in, answers out, one after the other, in a thread of its own.

    IDLE ─ first byte → HEAD ─ whole head → BUSY ⇄ WAITING (for the client) ─ answer sent → IDLE
      └── each state has a time limit, kept by `watched` ──────────────────────────┘
    LINGER: the answer is out and the client still sends; closing now could destroy the answer

Promise a body cut short raises in read, it never looks like its end · an answer cut short is never as
        long as its Content-Length and ends the connection · 100 Continue is sent when the handler first
        reads, never before · a body the handler did not read is not taken for the next request
Errors  none come out: what goes wrong is logged and the connection closed
Source  RFC 9112 §6.3, §9.3, §9.6; RFC 9110 §10.1.1; law *true bytes*. States are looked at by another
        thread (listener.py), which reads no clock: it counts ticks.
"""

from __future__ import annotations

import socket
import ssl
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import Enum
from typing import Protocol

from chalicelib.hosts.http1 import BadRequest, Chunks, Head, answer_head, head_end, parse_head
from chalicelib.ports.system import Log
from chalicelib.s3 import errors
from chalicelib.s3.request import Headers, Request, Response, parse_query

RECEIVE_BYTES = 256 * 1024  # fits the second-level cache, where hashing finds it again
SEND_BYTES = 256 * 1024  # between two looks at a slow reader
HEAD_RECEIVE_BYTES = 64 * 1024
DRAIN_BYTES_MAX = 256 * 1024  # of an unread body: cheaper than a new connection; beyond, close
_TOGETHER_BYTES = 64 * 1024  # head and body in one packet, or at least one system call

Handler = Callable[[Request], Response]


class State(Enum):
    """What a connection is waiting for. The value is the ticks it may take (listener.TICK_S each)."""

    IDLE = 75  # the next request: longer than clients keep unused connections
    HEAD = 15  # the rest of a head, or a TLS handshake
    WAITING = 30  # the client to send or take WINDOW_BYTES
    LINGER = 5  # the client to notice that we are done
    BUSY = 0  # us: no limit here


WINDOW_BYTES = 16 * 1024  # per 30 s: a modem does more


class Host(Protocol):
    """What a connection asks of the listener it came in by."""

    handle: Handler
    log: Log
    date: str
    stopping: bool


class Connection:
    """One client."""

    def __init__(self, client: socket.socket, remote: str, host: Host, tls: ssl.SSLContext | None) -> None:
        self.state = State.HEAD
        self.moved = 0  # bytes to and from the client
        self._client = client
        self._remote = remote
        self._host = host
        self._tls = tls
        self._closing = threading.Lock()
        self._left = b""  # received, not yet used
        self._ticks = 0
        self._seen: tuple[State, int] = (State.HEAD, 0)

    def serve(self) -> None:
        """Until the client goes, or has to."""
        try:
            self._open()
            while self._exchange():
                pass
        except (OSError, EOFError, ValueError):
            pass  # the client went away; ValueError: TLS broke off under a write
        finally:
            self._close()

    # ------------------------------------------------- for the listener's threads

    def watched(self) -> None:
        """One tick has passed: cut the connection off if the client takes too long."""
        state, moved = self.state, self.moved
        if state is not self._seen[0] or moved - self._seen[1] >= WINDOW_BYTES:
            self._ticks, self._seen = 0, (state, moved)
            return
        self._ticks += 1
        if state.value and self._ticks > state.value:
            self.cut()

    def cut(self) -> None:
        """End it: whoever waits in recv or send returns at once."""
        with self._closing, suppress(OSError):
            # SSLSocket.shutdown would let the other thread go on in clear.
            socket.socket.shutdown(self._client, socket.SHUT_RDWR)

    # ------------------------------------------------------------- its own thread

    def _open(self) -> None:
        self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is not None:
            client = self._tls.wrap_socket(self._client, server_side=True, do_handshake_on_connect=False)
            with self._closing:
                self._client = client
            client.do_handshake()

    def _close(self) -> None:
        with self._closing, suppress(OSError):
            self._client.close()

    def _exchange(self) -> bool:
        """One request and its answer; whether another may follow."""
        try:
            raw = self._receive_head()
            if not raw:
                return False
            head = parse_head(raw)
        except BadRequest as problem:
            return self._refuse(problem)
        body = RequestBody(self, head)
        response = self._answer(head, body)
        keep = head.keep_alive and not self._host.stopping and body.can_be_skipped()
        if not self._send(head, response, keep):
            return False
        if not keep:
            self._linger(body)
            return False
        return body.skip()

    def _receive_head(self) -> bytes:
        """The next head, b"" when the client has gone or shall go."""
        self.state = State.HEAD if self._left else State.IDLE
        if self._host.stopping:
            return b""
        buffer, searched = self._left, 0
        while not buffer or (end := head_end(buffer, searched)) < 0:
            searched = len(buffer)
            received = self._client.recv(HEAD_RECEIVE_BYTES)
            if not received:
                return b""
            self.state = State.HEAD
            buffer = buffer + received if buffer else received
        self.state = State.BUSY
        self._left = buffer[end:]
        return buffer[:end]

    def _answer(self, head: Head, body: RequestBody) -> Response:
        try:
            request = Request(
                head.method,
                head.raw_path,
                parse_query(head.raw_query.decode("ascii")),
                Headers(head.headers),
                body,
                self._tls is not None,
                self._remote,
            )
            return self._host.handle(request)
        except errors.S3Error as problem:
            return Response(problem.status, [("Content-Type", "text/plain")], f"{problem.code}\n".encode())
        except Exception as problem:
            self._host.log.event(
                "request_failed",
                level="error",
                method=head.method,
                path=head.raw_path.decode("ascii")[:200],
                error=f"{type(problem).__name__}: {problem}",
                where=traceback.format_exc(limit=-3),
            )
            return Response(500, [("Content-Type", "text/plain")], b"InternalError\n")

    def _refuse(self, problem: BadRequest) -> bool:
        """Answer what is no request, and read nothing more from there."""
        body = f"{problem}\n".encode("ascii", "replace")
        headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), ("Connection", "close")]
        self.write(answer_head(problem.status, [*headers, ("Date", self._host.date)]) + body)
        self._linger(None)
        return False

    def _linger(self, body: RequestBody | None) -> None:
        """Let a client that is still sending read the answer before the connection goes."""
        if body is not None and body.is_finished() and not self._left:
            return
        self.state = State.LINGER
        socket.socket.shutdown(self._client, socket.SHUT_WR)
        with suppress(ssl.SSLError):
            while self._client.recv(RECEIVE_BYTES):
                pass

    # ------------------------------------------------------------------- answers

    def _send(self, head: Head, response: Response, keep: bool) -> bool:
        """Send an answer; False if it was cut short."""
        names = {name.lower() for name, _ in response.headers}
        headers = list(response.headers)
        if "date" not in names:
            headers.append(("Date", self._host.date))
        if not keep:
            headers.append(("Connection", "close"))
        elif head.http_1_0:
            headers.append(("Connection", "keep-alive"))
        if isinstance(response.body, bytes):
            return self._send_bytes(head, response, headers, names)
        return self._send_stream(head, response, response.body, headers)

    def _send_bytes(
        self, head: Head, response: Response, headers: list[tuple[str, str]], names: set[str]
    ) -> bool:
        body = response.body
        assert isinstance(body, bytes)
        if "content-length" not in names and _may_have_body(response.status):
            headers.append(("Content-Length", str(len(body))))
        if head.method == "HEAD" or not _may_have_body(response.status):
            body = b""
        elif _announced(headers) != len(body):
            self._cut_short(head, f"{len(body)} bytes are not the Content-Length")
            return False
        front = answer_head(response.status, headers)
        if len(body) <= _TOGETHER_BYTES:
            self.write(front + body)
        else:
            self.write(front, more=True)
            self.write(body)
        return True

    def _send_stream(
        self, head: Head, response: Response, pieces: Iterator[bytes], headers: list[tuple[str, str]]
    ) -> bool:
        announced = _announced(headers)
        chunked = announced is None and not head.http_1_0
        if chunked:
            headers.append(("Transfer-Encoding", "chunked"))
        try:
            if head.method == "HEAD" or not _may_have_body(response.status):
                self.write(answer_head(response.status, headers))
                return True
            self.write(answer_head(response.status, headers), more=True)
            sent = self._write_pieces(pieces, announced, chunked)
        except (OSError, EOFError):
            raise  # the client's doing
        except Exception as problem:
            self._cut_short(head, f"{type(problem).__name__}: {problem}")
            return False
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()  # gives back what a generator holds
        if announced is not None and sent != announced:
            self._cut_short(head, f"{sent} bytes are not the Content-Length")
            return False
        return chunked or announced is not None

    def _write_pieces(self, pieces: Iterator[bytes], announced: int | None, chunked: bool) -> int:
        sent = 0
        for piece in pieces:
            if not piece:
                continue
            sent += len(piece)
            if announced is not None and sent > announced:
                break
            if chunked:
                self.write(b"%x\r\n" % len(piece), more=True)
                self.write(piece, more=True)
                self.write(b"\r\n")
            else:
                self.write(piece)
        if chunked:
            self.write(b"0\r\n\r\n")
        return sent

    def _cut_short(self, head: Head, why: str) -> None:
        path = head.raw_path.decode("ascii")[:200]
        self._host.log.event("answer_cut_short", level="error", method=head.method, path=path, error=why)

    def write(self, data: bytes, more: bool = False) -> None:
        """Hand all of `data` to the client; `more` follows at once, so it may wait for a full packet."""
        self.state = State.WAITING
        flags = socket.MSG_MORE if more and self._tls is None else 0
        if len(data) <= SEND_BYTES:
            self._client.sendall(data, flags)
            self.moved += len(data)
        else:
            view = memoryview(data)
            for start in range(0, len(data), SEND_BYTES):
                piece = view[start : start + SEND_BYTES]
                self._client.sendall(piece, flags)
                self.moved += len(piece)
        self.state = State.BUSY

    def read(self, size: int) -> bytes:
        """Up to `size` bytes from the client, b"" if it has gone."""
        if self._left:
            piece, self._left = self._left[:size], self._left[size:]
            return piece
        self.state = State.WAITING
        try:
            piece = self._client.recv(size)
        except OSError:
            return b""
        finally:
            self.state = State.BUSY
        self.moved += len(piece)
        return piece


class RequestBody:
    """A request's body, as `s3.request.Body`; pulled from the connection when it is read."""

    def __init__(self, connection: Connection, head: Head) -> None:
        self.length = head.length
        self._connection = connection
        self._missing = head.length or 0
        self._chunks = Chunks() if head.length is None else None
        self._pieces: list[bytes] = []  # decoded, the next one last
        self._continue = head.expects_continue  # owed before the first byte is asked for
        self._broken = False

    def read(self, size: int) -> bytes:
        """1 … size bytes, b"" at the end; IncompleteBody if the client broke off."""
        if self._continue:
            self._say_continue()
        if self._chunks is not None:
            return self._read_chunked(self._chunks, size)
        if not self._missing:
            return b""
        piece = self._connection.read(min(size, self._missing, RECEIVE_BYTES))
        if not piece:
            self._break("the connection ended before the body")
        self._missing -= len(piece)
        return piece

    def _say_continue(self) -> None:
        self._continue = False
        try:
            self._connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        except OSError:
            self._break("the connection ended before the body")

    def _read_chunked(self, chunks: Chunks, size: int) -> bytes:
        while not self._pieces:
            if chunks.done:
                return b""
            received = self._connection.read(RECEIVE_BYTES)
            if not received:
                self._break("the connection ended before the body")
            try:
                self._pieces = chunks.feed(received)[::-1]
            except BadRequest as problem:
                self._break(str(problem))
        piece = self._pieces.pop()
        if len(piece) > size:
            self._pieces.append(piece[size:])
            piece = piece[:size]
        return piece

    def _break(self, why: str) -> None:
        self._broken = True
        raise errors.IncompleteBody(why)

    def is_finished(self) -> bool:
        """Whether the client has nothing of this body left to send."""
        return self._broken or (self._chunks.done if self._chunks is not None else not self._missing)

    def can_be_skipped(self) -> bool:
        """Whether the next request can be found behind what is left of this body, at little cost."""
        if self._broken or self._chunks is not None:
            return False
        return not self._missing or not self._continue and self._missing <= DRAIN_BYTES_MAX

    def skip(self) -> bool:
        """Read what the handler left; False if it does not come."""
        while self._missing:
            piece = self._connection.read(min(self._missing, RECEIVE_BYTES))
            if not piece:
                return False
            self._missing -= len(piece)
        return True


def _may_have_body(status: int) -> bool:
    return status not in (204, 304) and status >= 200


def _announced(headers: list[tuple[str, str]]) -> int | None:
    for name, value in headers:
        if name.lower() == "content-length":
            return int(value)
    return None
