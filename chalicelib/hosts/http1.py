"""HTTP/1.1 without I/O: what a request's head says, and how an answer's head is written.

    head_end(buffer)     where the head ends, or -1: not yet
    parse_head(bytes)    → Head
    Chunks               the decoder of one chunked body
    answer_head(…)       status line and headers as bytes

llhttp (httptools) parses. Where a proxy before us could read a request in another way than we do, it
is refused instead of interpreted: two lengths, a length and a transfer coding, bare LF, folded lines,
white space before a colon, no Host or two of them.

Errors  BadRequest: its status is answered and the connection closed, for what follows cannot be trusted
Limits  HEAD_BYTES_MAX, TARGET_BYTES_MAX; OVERHEAD_BYTES_MAX of chunk framing
Source  RFC 9112 §2.2, §3, §6.3, §7.1, §11.2; James Kettle, "HTTP Desync Attacks", 2019.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus

import httptools

HEAD_BYTES_MAX = 32 * 1024  # the S3 door refuses 8 KiB of headers with an S3 error; this is the wall
TARGET_BYTES_MAX = 16 * 1024  # a key of 1,024 bytes, escaped, and a presigned query with a session token
OVERHEAD_BYTES_MAX = 64 * 1024  # of trailers and chunk extensions, beyond what small chunks need
_OVERHEAD_PER_BYTE = 8  # chunks of one byte: nobody sane, but legal

_END = b"\r\n\r\n"
_REQUEST_LINE = re.compile(rb"([A-Z]{1,20}) ([!-~]+) HTTP/1\.([01])\r\n")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_LENGTH = re.compile(rb"[0-9]{1,19}")
_AUTHORITY = re.compile(rb"https?://([^/?#]+)", re.IGNORECASE)
_BEGINS = re.compile(rb"(?:\r\n)*[A-Z]|(?:\r\n)*\r?\Z")
_STATUS_LINES = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n" for s in HTTPStatus}


class BadRequest(Exception):
    """Not HTTP as we take it."""

    def __init__(self, why: str, status: int = 400) -> None:
        self.status = status
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class Head:
    """A request without its body. `length` is None for a chunked body, 0 if there is none."""

    method: str
    raw_path: bytes
    raw_query: bytes
    headers: list[tuple[str, str]]
    length: int | None
    keep_alive: bool
    expects_continue: bool
    http_1_0: bool


class _Seen:
    """What the parser found, in the order it was sent."""

    __slots__ = ("headers", "whole")

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.whole = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.whole = True


def head_end(buffer: bytes | bytearray, searched: int = 0) -> int:
    """Where the body begins, or -1 if the head is not whole; BadRequest if it never will be.

    `searched` bytes were looked at before.
    """
    if not searched and not _BEGINS.match(buffer):
        raise BadRequest("not a request line")
    end = buffer.find(_END, max(0, searched - 3))
    if end < 0 and len(buffer) > HEAD_BYTES_MAX or end > HEAD_BYTES_MAX:
        if buffer.find(b"\n") < 0 or buffer.find(b"\n") > TARGET_BYTES_MAX:
            raise BadRequest("the request line is too long", 414)
        raise BadRequest("the headers are too long", 431)
    if end < 0 and _BARE_LF.search(buffer, max(0, searched - 1)):
        raise BadRequest("a line ends without CR")
    return end + 4 if end >= 0 else -1


def parse_head(raw: bytes) -> Head:
    """What a whole head says."""
    raw = raw.lstrip(b"\r\n")  # RFC 9112 §2.2: some clients end the last body with a line too many
    line = _REQUEST_LINE.match(raw)
    if line is None:
        raise _why_not(raw)
    method, target, minor = line[1], line[2], line[3]
    if len(target) > TARGET_BYTES_MAX:
        raise BadRequest("the request line is too long", 414)
    headers = _headers(raw)
    hosts = [value for name, value in headers if name == "host"]
    if len(hosts) > 1 or not hosts and minor == b"1":
        raise BadRequest("exactly one Host is needed")
    path, _, query = _origin_form(target, hosts).partition(b"?")
    tokens = _tokens(headers, "connection")
    return Head(
        method=method.decode("ascii"),
        raw_path=path,
        raw_query=query,
        headers=headers,
        length=_body_length(headers, minor),
        keep_alive="close" not in tokens and (minor == b"1" or "keep-alive" in tokens),
        expects_continue=_expects_continue(headers) and minor == b"1",
        http_1_0=minor == b"0",
    )


def _why_not(raw: bytes) -> BadRequest:
    line = raw.partition(b"\r\n")[0]
    if re.fullmatch(rb"\S+ \S+ HTTP/\d\.\d", line) and not line.endswith((b"1.0", b"1.1")):
        return BadRequest("HTTP/1.1 is spoken here", 505)
    return BadRequest("not a request line")


def _headers(raw: bytes) -> list[tuple[str, str]]:
    """Header pairs, names in lower case; llhttp's strictness."""
    seen = _Seen()
    parser = httptools.HttpRequestParser(seen)
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:  # `Upgrade: h2c` may be ignored, CONNECT may not
        if raw.startswith(b"CONNECT"):
            raise BadRequest("this is no proxy", 405) from None
    except httptools.HttpParserInvalidMethodError:
        raise BadRequest("no such method", 501) from None
    except httptools.HttpParserError as problem:
        raise BadRequest(str(problem)) from None
    if not seen.whole:
        raise BadRequest("the head ends early")
    return [(name.decode("ascii").lower(), value.decode("latin-1")) for name, value in seen.headers]


