"""SqliteMetadata keeps the contract, survives SIGKILL, and stops when the disk cannot be trusted."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import apsw
import pytest

from chalicelib.adapters.sqlite import SqliteMetadata, own_directory, writer
from chalicelib.domain.errors import (
    Conflict,
    Corrupt,
    Indeterminate,
    NoRoom,
    Refused,
    StoreError,
    Unavailable,
)
from chalicelib.ports.metadata import ABSENT, Check, Delete, Put, RowId, Table
from tests.adapters.sqlite_child import pair
from tests.adapters.sqlite_faults import FaultyFiles
from tests.conformance.metadata import MetadataContract

ROOT = Path(__file__).parent.parent.parent
CHILD = [sys.executable, "-m", "tests.adapters.sqlite_child"]
ROW = RowId(Table.KEYS, "p", b"row")
OTHER = RowId(Table.LISTING, "p", b"other")


def child(verb: str, directory: Path) -> subprocess.Popen[bytes]:
    """A process of sqlite_child.py."""
    command = [*CHILD, verb, str(directory)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, bufsize=0)


def unexpected(error: BaseException) -> None:
    raise AssertionError(f"fatal: {error}")


class TestSqliteMetadata(MetadataContract):
    @pytest.fixture
    def metadata(self, tmp_path: Path) -> Iterator[SqliteMetadata]:
        metadata = SqliteMetadata(tmp_path / "metadata.db", fatal=unexpected)
        yield metadata
        metadata.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metadata.db"


def test_rows_outlive_the_writer(path: Path):
    """What was written is there when the file is opened again."""
    metadata = SqliteMetadata(path, fatal=unexpected)
    metadata.transact([Put(ROW, b"1")])
    metadata.close()

    again = SqliteMetadata(path, fatal=unexpected)

    assert [b"1"] == again.get([ROW])
    again.close()


def test_acknowledged_rows_survive_sigkill(tmp_path: Path, path: Path):
    """Killed at any moment: every acknowledged pair is whole, and no pair is half there."""
    acknowledged: set[int] = set()
    for turn in range(10):
        with child("write", tmp_path) as writing:
            assert writing.stdout is not None
            said = b""
            while said.count(b"\n") < 5 + 9 * turn:
                said += writing.stdout.read(64)
            writing.send_signal(signal.SIGKILL)
            said += writing.stdout.read()
        acknowledged.update(int(line) for line in said.splitlines(keepends=True) if line[-1] == 10)

        metadata = SqliteMetadata(path, fatal=unexpected)
        there = {int(sk) for sk, _ in metadata.scan(Table.OUTBOX, "all", limit=1_000_000)}
        values = [metadata.get(pair(number)) for number in there | acknowledged]
        metadata.close()

        assert set() == acknowledged - there
        assert [[b"x" * 3000] * 2] * len(values) == values


def test_each_of_a_group_stands_alone(path: Path):
    """In one commit a conflict and a senseless transaction leave the others be."""
    metadata = SqliteMetadata(path, fatal=unexpected)
    writes = [
        [Put(ROW, b"1", ABSENT)],
        [Put(OTHER, b"2"), Put(ROW, b"2", ABSENT)],
        [Put(OTHER, b"3"), Put(OTHER, b"4")],
        [Put(ROW, b"5", b"1")],
    ]

    outcomes = metadata.transact_each(writes)

    assert [type(None), Conflict, ValueError, type(None)] == [type(o) for o in outcomes]
    assert [b"5", None] == metadata.get([ROW, OTHER])
    metadata.close()


def test_on_commit_is_told_what_changed(path: Path):
    """on_commit hears of each commit's partitions when they can be read, not of checks or failures."""
    told = []
    metadata = SqliteMetadata(path, unexpected, lambda touched: told.append((touched, metadata.get([ROW]))))

    metadata.transact([Put(ROW, b"1"), Check(OTHER, ABSENT)])
    with pytest.raises(Conflict):
        metadata.transact([Put(OTHER, b"1"), Delete(ROW, b"2")])
    metadata.transact([Check(ROW, b"1")])
    metadata.transact([Put(OTHER, b"1"), Delete(ROW)])

    keys, listing = (Table.KEYS, "p"), (Table.LISTING, "p")
    assert [(frozenset({keys}), [b"1"]), (frozenset({keys, listing}), [None])] == told
    metadata.close()


def test_the_log_stays_small(path: Path, monkeypatch: pytest.MonkeyPatch):
    """The write-ahead log is emptied again and again, with one caller and with many."""
    monkeypatch.setattr(writer, "LOG_PAGES_MAX", 50)
    metadata = SqliteMetadata(path, fatal=unexpected)
    log_bytes = []

    def write(thread: int) -> None:
        for n in range(60):
            row = RowId(Table.KEYS, "p", b"%d %d" % (thread, n))
            metadata.transact([Put(row, bytes(8192))])
            assert [bytes(8192)] == metadata.get([row])
            log_bytes.append(path.with_name("metadata.db-wal").stat().st_size)

    write(0)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, range(1, 5)))

    assert max(log_bytes) < 300 * 4096  # without it: some 1,200 pages
    metadata.close()
    assert 0 == path.with_name("metadata.db-wal").stat().st_size


