"""One write, one statement: the expectation stands in the statement's own condition.

    apply(db, writes) → True, or False: an expectation failed and some writes may be done

Promise within the caller's transaction only; no row stands twice, so the order is of no account
Errors  apsw.Error as SQLite raises it
Source  SQLite "UPSERT", changes().
"""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from chalicelib.ports.metadata import ABSENT, ANY, Check, Delete, Put, Table, Write

_ROW = "WHERE pk = ?1 AND sk = ?2"
_SET = {t: f'INSERT OR REPLACE INTO "{t}" VALUES (?1, ?2, ?3)' for t in Table}
_ADD = {t: f'INSERT INTO "{t}" VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING' for t in Table}
_CHANGE = {t: f'UPDATE "{t}" SET value = ?3 {_ROW} AND value = ?4' for t in Table}
_REMOVE = {t: f'DELETE FROM "{t}" {_ROW}' for t in Table}
_REMOVE_THIS = {t: f'DELETE FROM "{t}" {_ROW} AND value = ?3' for t in Table}
_LOOK = {t: f'SELECT value FROM "{t}" {_ROW}' for t in Table}


def apply(db: apsw.Connection, writes: Sequence[Write]) -> bool:
    """Do `writes` one after the other until an expectation fails."""
    return all(_apply_one(db, write) for write in writes)


def _apply_one(db: apsw.Connection, write: Write) -> bool:
    if isinstance(write, Put):
        return _put(db, write)
    if isinstance(write, Check):
        return _check(db, write)
    return _delete(db, write)


def _put(db: apsw.Connection, put: Put) -> bool:
    (table, pk, sk), expect = put.row, put.expect
    if expect is ANY:
        db.execute(_SET[table], (pk, sk, put.value))
        return True
    if expect is ABSENT:
        db.execute(_ADD[table], (pk, sk, put.value))
    else:
        db.execute(_CHANGE[table], (pk, sk, put.value, expect))
    return db.changes() == 1


def _delete(db: apsw.Connection, delete: Delete) -> bool:
    (table, pk, sk), expect = delete.row, delete.expect
    if expect is ANY:
        db.execute(_REMOVE[table], (pk, sk))
        return True
    if expect is ABSENT:  # nothing to remove if it holds
        return _value(db, table, pk, sk) is None
    db.execute(_REMOVE_THIS[table], (pk, sk, expect))
    return db.changes() == 1


def _check(db: apsw.Connection, check: Check) -> bool:
    if check.expect is ANY:
        return True
    value = _value(db, *check.row)
    return value is None if check.expect is ABSENT else value == check.expect


def _value(db: apsw.Connection, table: Table, pk: str, sk: bytes) -> bytes | None:
    found = db.execute(_LOOK[table], (pk, sk)).fetchone()
    return None if found is None else found[0]
