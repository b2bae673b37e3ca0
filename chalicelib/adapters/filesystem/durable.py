"""Files that are whole and on the disk, or not there: the order of system calls behind DirectoryBlocks.

Paths   relative to `root`, `/` between steps, already checked by the caller
Promise what `write`, `link`, `remove_directory` and `remove(forever=True)` did survives a power cut
        once they have returned
Errors  as in chalicelib.adapters.filesystem
Source  ext4 and XFS need the directory's own fsync: fsync(2); Rebello et al., ATC 2020.
"""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chalicelib.adapters.filesystem.direct import write_all
from chalicelib.domain.errors import Corrupt, Indeterminate, NoRoom, StoreError, Unavailable
from chalicelib.ports.blocks import Buffer

ANCHORED_MAX = 65_536  # directories remembered as being on the disk; forgetting costs an fsync
RACES_MAX = 8  # how often another process may remove, or fill, a directory under our hands
DISK_ERROR_EXIT = 70  # EX_SOFTWARE

_FULL = (errno.ENOSPC, errno.EDQUOT)
_DAMAGED = (errno.EIO, errno.EUCLEAN, errno.EBADMSG)
_NO_LINKS = (errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP)  # too many, or none on this filesystem


def end_process(problem: OSError) -> None:
    """The default of `fatal`: no cleanup code may run that could acknowledge anything."""
    os.write(2, f"causeway: {problem}: the disk failed to keep a write, stopping\n".encode())
    os._exit(DISK_ERROR_EXIT)


