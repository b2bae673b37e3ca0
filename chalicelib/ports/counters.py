"""Counters: what a site has done since it started, summed over its processes.

add      counts up; cheap enough for every request
all      name and label → sum over every process of the site
Source   Prometheus data model: counters only grow, names end in _total.
"""

from __future__ import annotations

from typing import Protocol


class Counters(Protocol):
    """Counts of one site."""

    def add(self, name: str, by: int = 1, *, link: str = "") -> None:
        """Count `by` more under `name`, for one link if it concerns one."""

    def all(self) -> dict[tuple[str, str], int]:
        """(name, link) → count."""
