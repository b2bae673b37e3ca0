"""The table of what was tried: operation × fault, how often over all seeds. No cell may be empty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from tests.simulation.faults import ALL, BLOCKS, LINK

OPERATIONS = (
    "put inline",
    "put blocks",
    "put if",
    "delete",
    "copy",
    "self-copy",
    "multipart",
    "get",
    "get range",
    "create user",
    "create bucket",
    "delete bucket",
    "realtime",
    "fullsync",
    "gc",
    "fold",
)
_READS = {"get", "get range"}
_LOCAL = {"put inline", "put blocks", "put if", "delete", "self-copy", "multipart", "gc", "fold"}


def applies(operation: str, fault: str) -> bool:
    """Whether an operation can be hit by a fault at all: some touch no block, some no other site."""
    if fault in LINK:
        return operation not in _LOCAL
    if operation == "fold":
        return fault not in BLOCKS
    return True


def text(tally: Mapping[tuple[str, str], int]) -> str:
    """The table, operations down, faults across."""
    width = max(map(len, OPERATIONS))
    heads = [f"{number:>2} {fault}" for number, fault in enumerate(ALL, 1)]
    lines = ["; ".join(heads), " " * width + "".join(f"{number:>7}" for number in range(1, len(ALL) + 1))]
    for operation in OPERATIONS:
        cells = (
            f"{tally.get((operation, fault), 0) if applies(operation, fault) else '·':>7}" for fault in ALL
        )
        lines.append(f"{operation:<{width}}" + "".join(cells))
    return "\n".join(lines)


def empty(tally: Mapping[tuple[str, str], int]) -> list[str]:
    """The cells that no seed has reached."""
    return [
        f"{operation} × {fault}"
        for operation in OPERATIONS
        for fault in ALL
        if applies(operation, fault) and not tally.get((operation, fault))
    ]


def added(tallies: list[Mapping[tuple[str, str], int]]) -> Counter[tuple[str, str]]:
    """The sum."""
    total: Counter[tuple[str, str]] = Counter()
    for tally in tallies:
        total.update(tally)
    return total
