"""The SQLite file: one table per Table, opened for writing once and for reading often.

    "<table>" (pk TEXT, sk BLOB, value BLOB, PRIMARY KEY (pk, sk)) WITHOUT ROWID
    PRAGMA user_version = 1 is the version of this form

Promise a file of another form is refused, never guessed at; the writer syncs every commit
Errors  Corrupt: not ours, another version, damaged, or the safe settings did not take
        Unavailable: cannot be opened or is locked
Source  SQLite "PRAGMA", "WAL"; DESIGN §3 durable, §4.
"""

from __future__ import annotations

import os
from pathlib import Path

import apsw

from chalicelib.domain.errors import Corrupt, StoreError, Unavailable
from chalicelib.ports.metadata import Table

FORM_VERSION = 1
BUSY_MS_MAX = 5000  # only recovery after a crash makes anyone wait here
WRITER_CACHE_KIB = 16 * 1024  # the inner pages of the trees, and a batch of changed pages
READER_CACHE_KIB = 512  # many readers: they share the pages the system keeps
WAL_KEPT_BYTES = 64 * 1024 * 1024  # a log that grew larger is cut back to this
_STATEMENTS_KEPT = 200

_DAMAGED = (apsw.CorruptError, apsw.NotADBError)
UNREADABLE = (
    *_DAMAGED,
    apsw.BusyError,
    apsw.CantOpenError,
    apsw.IOError,
    apsw.LockedError,
    apsw.NoMemError,
    apsw.PermissionsError,
    apsw.ProtocolError,
)


def translated(error: apsw.Error, path: Path) -> StoreError:
    """What a failed read of `path` means to the caller."""
    if isinstance(error, _DAMAGED):
        return Corrupt(f"{path}: {error}")
    return Unavailable(f"{path}: {error}")


def open_writer(path: Path, vfs: str | None = None) -> apsw.Connection:
    """The one connection that writes; makes the file if it is new."""
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    new = not path.exists()
    try:
        db = _connect(path, flags, vfs, WRITER_CACHE_KIB)
        _make_safe(db, path)
        if pragma(db, "user_version") == 0:
            _create(db, path)
        _check_form(db, path)
    except UNREADABLE as error:
        raise translated(error, path) from error
    if new:
        _sync_directory(path.parent)
    return db


def open_reader(path: Path, vfs: str | None = None) -> apsw.Connection:
    """A connection that cannot write."""
    try:
        db = _connect(path, apsw.SQLITE_OPEN_READONLY, vfs, READER_CACHE_KIB)
        _check_form(db, path)
    except UNREADABLE as error:
        raise translated(error, path) from error
    return db


def pragma(db: apsw.Connection, name: str) -> object:
    """The value of a setting, as SQLite tells it."""
    return db.execute(f"PRAGMA {name}").get


def _connect(path: Path, flags: int, vfs: str | None, cache_kib: int) -> apsw.Connection:
    db = apsw.Connection(str(path), flags, vfs, statementcachesize=_STATEMENTS_KEPT)
    db.set_busy_timeout(BUSY_MS_MAX)
    # The writer checkpoints when it chooses; after a failed sync nobody may.
    db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    db.execute(f"PRAGMA cache_size = -{cache_kib}")
    return db


def _make_safe(db: apsw.Connection, path: Path) -> None:
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(f"PRAGMA journal_size_limit = {WAL_KEPT_BYTES}")
    db.wal_autocheckpoint(0)
    settings = (pragma(db, "journal_mode"), pragma(db, "synchronous"))
    if settings != ("wal", 2):
        raise Corrupt(f"{path}: commits would not be durable, settings are {settings}")


def _create(db: apsw.Connection, path: Path) -> None:
    with db:
        if db.execute("SELECT count(*) FROM sqlite_master").get:
            raise Corrupt(f"{path}: holds tables, but not of Causeway's")
        for table in Table:
            db.execute(
                f'CREATE TABLE "{table}" (pk TEXT NOT NULL, sk BLOB NOT NULL, '
                "value BLOB NOT NULL, PRIMARY KEY (pk, sk)) WITHOUT ROWID"
            )
        db.execute(f"PRAGMA user_version = {FORM_VERSION}")


def _check_form(db: apsw.Connection, path: Path) -> None:
    version = pragma(db, "user_version")
    if version != FORM_VERSION:
        raise Corrupt(f"{path}: stored form {version}, this program knows {FORM_VERSION}")


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
