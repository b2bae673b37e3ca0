"""Clients in processes of their own, all asking one peer at a time.

run     `clients` processes, each with one connection, ask until time is up; what they did together
fill    keys NNNNNN of a bucket, from as many clients: what LIST and GET read later
Promise every operation counted was answered in full; the time is that of the slowest client
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.client import Client, Failed, Target, escape

_fork = multiprocessing.get_context("fork")
Step = Callable[[], int]  # one operation; the bytes it moved (LIST: the keys it showed)


@dataclass(frozen=True, slots=True)
class Work:
    """What each client does. `keys` of the bucket are there for GET and LIST."""

    verb: str  # put | get | list
    bucket: str
    clients: int
    size: int = 0
    keys: int = 0
    label: str = ""  # of the keys a PUT makes


@dataclass(frozen=True, slots=True)
class Done:
    """What all clients did in `seconds`."""

    operations: int
    amount: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Operations a second."""
        return self.operations / self.seconds

    @property
    def amount_per_second(self) -> float:
        """Bytes, or keys shown, a second."""
        return self.amount / self.seconds


def run(target: Target, work: Work, seconds: float) -> Done:
    """Ask for `seconds`; operations under way are finished and counted."""

    def until_time_is_up(step: Step) -> tuple[int, int]:
        operations = amount = 0
        deadline = time.perf_counter() + seconds
        while time.perf_counter() < deadline:
            amount += step()
            operations += 1
        return operations, amount

    return _together(target, work, until_time_is_up)


def fill(target: Target, bucket: str, keys: int, size: int, clients: int = 16) -> Done:
    """Make keys 000000 … keys - 1, each client its share."""
    work = Work("fill", bucket, clients, size, keys)

    def all_of_it(step: Step) -> tuple[int, int]:
        operations = amount = 0
        while moved := step():
            operations, amount = operations + 1, amount + moved
        return operations, amount

    return _together(target, work, all_of_it)


def key_name(number: int) -> str:
    """Key names of a filled bucket, in order."""
    return f"{number:06d}"


def _together(target: Target, work: Work, drive: Callable[[Step], tuple[int, int]]) -> Done:
    ready = _fork.Barrier(work.clients + 1)
    ends: list[Connection] = []
    processes = []
    for number in range(work.clients):
        ours, theirs = _fork.Pipe(duplex=False)
        arguments = (target, work, number, drive, ready, theirs)
        processes.append(_fork.Process(target=_client, args=arguments, daemon=True))
        processes[-1].start()
        theirs.close()
        ends.append(ours)
    with suppress(threading.BrokenBarrierError):  # the client that broke it says why
        ready.wait(60)
    started = time.perf_counter()
    answers = _answers(ends)
    for process in processes:
        process.join()
    operations, amount, ended = zip(*answers, strict=True)
    return Done(sum(operations), sum(amount), max(ended) - started)


def _answers(ends: list[Connection]) -> list[tuple[int, int, float]]:
    answers: list[tuple[int, int, float]] = []
    problems: list[str] = []
    for end in ends:
        try:
            answer = end.recv()
        except EOFError:
            answer = ""
        (problems if isinstance(answer, str) else answers).append(answer)
    if problems:
        raise Failed(max(problems, key=len) or "a client process died")
    return answers


def _client(
    target: Target, work: Work, number: int, drive: Callable[[Step], tuple[int, int]], ready: Any, told: Any
) -> None:
    try:
        client = Client(target)
        step = _STEPS[work.verb](client, work, number).__next__
        ready.wait(60)
        operations, amount = drive(step)
        told.send((operations, amount, time.perf_counter()))
    except threading.BrokenBarrierError:
        told.close()  # somebody else says why
    except Exception as problem:
        told.send(f"{target.name}, {work.verb}: {type(problem).__name__}: {problem}")
        ready.abort()


def _puts(client: Client, work: Work, number: int) -> Iterator[int]:
    body = os.urandom(work.size)
    count = 0
    while True:
        client.put(f"/{work.bucket}/{work.label}-{number}-{count}", body)
        count += 1
        yield work.size


def _fills(client: Client, work: Work, number: int) -> Iterator[int]:
    body = os.urandom(work.size)
    for n in range(number, work.keys, work.clients):
        client.put(f"/{work.bucket}/{key_name(n)}", body)
        yield work.size
    while True:
        yield 0


def _gets(client: Client, work: Work, number: int) -> Iterator[int]:
    n = number * 7919
    while True:
        n += 1
        got = client.get(f"/{work.bucket}/{key_name(n % work.keys)}")
        if got != work.size:
            raise Failed(f"{got} bytes instead of {work.size}")
        yield got


def _lists(client: Client, work: Work, number: int) -> Iterator[int]:
    """Page by page through the bucket, each client from another place, as clients do: by token."""
    query = f"list-type=2&start-after={key_name(work.keys * number // work.clients)}"
    while True:
        page = client.text(f"/{work.bucket}", query)
        _, _, rest = page.partition(b"<NextContinuationToken>")
        token = rest.partition(b"<")[0].decode()
        query = f"continuation-token={escape(token)}&list-type=2" if token else "list-type=2"
        shown = page.count(b"<Key>")
        if not shown and token:
            raise Failed("a page without keys that says there are more")
        yield shown  # 0: MinIO ends a bucket of full pages with an empty one


_STEPS = {"put": _puts, "fill": _fills, "get": _gets, "list": _lists}


def same_bytes(target: Target, path: str, size: int) -> bool:
    """Whether a fresh object of `size` random bytes comes back as it was sent."""
    body = os.urandom(size)
    client = Client(target)
    client.put(path, body)
    return client.digest(path) == hashlib.sha256(body).hexdigest()
