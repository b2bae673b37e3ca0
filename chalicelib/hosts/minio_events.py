"""Bucket events without Lambda: the server listens to MinIO and hands what it hears to the same handler.

    with listening(events, prefix, serve, log): …      a thread of its own, as long as the context lasts

`serve` is called for each document, as a function is; the server's wakes its lanes, which send in batches.
An event that is lost changes latency only: lanes look by themselves.
Errors  none come out: what breaks is logged once, and listened to again after PAUSE_S
Source  DESIGN §5 "Realtime"; hosts/lambda_events.py.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from chalicelib.domain.errors import StoreError
from chalicelib.hosts.lambda_events import MalformedEvent, on_documents
from chalicelib.objects.documents import Told
from chalicelib.ports.system import Log

PAUSE_S = 1.0


@contextmanager
def listening(
    events: Iterable[dict[str, Any]], prefix: str, serve: Callable[[Told], int], log: Log
) -> Iterator[None]:
    """Serve what is heard. The thread ends with the process: it may be waiting for the next event."""
    stopping = threading.Event()

    def run() -> None:
        failing = ""
        while not stopping.is_set():
            try:
                for event in events:
                    failing = ""
                    if stopping.is_set():
                        return
                    on_documents(event, serve, prefix, log.event)
            except (StoreError, MalformedEvent) as problem:
                if type(problem).__name__ != failing:
                    log.event("bucket_events_broken", problem=str(problem)[:300])
                failing = type(problem).__name__
            stopping.wait(PAUSE_S)

    threading.Thread(target=run, name="bucket events", daemon=True).start()
    try:
        yield
    finally:
        stopping.set()
