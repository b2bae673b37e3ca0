"""What stands for the world in tests: a clock set by hand, seeded chance, a log that remembers.

Kept apart from `builders`, which wires them; nothing here checks anything.
"""

import hashlib
import random
import threading
from collections import Counter

from chalicelib.adapters.memory_metadata import MemoryMetadata

START_MS = 1_700_000_000_000


class SetClock:
    """Time that stands still until a test moves it; whoever sleeps moves it too."""

    def __init__(self, now_ms=START_MS):
        self.ms = now_ms

    def now_ms(self):
        return self.ms

    def sleep_ms(self, ms):
        self.ms += ms

    def advance(self, ms):
        self.ms += ms


class SeededIds:
    """The same tokens in every run of a test, safe among threads."""

    def __init__(self, seed):
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def token(self, nbytes):
        with self._lock:
            return self._random.randbytes(nbytes).hex()


class Events:
    """A log that remembers (name, fields)."""

    def __init__(self):
        self.told = []

    def event(self, name, **fields):
        self.told.append((name, fields))

    def names(self):
        return [name for name, _ in self.told]


class Counts:
    """Counters in a dict."""

    def __init__(self):
        self._counts = Counter()

    def add(self, name, by=1, *, link=""):
        self._counts[name, link] += by

    def all(self):
        return dict(self._counts)


class Nobody:
    """The announcer of a site without links."""

    def writes(self, owed):
        return []

    def committed(self):
        pass


class CountingMetadata(MemoryMetadata):
    """Memory that counts the rows read by get, per table, and fails a transact when told to."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.reads = Counter()
        self.problems = []  # raised one per transact, before (or, as a pair with "after", after) it

    def get(self, rows):
        self.reads.update(row.table for row in rows)
        return super().get(rows)

    def transact(self, writes):
        problem = self.problems.pop(0) if self.problems else None
        if isinstance(problem, tuple):
            super().transact(writes)
            raise problem[1]
        if problem is not None:
            raise problem
        super().transact(writes)


class Bytes:
    """A body that keeps what its headers promised."""

    def __init__(self, body, piece=None):
        self._body = memoryview(bytes(body))
        self._piece = piece
        self._md5 = hashlib.md5(body).hexdigest()
        self._at = 0

    def read(self, size):
        size = min(size, self._piece or size)
        piece = bytes(self._body[self._at : self._at + size])
        self._at += len(piece)
        return piece

    def finish(self):
        return self._md5, None
