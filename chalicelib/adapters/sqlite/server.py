"""The writer's door: other processes of the site hand in their transactions here.

    serve_commits(metadata, socket_path) → CommitServer; `close` ends it

One thread serves all connections: what has come in while a commit was under way becomes the next.
Promise a request is done only when it came in whole; each is answered once, in order per connection
Errors  a connection that sends anything else is closed; OSError if the socket cannot be made
Limits  CONNECTIONS_MAX connections; a buffer each, never beyond one request
Source  DESIGN §4; wire.py; figures: research/host.md.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from chalicelib.adapters.sqlite.commits import Outcome
from chalicelib.adapters.sqlite.wire import encode_answer, take_requests
from chalicelib.domain.errors import Indeterminate, StoreError, Unavailable
from chalicelib.ports.metadata import Write

CONNECTIONS_MAX = 1024  # a thread of a worker process needs one
_RECEIVE_BYTES = 256 * 1024  # what the kernel holds for a Unix socket at most, by default


class Transacts(Protocol):
    """What the server needs of the writer."""

    def transact_each(self, transactions: Sequence[Sequence[Write]]) -> list[Outcome]:
        """What `transact` would have raised for each."""


class _Connection:
    """One peer and what it has sent so far."""

    def __init__(self, peer: socket.socket) -> None:
        self.peer = peer
        self._buffer = bytearray()

    def receive(self) -> list[list[Write]]:
        """The requests that are complete now. EOFError: the peer is gone."""
        with contextlib.suppress(BlockingIOError):
            while received := self.peer.recv(_RECEIVE_BYTES):
                self._buffer += received
                if len(received) < _RECEIVE_BYTES:
                    return list(take_requests(self._buffer))
            raise EOFError
        return list(take_requests(self._buffer))


class CommitServer:
    """A thread that serves the commit socket."""

    def __init__(self, metadata: Transacts, socket_path: Path) -> None:
        self._metadata = metadata
        self._path = socket_path
        self._listener = _listen(socket_path)
        self._waker, self._woken = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="sqlite-commits", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer what was read, close all connections, remove the socket."""
        self._waker.close()
        self._thread.join()
        self._path.unlink(missing_ok=True)

    def _run(self) -> None:
        while (ready := self._ready()) is not None:
            requests = [(c, writes) for c in ready for writes in self._receive(c)]
            if requests:
                self._serve(requests)
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def _ready(self) -> list[_Connection] | None:
        """Connections with something to read; None at the end."""
        keys = [key for key, _ in self._selector.select()]
        if any(key.fileobj is self._woken for key in keys):
            return None
        if any(key.fileobj is self._listener for key in keys):
            self._accept()
        return [key.data for key in keys if key.data is not None]

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # it went away again, or we are out of descriptors
            peer, _ = self._listener.accept()
            if len(self._selector.get_map()) > CONNECTIONS_MAX:
                return peer.close()
            peer.setblocking(False)
            self._selector.register(peer, selectors.EVENT_READ, _Connection(peer))

    def _receive(self, connection: _Connection) -> Iterator[list[Write]]:
        try:
            yield from connection.receive()
        except (OSError, EOFError, ValueError):
            self._drop(connection)

    def _serve(self, requests: list[tuple[_Connection, list[Write]]]) -> None:
        outcomes: Sequence[Outcome]
        try:
            outcomes = self._metadata.transact_each([writes for _, writes in requests])
        except StoreError as error:
            outcomes = [Unavailable(str(error))] * len(requests)
        except Exception as error:  # whatever it is, the other processes must not wait in vain
            outcomes = [Indeterminate(repr(error))] * len(requests)
        for (connection, _), outcome in zip(requests, outcomes, strict=True):
            try:
                connection.peer.sendall(encode_answer(outcome))
            except OSError:  # gone, or it does not read: it will not know, and read back
                self._drop(connection)

    def _drop(self, connection: _Connection) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(connection.peer)
        connection.peer.close()


def serve_commits(metadata: Transacts, socket_path: str | os.PathLike[str]) -> CommitServer:
    """Take transactions for `metadata` at `socket_path`, which only this user can reach."""
    return CommitServer(metadata, Path(socket_path))


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)  # left by a killed server: the directory's owner may take it
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(listener.fileno(), 0o600)  # on Linux the file has this mode from the first moment
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(128)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener
