"""Answers on the line: a `Response` becomes bytes, whole or visibly cut short.

send(…)  True: sent whole, and its end could be told · False: cut short, the connection must go
Promise  Content-Length is set, or the body is chunked · a body that fails, or is not as long as it was
         announced, never looks whole · the body's iterator is closed whatever happens
Errors   OSError: the client has gone
Source   RFC 9110 §6.4.1, §8.6; RFC 9112 §6; law *true bytes*.
"""

from __future__ import annotations

from collections.abc import Iterator

from chalicelib.hosts.http1 import Head, answer_head
from chalicelib.hosts.line import Line
from chalicelib.ports.system import Log
from chalicelib.s3.request import Response

_TOGETHER_BYTES = 64 * 1024  # head and body in one system call: copying costs less than another one

Headers = list[tuple[str, str]]


class CutShort(Exception):
    """What was promised cannot be sent."""


def send(line: Line, head: Head, response: Response, more_headers: Headers, log: Log) -> bool:
    """Send an answer; see the module."""
    names = {name.lower() for name, _ in response.headers}
    headers = [*response.headers, *(pair for pair in more_headers if pair[0].lower() not in names)]
    try:
        if isinstance(response.body, bytes):
            _send_bytes(line, head, response.status, headers, response.body)
            return True
        return _send_pieces(line, head, response.status, headers, response.body)
    except CutShort as problem:
        path = head.raw_path.decode("ascii")[:200]
        log.event("answer_cut_short", level="error", method=head.method, path=path, error=str(problem))
        return False


def _send_bytes(line: Line, head: Head, status: int, headers: Headers, body: bytes) -> None:
    announced = _announced(headers)
    if announced is None and _may_have_body(status):
        headers.append(("Content-Length", str(len(body))))
    if head.method == "HEAD" or not _may_have_body(status):
        body = b""
    elif announced is not None and announced != len(body):
        raise CutShort(f"{len(body)} bytes, announced as {announced}")
    front = answer_head(status, headers)
    if len(body) <= _TOGETHER_BYTES:
        line.write(front + body)
    else:
        line.write(front, more=True)
        line.write(body)


def _send_pieces(line: Line, head: Head, status: int, headers: Headers, pieces: Iterator[bytes]) -> bool:
    announced = _announced(headers)
    chunked = announced is None and not head.http_1_0
    if chunked:
        headers.append(("Transfer-Encoding", "chunked"))
    try:
        if head.method == "HEAD" or not _may_have_body(status):
            line.write(answer_head(status, headers))
            return True
        line.write(answer_head(status, headers), more=True)
        if chunked:
            _write_chunks(line, pieces)
        else:
            _write_announced(line, pieces, announced)
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()  # gives back what a generator holds
    return chunked or announced is not None


def _write_announced(line: Line, pieces: Iterator[bytes], announced: int | None) -> None:
    sent = 0
    for piece in _guarded(pieces):
        sent += len(piece)
        if announced is not None and sent > announced:
            raise CutShort(f"more bytes than the {announced} announced")
        line.write(piece)
        del piece  # a block's memory is not ours while the next one is fetched
    if announced is not None and sent != announced:
        raise CutShort(f"{sent} bytes, announced as {announced}")


def _write_chunks(line: Line, pieces: Iterator[bytes]) -> None:
    for piece in _guarded(pieces):
        line.write(b"%x\r\n" % len(piece), more=True)
        line.write(piece, more=True)
        line.write(b"\r\n")
        del piece
    line.write(b"0\r\n\r\n")


def _guarded(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces with something in them; what fails in fetching them is not the client's doing."""
    while True:
        try:
            piece = next(pieces)
        except StopIteration:
            return
        except Exception as problem:
            raise CutShort(f"{type(problem).__name__}: {problem}") from problem
        if piece:
            yield piece
        del piece


def _may_have_body(status: int) -> bool:
    return status not in (204, 304) and status >= 200


def _announced(headers: Headers) -> int | None:
    for name, value in headers:
        if name.lower() == "content-length":
            return int(value)
    return None
