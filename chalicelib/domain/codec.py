"""Stored forms ↔ values. Every form starts with its version; an unknown one is Corrupt, never guessed.

    record     b"CR1" + header length (u32) + header (compact JSON) + tail
               tail of a record: the inline body, then the block table
    block      size (u32) + hash (32 bytes) + check (16 bytes): 52 bytes an entry
    parts      b"CP1" + header length (u32) + header + block table (what index blocks hold)
    document   {"v": 1, ...} as compact JSON: uploads, users, buckets, owed items, links

Numbers are big-endian, JSON has sorted keys: encoding is canonical, so equal values have equal bytes.
Errors  Corrupt when bytes are not such a form.
Source  DESIGN §5; golden bytes in tests/domain/test_codec.py keep every version readable.
"""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

from chalicelib.domain import stamp as stamps
from chalicelib.domain.errors import Corrupt
from chalicelib.domain.manifest import Block, Checksum, Pairs, Part, Record

_RECORD = b"CR1"
_PARTS = b"CP1"
_LENGTH = struct.Struct(">I")
_ENTRY = struct.Struct(">I32s16s")
DOCUMENT_VERSION = 1

_dump = json.JSONEncoder(separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode


def _frame(magic: bytes, header: dict[str, Any], *tail: bytes) -> bytes:
    text = _dump(header).encode()
    return b"".join((magic, _LENGTH.pack(len(text)), text, *tail))


def _unframe(magic: bytes, form: bytes) -> tuple[dict[str, Any], memoryview]:
    if form[:3] != magic:
        raise Corrupt(f"unknown stored form {bytes(form[:3])!r}, expected {magic!r}")
    try:
        end = 7 + _LENGTH.unpack_from(form, 3)[0]
        header = json.loads(bytes(form[7:end]))
    except (struct.error, ValueError, RecursionError) as problem:
        raise Corrupt(f"stored form {magic!r} cannot be read") from problem
    return header, memoryview(form)[end:]


def _blocks(blocks: tuple[Block, ...]) -> bytes:
    return b"".join(_ENTRY.pack(b.size, b.hash, b.check) for b in blocks)


def _unblocks(table: memoryview) -> list[Block]:
    if len(table) % _ENTRY.size:
        raise Corrupt("a block table has a broken entry")
    return [Block(*entry) for entry in _ENTRY.iter_unpack(table)]


def _part_heads(parts: tuple[Part, ...]) -> list[list[Any]]:
    return [[p.number, p.attempt, p.size, p.etag, p.checksum, len(p.blocks)] for p in parts]


def _unparts(heads: list[list[Any]], blocks: list[Block]) -> tuple[Part, ...]:
    parts, at = [], 0
    for number, attempt, size, etag, checksum, count in heads:
        parts.append(Part(number, attempt, size, etag, checksum, tuple(blocks[at : at + count])))
        at += count
    if at != len(blocks):
        raise Corrupt("a part list and its block table disagree")
    return tuple(parts)


def encode_record(record: Record) -> bytes:
    """The canonical stored form of a record."""
    header: dict[str, Any] = {
        "b": record.bucket_id,
        "k": record.key,
        "s": str(record.stamp),
        "m": record.modified_ms,
    }
    if not record.live:
        return _frame(_RECORD, header)
    header |= {
        "z": record.size,
        "e": record.etag,
        "o": record.owner,
        "h": record.headers,
        "u": record.metadata,
        "g": record.origin,
        "c": record.part_count,
        "i": len(record.inline),
    }
    if record.checksum:
        header["x"] = [record.checksum.algorithm, record.checksum.kind, record.checksum.value]
    if record.upload:
        header["U"] = record.upload
        header["M"] = record.multipart
        header["p"] = _part_heads(record.parts)
        header["n"] = len(record.index)
    table = tuple(block for part in record.parts for block in part.blocks) + record.index
    return _frame(_RECORD, header, record.inline, _blocks(table))


def _pairs(pairs: list[list[str]]) -> Pairs:
    return tuple((name, value) for name, value in pairs)


def decode_record(form: bytes) -> Record:
    """The record that `form` is the stored form of."""
    header, tail = _unframe(_RECORD, form)
    try:
        stamp = stamps.parse(header["s"])
        if "e" not in header:
            return Record(header["b"], header["k"], stamp, False, header["m"])
        inline = bytes(tail[: header["i"]])
        blocks = _unblocks(tail[header["i"] :])
        index_count = header.get("n", 0)
        cut = len(blocks) - index_count
        if len(inline) != header["i"] or not 0 <= cut <= len(blocks):
            raise Corrupt("a record's stored form is cut short")
        checksum = header.get("x")
        return Record(
            bucket_id=header["b"],
            key=header["k"],
            stamp=stamp,
            live=True,
            modified_ms=header["m"],
            size=header["z"],
            etag=header["e"],
            owner=header["o"],
            headers=_pairs(header["h"]),
            metadata=_pairs(header["u"]),
            checksum=Checksum(*checksum) if checksum else None,
            origin=header["g"],
            upload=header.get("U", ""),
            multipart=header.get("M", False),
            part_count=header["c"],
            inline=inline,
            parts=_unparts(header.get("p", []), blocks[:cut]),
            index=tuple(blocks[cut:]),
        )
    except (KeyError, TypeError, ValueError) as problem:
        raise Corrupt(f"a record's stored form cannot be read: {problem}") from problem


def encode_parts(parts: tuple[Part, ...]) -> bytes:
    """The form index blocks hold, cut into blocks, when a part list is too long for its record."""
    blocks = tuple(block for part in parts for block in part.blocks)
    return _frame(_PARTS, {"p": _part_heads(parts)}, _blocks(blocks))


def decode_parts(form: bytes) -> tuple[Part, ...]:
    """The part list that the joined index blocks hold."""
    header, tail = _unframe(_PARTS, form)
    try:
        return _unparts(header["p"], _unblocks(tail))
    except (KeyError, TypeError, ValueError) as problem:
        raise Corrupt(f"a part list cannot be read: {problem}") from problem


def find_block(form: bytes, attempt: str, number: int) -> Block | None:
    """One block of the part list that `form` holds, without reading the others."""
    header, table = _unframe(_PARTS, form)
    try:
        at = 0
        for _, of, _, _, _, count in header["p"]:
            if of == attempt and 0 <= number < count:
                return Block(*_ENTRY.unpack_from(table, (at + number) * _ENTRY.size))
            at += count
    except (KeyError, TypeError, ValueError, struct.error) as problem:
        raise Corrupt(f"a part list cannot be read: {problem}") from problem
    return None


def encode_document(fields: dict[str, Any]) -> bytes:
    """A small stored form: JSON with a version; bytes values become {"b64": ...}."""
    return _dump({"v": DOCUMENT_VERSION, **{k: _plain(v) for k, v in fields.items()}}).encode()


def decode_document(form: bytes) -> dict[str, Any]:
    """The fields of a small stored form."""
    try:
        fields = json.loads(form)
        version = fields.pop("v")
        if version != DOCUMENT_VERSION:
            raise Corrupt(f"a stored document has version {version}; this program knows {DOCUMENT_VERSION}")
        return {k: _rich(v) for k, v in fields.items()}
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as problem:
        raise Corrupt("a stored document cannot be read") from problem


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    if isinstance(value, stamps.Stamp):
        return {"st": str(value)}
    return value


def _rich(value: Any) -> Any:
    if isinstance(value, dict) and len(value) == 1:
        if "b64" in value:
            return base64.b64decode(value["b64"])
        if "st" in value:
            return stamps.parse(value["st"])
    return value
