"""Reading rows: a pool of read-only connections to the file.

    Readers(path).get(rows) · .scan(…)   as in ports/metadata.py, which checked the arguments' sizes

Promise every call reads one snapshot, taken after the call began; each connection has one user
Errors  Unavailable, Corrupt
Limits  one connection per call under way; READERS_KEPT idle ones are kept
Source  SQLite "Isolation"; research/host.md.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import apsw

from chalicelib.adapters.sqlite.file import UNREADABLE, open_reader, translated
from chalicelib.ports.metadata import RowId, Table

READERS_KEPT = 64
_ROWS_AT_ONCE = 16  # subqueries in one statement: each combination of tables is a cached statement

Value = bytes | None


class Readers:
    """What every process of a site reads with."""

    def __init__(self, path: Path, vfs: str | None = None) -> None:
        self._path = path
        self._vfs = vfs
        self._idle: deque[apsw.Connection] = deque(maxlen=READERS_KEPT)  # drops its oldest
        self._idle.append(open_reader(path, vfs))

    def get(self, rows: Sequence[RowId]) -> list[Value]:
        """The values of `rows`, all of one moment."""
        if not rows:
            return []
        db = self._take()
        try:
            values = _get(db, rows)
        except UNREADABLE as error:
            raise translated(error, self._path) from error
        self._idle.append(db)
        return values

    def scan(
        self, table: Table, pk: str, start: bytes, after: bool, end: bytes | None, limit: int
    ) -> list[tuple[bytes, bytes]]:
        """Up to `limit` rows in order."""
        db = self._take()
        try:
            bounds = (pk, start, limit) if end is None else (pk, start, limit, end)
            rows: list[Any] = db.execute(_scan_sql(table, after, end is not None), bounds).fetchall()
        except UNREADABLE as error:
            raise translated(error, self._path) from error
        self._idle.append(db)
        return rows

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()

    def _take(self) -> apsw.Connection:
        try:
            return self._idle.pop()  # the last one used: its cache is the warmest
        except IndexError:
            return open_reader(self._path, self._vfs)


def _get(db: apsw.Connection, rows: Sequence[RowId]) -> list[Value]:
    if len(rows) <= _ROWS_AT_ONCE:
        return _get_at_once(db, rows)
    values: list[Value] = []
    with db:  # one read transaction round all statements
        for part in _parts(rows):
            values += _get_at_once(db, part)
    return values


def _get_at_once(db: apsw.Connection, rows: Sequence[RowId]) -> list[Value]:
    """One statement that answers one row: the interpreter lock changes hands once, not per row."""
    tables = tuple(row.table for row in rows)
    where = [word for row in rows for word in (row.pk, row.sk)]
    found = db.execute(_get_sql(tables), where).fetchone()
    assert found is not None
    return list(found)


def _parts(rows: Sequence[RowId]) -> Iterator[Sequence[RowId]]:
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        yield rows[first : first + _ROWS_AT_ONCE]


@lru_cache(maxsize=256)
def _get_sql(tables: tuple[Table, ...]) -> str:
    return "SELECT " + ", ".join(f'(SELECT value FROM "{table}" WHERE pk = ? AND sk = ?)' for table in tables)


@lru_cache(maxsize=64)
def _scan_sql(table: Table, after: bool, ends: bool) -> str:
    return (
        f'SELECT sk, value FROM "{table}" WHERE pk = ?1 AND sk {">" if after else ">="} ?2'
        f"{' AND sk < ?4' if ends else ''} ORDER BY sk LIMIT ?3"
    )