class DurableFiles:
    """Whole files under `root`, by path relative to it; see the module for the order of a write."""

    def __init__(self, root: Path, fatal: Callable[[OSError], object]) -> None:
        path = Path(os.path.abspath(root))
        self._root = str(path)
        self._fatal = fatal
        self._stopped = False
        self._count = itertools.count()
        # Directories whose own names, and all names above, were on the disk at some time since this
        # process began. Who made them does not matter: a process killed between mkdir and fsync
        # leaves a directory that is there and may yet vanish. If another process removes one and a
        # third makes it again this is out of date, but only a closed upload's is ever removed.
        self._anchored: set[str] = set()
        fresh = [each for each in (path, *path.parents) if not each.exists()]
        (path / "tmp").mkdir(mode=0o700, parents=True, exist_ok=True)
        for each in fresh:
            self._sync_directory(str(each.parent))
        self._sync_directory(self._root)

    def sweep(self) -> int:
        """Remove temporary files; how many there were."""
        left = [entry.path for entry in self.entries("tmp")]
        for path in left:
            os.unlink(path)
        return len(left)

    def free_bytes(self) -> int:
        """What may still be written. Asked for every block: 1.4 µs, against ms for the write."""
        with _nothing_happened():
            state = os.statvfs(self._root)
            return state.f_bavail * state.f_frsize

    def write(self, directory: str, name: str, body: Buffer) -> None:
        """File `body` as `directory/name`, replacing what is there."""
        with self._temporary() as path:
            self._fill(path, body)
            self._move(path, directory, name)
        self._anchor(directory)

    def link(self, source: str, directory: str, name: str) -> bool:
        """File `source` as `directory/name` too; False if it is not there."""
        with self._temporary() as path:
            try:
                os.link(f"{self._root}/{source}", path)
            except FileNotFoundError:
                return False
            except OSError as problem:
                if problem.errno not in _NO_LINKS:
                    raise
                body = self.read(source)
                if body is None:
                    return False
                self._fill(path, body)
            self._move(path, directory, name)
        self._anchor(directory)
        return True

    def read(self, path: str) -> bytes | None:
        """All bytes of a file, or None if there is none."""
        try:
            fd = os.open(f"{self._root}/{path}", os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as problem:
            raise _unreadable(problem) from problem
        try:
            return _read_all(fd)
        except OSError as problem:
            raise _unreadable(problem) from problem
        finally:
            os.close(fd)

    def remove(self, directory: str, name: str, forever: bool = False) -> None:
        """Remove a file if it is there; `forever`: not even a power cut brings it back."""
        with _nothing_happened():
            self._refuse_if_stopped()
            with suppress(FileNotFoundError, NotADirectoryError):
                os.unlink(f"{self._root}/{directory}/{name}")
        if forever:
            self._sync_directory(f"{self._root}/{directory}")

    def remove_directory(self, directory: str) -> None:
        """Remove a directory of files, for ever."""
        for _ in range(RACES_MAX):
            with _nothing_happened():
                self._refuse_if_stopped()
                for entry in self.entries(directory):
                    with suppress(FileNotFoundError):
                        os.unlink(entry.path)
                try:
                    os.rmdir(f"{self._root}/{directory}")
                except FileNotFoundError:
                    return
                except OSError as problem:
                    if problem.errno != errno.ENOTEMPTY:
                        raise
                    continue  # somebody filed a block meanwhile
            self._anchored.discard(directory)
            self._sync_directory(f"{self._root}/{os.path.dirname(directory)}")
            return
        raise Unavailable(f"{directory} is being written to faster than it can be removed")

    def entries(self, directory: str) -> Iterator[os.DirEntry[str]]:
        """What lies in a directory; nothing if there is none."""
        with _nothing_happened():
            try:
                scan = os.scandir(f"{self._root}/{directory}")
            except (FileNotFoundError, NotADirectoryError):
                return
            with scan:
                yield from scan

    def sizes(self, directory: str) -> Iterator[tuple[str, int]]:
        """Name and size of each file in a directory."""
        with _nothing_happened():
            for entry in self.entries(directory):
                with suppress(FileNotFoundError):  # removed since
                    yield entry.name, entry.stat().st_size

    @contextmanager
    def _temporary(self) -> Iterator[str]:
        """An unused path on the same filesystem; whatever lies there in the end is removed."""
        with _nothing_happened():
            self._refuse_if_stopped()
            path = f"{self._root}/tmp/{os.getpid()}-{next(self._count)}"
            try:
                yield path
            finally:
                # A rename onto another name of the same file does nothing and leaves it: `link`, twice.
                with suppress(FileNotFoundError):
                    os.unlink(path)

    def _fill(self, path: str, body: Buffer) -> None:
        """Write a new file and see it to the disk."""
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            write_all(fd, memoryview(body).cast("B"))
            try:
                os.fdatasync(fd)
            except OSError as problem:
                if problem.errno in _FULL:
                    raise  # nothing is wrong with the disk, and this file is thrown away
                raise self._stop(problem) from problem
        finally:
            os.close(fd)

    def _move(self, path: str, directory: str, name: str) -> None:
        """Give the file at `path` its name."""
        for _ in range(RACES_MAX):
            try:
                os.rename(path, f"{self._root}/{directory}/{name}")
                return
            except FileNotFoundError:  # the first block of an upload, or one whose upload just went
                self._make(directory)
            except OSError as problem:
                if problem.errno in _FULL:
                    raise
                raise Indeterminate(str(problem)) from problem
        raise Unavailable(f"{directory} is being removed")

    def _make(self, directory: str) -> None:
        try:
            os.mkdir(f"{self._root}/{directory}", 0o700)
        except FileExistsError:
            return
        except FileNotFoundError:
            self._make(os.path.dirname(directory))
            return  # `_move` comes again
        self._anchored.discard(directory)

    def _anchor(self, directory: str) -> None:
        """See the names in `directory`, its own and those above it to the disk.

        One fsync for a block, two for the first of an upload, up to four in a new tree.
        """
        self._sync_directory(f"{self._root}/{directory}")
        fresh = []
        while directory and directory not in self._anchored:
            fresh.append(directory)
            directory = os.path.dirname(directory)
            self._sync_directory(f"{self._root}/{directory}")
        if len(self._anchored) > ANCHORED_MAX:
            self._anchored.clear()
        self._anchored.update(fresh)

    def _sync_directory(self, path: str) -> None:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return  # removed with all that was in it, by someone who wanted that
        except OSError as problem:
            raise Indeterminate(str(problem)) from problem
        try:
            os.fsync(fd)
        except OSError as problem:
            raise self._stop(problem) from problem
        finally:
            os.close(fd)

    def _stop(self, problem: OSError) -> StoreError:
        """What to raise after a failed fsync."""
        self._stopped = True
        self._fatal(problem)
        return Indeterminate(f"failed fsync: {problem}")

    def _refuse_if_stopped(self) -> None:
        if self._stopped:
            raise Unavailable("stopped after a failed fsync")


@contextmanager
def _nothing_happened() -> Iterator[None]:
    """Names the errors of steps that leave nothing behind, or nothing that anybody was told of."""
    try:
        yield
    except OSError as problem:
        kind = NoRoom if problem.errno in _FULL else Unavailable
        raise kind(str(problem)) from problem


def _unreadable(problem: OSError) -> StoreError:
    return (Corrupt if problem.errno in _DAMAGED else Unavailable)(str(problem))


def _read_all(fd: int) -> bytes:
    size = os.fstat(fd).st_size
    body = os.read(fd, size)
    while len(body) < size:  # a signal, or 2 GiB
        more = os.read(fd, size - len(body))
        if not more:
            break
        body += more
    return body
