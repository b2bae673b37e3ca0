"""aws-chunked bodies: decoded, and every chunk and trailer signature verified, while streaming.

In      a Body of `size;chunk-signature=…\\r\\n<bytes>\\r\\n` chunks, the decoded length announced,
        the Signatures chain (or None for unsigned chunks), the trailer announced (or None)
Out     a Body of the decoded bytes; after its b'' the trailer's value is in .trailer_value
Units   sizes in bytes
Errors  IncompleteBody: framing broken, cut short or longer than announced ·
        SignatureDoesNotMatch · InvalidChunkSizeError · MalformedTrailerError
Source  AWS "Signature calculations: transferring payload in multiple chunks"; edge cases as
        OpenStack Swift validated them against AWS (test/s3api/test_input_errors.py);
        CVE-2021-21390 (an oversized chunk length skipped the signature)

Bytes are handed out before their chunk's signature is checked, because a chunk may be larger than
memory: a reader MUST NOT commit anything before read() has answered b''.
"""

from __future__ import annotations

import re
from enum import Enum
from hashlib import sha256
from hmac import compare_digest

from chalicelib.s3 import canonical, errors
from chalicelib.s3.request import Body

# Large enough that framing costs nothing beside hashing, small enough for 100 bodies at once.
SLICE_BYTES = 256 * 1024
_SLICE_BYTES_MAX = 1024 * 1024
CHUNK_BYTES_MIN = 8192
_LINE_BYTES_MAX = 1024
_TRAILER_LINES_MAX = 8
# AWS accepts junk after the end; this much is read and dropped so that the connection can go on.
_JUNK_BYTES_MAX = 64 * 1024

_SIZE = re.compile(rb"[0-9a-fA-F]{1,16}").fullmatch
_PARAM = re.compile(rb"[ \t]*chunk-signature[ \t]*=[ \t]*([^ \t;]*)[ \t]*").fullmatch


class Signatures:
    """The chain of signatures of one body: each covers its chunk and the signature before it."""

    __slots__ = ("_head", "_key", "_last", "_scope")

    def __init__(self, key: bytes, scope: str, amz_date: str, seed_signature: str) -> None:
        self._key = key
        self._scope = f"{amz_date}\n{scope}"
        self._last = seed_signature

    def check_chunk(self, chunk_sha256: str, claimed: bytes) -> None:
        """Verify one chunk's signature and move on."""
        self._check(
            f"AWS4-HMAC-SHA256-PAYLOAD\n{self._scope}\n{self._last}\n"
            f"{canonical.EMPTY_SHA256}\n{chunk_sha256}",
            claimed,
        )

    def check_trailer(self, trailer_sha256: str, claimed: bytes) -> None:
        """Verify the trailer's signature."""
        self._check(f"AWS4-HMAC-SHA256-TRAILER\n{self._scope}\n{self._last}\n{trailer_sha256}", claimed)

    def _check(self, to_sign: str, claimed: bytes) -> None:
        mac = canonical.signature(self._key, to_sign.encode())
        if not compare_digest(mac.encode(), claimed):
            raise errors.SignatureDoesNotMatch()
        self._last = mac


class _State(Enum):
    HEADER = 0
    CONTENT = 1
    CONTENT_END = 2
    TRAILER = 3
    JUNK = 4
    END = 5


