"""What every figure rests on: the site is durable and verified, found out and not declared.

durable   the adapters that the site's settings choose, opened beside it: SQLite says `synchronous` is
          FULL and the log is a WAL, and a block filed is seen to fdatasync its file and fsync directories
verified  at the running site: one byte of a stored block is changed on the disk, and no 200 carries it whole
defaults  settings that differ from Settings()'s, but for name, place and port
Source    DESIGN §3 *durable*, *true bytes*, §7 "in the default configuration".
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.client import Client, Failed
from benchmarks.peers import Peer
from chalicelib.adapters.sqlite import file as sqlite_file
from chalicelib.bootstrap.stores import open_directory
from chalicelib.domain.manifest import BlockId
from chalicelib.settings import Settings

OWN = ("site", "primary", "data", "port")  # a site must be told who it is; the rest is the default
SIZE = 1 << 20


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found."""

    synchronous: str
    journal: str
    file_syncs: int  # for one block
    directory_syncs: int
    verified: bool
    not_default: tuple[str, ...] = ()

    @property
    def durable(self) -> bool:
        """Law *durable*, as far as system calls show it."""
        return self.synchronous == "FULL" and self.file_syncs == 1 and self.directory_syncs >= 1

    def line(self) -> str:
        """One line for every table."""
        durable = (
            f"durable: {_yes(self.durable)} (synchronous={self.synchronous}, journal={self.journal}, "
            f"a block: {self.file_syncs} fdatasync + {self.directory_syncs} directory fsync)"
        )
        verified = f"verified: {_yes(self.verified)} (a byte changed on the disk was not served)"
        defaults = f"configuration: {', '.join(self.not_default) or 'default'}"
        return f"{durable}, {verified}, {defaults}"


def _yes(true: bool) -> str:
    return "yes" if true else "NO"


def gather(site: Peer, bucket: str) -> Evidence:
    """Of a running site."""
    settings = settings_of(site.pid)
    synchronous, journal, files, directories = durability(settings)
    return Evidence(synchronous, journal, files, directories, verified(site, bucket), not_default(settings))


def settings_of(pid: int) -> Settings:
    """The settings of a running server: its environment, read as it reads it."""
    raw = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    pairs = (os.fsdecode(each).partition("=") for each in raw)
    return Settings.from_environment({name: value for name, _, value in pairs})


def not_default(settings: Settings) -> tuple[str, ...]:
    """Fields that are not as a user finds them."""
    default = Settings()
    return tuple(
        f"{each.name}={getattr(settings, each.name)}"
        for each in fields(Settings)
        if each.name not in OWN and getattr(settings, each.name) != getattr(default, each.name)
    )


def durability(settings: Settings) -> tuple[str, str, int, int]:
    """(synchronous, journal mode, fdatasyncs, fsyncs of directories) of these settings' adapters."""
    writers: list[Any] = []

    def opened(*arguments: Any) -> Any:
        writers.append(sqlite_file.open_writer(*arguments))
        return writers[-1]

    # Beside the running site's data: the same disk, another directory.
    with tempfile.TemporaryDirectory(dir=settings.data.parent if settings.data else None) as place:
        told = {each.name: getattr(settings, each.name) for each in fields(Settings)}
        beside = Settings(**{**told, "data": Path(place, "data")})
        with mock.patch("chalicelib.adapters.sqlite.writer.open_writer", opened):
            stores = open_directory(beside, _Quiet(), lambda touched: None)
        try:
            upload = "00" * 16
            stores.blocks.put(BlockId(upload, "0", 0), b"the first makes directories")
            with _counted("fdatasync") as files, _counted("fsync") as directories:
                stores.blocks.put(BlockId(upload, "0", 1), b"block")
            (writer,) = writers
            number = sqlite_file.pragma(writer, "synchronous")
            journal = sqlite_file.pragma(writer, "journal_mode")
        finally:
            stores.close()
    names = {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}
    return names[int(str(number))], str(journal), files[0], directories[0]


class _Quiet:
    def event(self, name: str, **fields: object) -> None:
        """Drop it."""


@contextmanager
def _counted(name: str) -> Iterator[list[int]]:
    """How often os.`name` is called in the block."""
    count = [0]
    real = getattr(os, name)

    def counting(fd: int) -> None:
        count[0] += 1
        real(fd)

    with mock.patch.object(os, name, counting):
        yield count


def verified(site: Peer, bucket: str) -> bool:
    """Whether a running site refuses a block that changed on its disk."""
    path = f"/{bucket}/evidence"
    before = _block_files(site)
    client = Client(site.target)
    client.put(path, os.urandom(SIZE))
    (changed,) = _block_files(site) - before
    if client.get(path) != SIZE:
        return False
    with changed.open("r+b") as file:
        file.seek(SIZE // 2)
        byte = file.read(1)[0]
        file.seek(SIZE // 2)
        file.write(bytes((byte ^ 1,)))
    try:
        Client(site.target).get(path)
    except Failed:
        return True
    finally:
        site.s3().delete_object(Bucket=bucket, Key="evidence")
    return False


def _block_files(site: Peer) -> set[Path]:
    return {path for path in (site.data / "blocks").rglob("*") if path.is_file()}
