"""The table of what was tried: operation × fault, how often over all seeds. No cell may be empty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from tests.simulation.faults import ALL, BLOCKS, LINK, METADATA

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
_NAMES = {"create user", "create bucket", "delete bucket"}
_NO_PEER = {"put inline", "put blocks", "put if", "delete", "self-copy", "multipart", "gc", "fold"}
_NO_BLOCK = {"put inline", "delete", "fold", *_NAMES}
_NO_COMMIT = {"get", "get range"}


def applies(operation: str, fault: str) -> bool:
    """Whether an operation must be hit by a fault: some touch no block (but where documents are written)
    or no other site (but where a block is on its way), reads commit nothing."""
    if fault in LINK:
        return operation not in _NO_PEER
    if fault in BLOCKS:
        return operation not in _NO_BLOCK
    return not (operation in _NO_COMMIT and fault in METADATA[1:])


def text(tally: Mapping[tuple[str, str], int]) -> str:
    """The table, operations down, faults across."""
    width = max(map(len, OPERATIONS))
    heads = [f"{number:>2} {fault}" for number, fault in enumerate(ALL, 1)]
    lines = ["; ".join(heads), " " * width + "".join(f"{number:>7}" for number in range(1, len(ALL) + 1))]
    for operation in OPERATIONS:
        cells = [tally.get((operation, f), 0) or ("0" if applies(operation, f) else "·") for f in ALL]
        lines.append(f"{operation:<{width}}" + "".join(f"{cell:>7}" for cell in cells))
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
