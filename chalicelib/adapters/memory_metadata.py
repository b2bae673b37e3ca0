"""Rows in memory, in order: for the simulator and for tests.

    MemoryMetadata(shards, items_max, checks_contend)

Promise every call is one step under one lock; the same calls give the same state, always
Errors  Conflict only: memory is always there
Source  ports/metadata.py; contract: tests/conformance/metadata.py
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field

from chalicelib.domain.errors import Conflict
from chalicelib.ports.metadata import (
    ABSENT,
    ANY,
    Check,
    Expect,
    Put,
    RowId,
    Table,
    Write,
    check_rows,
    check_scan,
    check_writes,
)


@dataclass(slots=True)
class _Partition:
    """The rows of one partition: their sort keys in order, their values beside them."""

    order: list[bytes] = field(default_factory=list)
    values: dict[bytes, bytes] = field(default_factory=dict)

    def put(self, sk: bytes, value: bytes) -> None:
        if sk not in self.values:
            insort(self.order, sk)
        self.values[sk] = value

    def delete(self, sk: bytes) -> None:
        if self.values.pop(sk, None) is not None:
            del self.order[bisect_left(self.order, sk)]


class MemoryMetadata:
    """The rows of one site, gone with the process."""

    def __init__(self, shards: int = 1, items_max: int = 100, checks_contend: bool = False) -> None:
        self.shards = shards
        self.items_max = items_max
        self.checks_contend = checks_contend
        self._lock = threading.Lock()
        self._partitions: dict[tuple[Table, str], _Partition] = {}

    def get(self, rows: Sequence[RowId]) -> list[bytes | None]:
        """The values of `rows` in the order asked, None where there is no row."""
        check_rows(rows, self.items_max)
        with self._lock:
            return [self._value(row) for row in rows]

    def transact(self, writes: Sequence[Write]) -> None:
        """Do all of `writes` or, raising, none."""
        check_writes(writes, self.items_max)
        with self._lock:
            for write in writes:
                if not _holds(write.expect, self._value(write.row)):
                    raise Conflict(f"{write.row.table} {write.row.pk}")
            for write in writes:
                self._do(write)

    def scan(
        self,
        table: Table,
        pk: str,
        *,
        start: bytes = b"",
        after: bool = False,
        end: bytes | None = None,
        limit: int = 1000,
    ) -> list[tuple[bytes, bytes]]:
        """Up to `limit` (sk, value) with start ≤ sk < end; start < sk if `after`."""
        check_scan(pk, limit)
        with self._lock:
            rows = self._partitions.get((table, pk))
            if rows is None:
                return []
            first = (bisect_right if after else bisect_left)(rows.order, start)
            last = len(rows.order) if end is None else bisect_left(rows.order, end)
            chosen = rows.order[first : min(last, first + limit)]
            return [(sk, rows.values[sk]) for sk in chosen]

    def _value(self, row: RowId) -> bytes | None:
        rows = self._partitions.get((row.table, row.pk))
        return None if rows is None else rows.values.get(row.sk)

    def _do(self, write: Write) -> None:
        place = (write.row.table, write.row.pk)
        if isinstance(write, Put):
            self._partitions.setdefault(place, _Partition()).put(write.row.sk, write.value)
        elif not isinstance(write, Check) and place in self._partitions:
            rows = self._partitions[place]
            rows.delete(write.row.sk)
            if not rows.order:
                del self._partitions[place]


def _holds(expect: Expect, value: bytes | None) -> bool:
    """Whether `value` is what was expected."""
    if expect is ANY:
        return True
    return value is None if expect is ABSENT else value == expect
