"""The line to one client: bytes in and out, and the patience we have with it.

    IDLE ─ first byte → HEAD ─ whole head → BUSY ⇄ WAITING (for the client) ─ answer sent → IDLE
                                                                       └ still sending → LINGER
Two threads know a line: its own reads and writes; the listener's calls `watched` once a tick and cuts
off a client that takes longer than its state allows. So no read or write needs a clock or a time-out.

Source  slow-loris; RFC 9112 §9.5 "Failures and Timeouts".
"""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from enum import Enum

RECEIVE_BYTES = 256 * 1024  # fits the second-level cache, where hashing finds it again
SEND_BYTES = 256 * 1024  # between two looks at a slow reader
WINDOW_BYTES = 16 * 1024  # what must move while WAITING has its time: a modem does more


class State(Enum):
    """What a line waits for; the value is how many ticks (listener.TICK_S) it may."""

    IDLE = 75  # the next request: longer than clients keep unused connections
    HEAD = 15  # the rest of a head, or a TLS handshake
    WAITING = 30  # the client to send or take WINDOW_BYTES
    LINGER = 5  # the client to notice that we are done
    BUSY = 0  # us: no limit here


class Line:
    """A connected socket; see the module."""

    def __init__(self, client: socket.socket, tls: ssl.SSLContext | None) -> None:
        self.state = State.HEAD
        self.secure = tls is not None
        self.left = b""  # received, not used yet
        self._client = client
        self._tls = tls
        self._moved = 0  # bytes; a whole head counts as a window, so that short requests are progress
        self._closing = threading.Lock()
        self._ticks = 0
        self._seen: tuple[State, int] = (State.BUSY, 0)

    def open(self) -> None:
        """Shake hands."""
        self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is not None:
            client = self._tls.wrap_socket(self._client, server_side=True, do_handshake_on_connect=False)
            with self._closing:
                self._client = client
            client.do_handshake()

    def close(self) -> None:
        """Give the socket back."""
        with self._closing, suppress(OSError):
            self._client.close()

    def watched(self) -> None:
        """One tick has passed; called by the listener's thread."""
        state, moved = self.state, self._moved
        if state is not self._seen[0] or moved - self._seen[1] >= WINDOW_BYTES:
            self._ticks, self._seen = 0, (state, moved)
            return
        self._ticks += 1
        if state.value and self._ticks > state.value:
            self.cut()

    def cut(self) -> None:
        """End it, from any thread: whoever waits in a read or write comes back at once."""
        with self._closing, suppress(OSError):
            # SSLSocket.shutdown would let the other thread go on in clear.
            socket.socket.shutdown(self._client, socket.SHUT_RDWR)

    def receive(self) -> bytes:
        """What comes next of a head, b"" if the client has gone."""
        received = self._client.recv(RECEIVE_BYTES)
        self._moved += 1
        return received

    def begun(self) -> None:
        """A whole head has come."""
        self._moved += WINDOW_BYTES
        self.state = State.BUSY

    def read(self, size: int) -> bytes:
        """Up to `size` bytes of a body, b"" if the client has gone."""
        if self.left:
            piece, self.left = self.left[:size], self.left[size:]
            return piece
        self.state = State.WAITING
        try:
            piece = self._client.recv(min(size, RECEIVE_BYTES))
        except OSError:
            return b""
        finally:
            self.state = State.BUSY
        self._moved += len(piece)
        return piece

    def write(self, data: bytes, more: bool = False) -> None:
        """Hand all of `data` to the client; `more` follows at once, so it may wait for a full packet."""
        self.state = State.WAITING
        flags = socket.MSG_MORE if more and not self.secure else 0
        if len(data) <= SEND_BYTES:
            self._client.sendall(data, flags)
            self._moved += len(data)
        else:
            view = memoryview(data)
            for start in range(0, len(data), SEND_BYTES):
                piece = view[start : start + SEND_BYTES]
                self._client.sendall(piece, flags)
                self._moved += len(piece)
        self.state = State.BUSY

    def linger(self) -> None:
        """We are done: read away what still comes, so that closing does not destroy the last answer."""
        self.state = State.LINGER
        with suppress(OSError):
            socket.socket.shutdown(self._client, socket.SHUT_WR)
            while socket.socket.recv(self._client, RECEIVE_BYTES):
                pass
