"""SqliteRemote keeps the contract over a writer in another process, and tells the truth without one."""

import socket
import stat
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chalicelib.adapters.sqlite import SqliteMetadata, SqliteRemote, serve_commits, wire
from chalicelib.domain.errors import Conflict, Corrupt, Indeterminate, NoRoom, Unavailable
from chalicelib.ports.metadata import ABSENT, ANY, Check, Delete, Put, RowId, Table, Write
from tests.adapters.test_metadata_sqlite import child, unexpected
from tests.conformance.metadata import MetadataContract

ROW = RowId(Table.KEYS, "p", b"row")
WRITES: list[Write] = [
    Put(ROW, b"\x00value", b"\xffold"),
    Put(RowId(Table.SITE, "ü\x00", b"\x00\xff"), b"", ABSENT),
    Put(RowId(Table.TREE, "p", b"1"), b"x" * 100_000),
    Delete(RowId(Table.USERS, "p", b"2"), b""),
    Delete(RowId(Table.USERS, "p", b"3")),
    Check(RowId(Table.OUTBOX, "p", b"4"), ABSENT),
    Check(RowId(Table.OUTBOX, "p", b"5"), ANY),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory in which another process writes and serves."""
    directory = tmp_path_factory.mktemp("site")
    with child("serve", directory) as serving:
        assert serving.stdout is not None and serving.stdin is not None
        assert b"ready\n" == serving.stdout.readline()
        yield directory
        serving.stdin.close()
        assert 0 == serving.wait(10)


class TestSqliteRemote(MetadataContract):
    @pytest.fixture
    def metadata(self, served: Path) -> Iterator[SqliteRemote]:
        metadata = SqliteRemote(served / "metadata.db", served / "commits.sock")
        yield metadata
        metadata.close()


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[SqliteMetadata]:
    metadata = SqliteMetadata(tmp_path / "metadata.db", fatal=unexpected)
    yield metadata
    metadata.close()


@pytest.fixture
def remote(tmp_path: Path, writer: SqliteMetadata) -> Iterator[SqliteRemote]:
    metadata = SqliteRemote(tmp_path / "metadata.db", tmp_path / "commits.sock")
    yield metadata
    metadata.close()


def test_only_this_user_reaches_the_socket(tmp_path: Path, writer: SqliteMetadata):
    """The socket has mode 0600 and is gone after close."""
    server = serve_commits(writer, tmp_path / "commits.sock")
    mode = (tmp_path / "commits.sock").stat().st_mode
    server.close()

    assert "srw-------" == stat.filemode(mode)
    assert not (tmp_path / "commits.sock").exists()


def test_without_a_writer_nothing_is_written(remote: SqliteRemote):
    """No socket: Unavailable, and reads go on."""
    with pytest.raises(Unavailable):
        remote.transact([Put(ROW, b"1")])

    assert [None] == remote.get([ROW])


def test_without_a_file_it_does_not_start(tmp_path: Path):
    """No file is Unavailable; a file of another kind is Corrupt."""
    with pytest.raises(Unavailable):
        SqliteRemote(tmp_path / "metadata.db", tmp_path / "commits.sock")

    (tmp_path / "metadata.db").write_bytes(b"no database" * 1000)
    with pytest.raises(Corrupt):
        SqliteRemote(tmp_path / "metadata.db", tmp_path / "commits.sock")


def test_a_restarted_writer_is_found_again(tmp_path: Path, writer: SqliteMetadata, remote: SqliteRemote):
    """A kept connection to a writer that is gone is no error: the next one is tried."""
    for value in (b"1", b"2"):
        server = serve_commits(writer, tmp_path / "commits.sock")
        remote.transact([Put(ROW, value)])
        server.close()

    with pytest.raises(Unavailable):
        remote.transact([Put(ROW, b"3")])
    assert [b"2"] == remote.get([ROW])


def test_a_lost_answer_is_indeterminate(tmp_path: Path, remote: SqliteRemote):
    """The request left whole, then the connection broke: nobody can know."""
    with _listening(tmp_path / "commits.sock", lambda peer: peer.recv(1 << 20)):
        with pytest.raises(Indeterminate):
            remote.transact([Put(ROW, b"1")])


def test_a_request_that_did_not_leave_was_not_done(tmp_path: Path, remote: SqliteRemote):
    """The connection broke within the request: Unavailable, for it cannot have been done."""
    large = [Put(RowId(Table.KEYS, "p", b"%d" % n), bytes(128 * 1024)) for n in range(24)]

    with _listening(tmp_path / "commits.sock", lambda peer: peer.recv(1)):
        with pytest.raises(Unavailable):
            remote.transact(large)


def test_half_a_request_is_never_done(tmp_path: Path, writer: SqliteMetadata, remote: SqliteRemote):
    """A request that stops short does nothing and holds up nobody; one in pieces is done."""
    server = serve_commits(writer, tmp_path / "commits.sock")
    request = wire.encode_request([Put(ROW, b"half")])
    with _connected(tmp_path) as first, _connected(tmp_path) as second:
        first.sendall(request[:-1])
        second.sendall(request[:3])
        remote.transact([Put(ROW, b"whole", ABSENT)])
        assert [b"whole"] == remote.get([ROW])

        second.sendall(request[3:9])
        second.sendall(request[9:])
        assert wire.encode_answer(None) == second.recv(100)

    assert [b"half"] == remote.get([ROW])
    server.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack("!BI", 1, 1 << 31),
        struct.pack("!BI", 9, 0),
        struct.pack("!BI", 1, 3) + b"abc",
        struct.pack("!BI", 1, 5) + b"[\x01\x00\x00\x00",
    ],
)
def test_nonsense_is_hung_up_on(tmp_path: Path, writer: SqliteMetadata, remote: SqliteRemote, sent: bytes):
    """What is no request closes its own connection and no other."""
    server = serve_commits(writer, tmp_path / "commits.sock")
    with _connected(tmp_path) as connection:
        connection.sendall(sent)
        assert b"" == connection.recv(100)

    remote.transact([Put(ROW, b"1")])
    server.close()


def test_a_senseless_transaction_is_value_error(tmp_path: Path, writer: SqliteMetadata):
    """The writer checks what the other processes hand in."""
    server = serve_commits(writer, tmp_path / "commits.sock")
    with _connected(tmp_path) as connection:
        connection.sendall(wire.encode_request([Put(ROW, b"1"), Put(ROW, b"2")]))
        answer = connection.recv(1000)

    assert isinstance(wire.decode_answer(answer), ValueError)
    server.close()


def test_requests_come_over_as_they_were():
    """decode(encode(writes)) equals writes, several requests in one piece included."""
    buffer = bytearray(wire.encode_request(WRITES) + wire.encode_request([]) + b"\x01\x00")

    assert [WRITES, []] == list(wire.take_requests(buffer))
    assert b"\x01\x00" == buffer


@pytest.mark.parametrize("kind", [Conflict, Unavailable, NoRoom, Indeterminate, ValueError])
def test_outcomes_come_over_as_they_were(kind: type[Exception]):
    """Kind and reason of a failure are the same on both sides, however long the reason."""
    for why in ("", "why", "é" * 300):
        answer = wire.encode_answer(kind(why))
        outcome = wire.decode_answer(answer)

        assert len(answer) == wire.answer_bytes(answer[:2])
        assert kind is type(outcome)
        assert why.startswith(str(outcome).rstrip("\ufffd"))


@contextmanager
def _connected(directory: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(directory / "commits.sock"))
        yield connection


@contextmanager
def _listening(path: Path, behave: Callable[[socket.socket], object]) -> Iterator[None]:
    """A server that takes one connection, does what it likes, and hangs up."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                behave(peer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()