def test_closed_is_unavailable(path: Path):
    """After close nothing is written."""
    metadata = SqliteMetadata(path, fatal=unexpected)
    metadata.close()

    with pytest.raises(Unavailable):
        metadata.transact([Put(ROW, b"1")])


# ------------------------------------------------------------------------------------- refusals


def test_another_version_is_refused(path: Path):
    """A file of a version this program does not know is Corrupt, and is left as it is."""
    SqliteMetadata(path, fatal=unexpected).close()
    db = apsw.Connection(str(path))
    db.execute("PRAGMA user_version = 2")
    db.close()

    with pytest.raises(Corrupt, match="stored form 2"):
        SqliteMetadata(path, fatal=unexpected)


def test_a_foreign_file_is_refused(path: Path):
    """Somebody else's tables, or no SQLite file at all, are Corrupt."""
    db = apsw.Connection(str(path))
    db.execute("CREATE TABLE theirs (a)")
    db.close()
    with pytest.raises(Corrupt, match="not of Causeway"):
        SqliteMetadata(path, fatal=unexpected)

    path.write_bytes(b"no database" * 1000)
    with pytest.raises(Corrupt):
        SqliteMetadata(path, fatal=unexpected)


def test_unsafe_settings_are_refused():
    """Where SQLite cannot keep a write-ahead log, commits would not be durable: Corrupt."""
    with pytest.raises(Corrupt, match="not be durable"):
        SqliteMetadata(":memory:", fatal=unexpected)


def test_a_second_server_is_refused(tmp_path: Path):
    """One process owns a directory; another is told which; a dead one's claim is void."""
    with child("own", tmp_path) as owner:
        assert owner.stdout is not None
        assert b"ready\n" == owner.stdout.readline()

        with pytest.raises(Refused, match=f"process id {owner.pid}"):
            own_directory(tmp_path)

        owner.kill()
    own_directory(tmp_path).close()


def test_a_directory_has_one_owner_in_a_process_too(tmp_path: Path):
    """The second claim is refused until the first lets go."""
    owned = own_directory(tmp_path / "new" / "directory")

    with pytest.raises(Refused):
        own_directory(tmp_path / "new" / "directory")
    owned.close()
    owned.close()

    own_directory(tmp_path / "new" / "directory").close()


# --------------------------------------------------------------------------------------- faults


@pytest.fixture
def files() -> FaultyFiles:
    return FaultyFiles(f"faulty-{uuid4().hex}")


def test_full_disk_is_no_room(path: Path, files: FaultyFiles):
    """On a full disk nothing is written, reads go on, and so do writes once there is room."""
    metadata = SqliteMetadata(path, unexpected, vfs=files.name)
    metadata.transact([Put(ROW, b"1")])

    files.full = True
    for writes in ([Put(ROW, b"2")], [Put(ROW, bytes(100_000)), Put(OTHER, b"2")]):
        with pytest.raises(NoRoom):
            metadata.transact(writes)
    outcomes = metadata.transact_each([[Put(ROW, b"2", b"1")], [Put(ROW, b"3", b"1")]])
    assert [NoRoom, NoRoom] == [type(outcome) for outcome in outcomes]
    assert [b"1", None] == metadata.get([ROW, OTHER])

    files.full = False
    metadata.transact([Put(ROW, b"2", b"1")])
    assert [b"2", None] == metadata.get([ROW, OTHER])
    metadata.close()


def test_failed_sync_stops_everything(path: Path, files: FaultyFiles):
    """After a failed fsync every caller is told the truth, `fatal` once, and nothing is written."""
    told: list[BaseException] = []
    metadata = SqliteMetadata(path, told.append, vfs=files.name)
    metadata.transact([Put(ROW, b"1")])

    def outcome(n: int) -> type[BaseException]:
        try:
            metadata.transact([Put(OTHER._replace(sk=b"%d" % n), b"2")])
        except StoreError as error:
            return type(error)
        raise AssertionError("acknowledged without a sync")

    files.unsyncable = True
    with ThreadPoolExecutor(8) as threads:
        outcomes = set(threads.map(outcome, range(8)))
    files.unsyncable = False

    assert {Indeterminate} <= outcomes <= {Indeterminate, Unavailable}
    assert [apsw.IOError] == [type(error) for error in told]
    with pytest.raises(Unavailable):
        metadata.transact([Put(ROW, b"3")])
    assert [b"1"] == metadata.get([ROW])
    metadata.close()


def test_a_fatal_that_raises_strands_nobody(path: Path, files: FaultyFiles):
    """Callers are answered even when `fatal` raises."""
    metadata = SqliteMetadata(path, unexpected, vfs=files.name)
    files.unsyncable = True

    for kind in (Indeterminate, Unavailable):
        with pytest.raises(kind):
            metadata.transact([Put(ROW, b"1")])
    metadata.close()
