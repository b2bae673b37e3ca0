"""The real clock, chance, threads, buffers, locks, log and vault keep the contracts of the ports."""

import fcntl
import multiprocessing
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from chalicelib.adapters.hashing import Blake3Hashing
from chalicelib.adapters.system import (
    ByteBudget,
    FileLocks,
    Inline,
    MemoryLocks,
    SystemClock,
    SystemIds,
    ThreadParallel,
)
from chalicelib.adapters.vault import AesVault, load_or_create_master_key
from tests.conformance.system import (
    SOON,
    BuffersContract,
    HashingContract,
    IdsContract,
    LocksContract,
    ParallelContract,
    VaultContract,
)

ROOT = Path(__file__).parent.parent.parent
HASTY_MS = 100
HOLDER = """
import sys
from pathlib import Path
from chalicelib.adapters.system import FileLocks, SystemClock
with FileLocks(Path(sys.argv[1]), SystemClock()).hold("name"):
    print("held", flush=True)
    sys.stdin.read()
"""


class TestSystemIds(IdsContract):
    """The system's random numbers."""

    @pytest.fixture
    def ids(self):
        return SystemIds()


class TestThreadParallel(ParallelContract):
    """Two threads."""

    @pytest.fixture
    def parallel(self):
        threads = ThreadParallel(2)
        yield threads
        threads.close()

    def test_work_runs_beside_the_caller(self, parallel):
        """`start` does not wait for the work."""
        go_on = threading.Event()

        task = parallel.start(lambda: go_on.wait(SOON))
        go_on.set()

        assert task.result() is True


class TestInline(ParallelContract):
    """No threads."""

    @pytest.fixture
    def parallel(self):
        return Inline()

    def test_work_is_over_when_start_returns(self, parallel):
        """Its effects can be seen before `result` is asked."""
        seen = []

        parallel.start(lambda: seen.append(1))

        assert [1] == seen


class TestByteBudget(BuffersContract):
    """One process's budget."""

    @pytest.fixture
    def buffers(self):
        return ByteBudget(100)

    def test_an_interrupted_wait_leaves_the_queue(self, buffers, monkeypatch):
        """Who gives up waiting neither holds bytes nor stands in another's way."""
        buffers.take(100)

        def interrupted(*_):
            raise KeyboardInterrupt

        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(threading.Event, "wait", interrupted)
            buffers.take(50)
        buffers.give(100)

        assert buffers.try_take(100)

    def test_giving_back_too_much_is_a_bug(self, buffers):
        """It would widen the budget for ever."""
        buffers.take(10)

        with pytest.raises(AssertionError):
            buffers.give(11)


class TestMemoryLocks(LocksContract):
    """Within one process."""

    @pytest.fixture
    def locks(self):
        return MemoryLocks(SystemClock())

    @pytest.fixture
    def hasty(self):
        return MemoryLocks(SystemClock(), HASTY_MS)


class TestFileLocks(LocksContract):
    """Among processes."""

    @pytest.fixture
    def locks(self, tmp_path):
        return FileLocks(tmp_path / "locks", SystemClock())

    @pytest.fixture
    def hasty(self, tmp_path):
        return FileLocks(tmp_path / "locks", SystemClock(), HASTY_MS)

    def test_two_objects_on_one_directory(self, locks, tmp_path):
        """They exclude one another as processes do."""
        entered = threading.Event()

        def enter():
            with FileLocks(tmp_path / "locks", SystemClock()).hold("name"):
                entered.set()

        with locks.hold("name"):
            threading.Thread(target=enter, daemon=True).start()
            assert not entered.wait(0.05)

        assert entered.wait(SOON)

    def test_no_files_are_left(self, locks, tmp_path):
        """However many names are held, none leaves its file behind."""
        for number in range(20):
            with locks.hold(f"name {number}"):
                pass

        assert [] == list((tmp_path / "locks").iterdir())

    def test_a_file_removed_while_it_was_being_locked(self, locks, tmp_path, monkeypatch):
        """A lock on a file that lost its name excludes nobody: another is taken."""
        real, locked = fcntl.flock, []

        def flock(fd, how):
            real(fd, how)
            locked.append(os.fstat(fd).st_ino)
            if len(locked) == 1:
                [path] = (tmp_path / "locks").iterdir()
                path.unlink()

        monkeypatch.setattr(fcntl, "flock", flock)

        with locks.hold("name"):
            [path] = (tmp_path / "locks").iterdir()
            assert 2 == len(locked)
            assert locked[1] == path.stat().st_ino

    def test_a_killed_holder_lets_go(self, locks, tmp_path):
        """kill -9 of the holder frees the name at once."""
        command = [sys.executable, "-c", HOLDER, str(tmp_path / "locks")]
        with subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as holder:
            assert "held\n" == holder.stdout.readline()
            holder.kill()

        started = time.monotonic()
        with locks.hold("name"):
            assert time.monotonic() - started < SOON

    def test_processes_count_to_400(self, tmp_path):
        """Four processes that read, wait and write one number lose no step."""
        (tmp_path / "number").write_text("0")
        start = multiprocessing.get_context("spawn").Process
        counters = [start(target=_count, args=(tmp_path, 100)) for _ in range(4)]
        for counter in counters:
            counter.start()
        for counter in counters:
            counter.join(60)

        assert "400" == (tmp_path / "number").read_text()


