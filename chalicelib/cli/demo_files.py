"""What the demonstration stores: real directory trees, one file made on the spot, and a ledger of it all.

The ledger holds, for every key that must exist, the file it came from and the SHA-256 of what was sent;
for every key that was deleted, that it must be gone. The check at the end believes nothing else.
"""

from __future__ import annotations

import hashlib
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from blake3 import blake3

_PIECE = 8 * 1024 * 1024
_LEFT_OUT = frozenset({".git", ".venv", "__pycache__", "node_modules", ".hypothesis", "build", "dist"})
_CACHES = ("_cache",)  # what tools keep and change while we look


@dataclass(frozen=True, slots=True)
class Stored:
    """What a key must hold."""

    path: Path
    sha256: str
    size: int


@dataclass
class Ledger:
    """What must be there, and what must not."""

    stored: dict[str, Stored] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)

    def put(self, key: str, one: Stored) -> None:
        """The store acknowledged `one`."""
        self.stored[key] = one
        self.deleted.discard(key)

    def delete(self, key: str) -> None:
        """The store acknowledged the delete."""
        self.stored.pop(key, None)
        self.deleted.add(key)

    @property
    def bytes(self) -> int:
        """Of everything that must be there."""
        return sum(one.size for one in self.stored.values())


def default_trees() -> list[Path]:
    """The project's own checkout, and the packages it runs on."""
    return [Path(__file__).parents[2], Path(sysconfig.get_paths()["purelib"])]


def gather(trees: list[Path], files_max: int, bytes_max: int) -> list[tuple[str, Path]]:
    """(key, path) of the trees' files, as many as fit."""
    found: list[tuple[str, Path]] = []
    size = 0
    for tree in trees:
        root = tree.resolve()
        for path in _files(root):
            length = path.stat().st_size
            if len(found) == files_max:
                return found
            if size + length > bytes_max:
                continue
            found.append((f"{root.name}/{path.relative_to(root).as_posix()}", path))
            size += length
    return found


def _files(directory: Path) -> Iterator[Path]:
    for path in sorted(directory.iterdir()):
        if path.name in _LEFT_OUT or path.name.endswith(_CACHES) or path.is_symlink():
            continue
        if path.is_dir():
            yield from _files(path)
        elif path.is_file() and _readable(path):
            yield path


def _readable(path: Path) -> bool:
    try:
        path.name.encode()
        with path.open("rb"):
            return True
    except (OSError, UnicodeEncodeError):
        return False


def make(path: Path, size: int, seed: str) -> None:
    """A file of pseudo-random bytes: nothing that a store could squeeze or guess."""
    stream = blake3(seed.encode())
    with path.open("wb") as file:
        for at in range(0, size, _PIECE):
            file.write(stream.digest(length=min(_PIECE, size - at), seek=at))


def sha256_of(path: Path) -> str:
    """Of a file as it is now."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
