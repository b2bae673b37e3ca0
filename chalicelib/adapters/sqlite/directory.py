"""Being the one server of a data directory.

    own_directory(path) → Owned; hold it as long as the server runs, `close` lets go

Promise one owner at a time, whatever happened to the last one: the kernel drops a dead owner's lock
Errors  Refused: somebody else owns it, named by process id
Source  flock(2); DESIGN §4. The lock is on a file of its own: SQLite's locks would be lost with it.
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from chalicelib.domain.errors import Refused

LOCK_NAME = "owner.lock"


@dataclass(slots=True)
class Owned:
    """A data directory that is ours."""

    path: Path
    _fd: int

    def close(self) -> None:
        """Let the directory go. A second close does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def own_directory(path: str | os.PathLike[str]) -> Owned:
    """Make `path` if need be and own it, or raise Refused."""
    directory = Path(path)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(fd, 20, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(fd)
        raise Refused(f"{directory} is in use by the server with process id {owner}") from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, b"%d\n" % os.getpid(), 0)
    return Owned(directory, fd)