def _origin_form(target: bytes, hosts: list[str]) -> bytes:
    """`/path?query`, of `http://host/path?query` too if the host is the one in the headers."""
    if not target.startswith(b"/"):
        absolute = _AUTHORITY.match(target)
        if absolute is None or hosts != [absolute[1].decode("ascii")]:
            raise BadRequest("not a path")
        target = target[absolute.end() :] or b"/"
    if b"#" in target or not target.startswith(b"/"):
        raise BadRequest("not a path")
    return target


def _tokens(headers: list[tuple[str, str]], name: str) -> list[str]:
    """The lower-case words of a list header."""
    lines = [value for each, value in headers if each == name]
    return [word.strip().lower() for line in lines for word in line.split(",")] if lines else []


def _body_length(headers: list[tuple[str, str]], minor: bytes) -> int | None:
    """llhttp has looked at this too; what decides where the next request begins is worth two looks."""
    lengths = [value for name, value in headers if name == "content-length"]
    codings = [value for name, value in headers if name == "transfer-encoding"]
    if codings:
        if lengths or minor == b"0":
            raise BadRequest("a length and a transfer coding")
        if len(codings) > 1 or codings[0].lower() != "chunked":
            raise BadRequest("no such transfer coding", 501)
        return None
    if not lengths:
        return 0
    if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0].encode("latin-1")):
        raise BadRequest("not a length")
    return int(lengths[0])


def _expects_continue(headers: list[tuple[str, str]]) -> bool:
    expected = _tokens(headers, "expect")
    if expected and expected != ["100-continue"]:
        raise BadRequest("no such expectation", 417)
    return bool(expected)


class Chunks:
    """A chunked body on its way through llhttp. After `done` nothing more is taken: what a client sends
    behind a chunked body is not read as a request, its connection is closed."""

    def __init__(self) -> None:
        self.done = False
        self._pieces: list[bytes] = []
        self._fed = 0
        self._decoded = 0
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(b"PUT / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")

    def on_body(self, piece: bytes) -> None:
        """Called by the parser."""
        if not self.done:
            self._pieces.append(piece)
            self._decoded += len(piece)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self.done = True

    def feed(self, received: bytes) -> list[bytes]:
        """The pieces of body in `received`."""
        self._fed += len(received)
        try:
            self._parser.feed_data(received)
        except httptools.HttpParserError as problem:
            if not self.done:
                raise BadRequest(str(problem)) from None
        if self._fed - self._decoded > OVERHEAD_BYTES_MAX + _OVERHEAD_PER_BYTE * self._decoded:
            raise BadRequest("more framing than body")
        pieces, self._pieces = self._pieces, []
        return pieces


def answer_head(status: int, headers: Iterable[tuple[str, str]]) -> bytes:
    """The bytes before an answer's body; `headers` were checked by `Response`."""
    line = _STATUS_LINES.get(status) or f"HTTP/1.1 {status} \r\n"
    return "".join([line, *(f"{name}: {value}\r\n" for name, value in headers), "\r\n"]).encode("latin-1")
