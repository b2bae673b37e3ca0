"""DirectoryBlocks keeps the contract, syncs in the right order and stops when the disk fails."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chalicelib.adapters.filesystem import DirectoryBlocks
from chalicelib.domain.errors import Corrupt, Indeterminate, NoRoom, Unavailable
from tests.conformance.blocks import FOUR_MIB, BlockStoreContract, block_id, ref

ROOT = Path(__file__).parent.parent.parent
UPLOAD = block_id().upload
KILLS = 12

WRITER = """
import sys
from pathlib import Path
from threading import Thread
from chalicelib.adapters.filesystem import DirectoryBlocks
from chalicelib.domain.manifest import BlockId
blocks = DirectoryBlocks(Path(sys.argv[1]), 0)
blocks.sweep()
def write(attempt):
    for number in range(1_000_000):
        upload = f"{sys.argv[2]}-{number // 3}"
        body = f"{upload}/{attempt}/{number} ".encode() * (1 + 9973 * number % 60_000)
        blocks.put(BlockId(upload, attempt, number), body)
        sys.stdout.write(f"{upload} {attempt} {number} {len(body)}\\n")
        sys.stdout.flush()
for attempt in ("a", "b", "c"):
    Thread(target=write, args=(attempt,)).start()
"""


class Stop(Exception):
    """What the test's host raises instead of exiting."""


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """Every sync and rename, in order, with paths below the root."""
    seen = []

    def below(path):
        return os.path.relpath(path, tmp_path / "site")

    def watch(name, describe):
        real = getattr(os, name)

        def watched(*arguments):
            # Told after the call: what it was named for is done by then.
            answer = real(*arguments)
            seen.append((name, *describe(*arguments)))
            return answer

        monkeypatch.setattr(os, name, watched)

    watch("fdatasync", lambda fd: [below(os.readlink(f"/proc/self/fd/{fd}"))])
    watch("fsync", lambda fd: [below(os.readlink(f"/proc/self/fd/{fd}"))])
    watch("rename", lambda source, target: [below(source), below(target)])
    watch("rmdir", lambda path: [below(path)])
    return seen


class TestDirectoryBlocks(BlockStoreContract):
    """The embedded server's blocks."""

    @pytest.fixture
    def blocks(self, tmp_path):
        return DirectoryBlocks(tmp_path / "site", 0)


@pytest.fixture
def fatal():
    """The problems the host was told to die of."""
    return []


@pytest.fixture
def blocks(tmp_path, fatal):
    """A store whose host notes that it should exit."""
    return DirectoryBlocks(tmp_path / "site", 0, fatal.append)


def files(tmp_path, below):
    """Every file under a directory, by path relative to it."""
    root = tmp_path / "site" / below
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def fail(monkeypatch, name, number, when=lambda: True):
    """Make a system call fail."""
    real = getattr(os, name)

    def failing(*arguments):
        if when():
            raise OSError(number, os.strerror(number))
        return real(*arguments)

    monkeypatch.setattr(os, name, failing)


def test_the_layout(blocks, tmp_path):
    """Blocks lie where the module says."""
    blocks.put(block_id("up", "a-1", 7), b"x")
    blocks.put_document("manifests/k/b/s", b"x")

    [path] = files(tmp_path, "blocks")
    assert "up/a-1-7" == path.partition("/")[2]
    assert ["k/b/s"] == files(tmp_path, "manifests")


def test_the_order_of_a_write(calls, blocks):
    """File synced, then renamed, then its directory and every new directory above synced."""
    blocks.put(block_id("first"), b"x")
    seen = calls[calls.index(next(c for c in calls if c[0] == "fdatasync")) :]

    (_, temporary), (_, source, target), *synced = seen
    directory = os.path.dirname(target)
    assert temporary == source
    assert temporary.startswith("tmp/")
    assert directory.startswith("blocks/")
    above = [directory, os.path.dirname(directory), "blocks", "."]
    assert [("fsync", path) for path in above] == synced


def test_the_next_block_syncs_one_directory(calls, blocks):
    """An upload's own directory is synced above once; after that a block costs two syncs."""
    blocks.put(block_id(number=0), b"x")
    calls.clear()

    blocks.put(block_id(number=1), b"x")

    assert ["fdatasync", "rename", "fsync"] == [call[0] for call in calls]


