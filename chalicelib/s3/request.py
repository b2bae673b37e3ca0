"""One HTTP request and one HTTP response, as every host hands them to the S3 protocol.

In      what the host read: method, path and query as sent, header pairs, a body to pull from
Out     Response: status, checked headers, bytes or an iterator of bytes
Units   sizes in bytes; header values are latin-1 text (the bytes on the wire, one char each)
Errors  InvalidURI: path or query is not percent-encoded UTF-8 · InvalidArgument: unsafe header
Source  RFC 9110, RFC 3986; CVE-2026-42882 (`%ff` folded into U+FFFD), CVE-2020-10753 (CRLF)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import unquote_to_bytes

from chalicelib.s3 import errors

_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Everything but tab, printable ASCII and the upper half of latin-1. CR, LF and NUL are what
# splits a response; the rest has no business in a header either.
_UNSAFE_VALUE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")


class Body(Protocol):
    """Bytes pulled by the reader.

    read MUST return 1 … size bytes, possibly fewer than asked, and b'' only at the end, again and
    again. The returned object belongs to the caller. length is what the sender announced, or None.
    """

    @property
    def length(self) -> int | None: ...

    def read(self, size: int) -> bytes: ...


class BytesBody:
    """A Body over bytes already in hand."""

    __slots__ = ("_bytes", "_position", "length")

    def __init__(self, content: bytes = b"") -> None:
        self._bytes = content
        self._position = 0
        self.length: int | None = len(content)

    def read(self, size: int) -> bytes:
        """The next 1 … size bytes, b'' at the end."""
        piece = self._bytes[self._position : self._position + size]
        self._position += len(piece)
        return piece


class Headers:
    """A case-insensitive multi-map of header pairs that keeps their order."""

    __slots__ = ("_by_name", "pairs", "repeated")

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self.pairs: tuple[tuple[str, str], ...] = tuple([(n.lower(), v) for n, v in pairs])
        self._by_name: dict[str, list[str]] = {name: [value] for name, value in self.pairs}
        self.repeated = len(self._by_name) != len(self.pairs)
        if self.repeated:
            self._by_name = {}
            for name, value in self.pairs:
                self._by_name.setdefault(name, []).append(value)

    def get(self, name: str) -> str | None:
        """The first value sent under `name` (lower case), or None."""
        values = self._by_name.get(name)
        return values[0] if values else None

    def all(self, name: str) -> list[str]:
        """Every value sent under `name` (lower case), in order."""
        return self._by_name.get(name, [])

    def names(self) -> Iterable[str]:
        """Each name once, in lower case, in the order first sent."""
        return self._by_name.keys()

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def __len__(self) -> int:
        return len(self.pairs)

    def __repr__(self) -> str:
        # Names only: values hold signatures and user metadata, and must not reach a log.
        return f"Headers({list(self._by_name)})"


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `raw_path` is percent-encoded as sent; `query` is decoded, in sent order.

    `signed_path` is the path the client sent where a gateway cut something off it (a stage), else b"".
    """

    method: str
    raw_path: bytes
    query: tuple[tuple[str, str], ...]
    headers: Headers
    body: Body
    secure: bool
    remote: str
    signed_path: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """One answer. Constructing it checks the headers: there is no other way to write one."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes | Iterator[bytes] = b""

    def __post_init__(self) -> None:
        for name, value in self.headers:
            check_header(name, value)


def check_header(name: str, value: str) -> None:
    """Refuse a header that could split the response or that latin-1 cannot carry."""
    if not _TOKEN.fullmatch(name):
        raise errors.InvalidArgument("Header name is not valid.")
    if _UNSAFE_VALUE.search(value):
        raise errors.InvalidArgument(
            "Header value cannot be represented using ISO-8859-1.", ArgumentName=name
        )


def header_bytes(value: str) -> bytes:
    """The bytes a header value had on the wire.

    Hosts decode headers as latin-1; a host that could only give Unicode sent us UTF-8.
    """
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogateescape")


def unquote_strict(raw: bytes) -> str:
    """Percent-decode UTF-8; InvalidURI for a broken escape or bytes that are not UTF-8."""
    if _BAD_ESCAPE.search(raw):
        raise errors.InvalidURI()
    try:
        return unquote_to_bytes(raw).decode("utf-8") if b"%" in raw else raw.decode("utf-8")
    except UnicodeDecodeError:
        raise errors.InvalidURI() from None


def decode_path(raw: bytes) -> str:
    """The path as text: percent-decoded once, `+` left alone, nothing collapsed."""
    if not raw.startswith(b"/"):
        raise errors.InvalidURI()
    return unquote_strict(raw)


def parse_query(raw: str) -> tuple[tuple[str, str], ...]:
    """Query pairs in sent order; `+` is a space, blank values are kept, `;` separates nothing."""
    if not raw:
        return ()
    try:
        sent = raw.encode("ascii")
    except UnicodeEncodeError:
        sent = raw.encode("utf-8", "surrogateescape")
    pairs = []
    for piece in sent.replace(b"+", b" ").split(b"&"):
        if piece:
            name, _, value = piece.partition(b"=")
            pairs.append((unquote_strict(name), unquote_strict(value)))
    return tuple(pairs)
