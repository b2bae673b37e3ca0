"""Warm requests: signed PUT and GET of 4 KiB, one after the other on one connection, through each front.

The figure is the client's: front, event, runtime API, awslambdaric, handler, stores, and back.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.client import Client, Target
from benchmarks.lag import percentile
from chalicelib.s3.canonical import Credentials
from tests.lambda_host.deployed import DeployedSite

REGION = "us-east-1"
SIZE = 4096
WARM_UP = 30


@dataclass(frozen=True, slots=True)
class Warm:
    """Of one verb through one front."""

    name: str
    p50_ms: float
    p99_ms: float


def measure(ours: DeployedSite, bucket: str, requests: int) -> list[Warm]:
    """PUT and GET through both fronts."""
    found = []
    for front, url, prefix in (
        ("Function URL", ours.host.function_url, ""),
        ("REST API", ours.host.rest_url, f"/{ours.host.template.api().stage}"),
    ):
        client = Client(Target(front, url, Credentials(*ours.keys, REGION)))
        path, body = f"{prefix}/{bucket}/warm", os.urandom(SIZE)
        for verb, call in (("PUT", partial(_put, client, path, body)), ("GET", partial(_get, client, path))):
            spent = _spent_ms(call, requests)
            found.append(Warm(f"{verb} 4 KiB, {front}", percentile(spent, 0.50), percentile(spent, 0.99)))
        client.close()
    return found


def _put(client: Client, path: str, body: bytes, n: int) -> None:
    client.put(f"{path}-{n}", body)


def _get(client: Client, path: str, n: int) -> None:
    client.get(f"{path}-{n}")


def _spent_ms(call: Callable[[int], None], requests: int) -> list[float]:
    for n in range(WARM_UP):
        call(n)
    spent = []
    for n in range(requests):
        began = time.perf_counter()
        call(n)
        spent.append((time.perf_counter() - began) * 1000)
    return spent
