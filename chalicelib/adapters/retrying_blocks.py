"""A BlockStore that asks a BlockStore again: every verb is idempotent, so trying twice is safe.

Tries   3, with 0.1 and 0.4 s between them, by the Clock port; listings are the caller's to repeat
Errors  Unavailable only if no try was Indeterminate: one lost answer among refusals may have happened.
        All but Unavailable and Indeterminate pass at once
Source  DESIGN §4: cross-cutting behaviour is a store that wraps a store; contract: tests/conformance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from chalicelib.domain.errors import Indeterminate, Unavailable
from chalicelib.domain.manifest import BlockId, BlockRef
from chalicelib.ports.blocks import BlockStore, Buffer
from chalicelib.ports.system import Clock

WAITS_MS = (100, 400)  # a 503 of S3 asks for patience; a client's own retry begins after seconds
T = TypeVar("T")


class RetryingBlocks:
    """Asks `inner` up to three times; see the module."""

    def __init__(self, inner: BlockStore, clock: Clock) -> None:
        self._inner = inner
        self._clock = clock

    def put(self, block_id: BlockId, body: Buffer) -> None:
        """File a block."""
        self._ask(lambda: self._inner.put(block_id, body))

    def get(self, ref: BlockRef) -> bytes | None:
        """The block's bytes, or None."""
        return self._ask(lambda: self._inner.get(ref))

    def link(self, source: BlockId, target: BlockId) -> bool:
        """File a block twice."""
        return self._ask(lambda: self._inner.link(source, target))

    def delete(self, block_id: BlockId) -> None:
        """Remove one block."""
        self._ask(lambda: self._inner.delete(block_id))

    def delete_upload(self, upload: str) -> None:
        """Remove an upload."""
        self._ask(lambda: self._inner.delete_upload(upload))

    def list_upload(self, upload: str) -> Iterator[tuple[BlockId, int]]:
        """Pass through."""
        return self._inner.list_upload(upload)

    def uploads(self) -> Iterator[str]:
        """Pass through."""
        return self._inner.uploads()

    def put_document(self, name: str, body: bytes) -> None:
        """Write a document."""
        self._ask(lambda: self._inner.put_document(name, body))

    def get_document(self, name: str) -> bytes | None:
        """Read a document."""
        return self._ask(lambda: self._inner.get_document(name))

    def delete_document(self, name: str) -> None:
        """Remove a document."""
        self._ask(lambda: self._inner.delete_document(name))

    def _ask(self, question: Callable[[], T]) -> T:
        doubt: Indeterminate | None = None
        for wait_ms in (*WAITS_MS, None):
            try:
                return question()
            except Indeterminate as problem:
                last: Indeterminate | Unavailable = problem
                doubt = problem
            except Unavailable as problem:
                last = problem
            if wait_ms is not None:
                self._clock.sleep_ms(wait_ms)
        raise doubt or last
