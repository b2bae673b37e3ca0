"""How long after a PUT's 200 the record can be seen at the other side: one watcher for both peers.

In      (source, sink), a bucket that is replicated
Out     ms of each PUT, one after the other: 4 KiB at the source, then HEAD at the sink until it is there
Errors  Failed: not seen within PATIENCE_S
Source  DESIGN §7.
"""

from __future__ import annotations

import os
import time

from benchmarks.client import Client, Failed
from benchmarks.peers import Peer

SIZE = 4096
LOOK_S = 0.0005  # between two looks: the watcher leaves the servers their cores
REST_S = 0.02  # between a record's arrival and the next PUT
PATIENCE_S = 60.0
WARM_UP = 10


def lags_ms(source: Peer, sink: Peer, bucket: str, puts: int, run: int) -> list[float]:
    """One figure a PUT, without those of the warm-up. Every `run` has keys of its own."""
    writer, watcher = Client(source.target), Client(sink.target)
    body = os.urandom(SIZE)
    found = []
    for n in range(puts + WARM_UP):
        path = f"/{bucket}/{run}-{n}"
        writer.put(path, body)
        written = time.perf_counter()
        while not watcher.exists(path):
            if time.perf_counter() - written > PATIENCE_S:
                raise Failed(f"{path} did not arrive at {sink.target.endpoint}")
            time.sleep(LOOK_S)
        found.append((time.perf_counter() - written) * 1000)
        time.sleep(REST_S)
    return found[WARM_UP:]


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
