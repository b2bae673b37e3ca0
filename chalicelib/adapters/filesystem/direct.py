"""Bytes to a file without a copy in the page cache: a block is read again by others, or much later.

write_all(fd, body)   whole pages by O_DIRECT where the filesystem has it, the rest as usual
Promise   what is written is what `body` holds; whether it stays is fdatasync's to say, as ever
Why       2 cores, 8 streams of 4 MiB blocks: 0.27 ms of processor a MiB instead of 1.6, and 4 × the rate.
          Fresh memory, the page cache's too, costs more than the copy into memory that is used again.
Source    open(2) "O_DIRECT"; docs/benchmarks.md.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

PIECE_BYTES = 512 * 1024  # at a time: the copy stays in the second-level cache
DIRECT_BYTES_MIN = 64 * 1024  # below, one copy costs less than waiting for the disk twice
PIECES_KEPT = 8
_O_DIRECT = getattr(os, "O_DIRECT", 0)

_idle: deque[mmap.mmap] = deque(maxlen=PIECES_KEPT)


def write_all(fd: int, body: memoryview) -> None:
    """Write `body` at the start of a new file."""
    done = _write_direct(fd, body) if len(body) >= DIRECT_BYTES_MIN else 0
    while done < len(body):
        done += os.write(fd, body[done:])


def _write_direct(fd: int, body: memoryview) -> int:
    """Write whole pages, as many as can be written so; how many bytes that was."""
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    done, whole = 0, len(body) - len(body) % mmap.PAGESIZE
    try:
        fcntl.fcntl(fd, fcntl.F_SETFL, flags | _O_DIRECT)
        with _aligned() as piece:
            while done < whole and not done % mmap.PAGESIZE:
                size = min(whole - done, PIECE_BYTES)
                piece[:size] = body[done : done + size]
                done += os.write(fd, piece[:size])
    except OSError as problem:
        if problem.errno != errno.EINVAL:  # not on this filesystem, or not with pages of this size
            raise
    fcntl.fcntl(fd, fcntl.F_SETFL, flags)
    return done


@contextmanager
def _aligned() -> Iterator[memoryview]:
    """PIECE_BYTES of memory that begins with a page and holds anything."""
    try:
        memory = _idle.pop()
    except IndexError:
        memory = mmap.mmap(-1, PIECE_BYTES)
    try:
        with memoryview(memory) as piece:
            yield piece
    finally:
        _idle.append(memory)
