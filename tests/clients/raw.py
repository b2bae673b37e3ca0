"""Requests made by hand, signed or wrongly signed, and sent as bytes over a socket.

    told = send(site, "PUT", "/bucket/key", body=b"x")        told.status, told.code, told.headers, told.body
    request = signed(site, …); request.headers["x"] = "y"; told = exchange(site, request)

Paths are sent as they are given: percent-encode what has to be.
"""

import hashlib
import hmac
import re
import socket
import time
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, quote

from chalicelib.s3 import canonical
from chalicelib.s3.canonical import Credentials
from tests.site_process import REGION, SiteProcess

SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


@dataclass
class Raw:
    """A request ready to be sent; change what shall be wrong about it."""

    method: str
    path: str
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def head(self) -> bytes:
        """All before the body."""
        target = self.path + (f"?{self.query}" if self.query else "")
        lines = [f"{self.method} {target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    @property
    def signature(self) -> str:
        """The signature in its Authorization header."""
        return self.headers["authorization"].rpartition("Signature=")[2]


@dataclass(frozen=True)
class Told:
    """An answer. `cut` says the connection ended before Content-Length was reached."""

    status: int
    headers: dict[str, str]
    body: bytes
    cut: bool

    @property
    def code(self) -> str:
        """The S3 error code, "" if there is none."""
        found = re.search(rb"<Code>(\w+)</Code>", self.body)
        return found[1].decode() if found else ""


def now_ms() -> int:
    return int(time.time() * 1000)


def signed(  # noqa: PLR0913 - what a request consists of
    site: SiteProcess,
    method: str,
    path: str,
    query: str = "",
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    *,
    payload: str = "",
    credentials: Credentials | None = None,
    at_ms: int | None = None,
) -> Raw:
    """A rightly signed request; `payload` is x-amz-content-sha256, the body's own hash if not given."""
    pairs = {"host": "{}:{}".format(*site.address)} | (headers or {})
    if (body or method in ("PUT", "POST")) and "transfer-encoding" not in pairs:
        pairs.setdefault("content-length", str(len(body)))
    pairs |= canonical.sign(
        method,
        path.encode(),
        tuple(parse_qsl(query, keep_blank_values=True)),
        tuple(pairs.items()),
        credentials=credentials or site.credentials,
        now_ms=at_ms if at_ms is not None else now_ms(),
        payload=payload or hashlib.sha256(body).hexdigest(),
    )
    return Raw(method, path, query, pairs, body)


def presigned(
    site: SiteProcess,
    method: str,
    path: str,
    query: str = "",
    headers: dict[str, str] | None = None,
    *,
    seconds: object = 60,
    at_ms: int | None = None,
    credentials: Credentials | None = None,
) -> Raw:
    """A request by presigned URL; `headers` are sent and signed."""
    who = credentials or site.credentials
    pairs = {"host": "{}:{}".format(*site.address)} | (headers or {})
    amz_date = canonical.format_amz_date(at_ms if at_ms is not None else now_ms())
    scope = f"{amz_date[:8]}/{REGION}/s3/aws4_request"
    names = ";".join(sorted(pairs))
    params = [*parse_qsl(query, keep_blank_values=True)]
    params += [
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Credential", f"{who.access_key}/{scope}"),
        ("X-Amz-Date", amz_date),
        ("X-Amz-Expires", str(seconds)),
        ("X-Amz-SignedHeaders", names),
    ]
    text = "&".join(f"{quote(n, safe='-._~')}={quote(v, safe='-._~')}" for n, v in sorted(params))
    lines = "".join(f"{name}:{pairs[name]}\n" for name in sorted(pairs))
    request = canonical.canonical_request(
        method, canonical.canonical_path(path.encode()), text, lines, names, "UNSIGNED-PAYLOAD"
    )
    key = canonical.signing_key(who.secret, amz_date[:8], REGION)
    mac = canonical.signature(key, canonical.string_to_sign(amz_date, scope, request))
    return Raw(method, path, f"{text}&X-Amz-Signature={mac}", pairs)


class Chunker:
    """Frames a body as aws-chunked, its signatures chained from a signed request's."""

    def __init__(self, site: SiteProcess, request: Raw) -> None:
        self._amz_date = request.headers["x-amz-date"]
        self._scope = f"{self._amz_date[:8]}/{REGION}/s3/aws4_request"
        self._key = canonical.signing_key(site.credentials.secret, self._amz_date[:8], REGION)
        self.last = request.signature

    def chunk(self, content: bytes) -> bytes:
        """One signed chunk."""
        empty, digest = hashlib.sha256(b"").hexdigest(), hashlib.sha256(content).hexdigest()
        self._sign("AWS4-HMAC-SHA256-PAYLOAD", f"{empty}\n{digest}")
        end = b"\r\n" if content else b""
        return b"%x;chunk-signature=%b\r\n%b%b" % (len(content), self.last.encode(), content, end)

    def trailer(self, name: str, value: str) -> bytes:
        """A signed trailer."""
        self._sign("AWS4-HMAC-SHA256-TRAILER", hashlib.sha256(f"{name}:{value}\n".encode()).hexdigest())
        return f"{name}:{value}\r\nx-amz-trailer-signature:{self.last}\r\n\r\n".encode()

    def _sign(self, what: str, rest: str) -> None:
        text = f"{what}\n{self._amz_date}\n{self._scope}\n{self.last}\n{rest}"
        self.last = hmac.new(self._key, text.encode(), "sha256").hexdigest()


def chunked(
    site: SiteProcess,
    path: str,
    pieces: list[bytes],
    mode: str = SIGNED_CHUNKS,
    trailer: tuple[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> Raw:
    """A PUT in aws-chunked pieces, right in every respect."""
    size = sum(map(len, pieces))
    extra = {"content-encoding": "aws-chunked", "x-amz-decoded-content-length": str(size)}
    if trailer:
        extra["x-amz-trailer"] = trailer[0]
    # The framing's size does not depend on what the signatures are.
    draft = signed(site, "PUT", path, payload=mode, headers=(headers or {}) | extra)
    length = len(framed(site, draft, pieces, mode, trailer))
    extra["content-length"] = str(length)
    request = signed(site, "PUT", path, payload=mode, headers=(headers or {}) | extra)
    return replace(request, body=framed(site, request, pieces, mode, trailer))


def framed(
    site: SiteProcess, request: Raw, pieces: list[bytes], mode: str, trailer: tuple[str, str] | None
) -> bytes:
    """The body of such a request."""
    if mode == UNSIGNED_TRAILER:
        assert trailer is not None, "this mode exists for its trailer"
        body = b"".join([b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces])
        return body + f"0\r\n{trailer[0]}:{trailer[1]}\r\n\r\n".encode()
    chunker = Chunker(site, request)
    body = b"".join([chunker.chunk(piece) for piece in [*pieces, b""]])
    return body + (chunker.trailer(*trailer) if trailer else b"\r\n")


# ------------------------------------------------------------------------ the socket


def send(site: SiteProcess, method: str, path: str, query: str = "", **options: object) -> Told:
    """Sign a request rightly and send it."""
    return exchange(site, signed(site, method, path, query, **options))


def exchange(site: SiteProcess, request: Raw, *, half_close: bool = False) -> Told:
    """Send a request, and read one answer."""
    with socket.create_connection(site.address, 20) as client:
        client.sendall(request.head + request.body)
        if half_close:
            client.shutdown(socket.SHUT_WR)
        return read_answer(client, request.method)


def read_answer(client: socket.socket, method: str = "GET") -> Told:
    """One answer, passing over 100 Continue."""
    raw = b""
    while b"\r\n\r\n" not in raw:
        piece = client.recv(65536)
        assert piece, f"the connection ended after {raw!r}"
        raw += piece
        if raw.startswith(b"HTTP/1.1 100 ") and b"\r\n\r\n" in raw:
            raw = raw.partition(b"\r\n\r\n")[2]
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}
    status = int(first.split()[1])
    length = 0 if method == "HEAD" or status in (204, 304) else int(headers.get("content-length", "0"))
    cut = False
    while len(body) < length and not cut:
        try:
            piece = client.recv(1 << 20)
        except ConnectionResetError:
            piece = b""
        cut = not piece
        body += piece
    return Told(status, headers, body, cut)
