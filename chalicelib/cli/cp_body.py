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
    """A stream of which the first bytes were read already; `given` counts what it gave."""

    def __init__(self, first: bytes, source: BinaryIO) -> None:
        self._first, self._source = first, source
        self.given = 0

    def read(self, size: int) -> bytes:
        """`size` bytes, fewer only at the end."""
        piece, self._first = self._first[:size], self._first[size:]
        piece += read_up_to(self._source, size - len(piece))
        self.given += len(piece)
        return piece