def test_a_directory_made_by_a_process_that_died_is_synced_above(calls, blocks, tmp_path):
    """That a directory is there does not mean that it stays: each process sees to it once."""
    blocks.put(block_id(number=0), b"x")
    calls.clear()

    DirectoryBlocks(tmp_path / "site", 0).put(block_id(number=1), b"x")

    renamed = [call[0] for call in calls].index("rename")
    assert 4 == len(calls[renamed + 1 :])


def test_a_directory_made_again_is_synced_above(calls, blocks):
    """What was known of an upload's directory is forgotten with it."""
    blocks.put(block_id(), b"x")
    blocks.delete_upload(UPLOAD)
    calls.clear()

    blocks.put(block_id(), b"x")

    assert ["fdatasync", "rename", "fsync", "fsync"] == [call[0] for call in calls]


def test_an_upload_is_removed_for_good(calls, blocks):
    """The directory above is synced before delete_upload returns."""
    blocks.put(block_id(), b"x")
    calls.clear()

    blocks.delete_upload(UPLOAD)

    (_, removed), (sync, synced) = calls
    assert ("fsync", os.path.dirname(removed)) == (sync, synced)


def test_a_directory_made_again_after_another_process_removed_it(calls, blocks, tmp_path):
    """What this process knew of it does not count for the new one."""
    blocks.put(block_id(), b"x")
    DirectoryBlocks(tmp_path / "site", 0).delete_upload(UPLOAD)
    calls.clear()

    blocks.put(block_id(), b"x")

    assert ["fdatasync", "rename", "fsync", "fsync"] == [call[0] for call in calls]


def test_a_link_is_synced_like_a_block(calls, blocks):
    """Its bytes are on the disk already; its name and its directory's are seen to it."""
    blocks.put(block_id("one"), b"x")
    calls.clear()

    blocks.link(block_id("one"), block_id("two"))

    (name, _, target), *synced = calls
    directory = os.path.dirname(target)
    assert "rename" == name
    assert [("fsync", directory), ("fsync", os.path.dirname(directory))] == synced[:2]


def test_a_document_is_removed_for_good(calls, blocks):
    """Its directory is synced: it must not come back into rebuilt tables."""
    blocks.put_document("manifests/k/s", b"x")
    calls.clear()

    blocks.delete_document("manifests/k/s")

    assert [("fsync", "manifests/k")] == calls


def test_a_new_root_is_synced_above(calls, tmp_path):
    """Directories made for the root itself are on the disk too."""
    DirectoryBlocks(tmp_path / "site" / "a" / "b", 0)

    synced = [path for name, path in calls if name == "fsync"]
    assert {"a/b", "a", ".", ".."} == set(synced)


@pytest.mark.parametrize("call", ["fdatasync", "fsync"])
def test_a_failed_fsync_stops_the_host(blocks, fatal, monkeypatch, tmp_path, call):
    """EIO from a sync: Indeterminate, the host is told once, no later write is tried, reads go on."""
    blocks.put(block_id(number=0), b"kept")
    tries = []
    fail(monkeypatch, call, errno.EIO, lambda: tries.append(call) or True)

    with pytest.raises(Indeterminate):
        blocks.put(block_id(number=1), b"lost")
    monkeypatch.undo()

    for verb in (
        lambda: blocks.put(block_id(number=1), b"lost"),
        lambda: blocks.link(block_id(number=0), block_id(number=2)),
        lambda: blocks.delete(block_id(number=0)),
        lambda: blocks.delete_upload(UPLOAD),
        lambda: blocks.put_document("manifests/a", b"x"),
    ):
        with pytest.raises(Unavailable):
            verb()
    assert [call] == tries
    assert [errno.EIO] == [problem.errno for problem in fatal]
    assert b"kept" == blocks.get(ref(block_id(number=0)))
    assert [] == files(tmp_path, "tmp")


def test_the_default_host_exits(tmp_path):
    """Without another `fatal` the process ends at once with status 70."""
    program = (
        "import os, sys\nfrom pathlib import Path\n"
        "from chalicelib.adapters.filesystem import DirectoryBlocks\n"
        "from chalicelib.domain.manifest import BlockId\n"
        "blocks = DirectoryBlocks(Path(sys.argv[1]), 0)\n"
        "def fail(fd): raise OSError(5, 'Input/output error')\n"
        "os.fdatasync = fail\n"
        "try:\n    blocks.put(BlockId('a', '0', 0), b'x')\nfinally:\n    print('acknowledged')\n"
    )

    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )

    assert (70, "") == (ended.returncode, ended.stdout)
    assert "failed to keep a write" in ended.stderr


