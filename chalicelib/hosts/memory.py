"""How a worker keeps the memory of blocks: freed blocks become the next ones.

keep_freed()   call it once, before threads begin. Linux with glibc; elsewhere it does nothing.
Why            glibc gives 4 MiB back to the system whenever they are freed, and the next 4 MiB come as
               1,024 page faults: 27 % of all a large GET costs. `buffer_bytes` bounds what is kept; two
               arenas instead of 16 keep it from being kept many times over.
Source         mallopt(3); docs/benchmarks.md.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_NEVER_BYTES = 256 << 20
_BLOCKS_BYTES = 32 << 20  # the most that mallopt takes: above any block
_ARENAS = 2


def keep_freed() -> None:
    """Let freed memory be used again rather than given back."""
    with suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        for what, value in (
            (_M_ARENA_MAX, _ARENAS),
            (_M_MMAP_THRESHOLD, _BLOCKS_BYTES),
            (_M_TRIM_THRESHOLD, _NEVER_BYTES),
        ):
            mallopt(what, value)
