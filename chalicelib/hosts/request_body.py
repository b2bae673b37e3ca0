"""A request's body as `s3.request.Body`: pulled from the line when the handler reads it.

Promise 100 Continue is sent when the body is first read, never before · a body cut short raises, it
        never looks like its end · what the handler leaves is never taken for the next request
Errors  IncompleteBody
Source  RFC 9110 §10.1.1; RFC 9112 §6.3, §7.1.
"""

from __future__ import annotations

from typing import NoReturn

from chalicelib.hosts.http1 import BadRequest, Chunks, Head
from chalicelib.hosts.line import RECEIVE_BYTES, Line
from chalicelib.s3 import errors

DRAIN_BYTES_MAX = 256 * 1024  # of an unread body: cheaper than a new connection; beyond, close
_GONE = "the connection ended before the body"


class RequestBody:
    """The body that follows `head`."""

    def __init__(self, line: Line, head: Head) -> None:
        self.length = _announced(head)
        self._line = line
        self._missing = head.length or 0
        self._chunks = Chunks() if head.length is None else None
        self._pieces: list[bytes] = []  # decoded, the next one last
        self._continue = head.expects_continue  # owed before the first byte is asked for
        self._broken = False

    def read(self, size: int) -> bytes:
        """1 … size bytes, b"" at the end."""
        if self._continue:
            self._say_continue()
        if self._chunks is not None:
            return self._read_chunked(self._chunks, size)
        if not self._missing:
            return b""
        piece = self._line.read(min(size, self._missing))
        if not piece:
            self._break(_GONE)
        self._missing -= len(piece)
        return piece

    def _say_continue(self) -> None:
        self._continue = False
        try:
            self._line.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        except OSError:
            self._break(_GONE)

    def _read_chunked(self, chunks: Chunks, size: int) -> bytes:
        while not self._pieces:
            if chunks.done:
                return b""
            received = self._line.read(RECEIVE_BYTES)
            if not received:
                self._break(_GONE)
            try:
                self._pieces = chunks.feed(received)[::-1]
            except BadRequest as problem:
                self._break(str(problem))
        piece = self._pieces.pop()
        if len(piece) > size:
            self._pieces.append(piece[size:])
            piece = piece[:size]
        return piece

    def _break(self, why: str) -> NoReturn:
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
            piece = self._line.read(self._missing)
            if not piece:
                return False
            self._missing -= len(piece)
        return True


def _announced(head: Head) -> int | None:
    """What the client said. A body nobody announced is empty to HTTP, but S3 wants to hear it of a PUT."""
    if head.length or any(name == "content-length" for name, _ in head.headers):
        return head.length
    return None
