"""Stamps: the one order of everything written, a hybrid logical clock.

Value   Stamp(ms: wall clock or later, counter: 0…65535 within one ms, site: site id)
Promise `after` gives a stamp greater than the one it follows, whatever the wall clock did.
        Text form sorts as the stamp does: `0192f3a4b5c6-0003-west`.
Errors  ValueError for text that is not a stamp.
Source  Kulkarni et al., "Logical Physical Clocks" (2014); DESIGN §2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

COUNTER_MAX = 0xFFFF  # four hex digits; when it is full the ms moves on instead
SKEW_MAX_MS = 15 * 60 * 1000  # a stamp further ahead is held: one bad clock must not pin a key

_TEXT = re.compile(r"([0-9a-f]{12})-([0-9a-f]{4})-([a-z][a-z0-9-]{0,31})")


@dataclass(frozen=True, slots=True, order=True)
class Stamp:
    """A point in the order of writes; compared as (ms, counter, site)."""

    ms: int
    counter: int
    site: str

    def __str__(self) -> str:
        return f"{self.ms:012x}-{self.counter:04x}-{self.site}"


def parse(text: str) -> Stamp:
    """The stamp that `text` is the form of."""
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError(f"not a stamp: {text[:80]!r}")
    return Stamp(int(match[1], 16), int(match[2], 16), match[3])


def after(previous: Stamp | None, now_ms: int, site: str) -> Stamp:
    """The next stamp of `site`: the wall clock if it has moved past `previous`, else just above it."""
    if previous is None or now_ms > previous.ms:
        return Stamp(now_ms, 0, site)
    if previous.counter < COUNTER_MAX:
        return Stamp(previous.ms, previous.counter + 1, site)
    return Stamp(previous.ms + 1, 0, site)


def too_far_ahead(stamp: Stamp, now_ms: int) -> bool:
    """Whether a receiver whose clock shows `now_ms` must hold this stamp rather than merge it."""
    return stamp.ms > now_ms + SKEW_MAX_MS
