"""Time and chance for the commands: the only file of cli that reaches them itself."""

from __future__ import annotations

import secrets
import time


def now_ms() -> int:
    """Wall clock, ms since 1970 UTC."""
    return time.time_ns() // 1_000_000


def elapsed_s() -> float:
    """Seconds on a clock that never jumps; only differences mean something."""
    return time.monotonic()


def sleep_s(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)


def token(nbytes: int) -> str:
    """`nbytes` random bytes as hex digits, unguessable."""
    return secrets.token_hex(nbytes)
