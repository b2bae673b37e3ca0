"""Which handler a request belongs to: health, metrics and Causeway's own API before S3.

    /health/live, /health/ready, /metrics      GET or HEAD, exactly these paths
    /causeway/…                                peers and administration
    everything else, and every virtual-host bucket   S3

No bucket can be called health, metrics or causeway (domain.names), so no S3 path is taken away. Each
handler is its own door: S3 verifies signatures, peers and administration verify theirs.
Source  DESIGN §3 *one door*, §4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chalicelib.domain import wire
from chalicelib.domain.errors import StoreError
from chalicelib.ports.metadata import Metadata
from chalicelib.ports.system import Log
from chalicelib.replication.door import PeerDoor
from chalicelib.replication.links import RECORD
from chalicelib.s3.errors import S3Error
from chalicelib.s3.request import Body, Request, Response

Handler = Callable[[Request], Response]
_READING = ("GET", "HEAD")


def front(
    s3: Handler,
    routes: Sequence[tuple[bytes, Handler]],
    base_domains: tuple[str, ...] = (),
) -> Handler:
    """One handler of many. A route that ends in "/" takes all below it, another only itself."""
    exact = {path: handler for path, handler in routes if not path.endswith(b"/")}
    prefixes = [(path, handler) for path, handler in routes if path.endswith(b"/")]
    heads = tuple(path for path, _ in prefixes)
    suffixes = tuple("." + domain for domain in base_domains)

    def handle(request: Request) -> Response:
        path = request.raw_path
        own = exact.get(path)
        if own is None and not path.startswith(heads):
            return s3(request)
        if suffixes and _host(request).endswith(suffixes):
            return s3(request)  # /metrics of a bucket named by the host is an object
        if own is not None:
            return own(request)
        return next(handler for head, handler in prefixes if path.startswith(head))(request)

    return handle


def _host(request: Request) -> str:
    host = (request.headers.get("host") or "").lower()
    return host if host.endswith("]") else host.rpartition(":")[0] or host


def live(request: Request) -> Response:
    """This process answers."""
    return text(200, "live\n") if request.method in _READING else text(405, "GET only\n")


def ready(metadata: Metadata, log: Log) -> Handler:
    """The site can read what it stored."""

    def handle(request: Request) -> Response:
        if request.method not in _READING:
            return text(405, "GET only\n")
        try:
            found = metadata.get([RECORD])[0]
        except StoreError as problem:
            log.event("not_ready", level="error", problem=str(problem)[:300])
            return text(503, "not ready: the tables cannot be read now, and the log says why\n")
        return text(200, "ready\n") if found else text(503, "not ready: this site was never set up\n")

    return handle


def peers(door: PeerDoor) -> Handler:
    """The door for other sites."""

    def handle(request: Request) -> Response:
        length = request.body.length
        if length is None or length > wire.FRAME_BYTES_MAX:
            return text(413, "a frame is announced, and at most 16 MiB\n")
        headers = dict(request.headers.pairs)
        path = request.raw_path.decode("ascii", "replace")
        try:
            status, frame = door.handle(request.method, path, headers, length, lambda: _whole(request.body))
        except S3Error as problem:
            return text(problem.status, "the body was cut short\n")
        kind = ("Content-Type", "application/octet-stream")
        return Response(status, [kind, ("Content-Length", str(len(frame)))], frame)

    return handle


def _whole(body: Body) -> bytes:
    pieces = []
    while piece := body.read(1 << 20):
        pieces.append(piece)
    return b"".join(pieces)


def text(status: int, body: str) -> Response:
    """A plain answer."""
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Cache-Control", "no-store"),
        ("Content-Length", str(len(body.encode()))),
    ]
    return Response(status, headers, body.encode())
