"""A TCP relay between two sites: the line that tests cut and heal.

Use     with Relay(port_of_the_other_site) as line: link(endpoint=line.url()); line.cut(); line.heal()
Cut     every open connection is reset in mid-stream and new ones are refused, as when a line goes down.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_PIECE = 1 << 18


class Relay:
    """Passes bytes between whoever connects to `port` and 127.0.0.1:`target`."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listening: socket.socket | None = None
        self.port = 0
        self.passed = 0  # connections let through
        self.heal()

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def url(self, scheme: str = "http") -> str:
        """The endpoint to give to the other side."""
        return f"{scheme}://127.0.0.1:{self.port}"

    def heal(self) -> None:
        """Let connections through again, on the same port as before."""
        if self._listening is not None:
            return
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", self.port))
        listening.listen(64)
        self.port = listening.getsockname()[1]
        self._listening = listening
        threading.Thread(target=self._accept, args=(listening,), daemon=True).start()

    def cut(self) -> None:
        """Reset what is open, refuse what comes."""
        listening, self._listening = self._listening, None
        if listening is not None:
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept
            listening.close()
        with self._lock:
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                    each.shutdown(socket.SHUT_RDWR)
                    each.close()
            self._open.clear()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                near, _ = listening.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target), 5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            with self._lock:
                if self._listening is not listening:
                    near.close()
                    far.close()
                    return
                self._open |= {near, far}
                self.passed += 1
            for one, other in ((near, far), (far, near)):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := one.recv(_PIECE):
                other.sendall(piece)
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_WR)
        with self._lock:
            mine = one in self._open
            self._open.discard(one)
        if mine:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RD)
