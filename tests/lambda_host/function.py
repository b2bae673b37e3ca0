"""One function: its sandboxes, taken again when they are idle, made when there is need, and invocations.

    function.invoke(event)            Result: what a synchronous Invoke answers
    function.invoke_async(event)      Future of the last Result; an error is tried again as often as the
                                      template says, twice if it says nothing
    function.sandboxes(), function.kill(), function.lines()

Errors  PayloadTooLarge (413), Throttled (429): the Invoke itself is refused
Limits  6 MB of JSON each way. With ReservedConcurrentExecutions beyond it is refused; otherwise more than
        `concurrency` wait for each other, which AWS does at its account's limit only by refusing
Source  AWS Lambda API reference, "Invoke"; developer guide, "Lambda quotas", "Asynchronous invocation".
"""

import json
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from tests.lambda_host.runtime_api import REQUEST_BYTES_MAX, Outcome
from tests.lambda_host.sandbox import Sandbox
from tests.lambda_host.template import FunctionSpec


class PayloadTooLarge(Exception):
    """RequestEntityTooLargeException, HTTP 413."""


class Throttled(Exception):
    """TooManyRequestsException, HTTP 429."""


class FunctionError(AssertionError):
    """The function failed; the message is what Lambda answers, with the end of the log."""


@dataclass(frozen=True)
class Result:
    """How an invocation ended."""

    function: str
    request_id: str
    error: bool
    payload: bytes
    cold: bool
    seconds: float
    sandbox: Sandbox

    def value(self) -> Any:
        """What the function returned; FunctionError if it did not."""
        if self.error:
            tail = "\n".join(self.sandbox.lines[-12:])
            raise FunctionError(f"{self.function}: {self.payload.decode(errors='replace')}\n{tail}")
        return json.loads(self.payload)

    @property
    def problem(self) -> dict[str, Any]:
        """The error object."""
        assert self.error, f"{self.function} did not fail"
        return json.loads(self.payload)


class Function:
    """A packaged function that can be invoked."""

    def __init__(
        self, spec: FunctionSpec, start: Callable[[str], subprocess.Popen], concurrency: int
    ) -> None:
        self.spec = spec
        self._start = start
        self._limit = concurrency if spec.reserved is None else int(spec.reserved)
        self._changed = threading.Condition()
        self._idle: list[Sandbox] = []
        self._all: list[Sandbox] = []  # every one there was, for its log
        self._closed = False

    def invoke(self, event: Any, request_id: str = "") -> Result:
        """Wait for the answer."""
        payload = event if isinstance(event, bytes) else json.dumps(event).encode()
        if len(payload) > REQUEST_BYTES_MAX:
            raise PayloadTooLarge(
                f"Request must be smaller than {REQUEST_BYTES_MAX} bytes for the InvokeFunction operation"
            )
        request_id = request_id or str(uuid.uuid4())
        began = time.monotonic()
        sandbox, cold = self._take()
        try:
            outcome = sandbox.run(payload, request_id)
        finally:
            self._give_back(sandbox)
        seconds = time.monotonic() - began
        return Result(self.spec.name, request_id, outcome.error, outcome.payload, cold, seconds, sandbox)

    def invoke_async(self, event: Any) -> "Future[Result]":
        """At once; the last of its tries."""
        future: Future[Result] = Future()
        request_id = str(uuid.uuid4())

        def run() -> None:
            try:
                for _ in range(1 + self.spec.retries):
                    result = self.invoke(event, request_id)
                    if not result.error:
                        break
                future.set_result(result)
            except BaseException as problem:
                future.set_exception(problem)

        threading.Thread(target=run, daemon=True).start()
        return future

    def sandboxes(self) -> list[Sandbox]:
        """Those alive."""
        return [each for each in self._all if not each.dead]

    def kill(self, busy_only: bool = False) -> int:
        """Kill sandboxes wherever they are; how many."""
        killed = [each for each in self.sandboxes() if each.busy or not busy_only]
        for each in killed:
            each.kill()
        return len(killed)

    def lines(self) -> list[str]:
        """What all its sandboxes ever printed, one after the other."""
        return [line for each in self._all for line in each.lines]

    def forget_idle(self) -> None:
        """The next invocation is a cold start, as after a while without any."""
        with self._changed:
            idle, self._idle = self._idle, []
        for each in idle:
            each.close()

    def close(self) -> None:
        """No more."""
        self._closed = True
        for each in self._all:
            each.close()

    def _take(self) -> tuple[Sandbox, bool]:
        with self._changed:
            while True:
                assert not self._closed, "the site is closed"
                while self._idle:
                    sandbox = self._idle.pop()
                    if sandbox.settled():
                        return sandbox, False
                if len(self.sandboxes()) < self._limit:
                    sandbox = Sandbox(self.spec, self._start)
                    self._all.append(sandbox)
                    return sandbox, True
                if self.spec.reserved is not None:
                    raise Throttled("Rate Exceeded.")
                self._changed.wait(1)

    def _give_back(self, sandbox: Sandbox) -> None:
        with self._changed:
            if not sandbox.dead:
                self._idle.append(sandbox)
            self._changed.notify()


__all__ = ["Function", "FunctionError", "Outcome", "PayloadTooLarge", "Result", "Throttled"]
