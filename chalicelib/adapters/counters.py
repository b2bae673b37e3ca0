"""Counters: in memory for one process, or a file per process that everybody on the machine can sum.

FileCounters   <directory>/<process>.counts, mapped into memory: slots of a name (112 bytes) and a count
               (8 bytes, little-endian). Adding is one write to memory; a reader may see a count that is
               a moment old, never a torn one.
Units          counts
Source         ports.counters; the multi-process mode of prometheus_client does the same.
"""

from __future__ import annotations

import mmap
import struct
import threading
from collections import Counter
from pathlib import Path

_NAME_BYTES = 112
_SLOT = _NAME_BYTES + 8
_SLOTS_MAX = 512  # names × links: 10 counters for 50 links
_COUNT = struct.Struct("<Q")


class MemoryCounters:
    """Counts of one process."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def add(self, name: str, by: int = 1, *, link: str = "") -> None:
        """Count."""
        with self._lock:
            self._counts[name, link] += by

    def all(self) -> dict[tuple[str, str], int]:
        """Every count."""
        with self._lock:
            return dict(self._counts)


class FileCounters:
    """Counts of one process in a file; `all` sums those of every process of the site."""

    def __init__(self, directory: Path, process: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        path = directory / f"{process}.counts"
        path.write_bytes(bytes(_SLOT * _SLOTS_MAX))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self._slots: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def add(self, name: str, by: int = 1, *, link: str = "") -> None:
        """Count; a name beyond the last slot is not counted."""
        with self._lock:
            at = self._slots.get((name, link))
            if at is None:
                if len(self._slots) == _SLOTS_MAX:
                    return
                at = len(self._slots) * _SLOT
                label = f"{name}|{link}".encode()[:_NAME_BYTES].ljust(_NAME_BYTES, b"\0")
                self._map[at : at + _NAME_BYTES] = label
                self._slots[name, link] = at
            where = at + _NAME_BYTES
            _COUNT.pack_into(self._map, where, _COUNT.unpack_from(self._map, where)[0] + by)

    def all(self) -> dict[tuple[str, str], int]:
        """Every count, summed over the processes."""
        sums: Counter[tuple[str, str]] = Counter()
        for path in self._directory.glob("*.counts"):
            try:
                table = path.read_bytes()
            except FileNotFoundError:
                continue
            for at in range(0, len(table) - _SLOT + 1, _SLOT):
                label = table[at : at + _NAME_BYTES].rstrip(b"\0").decode("utf-8", "replace")
                if not label:
                    break
                name, _, link = label.partition("|")
                sums[name, link] += _COUNT.unpack_from(table, at + _NAME_BYTES)[0]
        return dict(sums)

    @staticmethod
    def clear(directory: Path) -> None:
        """Forget what processes of an earlier start counted: counters begin at 0, as Prometheus expects."""
        for path in directory.glob("*.counts"):
            path.unlink(missing_ok=True)
