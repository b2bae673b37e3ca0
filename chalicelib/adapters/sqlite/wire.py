"""What the processes of a site say to each other over the commit socket.

    request  version (1 byte) · length (4 bytes) · marshal of [(kind, table, pk, sk, value, expect), …]
    answer   outcome (1 byte) · length (1 byte) · why, UTF-8

Promise decode(encode(writes)) equals writes; a request cut short is never mistaken for a whole one
Errors  ValueError: not a request of this version
Limits  FRAME_BYTES_MAX a request
Source  Python `marshal`: as fast as the memory allows and names no classes. It trusts its sender:
        the socket is 0600, and its only users could write the file itself.
"""

from __future__ import annotations

import marshal
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from chalicelib.adapters.sqlite.commits import Outcome
from chalicelib.domain.errors import Conflict, Indeterminate, NoRoom, Unavailable
from chalicelib.ports.metadata import (
    ABSENT,
    ANY,
    TRANSACT_BYTES_MAX,
    Check,
    Delete,
    Expect,
    Put,
    RowId,
    Table,
    Write,
)

VERSION = 1
FRAME_BYTES_MAX = 64 * 1024 * 1024  # 1,000 writes that each expect a value of 64 KiB
assert FRAME_BYTES_MAX > TRANSACT_BYTES_MAX
ANSWER_HEAD = 2  # bytes before the text

_HEAD = struct.Struct("!BI")
_MARSHAL_VERSION = 2  # later ones look for repeated objects, which costs more than it saves
_PUT, _DELETE, _CHECK = range(3)
_DONE = 0
_KINDS: dict[int, type[Exception]] = {
    1: Conflict,
    2: Unavailable,
    3: NoRoom,
    4: Indeterminate,
    5: ValueError,
}
_CODES = {kind: code for code, kind in _KINDS.items()}


def encode_request(writes: Sequence[Write]) -> bytes:
    """The request that asks for `writes`."""
    body = marshal.dumps([_to_plain(write) for write in writes], _MARSHAL_VERSION)
    if len(body) > FRAME_BYTES_MAX:
        raise ValueError(f"{len(body)} bytes in one transaction")
    return _HEAD.pack(VERSION, len(body)) + body


def take_requests(buffer: bytearray) -> Iterator[list[Write]]:
    """The whole requests at the start of `buffer`, which are removed from it."""
    while len(buffer) >= _HEAD.size:
        version, length = _HEAD.unpack_from(buffer)
        if version != VERSION or length > FRAME_BYTES_MAX:
            raise ValueError(f"request of version {version}, {length} bytes")
        whole = _HEAD.size + length
        if len(buffer) < whole:
            return
        yield _decode(bytes(buffer[_HEAD.size : whole]))
        del buffer[:whole]


def encode_answer(outcome: Outcome) -> bytes:
    """The answer that tells `outcome`."""
    if outcome is None:
        return bytes((_DONE, 0))
    why = str(outcome).encode("utf-8", "replace")[:255]
    return bytes((_CODES.get(type(outcome), 4), len(why))) + why


def decode_answer(answer: bytes) -> Outcome:
    """The outcome that a whole answer tells."""
    if answer[0] == _DONE:
        return None
    kind = _KINDS.get(answer[0], Indeterminate)
    return kind(answer[ANSWER_HEAD:].decode("utf-8", "replace"))


def answer_bytes(start: bytes) -> int:
    """How long the answer is that begins with `start`, once its head is there."""
    return ANSWER_HEAD + start[1] if len(start) >= ANSWER_HEAD else ANSWER_HEAD


def _to_plain(write: Write) -> tuple[Any, ...]:
    row = (write.row.table.value, write.row.pk, write.row.sk)
    expect = _expect_to_plain(write.expect)
    if isinstance(write, Put):
        return (_PUT, *row, write.value, expect)
    return (_CHECK if isinstance(write, Check) else _DELETE, *row, None, expect)


def _expect_to_plain(expect: Expect) -> bytes | bool:
    if expect is ANY:
        return True
    return False if expect is ABSENT else bytes(expect)


def _decode(body: bytes) -> list[Write]:
    try:
        return [_from_plain(*plain) for plain in marshal.loads(body)]
    except (EOFError, TypeError) as error:
        raise ValueError(f"not a request: {error}") from error


def _from_plain(kind: int, table: str, pk: str, sk: bytes, value: bytes, guard: bytes | bool) -> Write:
    if type(pk) is not str or type(sk) is not bytes or (kind == _PUT) != (type(value) is bytes):
        raise ValueError("not a request: a word has the wrong type")
    row = RowId(Table(table), pk, sk)
    expect: Expect = guard if isinstance(guard, bytes) else ANY if guard else ABSENT
    if kind == _PUT:
        return Put(row, value, expect)
    return Check(row, expect) if kind == _CHECK else Delete(row, expect)
