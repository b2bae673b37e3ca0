"""Cold starts: from nothing to the first signed GET's 200, beside the baseline; and of every function.

Each figure is the time from the client's first byte to the answer's last, with no sandbox there before:
process, awslambdaric, import, wiring, request. Both sides take turns, medians count.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from benchmarks.client import Client, Target
from chalicelib.s3.canonical import Credentials
from tests.lambda_host import LambdaSite
from tests.lambda_host.deployed import DeployedSite
from tests.lambda_host.triggers import scheduled_event

REGION = "us-east-1"
TEST_EVENT = {"Event": "s3:TestEvent", "Service": "Amazon S3", "Bucket": "b"}


@dataclass(frozen=True, slots=True)
class Cold:
    """Of one way in."""

    name: str
    seconds: list[float] = field(default_factory=list)
    init: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)  # a figure of a failed invocation says little

    @property
    def ms(self) -> float:
        """Median."""
        return median(self.seconds) * 1000

    @property
    def init_ms(self) -> float:
        """Median of what passed until the module was imported."""
        return median(self.init) * 1000

    @property
    def mib(self) -> float:
        """The most memory any of them took."""
        return max(self.memory) / (1 << 20)


def first_get(url: str, keys: tuple[str, str], path: str) -> Callable[[], None]:
    """A signed GET on a new connection."""
    target = Target(url, url, Credentials(*keys, REGION))

    def get() -> None:
        client = Client(target)
        client.get(path)
        client.close()

    return get


def measure(site: LambdaSite, function: str, call: Callable[[], object], found: Cold) -> None:
    """One cold start."""
    site.forget_idle(function)
    began = time.perf_counter()
    result = call()
    if getattr(result, "error", False):
        found.failures.append(str(result.problem.get("errorType")))
    found.seconds.append(time.perf_counter() - began)
    (sandbox,) = site.sandboxes(function)
    found.init.append(sandbox.init_s)
    found.memory.append(sandbox.max_rss_bytes)
    site.forget_idle(function)


def beside_the_baseline(
    ours: DeployedSite, theirs: LambdaSite, objects: dict[str, str], repeats: int
) -> tuple[Cold, dict[str, Cold]]:
    """(baseline, ours by object); `objects` are paths by what to call them."""
    other, mine = Cold("baseline"), {name: Cold(name) for name in objects}
    baseline_get = first_get(theirs.function_url, ours.keys, "/")
    for _ in range(repeats):
        measure(theirs, "Baseline", baseline_get, other)
        for name, path in objects.items():
            get = first_get(ours.host.function_url, ours.keys, path)
            measure(ours.host, "Gateway", get, mine[name])
    return other, mine


def of_every_function(ours: DeployedSite, path: str, repeats: int) -> list[Cold]:
    """Each by what calls it on AWS; what only an operator calls is left out."""
    host = ours.host
    rest = first_get(host.rest_url, ours.keys, f"/{host.template.api().stage}{path}")
    url = first_get(host.function_url, ours.keys, path)
    found = []
    for name, function in host.functions.items():
        call: Callable[[], object]
        if name == "APIHandler":
            call = rest
        elif function.spec.has_url or name == "Gateway":
            call = url
        elif function.spec.schedules:
            call = _tick(host, name)
        else:
            call = _invoke(host, name, _queued(TEST_EVENT) if function.spec.queues else TEST_EVENT)
        cold = Cold(name)
        for _ in range(repeats):
            measure(host, name, call, cold)
        found.append(cold)
    return found


def _tick(host: LambdaSite, name: str) -> Callable[[], object]:
    function = host.functions[name]
    return lambda: host.call(name, scheduled_event(function, function.spec.schedules[0]))


def _invoke(host: LambdaSite, name: str, event: object) -> Callable[[], object]:
    return lambda: host.call(name, event)


def _queued(body: dict[str, str]) -> dict[str, object]:
    record = {"messageId": "1", "receiptHandle": "r", "body": str(body).replace("'", '"'), "attributes": {}}
    more = {"messageAttributes": {}, "md5OfBody": "", "eventSource": "aws:sqs", "awsRegion": REGION}
    return {"Records": [record | more | {"eventSourceARN": f"arn:aws:sqs:{REGION}:123456789012:q"}]}