class ChunkedBody:
    """A Body over the decoded bytes of an aws-chunked Body."""

    def __init__(
        self,
        inner: Body,
        decoded_length: int,
        signatures: Signatures | None,
        *,
        has_trailer: bool,
        trailer_name: str | None = None,
    ) -> None:
        self.length: int | None = decoded_length
        self.trailer_value: str | None = None
        self._inner = inner
        self._signatures = signatures
        self._has_trailer = has_trailer
        self._trailer_name = trailer_name
        self._state = _State.HEADER
        self._buffer = b""
        self._view = memoryview(b"")
        self._position = 0
        self._chunk_left = 0
        self._chunk_size: int | None = None
        self._chunk_number = 0
        self._decoded_left = decoded_length
        self._claimed = b""
        self._hash = sha256()

    def read(self, size: int) -> bytes:
        """1 … size decoded bytes; b'' once everything, trailer included, has been verified."""
        pieces: list[memoryview] = []
        wanted = size
        while wanted > 0 and self._state is not _State.END:
            if self._state is not _State.CONTENT:
                self._step(size)
                continue
            in_hand = len(self._buffer) - self._position
            if in_hand == 0:
                if pieces:
                    break  # what is in hand goes out before the sender is waited for
                if self._chunk_left >= SLICE_BYTES:
                    return self._read_straight(size)
                self._refill(size)
                continue
            piece = self._view[self._position : self._position + min(wanted, self._chunk_left)]
            self._position += len(piece)
            wanted -= len(piece)
            self._take(piece)
            pieces.append(piece)
        return b"".join(pieces)

    def _read_straight(self, size: int) -> bytes:
        """Part of a large chunk, passed on without a copy."""
        piece = self._inner.read(min(size, self._chunk_left))
        if not piece:
            raise errors.IncompleteBody()
        self._take(piece)
        return piece

    def _take(self, piece: bytes | memoryview) -> None:
        self._chunk_left -= len(piece)
        if self._signatures is not None:
            self._hash.update(piece)
        if self._chunk_left == 0:
            if self._signatures is not None:
                self._signatures.check_chunk(self._hash.hexdigest(), self._claimed)
            self._state = _State.CONTENT_END

    def _refill(self, size: int) -> None:
        """Add at least one byte to the buffer, keeping what is not parsed yet."""
        more = self._inner.read(min(max(size, SLICE_BYTES), _SLICE_BYTES_MAX))
        if not more:
            raise errors.IncompleteBody()
        rest = self._buffer[self._position :]
        self._buffer = rest + more if rest else more
        self._view = memoryview(self._buffer)
        self._position = 0

    def _line(self, size: int) -> bytes:
        """The next line without its CRLF; IncompleteBody if it never ends or is too long."""
        while True:
            limit = self._position + _LINE_BYTES_MAX
            end = self._buffer.find(b"\r\n", self._position, limit)
            if end >= 0:
                line = self._buffer[self._position : end]
                self._position = end + 2
                return line
            if len(self._buffer) >= limit:
                raise errors.IncompleteBody()
            self._refill(size)

    def _step(self, size: int) -> None:
        """Parse one piece of framing."""
        match self._state:
            case _State.HEADER:
                self._read_header(self._line(size))
            case _State.CONTENT_END:
                while len(self._buffer) - self._position < 2:
                    self._refill(size)
                if self._buffer[self._position : self._position + 2] != b"\r\n":
                    raise errors.IncompleteBody()
                self._position += 2
                self._state = _State.HEADER
            case _State.TRAILER:
                self._read_trailer(size)
                self._state = _State.JUNK
            case _:
                self._drop_junk()
                self._state = _State.END

    def _read_header(self, line: bytes) -> None:
        digits, separator, params = line.partition(b";")
        digits = digits.rstrip(b" \t")
        # int(x, 16) would also take `1_000`, `+5`, ` 5`, `-0` and Arabic digits.
        if not _SIZE(digits):
            raise errors.IncompleteBody()
        chunk_size = int(digits, 16)
        if self._signatures is None:
            if separator:
                raise errors.IncompleteBody()
        else:
            self._claimed = _claimed_signature(params)
        if chunk_size > self._decoded_left:
            raise errors.IncompleteBody()
        if chunk_size and self._chunk_size is not None and self._chunk_size < CHUNK_BYTES_MIN:
            raise errors.InvalidChunkSizeError(
                Chunk=str(self._chunk_number), BadChunkSize=str(self._chunk_size)
            )
        self._chunk_number += 1
        self._chunk_size = chunk_size
        self._decoded_left -= chunk_size
        self._hash = sha256()
        if chunk_size:
            self._chunk_left = chunk_size
            self._state = _State.CONTENT
            return
        if self._decoded_left:
            raise errors.IncompleteBody()
        if self._signatures is not None:
            self._signatures.check_chunk(canonical.EMPTY_SHA256, self._claimed)
        self._state = _State.TRAILER if self._has_trailer else _State.JUNK

    def _read_trailer(self, size: int) -> None:
        """The lines after the last chunk: the announced checksum, then the trailer's signature.

        minio-go and AWS's own example end a trailer's value with LF before the CRLF.
        """
        if self._trailer_name is None and self._signatures is None and not self._more():
            return
        pairs: list[tuple[bytes, bytes]] = []
        for number in range(_TRAILER_LINES_MAX):
            line = self._line(size).strip(b"\n")
            if not line:
                if number == 0 and self._signatures is not None:
                    continue  # some signers end the zero chunk as they end the others
                break
            name, colon, value = line.partition(b":")
            name = name.strip().lower()
            if name == b"x-amz-trailer-signature" and self._signatures is not None:
                self._accept_trailer(pairs)
                text = b"".join([b"%b:%b\n" % pair for pair in pairs])
                self._signatures.check_trailer(sha256(text).hexdigest(), value.strip())
                return
            if not colon:
                raise errors.MalformedTrailerError()
            pairs.append((name, value.strip()))
            if self._signatures is None and not self._more():
                break
        self._accept_trailer(pairs)
        if self._signatures is not None:
            raise errors.IncompleteBody()  # the trailer's signature never came

    def _accept_trailer(self, pairs: list[tuple[bytes, bytes]]) -> None:
        """Exactly what x-amz-trailer announced, or MalformedTrailerError."""
        announced = [] if self._trailer_name is None else [self._trailer_name.encode()]
        if [name for name, _ in pairs] != announced:
            raise errors.MalformedTrailerError()
        if pairs:
            self.trailer_value = pairs[0][1].decode("latin-1")

    def _more(self) -> bool:
        """Whether the body goes on."""
        if self._position < len(self._buffer):
            return True
        more = self._inner.read(SLICE_BYTES)
        self._buffer, self._view, self._position = more, memoryview(more), 0
        return bool(more)

    def _drop_junk(self) -> None:
        dropped = 0
        while self._more():
            dropped += len(self._buffer) - self._position
            if dropped > _JUNK_BYTES_MAX:
                raise errors.IncompleteBody()
            self._position = len(self._buffer)


def _claimed_signature(params: bytes) -> bytes:
    """The chunk signature among the parameters of a chunk header."""
    first, _, others = params.partition(b";")
    match = _PARAM(first)
    if match is None and b"chunk-signature" in others:
        raise errors.SignatureDoesNotMatch()  # as AWS answers an extra parameter in front
    if match is None or not match[1] or others:
        raise errors.IncompleteBody()
    return match[1]
