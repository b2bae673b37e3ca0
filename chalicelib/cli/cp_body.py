"""The bytes `causeway cp` sends: read in full pieces, whatever pieces a pipe gives them in."""

from __future__ import annotations

import os
import select
from typing import BinaryIO, Protocol

LOOK_S = 0.2
READ_BYTES = 1024 * 1024  # at once; a pipe seldom has more than 64 KiB


class Readable(Protocol):
    """What can be read from."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, none at the end."""


class Pipe:
    """Standard input, given up at once at Ctrl-C: a signal that arrives just before a read begins is looked
    at only after it, and whoever writes there may have no more for hours."""

    def __init__(self, stream: BinaryIO) -> None:
        self._file = stream.fileno()

    def read(self, size: int, /) -> bytes:
        """What there is, as soon as there is something."""
        while not select.select([self._file], [], [], LOOK_S)[0]:
            pass  # between two of these Python looks for signals
        return os.read(self._file, min(size, READ_BYTES))


def read_up_to(source: Readable, size: int) -> bytes:
    """`size` bytes, fewer only at the end."""
    pieces = []
    while size and (piece := source.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


class Rest:
    """A stream of which the first bytes were read already; `given` counts what it gave. What it gave can be
    had `again`, until it is `settled` that nobody will want it."""

    def __init__(self, first: bytes, source: Readable) -> None:
        self._first, self._source = first, source
        self._kept: list[bytes] | None = []
        self.given = 0

    def read(self, size: int) -> bytes:
        """`size` bytes, fewer only at the end."""
        piece, self._first = self._first[:size], self._first[size:]
        piece += read_up_to(self._source, size - len(piece))
        self.given += len(piece)
        kept = self._kept
        if kept is not None:
            kept.append(piece)
        return piece

    def settled(self) -> None:
        """Keep nothing any longer; from any thread."""
        self._kept = None

    def again(self) -> Rest | None:
        """The same from its beginning; None if that is gone."""
        if self._kept is None:
            return None
        return Rest(b"".join(self._kept) + self._first, self._source)
