"""Settings → stores: one data directory, or DynamoDB and a bucket.

    data/owner.lock    who owns the directory      data/tables.sqlite   the tables
    data/commits       the writer's socket         data/master.key      64 hex digits, mode 0600
    data/locks/        locks among processes       data/counters/       since the server started
    data/blocks, manifests, tmp                    the blocks

open_directory    in the main process: the writer, and its door for the others
join_directory    in a worker
open_aws          anywhere
Source  DESIGN §4, §5 "Tables".
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from chalicelib.adapters import vault
from chalicelib.adapters.counters import FileCounters, MemoryCounters
from chalicelib.adapters.system import FileLocks, MemoryLocks, SystemClock, SystemIds
from chalicelib.bootstrap.parts import Stores
from chalicelib.bootstrap.start import EVERY_POWER, Powers, open_places
from chalicelib.ports.counters import Counters
from chalicelib.ports.metadata import Table
from chalicelib.ports.system import Locks, Log
from chalicelib.settings import Settings, SettingsError

DISK_FAILED_EXIT = 70
SOCKET_PATH_MAX = 100  # of 107 bytes that a Unix socket's address holds

Touched = frozenset[tuple[Table, str]]


def open_directory(settings: Settings, log: Log, on_commit: Callable[[Touched], None]) -> Stores:
    """Own the data directory and write to it. Refused if another server does."""
    from chalicelib.adapters.filesystem import DirectoryBlocks
    from chalicelib.adapters.sqlite import SqliteMetadata, own_directory, serve_commits

    def fatal(problem: BaseException) -> None:
        log.event("disk_failed", level="error", error=str(problem))
        os._exit(DISK_FAILED_EXIT)  # law *durable*: nothing may be acknowledged any more

    with ExitStack() as undo:
        data = _directory(settings)
        try:
            undo.callback(own_directory(data).close)
        except OSError as problem:
            done = "used" if os.path.isdir(data) else "made"
            why = f"{problem.strerror}; make it first, or choose another directory"
            raise SettingsError([f"--data {data} cannot be {done}: {why}"]) from problem
        FileCounters.clear(data / "counters")
        blocks = DirectoryBlocks(data, fatal=fatal)
        swept = blocks.sweep()
        if swept:
            log.event("swept", files=swept)
        metadata = SqliteMetadata(data / "tables.sqlite", fatal, on_commit)
        undo.callback(metadata.close)
        undo.callback(serve_commits(metadata, _socket_path(data)).close)
        key = _master_key(settings, data / "master.key")
        locks, counters = FileLocks(data / "locks", SystemClock()), _counters(data)
        return Stores(metadata, blocks, locks, counters, key, undo.pop_all().close)


def join_directory(settings: Settings) -> Stores:
    """Read a data directory whose owner is running, and hand it our writes."""
    from chalicelib.adapters.filesystem import DirectoryBlocks
    from chalicelib.adapters.sqlite import SqliteRemote

    data = _directory(settings)
    metadata = SqliteRemote(data / "tables.sqlite", _socket_path(data))
    return Stores(
        metadata,
        DirectoryBlocks(data),
        FileLocks(data / "locks", SystemClock()),
        _counters(data),
        _master_key(settings, data / "master.key"),
        metadata.close,
    )


def open_aws(settings: Settings, powers: Powers = EVERY_POWER, *, first: bool = False) -> Stores:
    """DynamoDB and a bucket, once they are seen to be usable; credentials by the SDK's standard chain.
    `first`: the main process of a server."""
    given = None if settings.kms_key else _master_key(settings, None)
    metadata, blocks, key, record = open_places(settings, powers, given)
    locks, counters = shared(settings, first=first)
    return Stores(metadata, blocks, locks, counters, key, lambda: None, powers.deletes, record, powers.raises)


def shared(settings: Settings, *, first: bool = False) -> tuple[Locks, Counters]:
    """What a server's processes share through its directory, if it has one; `first` of them is the main
    process. What locks protect is safe without, only done twice."""
    if settings.data is None:
        return MemoryLocks(SystemClock()), MemoryCounters()
    if first:
        FileCounters.clear(settings.data / "counters")
    return FileLocks(settings.data / "locks", SystemClock()), _counters(settings.data)


def _directory(settings: Settings) -> Path:
    if settings.data is None:
        raise SettingsError(["CAUSEWAY_DATA: missing, the directory to keep everything in"])
    return settings.data


def _counters(data: Path) -> FileCounters:
    return FileCounters(data / "counters", f"{os.getpid()}-{SystemIds().token(4)}")


def _master_key(settings: Settings, default: Path | None) -> bytes:
    if settings.master_key is not None:
        return settings.master_key
    path = settings.master_key_file or default
    if path is None:
        raise SettingsError(["CAUSEWAY_MASTER_KEY: missing"])
    try:
        return vault.load_or_create_master_key(path, SystemIds())
    except (OSError, ValueError) as problem:
        raise SettingsError([f"master key: {problem}"]) from problem


def _socket_path(data: Path) -> str:
    """The writer's socket. A path too long for a socket's address goes by way of a descriptor."""
    path = str(data.absolute() / "commits")
    if len(os.fsencode(path)) <= SOCKET_PATH_MAX:
        return path
    return f"/proc/self/fd/{os.open(data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)}/commits"
