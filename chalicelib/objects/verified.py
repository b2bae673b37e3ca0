"""A BlockStore before a BlockStore that lets no wrong byte through: law *true bytes*.

get     the inner store's bytes if they match the block's check (XXH3-128, fast enough for every read), or
        its SHA-256 where nobody here saw the bytes to compute one;
        None if they are not there; Corrupt if they are damaged, truncated or not what was asked for.
Others  pass through.
Source  DESIGN §5: BLAKE3 where bytes pass through us, SHA-256 where the store vouches at write, XXH3-128 for
        local reads.
"""

from __future__ import annotations

from collections.abc import Iterator

from chalicelib.domain.errors import Corrupt
from chalicelib.domain.manifest import Block, BlockId, BlockRef, HashAlgorithm
from chalicelib.ports.blocks import BlockStore, Buffer
from chalicelib.ports.system import Hashing


def matches(hashing: Hashing, ref: BlockRef, body: Buffer) -> bool:
    """Whether `body`, fresh from another site, is what `ref` says: by its strong hash."""
    return len(body) == ref.block.size and _hashed(hashing, ref.block, body) == ref.block.hash


def _hashed(hashing: Hashing, block: Block, body: Buffer) -> bytes:
    return hashing.sha256(body) if block.algorithm is HashAlgorithm.SHA256 else hashing.hash(body)


class VerifiedBlocks:
    """Checks what it reads; see the module."""

    def __init__(self, inner: BlockStore, hashing: Hashing) -> None:
        self._inner = inner
        self._hashing = hashing

    def get(self, ref: BlockRef) -> bytes | None:
        """The block, verified."""
        body = self._inner.get(ref)
        if body is None:
            return None
        if not self._passes(ref, body):
            raise Corrupt(f"block {ref.id.upload}/{ref.id.attempt}/{ref.id.number} fails its check")
        return body

    def _passes(self, ref: BlockRef, body: bytes) -> bool:
        if ref.block.algorithm is not HashAlgorithm.BLAKE3:
            return matches(self._hashing, ref, body)
        return len(body) == ref.block.size and self._hashing.check(body) == ref.block.check

    def put(self, block_id: BlockId, body: Buffer) -> None:
        """Pass through."""
        self._inner.put(block_id, body)

    def link(self, source: BlockId, target: BlockId) -> bool:
        """Pass through."""
        return self._inner.link(source, target)

    def delete(self, block_id: BlockId) -> None:
        """Pass through."""
        self._inner.delete(block_id)

    def delete_upload(self, upload: str) -> None:
        """Pass through."""
        self._inner.delete_upload(upload)

    def list_upload(self, upload: str) -> Iterator[tuple[BlockId, int]]:
        """Pass through."""
        return self._inner.list_upload(upload)

    def uploads(self) -> Iterator[str]:
        """Pass through."""
        return self._inner.uploads()

    def put_document(self, name: str, body: bytes) -> None:
        """Pass through."""
        self._inner.put_document(name, body)

    def get_document(self, name: str) -> bytes | None:
        """Pass through."""
        return self._inner.get_document(name)

    def delete_document(self, name: str) -> None:
        """Pass through."""
        self._inner.delete_document(name)
