"""Stored forms ↔ values. Every form starts with its version; an unknown one is Corrupt, never guessed.

    record     b"CR1" + header length (u32) + header (compact JSON) + tail
               tail of a record: the inline body, then the block table
    block      size (u32) + hash (32 bytes) + check (16 bytes): 52 bytes an entry
    parts      b"CP1" + header length (u32) + header + block table (what index blocks hold)
    document   {"v": 1, ...} as compact JSON: uploads, users, buckets, owed items, links

Version 1 knows one hash, BLAKE3. A table with any other is of version 2 (b"CR2", b"CP2"), which differs in
an entry's first word alone: its upper 4 bits name the hash (0 BLAKE3, 1 SHA-256), the lower 28 are the size,
16 times the largest block. The check of a SHA-256 entry is 16 zero bytes. A program that knows version 1
only says so and refuses; it would take such an entry for a block of 256 MiB and more.

Numbers are big-endian, JSON has sorted keys: encoding is canonical, so equal values have equal bytes, and a
table of BLAKE3 alone is always written as version 1.
Errors  Corrupt when bytes are not such a form.
Source  DESIGN §5; golden bytes in tests/domain/test_codec.py keep every version readable.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterable, Sequence
from typing import Any

from chalicelib.domain import stamp as stamps
from chalicelib.domain.errors import Corrupt
from chalicelib.domain.manifest import Block, Checksum, HashAlgorithm, Pairs, Part, Record, stored_blocks

_RECORD = b"CR"
_PARTS = b"CP"
_VERSIONS = {b"1": 1, b"2": 2}
_SIZE_BITS = 28  # of an entry's first word in version 2
_NO_CHECK = bytes(16)
_LENGTH = struct.Struct(">I")
_ENTRY = struct.Struct(">I32s16s")
DOCUMENT_VERSION = 1

_dump = json.JSONEncoder(separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode


def version_of(blocks: Iterable[Block]) -> int:
    """The least version of the stored form that can hold `blocks`."""
    return 1 if all(block.algorithm is HashAlgorithm.BLAKE3 for block in blocks) else 2


def record_version(record: Record) -> int:
    """The version of a record's stored form: who knows no higher one must not be given it."""
    return version_of(stored_blocks(record))


def _frame(kind: bytes, header: dict[str, Any], blocks: Sequence[Block], inline: bytes = b"") -> bytes:
    text = _dump(header).encode()
    version = version_of(blocks)
    pack = _entry_1 if version == 1 else _entry_2
    table = b"".join([pack(block) for block in blocks])
    return b"".join((kind, b"%d" % version, _LENGTH.pack(len(text)), text, inline, table))


def _unframe(kind: bytes, form: bytes) -> tuple[dict[str, Any], memoryview, int]:
    version = _VERSIONS.get(bytes(form[2:3]))
    if form[:2] != kind or version is None:
        raise Corrupt(f"unknown stored form {bytes(form[:3])!r}, expected {kind!r} of version 1 or 2")
    try:
        end = 7 + _LENGTH.unpack_from(form, 3)[0]
        header = json.loads(bytes(form[7:end]))
    except (struct.error, ValueError, RecursionError) as problem:
        raise Corrupt(f"stored form {kind!r} cannot be read") from problem
    return header, memoryview(form)[end:], version


def _entry_1(block: Block) -> bytes:
    return _ENTRY.pack(block.size, block.hash, block.check)


def _entry_2(block: Block) -> bytes:
    if block.size >> _SIZE_BITS:
        raise ValueError(f"a block of {block.size} bytes")
    return _ENTRY.pack(block.algorithm << _SIZE_BITS | block.size, block.hash, block.check)


def _block(version: int, size: int, digest: bytes, check: bytes) -> Block:
    if version == 1 or not size >> _SIZE_BITS:
        return Block(size, digest, check)
    try:
        algorithm = HashAlgorithm(size >> _SIZE_BITS)
    except ValueError as problem:
        raise Corrupt(f"a block's hash is of a kind not known here: {size >> _SIZE_BITS}") from problem
    if check != _NO_CHECK:
        raise Corrupt("a block has a check that nobody can have computed")
    return Block(size & (1 << _SIZE_BITS) - 1, digest, b"", algorithm)


def _unblocks(table: memoryview, version: int) -> list[Block]:
    if len(table) % _ENTRY.size:
        raise Corrupt("a block table has a broken entry")
    if version == 1:
        return [Block(*entry) for entry in _ENTRY.iter_unpack(table)]
    blocks = [_block(version, *entry) for entry in _ENTRY.iter_unpack(table)]
    if version_of(blocks) == 1:
        raise Corrupt("a stored form of version 2 that version 1 can hold is none of ours")
    return blocks


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
        return _frame(_RECORD, header, ())
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
    return _frame(_RECORD, header, tuple(stored_blocks(record)), record.inline)


def _pairs(pairs: list[list[str]]) -> Pairs:
    return tuple((name, value) for name, value in pairs)


def decode_record(form: bytes) -> Record:
    """The record that `form` is the stored form of."""
    header, tail, version = _unframe(_RECORD, form)
    try:
        stamp = stamps.parse(header["s"])
        if "e" not in header:
            _unblocks(tail, version)
            return Record(header["b"], header["k"], stamp, False, header["m"])
        inline = bytes(tail[: header["i"]])
        blocks = _unblocks(tail[header["i"] :], version)
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
    return _frame(_PARTS, {"p": _part_heads(parts)}, blocks)


def decode_parts(form: bytes) -> tuple[Part, ...]:
    """The part list that the joined index blocks hold."""
    header, tail, version = _unframe(_PARTS, form)
    try:
        return _unparts(header["p"], _unblocks(tail, version))
    except (KeyError, TypeError, ValueError) as problem:
        raise Corrupt(f"a part list cannot be read: {problem}") from problem


def find_block(form: bytes, attempt: str, number: int) -> Block | None:
    """One block of the part list that `form` holds, without reading the others."""
    header, table, version = _unframe(_PARTS, form)
    try:
        at = 0
        for _, of, _, _, _, count in header["p"]:
            if of == attempt and 0 <= number < count:
                return _block(version, *_ENTRY.unpack_from(table, (at + number) * _ENTRY.size))
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
