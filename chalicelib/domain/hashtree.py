"""The hash tree of a bucket: what two sites compare instead of their records.

    key hash (32 hex digits) ─ the path: fan-out 16, DEPTH levels of nodes, entries below
    entry   16-byte digest of the key's record, the same at every site that holds the record
    node    Node(keys, digest): how many entries lie below it, and the sum of their digests mod 2^128

A sum instead of a hash of hashes: a changed entry changes every node above it by (new - old), so
folding a change reads no sibling. Worked example: entries 3 and 5 give Node(2, 8); 5 becomes 9:
Node(2, 8 + 9 - 5) = Node(2, 12) = the node of entries 3 and 9.

Source  Bellare & Micciancio 1997 (AdHash); DESIGN §5 "Fullsync".
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

DEPTH = 4  # 65,536 lowest nodes: about 16 keys each in a bucket of a million
DIGEST_BYTES = 16
_MODULUS = 1 << (8 * DIGEST_BYTES)
_COUNT_BYTES = 6


class Node(NamedTuple):
    """`keys` entries below, their digests' sum."""

    keys: int
    digest: int


EMPTY = Node(0, 0)


def entry_digest(form: bytes) -> bytes:
    """The digest of a key from its record's stored form, which holds nothing that differs by site."""
    return hashlib.blake2b(form, digest_size=DIGEST_BYTES).digest()


def path(key_hash: str) -> list[str]:
    """The prefixes of the nodes above a key, root first."""
    return [key_hash[:depth] for depth in range(DEPTH + 1)]


def changed(node: Node, old: bytes | None, new: bytes | None) -> Node:
    """The node after an entry below it went from `old` to `new` (None: no entry)."""
    count, total = node
    if old is not None:
        count, total = count - 1, total - int.from_bytes(old)
    if new is not None:
        count, total = count + 1, total + int.from_bytes(new)
    return Node(count, total % _MODULUS)


def encode(node: Node) -> bytes:
    """22 bytes: count, digest."""
    return node.keys.to_bytes(_COUNT_BYTES) + node.digest.to_bytes(DIGEST_BYTES)


def decode(form: bytes | None) -> Node:
    """The node a row holds; EMPTY for no row."""
    if form is None:
        return EMPTY
    return Node(int.from_bytes(form[:_COUNT_BYTES]), int.from_bytes(form[_COUNT_BYTES:]))
