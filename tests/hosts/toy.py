"""A server whose site is a toy: what the host does is then all there is to see.

python -m tests.hosts.toy PORT [WORKERS [CERT KEY]]
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from chalicelib.adapters.system import JsonLog, SystemClock
from chalicelib.hosts.server import serve
from chalicelib.s3.errors import S3Error
from chalicelib.s3.request import Request, Response
from chalicelib.settings import Settings

LOG = JsonLog(sys.stderr, SystemClock())
CLOCK = SystemClock()


@contextmanager
def open_toy(settings: Settings) -> Iterator[SimpleNamespace]:
    """A main process that owns nothing."""
    yield SimpleNamespace(log=LOG)


@dataclass
class Toy:
    """What a worker gets."""

    clock: SystemClock = CLOCK
    log: JsonLog = LOG

    def handle(self, request: Request) -> Response:
        action = getattr(self, "do_" + request.raw_path.split(b"/")[1].decode(), None)
        return action(request) if action else plain(f"{request.raw_path!r} {request.query}")

    def close(self) -> None:
        LOG.event("toy_closed", pid=os.getpid())

    def do_pid(self, request: Request) -> Response:
        return plain(str(os.getpid()))

    def do_read(self, request: Request) -> Response:
        """Read the body; what became of it goes to the log, for the client may have gone."""
        size, largest = 0, 0
        try:
            while piece := request.body.read(1 << 20):
                size, largest = size + len(piece), max(largest, len(piece))
        except S3Error as problem:
            LOG.event("read_raised", code=problem.code, size=size)
            return Response(problem.status, [], b"cut")
        LOG.event("read_whole", size=size)
        return plain(f"{size} {largest}")

    def do_echo(self, request: Request) -> Response:
        return Response(200, [], b"".join(iter(lambda: request.body.read(1000), b"")))

    def do_ignore(self, request: Request) -> Response:
        return Response(403, [], b"no")

    def do_file(self, request: Request) -> Response:
        """8 MiB in pieces; HEAD announces as much."""
        headers = [("Content-Length", str(8 << 20)), ("ETag", '"x"')]
        pieces = (bytes([n]) * (1 << 20) for n in range(8))
        return Response(200, headers, b"" if request.method == "HEAD" else pieces)

    def do_fail(self, request: Request) -> Response:
        """Promise 1,000 bytes, give 300, fail."""
        return Response(200, [("Content-Length", "1000")], failing())

    def do_failunknown(self, request: Request) -> Response:
        return Response(200, [], failing())

    def do_short(self, request: Request) -> Response:
        return Response(200, [("Content-Length", "1000")], iter([b"x" * 300]))

    def do_long(self, request: Request) -> Response:
        return Response(200, [("Content-Length", "100")], iter([b"x" * 300]))

    def do_unknown(self, request: Request) -> Response:
        return Response(200, [], iter([b"abc", b"", b"defg"]))

    def do_raise(self, request: Request) -> Response:
        raise RuntimeError("nobody foresaw this")

    def do_empty(self, request: Request) -> Response:
        return Response(204, [])

    def do_slow(self, request: Request) -> Response:
        CLOCK.sleep_ms(1500)
        return plain("slow")

    def do_disk(self, request: Request) -> Response:
        os._exit(70)


def failing() -> Iterator[bytes]:
    """300 bytes, then trouble; says so when it is closed."""
    try:
        yield b"x" * 300
        raise RuntimeError("the block is lost")
    finally:
        LOG.event("iterator_closed")


def plain(text: str) -> Response:
    return Response(200, [("Content-Type", "text/plain")], text.encode())


def build(settings: Settings) -> Toy:
    """A worker's toy."""
    return Toy()


if __name__ == "__main__":
    names = ("port", "workers", "tls_cert", "tls_key")
    flags = dict(zip(names, sys.argv[1:], strict=False))
    data = Path(tempfile.gettempdir(), "never-made")
    sys.exit(serve(Settings.read(site="toy", data=data, **flags), open_toy, "tests.hosts.toy:build"))
