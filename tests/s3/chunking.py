"""aws-chunked bodies built by hand, so that the code under test is not asked for its own answer."""

from __future__ import annotations

import hashlib
import hmac

from tests.s3.signing import AMZ_DATE, EMPTY, SCOPE, SECRET


def published_key() -> bytes:
    """The signing key of AWS's examples, derived step by step."""
    key = ("AWS4" + SECRET).encode()
    for part in ("20130524", "us-east-1", "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), "sha256").digest()
    return key


class Chain:
    """Signs chunk after chunk, starting from a seed."""

    def __init__(self, seed: str) -> None:
        self.last = seed

    def chunk(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        return self._sign("AWS4-HMAC-SHA256-PAYLOAD", f"{EMPTY}\n{digest}")

    def trailer(self, text: bytes) -> str:
        return self._sign("AWS4-HMAC-SHA256-TRAILER", hashlib.sha256(text).hexdigest())

    def _sign(self, what: str, rest: str) -> str:
        to_sign = f"{what}\n{AMZ_DATE}\n{SCOPE}\n{self.last}\n{rest}"
        self.last = hmac.new(published_key(), to_sign.encode(), "sha256").hexdigest()
        return self.last


def signed_chunks(chunks: list[bytes], seed: str, end: bytes = b"\r\n") -> bytes:
    """A signed body, its zero chunk included."""
    chain = Chain(seed)
    return (
        b"".join([b"%x;chunk-signature=%b\r\n%b\r\n" % (len(c), chain.chunk(c).encode(), c) for c in chunks])
        + b"0;chunk-signature=%b\r\n" % chain.chunk(b"").encode()
        + end
    )


def signed_trailer(chunks: list[bytes], seed: str, name: str, value: str, eol: str) -> bytes:
    """A signed body with a signed trailer; minio-go ends the trailer line with LF CR LF."""
    chain = Chain(seed)
    body = b"".join(
        [b"%x;chunk-signature=%b\r\n%b\r\n" % (len(c), chain.chunk(c).encode(), c) for c in chunks]
    )
    body += b"0;chunk-signature=%b\r\n" % chain.chunk(b"").encode()
    mac = chain.trailer(f"{name}:{value}\n".encode())
    return body + f"{name}:{value}{eol}x-amz-trailer-signature:{mac}\r\n\r\n".encode()


def plain_chunks(chunks: list[bytes], trailer: bytes = b"") -> bytes:
    """An unsigned body, its zero chunk and trailer included."""
    return b"".join([b"%x\r\n%b\r\n" % (len(c), c) for c in chunks]) + b"0\r\n" + trailer


class Dribble:
    """A Body that hands out at most `piece` bytes at a time."""

    def __init__(self, content: bytes, piece: int) -> None:
        self.length: int | None = len(content)
        self._content = content
        self._piece = piece
        self._at = 0

    def read(self, size: int) -> bytes:
        piece = self._content[self._at : self._at + min(size, self._piece)]
        self._at += len(piece)
        return piece


def read_all(body, size: int = 65536) -> bytes:
    """Everything a Body has."""
    pieces = []
    while piece := body.read(size):
        assert len(piece) <= size
        pieces.append(piece)
    assert body.read(size) == b""
    return b"".join(pieces)
