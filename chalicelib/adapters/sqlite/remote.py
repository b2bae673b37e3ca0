"""The rows of a site in a process that does not write them.

    SqliteRemote(path, socket_path)   ports/metadata.py: reads the file, sends its transactions

Make it after any fork. It needs a running writer; one that restarts is found again.
Promise as ports/metadata.py
Errors  Unavailable: the request did not leave whole, so it was not done
        Indeterminate: it left, and no answer came within ANSWER_S_MAX
Limits  one connection per transact under way; CONNECTIONS_KEPT idle ones are kept
Source  DESIGN §4; wire.py.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from chalicelib.adapters.sqlite.readers import Readers
from chalicelib.adapters.sqlite.wire import (
    ANSWER_HEAD,
    answer_bytes,
    decode_answer,
    encode_request,
)
from chalicelib.adapters.sqlite.writer import ITEMS_MAX
from chalicelib.domain.errors import Indeterminate, Unavailable
from chalicelib.ports.metadata import (
    RowId,
    Table,
    Write,
    check_rows,
    check_scan,
    check_writes,
)

ANSWER_S_MAX = 30.0  # a disk that stalls longer than this is as good as gone
CONNECTIONS_KEPT = 64


class SqliteRemote:
    """The rows of one site, in a process beside the writer's."""

    def __init__(self, path: str | os.PathLike[str], socket_path: str | os.PathLike[str]) -> None:
        self.items_max = ITEMS_MAX
        self.shards = 1
        self.checks_contend = False
        self._socket_path = str(socket_path)
        self._idle: deque[socket.socket] = deque(maxlen=CONNECTIONS_KEPT)
        self._readers = Readers(Path(path))

    def get(self, rows: Sequence[RowId]) -> list[bytes | None]:
        """The values of `rows` in the order asked, None where there is no row."""
        check_rows(rows, ITEMS_MAX)
        return self._readers.get(rows)

    def transact(self, writes: Sequence[Write]) -> None:
        """Do all of `writes` or, raising, none."""
        check_writes(writes, ITEMS_MAX)
        connection = self._sent(encode_request(writes))
        try:
            answer = _read_answer(connection)
        except OSError as error:
            connection.close()
            raise Indeterminate(f"no answer from the writer: {error}") from error
        self._idle.append(connection)
        if (outcome := decode_answer(answer)) is not None:
            raise outcome

    def scan(
        self,
        table: Table,
        pk: str,
        *,
        start: bytes = b"",
        after: bool = False,
        end: bytes | None = None,
        limit: int = 1000,
    ) -> list[tuple[bytes, bytes]]:
        """Up to `limit` (sk, value) with start ≤ sk < end; start < sk if `after`."""
        check_scan(pk, limit)
        return self._readers.scan(table, pk, start, after, end, limit)

    def close(self) -> None:
        """Close the idle connections."""
        self._readers.close()
        while self._idle:
            self._idle.pop().close()

    def _sent(self, request: bytes) -> socket.socket:
        """The connection that has taken the whole request."""
        while True:
            connection, kept = self._take()
            try:
                connection.sendall(request)
                return connection
            except OSError as error:
                connection.close()
                if not kept:
                    raise Unavailable(f"the writer does not listen: {error}") from error

    def _take(self) -> tuple[socket.socket, bool]:
        """A connection, and whether it is an old one that the writer may have left."""
        try:
            return self._idle.pop(), True
        except IndexError:
            return self._connect(), False

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(ANSWER_S_MAX)
            connection.connect(self._socket_path)
        except OSError as error:
            connection.close()
            raise Unavailable(f"the writer cannot be reached: {error}") from error
        return connection


def _read_answer(connection: socket.socket) -> bytes:
    answer = b""
    while len(answer) < ANSWER_HEAD or len(answer) < answer_bytes(answer):
        received = connection.recv(512)
        if not received:
            raise ConnectionResetError("the writer closed the connection")
        answer += received
    return answer
