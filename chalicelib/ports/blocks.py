"""Where object bytes live: blocks, written once, read many, filed by upload.

    BlockId(upload, attempt, number) → bytes, 1 … BLOCK_SIZE

Promises
  put       atomic and durable when it returns; the same block may be put again with the same bytes.
  get       exactly the bytes that were put, or None if nothing is filed there. An adapter may return
            damaged bytes (a disk does); `objects.verified` stands before every adapter and raises Corrupt.
  link      files an existing block under a second name without moving bytes through the caller;
            False if the source is not there. Deleting one name leaves the other.
  delete_upload  removes every block of an upload; removing none is no error.
  uploads   every upload that has a block here, in any order, for audits.
  document  small named texts beside the blocks (`manifests/…`), from which tables can be rebuilt.
Errors  Unavailable: did not happen · Indeterminate: may have · NoRoom: below the free-space floor
Source  Riak CS `riak_cs_block_server`; Materialize persist `Blob`; DESIGN §5.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from chalicelib.domain.manifest import BlockId, BlockRef

Buffer = bytes | bytearray | memoryview


class BlockStore(Protocol):
    """The blocks of one site."""

    def put(self, block_id: BlockId, body: Buffer) -> None:
        """File a block. The caller may reuse the buffer as soon as this returns."""

    def get(self, ref: BlockRef) -> bytes | None:
        """The block's bytes, or None if it is not here."""

    def link(self, source: BlockId, target: BlockId) -> bool:
        """File `source`'s bytes under `target` too."""

    def delete(self, block_id: BlockId) -> None:
        """Remove one block if it is here."""

    def delete_upload(self, upload: str) -> None:
        """Remove every block of an upload."""

    def list_upload(self, upload: str) -> Iterator[tuple[BlockId, int]]:
        """Every block of an upload with its size in bytes."""

    def uploads(self) -> Iterator[str]:
        """Every upload that has at least one block here."""

    def put_document(self, name: str, body: bytes) -> None:
        """Write the document `name`, a `/`-separated path under `manifests/`."""

    def get_document(self, name: str) -> bytes | None:
        """The document `name`, or None."""

    def delete_document(self, name: str) -> None:
        """Remove the document `name` if it is there."""