def _count(directory, times):
    locks = FileLocks(directory / "locks", SystemClock())
    for _ in range(times):
        with locks.hold("number"):
            number = int((directory / "number").read_text())
            time.sleep(0)
            (directory / "number").write_text(str(number + 1))


class TestBlake3Hashing(HashingContract):
    """BLAKE3 and XXH3."""

    @pytest.fixture
    def hashing(self):
        return Blake3Hashing()


class TestAesVault(VaultContract):
    """AES-GCM and X25519."""

    @pytest.fixture
    def vault(self):
        return AesVault(bytes(range(32)), SystemIds())

    @pytest.fixture
    def other(self):
        return AesVault(bytes(range(1, 33)), SystemIds())

    def test_the_same_master_key_opens_after_a_restart(self, vault):
        """Nothing but the master key is needed, and the public key stays."""
        again = AesVault(bytes(range(32)), SystemIds())

        assert "s" == again.unwrap(vault.wrap("s", "c"), "c")
        assert "s" == again.unseal(vault.seal(vault.public_key(), "s", "c"), "c")
        assert vault.public_key() == again.public_key()

    def test_forms_of_version_1_open_for_ever(self, vault):
        """Golden bytes: what earlier releases stored must stay readable."""
        wrapped = bytes.fromhex(WRAPPED_1)
        sealed = bytes.fromhex(SEALED_1)

        assert ("s3cr3t", "s3cr3t") == (vault.unwrap(wrapped, "c"), vault.unseal(sealed, "c"))

    @pytest.mark.parametrize("size", [0, 16, 31, 33])
    def test_a_short_master_key_is_refused(self, size):
        """32 bytes or nothing."""
        with pytest.raises(ValueError):
            AesVault(bytes(size), SystemIds())


WRAPPED_1 = "01070707070707070707070707a34e0803fa13a238e484983451b029adc77bf204c933"
SEALED_1 = (
    "0113be4feaeaf204c7fd3358fc9c00721881d174278128227ec674f37f7fe97b6d"
    "7cf27f55f9f51c971147de706f30d2e642638ad65e2e"
)


class TestMasterKey:
    """load_or_create_master_key."""

    def test_made_once(self, tmp_path):
        """The first start makes it, for the owner alone; later ones read it; no draft is left."""
        path = tmp_path / "master.key"

        first, second = (load_or_create_master_key(path, SystemIds()) for _ in range(2))

        assert 32 == len(first)
        assert first == second
        assert 0o600 == stat.S_IMODE(path.stat().st_mode)
        assert [path] == list(tmp_path.iterdir())

    def test_made_by_several_at_once(self, tmp_path):
        """All get the key that stays."""
        path, keys = tmp_path / "master.key", []
        work = [threading.Thread(target=_load, args=(path, keys)) for _ in range(8)]
        for thread in work:
            thread.start()
        for thread in work:
            thread.join()

        assert [bytes.fromhex(path.read_text())] * 8 == keys

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
    def test_a_file_others_may_read_is_refused(self, tmp_path, mode):
        """And the message says what to do."""
        path = tmp_path / "master.key"
        load_or_create_master_key(path, SystemIds())
        path.chmod(mode)

        with pytest.raises(PermissionError, match=f"chmod 600 {path}"):
            load_or_create_master_key(path, SystemIds())

    @pytest.mark.parametrize("text", [b"", b"\n", b"00" * 31, b"zz" * 32, b"\xff" * 32, b"00" * 33])
    def test_a_file_without_a_key_is_refused(self, tmp_path, text):
        """It is never overwritten: every secret of the site hangs on it."""
        path = tmp_path / "master.key"
        path.write_bytes(text)
        path.chmod(0o600)

        with pytest.raises(ValueError):
            load_or_create_master_key(path, SystemIds())
        assert text == path.read_bytes()


def _load(path, keys):
    keys.append(load_or_create_master_key(path, SystemIds()))
