"""A relay before a real DynamoDB Local, MinIO or moto that fails calls as a test says, and counts them.

    with faulty(dynamodb.endpoint) as relay:                 settings(dynamodb_endpoint=relay.endpoint)
        relay.next("TransactWriteItems", CUT_AFTER)          done there, its answer is lost
        relay.next("PutItem", CUT_BEFORE, times=2)           never arrives
        relay.next("PUT */blocks/*", SLOW_DOWN, after=3)     the fourth of them
        relay.next("*", refused("ThrottlingException"), times=None)      until relay.clear()
        relay.next("GetItem", late(30))                      done at once, answered beyond read time-outs
        relay.next("GET /*", early(0.5))                     waits, is then passed on
        relay.next("GetItem", DENIED)                        as if a role lacked the permission
        relay.before = lambda n, operation: …                called before the n-th call (from 1) is passed on
        relay.after = lambda n, operation: …                 called once it is done, before it is answered
        relay.saw = lambda method, path, headers, body: …    called with each as it came
        relay.calls                                          operations, in the order they came
        relay.count("PUT */blocks/*")                        how many of them

An operation is the last part of X-Amz-Target (DynamoDB, KMS, SQS), otherwise `METHOD /path?query` as sent
(S3); patterns are those of fnmatch, case and all. Rules are tried in the order they were given, the first
that fits a call decides. Hosts and paths pass unchanged, so signatures stay true.
"""

import http.client
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_OF_ONE_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length"}
_PIECE = 1 << 16


@dataclass(frozen=True)
class Fault:
    """What happens to a call: waits, is passed on or not, waits, is answered or cut off."""

    before_s: float = 0.0
    forward: bool = True
    after_s: float = 0.0
    cut: bool = False
    status: int = 0
    code: str = ""
    message: str = ""
    more: tuple[tuple[str, Any], ...] = ()


CUT_BEFORE = Fault(forward=False, cut=True)
CUT_AFTER = Fault(cut=True)


def refused(code: str, status: int = 400, message: str = "", **more: Any) -> Fault:
    """Not done; `more` are fields of a JSON answer, such as CancellationReasons=[…]."""
    return Fault(
        forward=False,
        status=status,
        code=code,
        message=message or f"{code} by the test",
        more=tuple(more.items()),
    )


SLOW_DOWN = refused("SlowDown", 503)
THROTTLED = refused("ThrottlingException")
THROUGHPUT = refused("ProvisionedThroughputExceededException")
DENIED = refused("AccessDeniedException")  # of services that speak JSON
FORBIDDEN = refused("AccessDenied", 403)  # of S3

Told = Callable[[int, str], None]


def _say_nothing(n: int, operation: str) -> None:
    pass


def _look_away(method: str, path: str, headers: Any, body: bytes) -> None:
    pass


def early(seconds: float) -> Fault:
    """Passed on after a while."""
    return Fault(before_s=seconds)


def late(seconds: float) -> Fault:
    """Done at once, answered after a while."""
    return Fault(after_s=seconds)


@dataclass
class _Rule:
    pattern: str
    fault: Fault
    skip: int
    left: int | None


