"""One sandbox: a process of its own under awslambdaric, which answers one event at a time.

    sandbox = Sandbox(spec, start)     start(runtime_api) → Popen
    sandbox.run(event, request_id)     Outcome; the function's time limit is kept, by killing
    sandbox.kill()                     at any moment; an invocation under way fails as on AWS
    sandbox.lines                      what it printed

Source  AWS Lambda developer guide, "Understanding the Lambda execution environment lifecycle".
"""

import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.lambda_host.runtime_api import Outcome, RuntimeApi, Waiting
from tests.lambda_host.template import FunctionSpec

INIT_SECONDS_MAX = 60.0  # AWS gives 10 s and then begins anew; this machine may be busy


class Sandbox:
    """`dead` once its process has ended or must no longer be used."""

    def __init__(self, spec: FunctionSpec, start: Callable[[str], subprocess.Popen]) -> None:
        self.spec = spec
        self.lines: list[str] = []
        self.invocations = 0
        self.dead = False
        self.max_rss_bytes = 0
        self.started_at = time.monotonic()
        self._current: Waiting | None = None
        self._api = RuntimeApi(self._take)
        self._process = start(self._api.address)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    @property
    def init_s(self) -> float:
        """From the process's start until its module was imported; 0 before."""
        return max(0.0, self._api.asked_at - self.started_at)

    @property
    def busy(self) -> bool:
        """Whether an invocation is under way."""
        return self._current is not None

    def settled(self) -> bool:
        """Whether it can take another event: its runtime asks for one, and has not ended instead."""
        while not self.dead:
            if self._api.ready.wait(0.05):
                return not self.dead
        return False

    def run(self, event: bytes, request_id: str) -> Outcome:
        """One invocation."""
        waiting = Waiting(event, request_id, self.spec.arn)
        self._current = waiting
        self.invocations += 1
        self._api.hand(waiting)
        if self.dead:
            self._ended(waiting)
        outcome = self._wait(waiting)
        self._look()
        self._current = None
        return outcome

    def kill(self) -> None:
        """kill -9, whatever it does."""
        self.dead = True
        with suppress(ProcessLookupError):
            self._process.kill()

    def close(self) -> None:
        """End it and forget it."""
        self.kill()
        self._process.wait()
        self._reader.join(5)
        self._api.close()

    def _wait(self, waiting: Waiting) -> Outcome:
        until = time.monotonic() + INIT_SECONDS_MAX
        while not waiting.taken.is_set() and time.monotonic() < until:
            outcome = waiting.wait(0) if self.dead else None
            if outcome is not None:
                return outcome
            waiting.taken.wait(0.05)
        if not waiting.taken.is_set():
            self.kill()
            return Outcome.failed("Sandbox.Timedout", f"the runtime did not start in {INIT_SECONDS_MAX} s")
        outcome = waiting.wait(self.spec.timeout_s)
        if outcome is not None:
            return outcome
        self.kill()
        seconds = f"{self.spec.timeout_s:.2f}"
        message = f"RequestId: {waiting.request_id} Error: Task timed out after {seconds} seconds"
        self.lines.append(message)
        return Outcome.failed("Sandbox.Timedout", message)

    def _take(self, waiting: Waiting) -> None:
        """The clock starts when the runtime takes the event, not while it starts itself."""
        waiting.deadline_ms = int((time.time() + self.spec.timeout_s) * 1000)
        waiting.taken.set()

    def _look(self) -> None:
        with suppress(OSError, StopIteration, ValueError):
            status = Path(f"/proc/{self.pid}/status").read_text().splitlines()
            line = next(each for each in status if each.startswith("VmHWM:"))
            self.max_rss_bytes = max(self.max_rss_bytes, int(line.split()[1]) * 1024)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip(b"\n").decode("utf-8", "replace"))

    def _watch(self) -> None:
        self._process.wait()
        self.dead = True
        self._reader.join(5)  # what it said last, before its invocation is seen to end
        waiting = self._current
        if waiting is not None:
            self._ended(waiting)
        self._api.close()

    def _ended(self, waiting: Waiting) -> None:
        if self._api.init_error is not None:
            waiting.end(Outcome(True, self._api.init_error))
            return
        status = self._process.poll()
        how = "signal: killed" if status is None or status < 0 else f"exit status {status}"
        message = f"RequestId: {waiting.request_id} Error: Runtime exited with error: {how}"
        waiting.end(Outcome.failed("Runtime.ExitError", message))
