"""One process at a time, among all that share the cache."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from tests.services.install import cache_directory


@contextmanager
def only_one(name: str) -> Iterator[None]:
    """Waits until no other process is in a block of this name."""
    cache_directory().mkdir(parents=True, exist_ok=True)
    with open(cache_directory() / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
