"""The Lambda Runtime API of one sandbox: what `python -m awslambdaric` talks to.

    GET  …/runtime/invocation/next              waits for an event
    POST …/runtime/invocation/ID/response       what the handler returned
    POST …/runtime/invocation/ID/error          what it raised
    POST …/runtime/init/error                   the module could not be imported

Source  AWS Lambda developer guide, "Using the Lambda runtime API for custom runtimes".
"""

import json
import queue
import threading
import time
import uuid
from dataclasses import dataclass

from tests.lambda_host.wire import Answer, Request, Server

# AWS: "6 MB each for request and response", and in its own error messages to the byte.
REQUEST_BYTES_MAX = 6_291_456
RESPONSE_BYTES_MAX = 6_291_556
VERSION = "/2018-06-01/runtime/"
ACCEPTED = Answer(202, (("Content-Type", "application/json"),), b'{"status":"OK"}')


@dataclass(frozen=True)
class Outcome:
    """How an invocation ended: what was returned, or the error object as Lambda words it."""

    error: bool
    payload: bytes

    @classmethod
    def failed(cls, kind: str, message: str) -> "Outcome":
        """An error that Lambda itself reports."""
        return cls(True, json.dumps({"errorType": kind, "errorMessage": message}).encode())


class Waiting:
    """One invocation under way; `outcome` comes once."""

    def __init__(self, event: bytes, request_id: str, arn: str) -> None:
        self.event, self.request_id, self.arn = event, request_id, arn
        self.deadline_ms = 0  # set when the event is taken
        self.taken = threading.Event()
        self._outcome: queue.Queue[Outcome] = queue.Queue()

    def end(self, outcome: Outcome) -> None:
        """The first end counts."""
        self._outcome.put(outcome)

    def wait(self, seconds: float) -> Outcome | None:
        """Its end, None if none came in time."""
        try:
            return self._outcome.get(timeout=seconds)
        except queue.Empty:
            return None


class RuntimeApi:
    """One sandbox's. `take(waiting)` is called when an event is handed over, to start its clock."""

    def __init__(self, take) -> None:
        self._take = take
        self._coming: queue.Queue[Waiting | None] = queue.Queue()
        self._current: Waiting | None = None
        self.asked_at = 0.0  # when the runtime asked for its first event: the module is imported then
        self.ready = threading.Event()  # it asks for an event and has none
        self.init_error: bytes | None = None
        self._server = Server(self._answer)

    @property
    def address(self) -> str:
        """AWS_LAMBDA_RUNTIME_API."""
        return f"127.0.0.1:{self._server.port}"

    def hand(self, waiting: Waiting) -> None:
        """The next event."""
        self._coming.put(waiting)

    def close(self) -> None:
        """No more events."""
        self._coming.put(None)
        self._server.close()

    def _answer(self, request: Request) -> Answer:
        what = request.path.removeprefix(VERSION)
        if request.method == "GET" and what == "invocation/next":
            return self._next()
        if request.method == "POST" and what == "init/error":
            self.init_error = request.body
            return ACCEPTED
        kind, _, rest = what.partition("/")
        request_id, _, end = rest.partition("/")
        if request.method != "POST" or kind != "invocation" or end not in ("response", "error"):
            return _refused(404, "NotFound", "no such path")
        waiting = self._current
        if waiting is None or waiting.request_id != request_id:
            return _refused(400, "InvalidRequestID", "Invalid request ID")
        self._current = None
        if end == "response" and request.length > RESPONSE_BYTES_MAX:
            message = (
                f"Response payload size exceeded maximum allowed payload size ({RESPONSE_BYTES_MAX} bytes)."
            )
            waiting.end(Outcome.failed("Function.ResponseSizeTooLarge", message))
            return _refused(413, "RequestEntityTooLarge", message)
        waiting.end(Outcome(end == "error", request.body))
        return ACCEPTED

    def _next(self) -> Answer:
        self.asked_at = self.asked_at or time.monotonic()
        self.ready.set()
        waiting = self._coming.get()
        self.ready.clear()
        if waiting is None:
            return Answer(410, close=True)
        self._current = waiting
        self._take(waiting)
        headers = (
            ("Content-Type", "application/json"),
            ("Lambda-Runtime-Aws-Request-Id", waiting.request_id),
            ("Lambda-Runtime-Deadline-Ms", str(waiting.deadline_ms)),
            ("Lambda-Runtime-Invoked-Function-Arn", waiting.arn),
            ("Lambda-Runtime-Trace-Id", f"Root=1-00000000-{uuid.uuid4().hex[:24]};Sampled=0"),
        )
        return Answer(200, headers, waiting.event)


def _refused(status: int, kind: str, message: str) -> Answer:
    body = json.dumps({"errorType": kind, "errorMessage": message}).encode()
    return Answer(status, (("Content-Type", "application/json"),), body)