@pytest.mark.parametrize("call", ["write", "fdatasync", "open", "mkdir", "rename"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_no_room(blocks, fatal, monkeypatch, tmp_path, call, number):
    """Wherever the disk is full: NoRoom, nothing left behind, and it works again with room."""
    fail(monkeypatch, call, number)

    with pytest.raises(NoRoom):
        blocks.put(block_id(), b"x")
    monkeypatch.undo()

    assert ([], []) == (files(tmp_path, "tmp"), files(tmp_path, "blocks"))
    assert [] == fatal
    blocks.put(block_id(), b"x")
    assert b"x" == blocks.get(ref(block_id()))


def test_a_write_cut_short_goes_on(blocks, monkeypatch):
    """The system may take fewer bytes than it was given."""
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, body: real(fd, body[:1000]))

    blocks.put(block_id(), FOUR_MIB[:10_500])

    assert FOUR_MIB[:10_500] == blocks.get(ref(block_id()))


def test_too_many_open_files_is_unavailable(blocks, monkeypatch):
    """Nothing happened, and it can be tried again."""
    fail(monkeypatch, "open", errno.EMFILE)

    with pytest.raises(Unavailable):
        blocks.put(block_id(), b"x")
    with pytest.raises(Unavailable):
        blocks.get(ref(block_id()))


def test_a_bad_sector_is_corrupt(blocks, monkeypatch):
    """What cannot be read is damaged: another site may have it."""
    blocks.put(block_id(), b"x")
    fail(monkeypatch, "read", errno.EIO)

    with pytest.raises(Corrupt):
        blocks.get(ref(block_id()))


def test_the_floor(tmp_path):
    """Below the floor blocks are refused; reading, linking, documents and deleting go on."""
    below = DirectoryBlocks(tmp_path / "site", 1 << 62)
    DirectoryBlocks(tmp_path / "site", 0).put(block_id("one"), b"x")

    with pytest.raises(NoRoom):
        below.put(block_id("two"), b"x")
    below.put_document("manifests/a", b"x")

    assert below.link(block_id("one"), block_id("two"))
    below.delete_upload("one")
    assert b"x" == below.get(ref(block_id("two")))


def test_the_floor_counts_the_block_itself(blocks, tmp_path, monkeypatch):
    """A block that would reach below the floor is refused before it is written."""
    free = os.statvfs(tmp_path)
    floor = free.f_bavail * free.f_frsize - (len(FOUR_MIB) // 2)
    monkeypatch.setattr(os, "statvfs", lambda path: free)
    store = DirectoryBlocks(tmp_path / "site", floor)

    store.put(block_id(), b"x")

    with pytest.raises(NoRoom):
        store.put(block_id(), FOUR_MIB)


@pytest.mark.parametrize("number", [errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP])
def test_where_no_link_can_be_made_bytes_are_copied(blocks, monkeypatch, number):
    """ext4 stops at 65,000 links to a file, and some filesystems have none."""
    blocks.put(block_id("one"), b"bytes")
    fail(monkeypatch, "link", number)

    assert blocks.link(block_id("one"), block_id("two"))
    assert b"bytes" == blocks.get(ref(block_id("two")))


def test_a_link_is_not_a_copy(blocks, tmp_path):
    """Both names are one file."""
    blocks.put(block_id("one"), b"bytes")
    blocks.link(block_id("one"), block_id("two"))
    blocks.link(block_id("one"), block_id("two"))

    paths = [tmp_path / "site" / "blocks" / name for name in files(tmp_path, "blocks")]
    assert [2, 2] == [path.stat().st_nlink for path in paths]
    assert [] == files(tmp_path, "tmp")


def test_sweep_removes_leftovers(blocks, tmp_path):
    """Temporary files of a crashed process go, blocks stay."""
    blocks.put(block_id(), b"x")
    (tmp_path / "site" / "tmp" / "123-4").write_bytes(b"half")

    assert (1, 0) == (blocks.sweep(), blocks.sweep())

    assert [] == files(tmp_path, "tmp")
    assert b"x" == blocks.get(ref(block_id()))


def test_nobody_else_may_read(blocks, tmp_path):
    """Files and directories are the owner's alone."""
    blocks.put(block_id(), b"x")

    found = [path for below in ("blocks", "tmp") for path in (tmp_path / "site" / below).rglob("*")]
    assert {0o600, 0o700} == {path.stat().st_mode & 0o777 for path in found}