class FaultyRelay:
    """Made by `faulty`."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.endpoint = ""
        self.calls: list[str] = []
        self.before: Told = _say_nothing
        self.after: Told = _say_nothing
        self.saw: Callable[[str, str, Any, bytes], None] = _look_away
        self.closed = threading.Event()
        self._rules: list[_Rule] = []
        self._lock = threading.Lock()

    def next(self, pattern: str, fault: Fault, *, times: int | None = 1, after: int = 0) -> None:
        """Have `fault` befall the next `times` calls (None: all) that fit, once `after` have passed."""
        with self._lock:
            self._rules.append(_Rule(pattern, fault, after, times))

    def clear(self) -> None:
        """No faults any more, and none counted."""
        with self._lock:
            self._rules.clear()
            self.calls.clear()

    def pending(self) -> list[str]:
        """Patterns whose fault has not befallen anything, or not all it was meant for."""
        with self._lock:
            return [rule.pattern for rule in self._rules]

    def count(self, pattern: str) -> int:
        """How many calls fitted."""
        with self._lock:
            return sum(1 for call in self.calls if fnmatchcase(call, pattern))

    def meet(self, operation: str) -> tuple[int, Fault]:
        """Which call this is that has just come, and what befalls it."""
        with self._lock:
            self.calls.append(operation)
            return len(self.calls), self._fault_of(operation)

    def _fault_of(self, operation: str) -> Fault:
        for rule in self._rules:
            if not fnmatchcase(operation, rule.pattern):
                continue
            if rule.skip:
                rule.skip -= 1
                continue
            if rule.left is not None:
                rule.left -= 1
                if rule.left == 0:
                    self._rules.remove(rule)
            return rule.fault
        return Fault()


@contextmanager
def faulty(target: str) -> Iterator[FaultyRelay]:
    """A relay to the service at `target` (http://host:port)."""
    relay = FaultyRelay(target)

    class Handler(_Handler):
        """Of this relay."""

    Handler.relay = relay
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False  # who still waits for an answer that is late is let go
    relay.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    serving = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    serving.start()
    try:
        yield relay
    finally:
        relay.closed.set()
        server.shutdown()
        server.server_close()
        serving.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    relay: FaultyRelay
    far: http.client.HTTPConnection | None = None

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def handle(self) -> None:
        """Until either side has had enough."""
        with suppress(OSError):
            super().handle()
        if self.far is not None:
            self.far.close()

    def _relay(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        operation = self._operation()
        self.relay.saw(self.command, self.path, self.headers, body)
        n, fault = self.relay.meet(operation)
        self._wait(fault.before_s)
        self.relay.before(n, operation)
        answer = self._forward(body) if fault.forward else None
        self.relay.after(n, operation)
        self._wait(fault.after_s)
        if fault.cut:
            self._cut()
        elif answer is None:
            self._refuse(fault)
        else:
            self._answer(answer)
            answer.close()  # read to its end: the connection can take another call

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _relay

    def _operation(self) -> str:
        target = self.headers.get("X-Amz-Target", "")
        return target.rpartition(".")[2] or f"{self.command} {self.path}"

    def _wait(self, seconds: float) -> None:
        if seconds:
            self.relay.closed.wait(seconds)

    def _forward(self, body: bytes) -> http.client.HTTPResponse:
        self.far = self.far or http.client.HTTPConnection(urlsplit(self.relay.target).netloc)
        for last in (False, True):
            try:
                self.far.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in ("connection", "expect", "transfer-encoding"):
                        self.far.putheader(name, value)
                self.far.endheaders(body)
                return self.far.getresponse()
            except (ConnectionError, http.client.RemoteDisconnected):
                self.far.close()  # it was idle for too long
                if last:
                    raise
        raise AssertionError("unreachable")

    def _answer(self, answer: http.client.HTTPResponse) -> None:
        bodiless = self.command == "HEAD" or answer.status in (204, 304)
        length = answer.getheader("Content-Length")
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in _OF_ONE_CONNECTION:
                self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", length)
        elif not bodiless:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if bodiless:
            return
        while piece := answer.read1(_PIECE):
            self.wfile.write(piece if length is not None else b"%x\r\n%b\r\n" % (len(piece), piece))
        if length is None:
            self.wfile.write(b"0\r\n\r\n")

    def _refuse(self, fault: Fault) -> None:
        if "X-Amz-Target" in self.headers:
            kind = "application/x-amz-json-1.0"
            fields = {"__type": f"com.amazonaws#{fault.code}", "message": fault.message, **dict(fault.more)}
            body = json.dumps(fields).encode()
        else:
            kind = "application/xml"
            told = f"<Code>{escape(fault.code)}</Code><Message>{escape(fault.message)}</Message>"
            body = f"<Error>{told}</Error>".encode()
        self.send_response_only(fault.status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
