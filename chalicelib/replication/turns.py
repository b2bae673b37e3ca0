"""Turns: how one short-lived process divides its time among links, and among the lanes of one.

in_turn    the links, another one first each minute: none is always the last
by_turns   each its share of the time that is left; what some do not need goes to those that used theirs up

Worked example: 30 s for b, c, d, of which b and c have more to do than fits, d nothing: b 10 s, c 10 s,
d none; then b 5 s, c 5 s.
Source  DESIGN §5: "each function stops before its time limit"; one sink's backlog delays no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from chalicelib.ports.system import Clock
from chalicelib.replication.links import Link

TURN_MS = 60_000  # a schedule's minute
T = TypeVar("T")


def in_turn(links: Iterable[Link], now_ms: int) -> list[Link]:
    """In order of name, begun at another one each minute."""
    order = sorted(links, key=lambda link: link.site)
    first = now_ms // TURN_MS % len(order) if order else 0
    return order[first:] + order[:first]


def by_turns(clock: Clock, until_ms: int, those: Iterable[T], serve: Callable[[T, int], None]) -> None:
    """`serve(one, its own until_ms)` for each; whoever that stopped has a further turn if time is left."""
    waiting = list(those)
    while waiting:
        stopped = []
        for at, one in enumerate(waiting):
            now_ms = clock.now_ms()
            ends_ms = now_ms + (until_ms - now_ms) // (len(waiting) - at)
            if ends_ms <= now_ms:
                return
            serve(one, ends_ms)
            if clock.now_ms() >= ends_ms:
                stopped.append(one)
        waiting = stopped
