"""One client's connection: requests in, answers out, one after the other, in a thread of its own.

Promise every request gets one answer or none and the end of the connection, never another's
Errors  none come out: what goes wrong is logged or answered, and the connection closed
Source  RFC 9112 §9.3 "Persistence", §9.6 "Tear-down".
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from chalicelib.hosts import answering
from chalicelib.hosts.http1 import BadRequest, Head, answer_head, head_end, parse_head
from chalicelib.hosts.line import Line, State
from chalicelib.hosts.request_body import RequestBody
from chalicelib.ports.system import Log
from chalicelib.s3.errors import S3Error
from chalicelib.s3.request import Headers, Request, Response, parse_query

Handler = Callable[[Request], Response]


class Host(Protocol):
    """What a connection asks of the listener it came in by."""

    handle: Handler
    log: Log
    date: str
    stopping: bool


class Connection:
    """One client; `serve` returns when it has gone."""

    def __init__(self, line: Line, remote: str, host: Host) -> None:
        self._line = line
        self._remote = remote
        self._host = host

    def serve(self) -> None:
        """Until the client goes, or has to."""
        try:
            with suppress(OSError):  # it went, or was cut off
                self._line.open()
                while self._exchange():
                    pass
        finally:
            self._line.close()

    def _exchange(self) -> bool:
        """One request and its answer; whether another may follow."""
        try:
            raw = self._receive_head()
            if not raw:
                return False
            head = parse_head(raw)
        except BadRequest as problem:
            return self._refuse(problem)
        body = RequestBody(self._line, head)
        response = self._answer(head, body)
        keep = head.keep_alive and not self._host.stopping and body.can_be_skipped()
        extra = [("Date", self._host.date)]
        if not keep or head.http_1_0:
            extra.append(("Connection", "keep-alive" if keep else "close"))
        if not answering.send(self._line, head, response, extra, self._host.log):
            return False
        if keep:
            return body.skip()
        if not body.is_finished() or self._line.left:
            self._line.linger()
        return False

    def _receive_head(self) -> bytes:
        """The next head, b"" when the client has gone or shall go."""
        line = self._line
        line.state = State.HEAD if line.left else State.IDLE
        if self._host.stopping:
            return b""
        buffer, searched = line.left, 0
        while not buffer or (end := head_end(buffer, searched)) < 0:
            searched = len(buffer)
            received = line.receive()
            if not received:
                return b""
            line.state = State.HEAD
            buffer = buffer + received if buffer else received
        line.begun()
        line.left = buffer[end:]
        return buffer[:end]

    def _refuse(self, problem: BadRequest) -> bool:
        """Answer what is no request, and read nothing more from there."""
        body = f"{problem}\n".encode("ascii", "replace")
        headers = [("Date", self._host.date), ("Content-Type", "text/plain"), ("Connection", "close")]
        headers.append(("Content-Length", str(len(body))))
        self._line.write(answer_head(problem.status, headers) + body)
        self._line.linger()
        return False

    def _answer(self, head: Head, body: RequestBody) -> Response:
        try:
            query = parse_query(head.raw_query.decode("ascii"))
            request = Request(
                head.method,
                head.raw_path,
                query,
                Headers(head.headers),
                body,
                self._line.secure,
                self._remote,
            )
            return self._host.handle(request)
        except S3Error as problem:  # of the query: handlers answer their own
            return _plain(problem.status, problem.code)
        except Exception as problem:
            self._host.log.event(
                "request_failed",
                level="error",
                method=head.method,
                path=head.raw_path.decode("ascii")[:200],
                error=f"{type(problem).__name__}: {problem}",
                where=traceback.format_exc(limit=-3),
            )
            return _plain(500, "InternalError")


def _plain(status: int, code: str) -> Response:
    return Response(status, [("Content-Type", "text/plain")], f"{code}\n".encode())
