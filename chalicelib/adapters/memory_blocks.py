"""Blocks in a dict, for the simulator and for tests: the contract of ports/blocks.py and no more.

Order   listings are sorted, so that one seed always gives one run
Promise `put` copies, so the caller may reuse its buffer; safe among threads
Source  ports/blocks.py; contract: tests/conformance/blocks.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from chalicelib.domain.filing import check_block, check_document, check_token
from chalicelib.domain.manifest import BlockId, BlockRef
from chalicelib.ports.blocks import Buffer

Place = tuple[str, int]  # (attempt, number)


class MemoryBlocks:
    """upload → (attempt, number) → bytes."""

    def __init__(self) -> None:
        self._uploads: dict[str, dict[Place, bytes]] = {}
        self._documents: dict[str, bytes] = {}

    def put(self, block_id: BlockId, body: Buffer) -> None:
        """File a copy of `body`."""
        check_block(block_id)
        blocks = self._uploads.setdefault(block_id.upload, {})
        blocks[block_id.attempt, block_id.number] = bytes(body)

    def get(self, ref: BlockRef) -> bytes | None:
        """The block's bytes, or None."""
        return self._find(ref.id)

    def link(self, source: BlockId, target: BlockId) -> bool:
        """File the same bytes twice; bytes never change, so one object serves both names."""
        check_block(target)
        body = self._find(source)
        if body is None:
            return False
        self.put(target, body)
        return True

    def delete(self, block_id: BlockId) -> None:
        """Remove one block."""
        check_block(block_id)
        self._uploads.get(block_id.upload, {}).pop((block_id.attempt, block_id.number), None)

    def delete_upload(self, upload: str) -> None:
        """Remove an upload."""
        self._uploads.pop(check_token(upload), None)

    def list_upload(self, upload: str) -> Iterator[tuple[BlockId, int]]:
        """Blocks and sizes, by attempt, then number."""
        blocks = self._uploads.get(check_token(upload), {})
        for (attempt, number), body in sorted(blocks.items()):
            yield BlockId(upload, attempt, number), len(body)

    def uploads(self) -> Iterator[str]:
        """Uploads with at least one block, sorted."""
        return iter(sorted(upload for upload, blocks in self._uploads.items() if blocks))

    def put_document(self, name: str, body: bytes) -> None:
        """Write a document."""
        self._documents[check_document(name)] = bytes(body)

    def get_document(self, name: str) -> bytes | None:
        """Read a document."""
        return self._documents.get(check_document(name))

    def delete_document(self, name: str) -> None:
        """Remove a document."""
        self._documents.pop(check_document(name), None)

    def _find(self, block_id: BlockId) -> bytes | None:
        check_block(block_id)
        return self._uploads.get(block_id.upload, {}).get((block_id.attempt, block_id.number))
