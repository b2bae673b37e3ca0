"""The bytes `causeway cp` sends: read in full pieces, whatever pieces a pipe gives them in."""

from __future__ import annotations

from typing import BinaryIO


def read_up_to(source: BinaryIO, size: int) -> bytes:
    """`size` bytes, fewer only at the end."""
    pieces = []
    while size and (piece := source.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


class Rest:
    """A stream of which the first bytes were read already; `given` counts what it gave. What it gave can be
    had `again`, until it is `settled` that nobody will want it."""

    def __init__(self, first: bytes, source: BinaryIO) -> None:
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
