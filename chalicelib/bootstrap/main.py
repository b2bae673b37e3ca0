"""The main process of a server: owns the stores. Its own work is hosts.background's.

Source  DESIGN §4, §5.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from chalicelib.bootstrap.administrator import write_administrator
from chalicelib.bootstrap.parts import open_log, wire
from chalicelib.bootstrap.stores import Touched, open_aws, open_directory
from chalicelib.ports.metadata import Table
from chalicelib.ports.system import Log
from chalicelib.replication.node import Node
from chalicelib.settings import Backend, Settings

_WAKING = frozenset({Table.OUTBOX, Table.SITE})  # something is owed; a link or a run was switched


class Wakeup:
    """Wakes everybody who waits for something to be owed, each with a flag of its own."""

    def __init__(self) -> None:
        self._flags: list[threading.Event] = []

    def flag(self) -> threading.Event:
        """A flag of one's own."""
        event = threading.Event()
        self._flags.append(event)
        return event

    def drop(self, flag: threading.Event) -> None:
        """The flag is waited for no more."""
        self._flags.remove(flag)

    def wake(self) -> None:
        """Wake everybody."""
        for flag in list(self._flags):
            flag.set()


@dataclass(frozen=True)
class Main:
    """What the main process has."""

    node: Node
    wakeup: Wakeup
    log: Log


@contextmanager
def open_main(settings: Settings) -> Iterator[Main]:
    """A site, open as long as the context lasts."""
    log = open_log(settings)
    wakeup = Wakeup()

    def on_commit(touched: Touched) -> None:
        if any(table in _WAKING for table, _ in touched):
            wakeup.wake()

    if settings.backend is Backend.DIRECTORY:
        stores = open_directory(settings, log, on_commit)
    else:
        stores = open_aws(settings, first=True)
    try:
        node = wire(settings, stores, log, wakeup.wake)
        if settings.data is not None:
            write_administrator(node, settings.data, settings.url)
        yield Main(node, wakeup, log)
    finally:
        stores.close()
