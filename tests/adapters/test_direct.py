"""Writing past the page cache: the same bytes whatever the size and whatever the filesystem allows."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from chalicelib.adapters.filesystem import direct

PAGE = 4096
SIZES = [
    0,
    1,
    direct.DIRECT_BYTES_MIN - 1,
    direct.DIRECT_BYTES_MIN,
    direct.PIECE_BYTES,
    direct.PIECE_BYTES + 1,
]
SIZES += [direct.PIECE_BYTES + PAGE, 2 * direct.PIECE_BYTES + PAGE + 17]


@pytest.fixture
def fd(tmp_path: Path):
    """A new file."""
    opened = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT | os.O_EXCL)
    yield opened
    os.close(opened)


@pytest.mark.parametrize("size", SIZES)
def test_every_size_comes_back(fd: int, size: int):
    """Sizes around a page and a piece, from memory that is not aligned."""
    body = os.urandom(size + 1)[1:]
    direct.write_all(fd, memoryview(body))
    assert os.pread(fd, size + 1, 0) == body


def test_the_file_is_as_it_was_opened(fd: int):
    """Whoever uses the descriptor next need not know of alignment."""
    before = fcntl.fcntl(fd, fcntl.F_GETFL)
    direct.write_all(fd, memoryview(bytes(direct.PIECE_BYTES)))
    assert fcntl.fcntl(fd, fcntl.F_GETFL) == before


def test_a_filesystem_without_it(fd: int, monkeypatch: pytest.MonkeyPatch):
    """EINVAL is the answer of a filesystem that cannot: the bytes go the usual way."""
    real = fcntl.fcntl

    def refusing(number: int, command: int, argument: int = 0) -> int:
        if command == fcntl.F_SETFL and argument & os.O_DIRECT:
            raise OSError(errno.EINVAL, "not here")
        return real(number, command, argument)

    monkeypatch.setattr(direct.fcntl, "fcntl", refusing)
    body = os.urandom(direct.PIECE_BYTES + 5)
    direct.write_all(fd, memoryview(body))
    assert os.pread(fd, len(body) + 1, 0) == body


def test_short_writes(fd: int, monkeypatch: pytest.MonkeyPatch):
    """A write that took less than a page's multiple is gone on with, not begun again."""
    real = os.write
    monkeypatch.setattr(direct.os, "write", lambda number, body: real(number, body[: 3 * 512]))
    body = os.urandom(direct.DIRECT_BYTES_MIN + 5)
    direct.write_all(fd, memoryview(body))
    assert os.pread(fd, len(body) + 1, 0) == body


def test_a_full_disk_is_an_error(fd: int, monkeypatch: pytest.MonkeyPatch):
    """Anything but EINVAL reaches the caller."""

    def full(number: int, body: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(direct.os, "write", full)
    with pytest.raises(OSError, match="full"):
        direct.write_all(fd, memoryview(bytes(direct.DIRECT_BYTES_MIN)))
