"""An S3 client that costs little: one socket, requests signed (SigV4), payloads unsigned as over TLS.

What an SDK spends on a request would be taken from the servers, which share the machine's cores with
us. Both peers get the same bytes from it.
Errors  Failed: any status but 2xx, or a body cut short
"""

from __future__ import annotations

import hashlib
import socket
import time
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, urlsplit

from chalicelib.s3.canonical import Credentials, signature, signing_key

SIGNED = "host;x-amz-content-sha256;x-amz-date"
RECEIVE_BYTES = 1 << 20
SEND_BYTES = 1 << 20
PATIENCE_S = 120


class Failed(Exception):
    """The peer did not do what it was asked."""


@dataclass(frozen=True, slots=True)
class Target:
    """A running S3 server."""

    name: str
    endpoint: str
    credentials: Credentials


class Client:
    """One connection."""

    def __init__(self, target: Target) -> None:
        parts = urlsplit(target.endpoint)
        self._host = parts.netloc
        self._credentials = target.credentials
        self._socket = socket.create_connection((parts.hostname, parts.port), PATIENCE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray(RECEIVE_BYTES)
        self._view = memoryview(self._buffer)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def put(self, path: str, body: bytes | memoryview, times: int = 1) -> None:
        """Store `body`, repeated `times`."""
        head = self._head("PUT", path, "", len(body) * times)
        if len(body) * times <= 64 * 1024:
            self._socket.sendall(head + body)
        else:
            self._socket.sendall(head, socket.MSG_MORE)
            view = memoryview(body)
            for _ in range(times):
                for start in range(0, len(body), SEND_BYTES):
                    self._socket.sendall(view[start : start + SEND_BYTES])
        self._expect_success("PUT", path)

    def get(self, path: str, query: str = "") -> int:
        """Read and drop a body; its length."""
        self._socket.sendall(self._head("GET", path, query, 0))
        return self._expect_success("GET", path)[0]

    def text(self, path: str, query: str = "") -> bytes:
        """A whole body."""
        self._socket.sendall(self._head("GET", path, query, 0))
        return self._expect_success("GET", path, keep=True)[1]

    def digest(self, path: str) -> str:
        """SHA-256 of a whole body."""
        hashed = hashlib.sha256()
        self._socket.sendall(self._head("GET", path, "", 0))
        self._expect_success("GET", path, hashed=hashed)
        return hashed.hexdigest()

    def exists(self, path: str) -> bool:
        """HEAD."""
        self._socket.sendall(self._head("HEAD", path, "", 0))
        status, _, _ = self._answer(head=True)
        if status not in (200, 404):
            raise Failed(f"HEAD {path}: {status}")
        return status == 200

    def _head(self, method: str, path: str, query: str, length: int) -> bytes:
        keys = self._credentials
        date, key, scope = _today(int(time.time()), keys)
        hashed = hashlib.sha256(
            f"{method}\n{path}\n{query}\nhost:{self._host}\nx-amz-content-sha256:UNSIGNED-PAYLOAD\n"
            f"x-amz-date:{date}\n\n{SIGNED}\nUNSIGNED-PAYLOAD".encode()
        ).hexdigest()
        mac = signature(key, f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashed}".encode())
        target = f"{path}?{query}" if query else path
        length_line = f"Content-Length: {length}\r\n" if method == "PUT" else ""
        return (
            f"{method} {target} HTTP/1.1\r\nHost: {self._host}\r\n{length_line}"
            f"x-amz-content-sha256: UNSIGNED-PAYLOAD\r\nx-amz-date: {date}\r\n"
            f"Authorization: AWS4-HMAC-SHA256 Credential={keys.access_key}/{scope}, "
            f"SignedHeaders={SIGNED}, Signature={mac}\r\n\r\n"
        ).encode()

    def _expect_success(
        self, method: str, path: str, keep: bool = False, hashed: hashlib._Hash | None = None
    ) -> tuple[int, bytes]:
        status, missing, body = self._answer()
        length = missing + len(body)
        kept = [body]
        if hashed is not None:
            hashed.update(body)
        while missing:
            received = self._socket.recv_into(self._buffer, min(missing, RECEIVE_BYTES))
            if not received:
                raise Failed(f"{method} {path}: cut short, {missing} bytes missing")
            missing -= received
            if hashed is not None:
                hashed.update(self._view[:received])
            if keep or status > 299:
                kept.append(bytes(self._view[:received]))
        if not 200 <= status <= 299:
            raise Failed(f"{method} {path}: {status} {b''.join(kept)[:300]!r}")
        return length, b"".join(kept)

    def _answer(self, head: bool = False) -> tuple[int, int, bytes]:
        """(status, bytes of the body still to come, those that came with the head)."""
        raw = b""
        while (end := raw.find(b"\r\n\r\n")) < 0:
            received = self._socket.recv_into(self._buffer)
            if not received:
                raise Failed(f"hung up after {raw[:100]!r}")
            raw += bytes(self._view[:received])
        front, body = raw[:end].lower(), raw[end + 4 :]
        status = int(front[9:12])
        at = front.find(b"\r\ncontent-length:")
        if at < 0:
            if status == 204 or head:
                return status, 0, b""
            raise Failed(f"no Content-Length: {front[:300]!r}")
        length = int(front[at + 17 :].split(b"\r\n", 1)[0])
        return status, 0 if head else length - len(body), body


@lru_cache(maxsize=64)
def _today(now_s: int, keys: Credentials) -> tuple[str, bytes, str]:
    date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_s))
    scope = f"{date[:8]}/{keys.region}/s3/aws4_request"
    return date, signing_key(keys.secret, date[:8], keys.region), scope


def escape(value: str) -> str:
    """A query value as SigV4 wants it."""
    return quote(value, safe="-_.~")
