"""Memory of a server while large objects stream through it, over what it takes idle.

In      a peer, objects of `size` bytes, `clients` at a time, in and then out again
Out     (highest while in, highest while out), each minus idle, in bytes
Units   PSS: a page shared by the processes of a server counts once
Source  DESIGN §7; /proc/PID/smaps_rollup.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.client import Client
from benchmarks.peers import Peer

LOOK_S = 0.1
PIECE_BYTES = 16 << 20  # a client's own buffer, sent over and over


def used_bytes(peer: Peer) -> int:
    """PSS of all processes of a server."""
    return sum(_pss(pid) for pid in peer.processes())


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has ended
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


@contextmanager
def highest(peer: Peer) -> Iterator[list[int]]:
    """Fills in the highest `used_bytes` while the block runs."""
    seen = [used_bytes(peer)]
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(LOOK_S):
            seen[0] = max(seen[0], used_bytes(peer))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        stop.set()
        looking.join()


def stream(peer: Peer, bucket: str, size: int, clients: int) -> tuple[int, int]:
    """(in, out) over idle."""
    idle = used_bytes(peer)
    pieces = max(1, size // PIECE_BYTES)
    body = os.urandom(min(size, PIECE_BYTES))
    with highest(peer) as put:
        _all(peer, clients, lambda client, n: client.put(f"/{bucket}/stream-{n}", body, pieces))
    with highest(peer) as got:
        _all(peer, clients, lambda client, n: client.get(f"/{bucket}/stream-{n}"))
    s3 = peer.s3()
    for n in range(clients):
        s3.delete_object(Bucket=bucket, Key=f"stream-{n}")
    return put[0] - idle, got[0] - idle


def _all(peer: Peer, clients: int, work: Callable[[Client, int], object]) -> None:
    problems: list[BaseException] = []

    def one(n: int) -> None:
        try:
            work(Client(peer.target), n)
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]
