"""Blocks as files of a directory, each whole and on the disk before anybody is told so.

    root/blocks/<2 hex>/<upload>/<attempt>-<number>      one block
    root/manifests/…                                     documents
    root/tmp/<pid>-<count>                               being written; `sweep` removes leftovers

Order     of every write, law *durable*: temporary file written → fdatasync → rename → fsync of the
          directory → fsync of each directory above it whose own name may not be on the disk yet.
Floor     `put` refuses with NoRoom what would leave less than `free_floor_bytes`; links, documents and
          deletes go on below it, so that what was deleted can be recorded and room can be made.
Fail-stop after a failed fsync the kernel may have dropped the pages and forgotten about it: nothing is
          tried again, `fatal` is called, every later write is refused.
Errors    ENOSPC, EDQUOT: NoRoom · before the rename: Unavailable · failed fsync, or after the rename:
          Indeterminate · a sector that cannot be read: Corrupt
Source    Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020; DESIGN §3, §5.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from chalicelib.adapters.filesystem.durable import DurableFiles, end_process
from chalicelib.domain.errors import NoRoom
from chalicelib.domain.filing import check_block, check_document, check_token, fan_out
from chalicelib.domain.manifest import BlockId, BlockRef
from chalicelib.ports.blocks import Buffer

FREE_FLOOR_BYTES = 1 << 30  # the tables must be able to grow while GC makes room
_FILE_NAME = re.compile(r"(.+)-(0|[1-9][0-9]*)")


class DirectoryBlocks:
    """The blocks of one site under one directory, on one filesystem."""

    def __init__(
        self,
        root: Path,
        free_floor_bytes: int = FREE_FLOOR_BYTES,
        fatal: Callable[[OSError], object] = end_process,
    ) -> None:
        self._files = DurableFiles(root, fatal)
        self._floor = free_floor_bytes

    def sweep(self) -> int:
        """Remove what a crash left half written, at start, before any other process uses `root`."""
        return self._files.sweep()

    def put(self, block_id: BlockId, body: Buffer) -> None:
        """File a block."""
        directory, name = _place(block_id)
        if self._files.free_bytes() - len(body) < self._floor:
            raise NoRoom(f"less than {self._floor} bytes would be left free")
        self._files.write(directory, name, body)

    def get(self, ref: BlockRef) -> bytes | None:
        """The block's bytes as they are on the disk."""
        return self._files.read("/".join(_place(ref.id)))

    def link(self, source: BlockId, target: BlockId) -> bool:
        """A hard link: files are never changed in place."""
        return self._files.link("/".join(_place(source)), *_place(target))

    def delete(self, block_id: BlockId) -> None:
        """Remove one block. Its directory stays: only `delete_upload` removes directories."""
        self._files.remove(*_place(block_id))

    def delete_upload(self, upload: str) -> None:
        """Remove an upload's directory, for good: the caller then forgets the upload itself."""
        self._files.remove_directory(_directory(upload))

    def list_upload(self, upload: str) -> Iterator[tuple[BlockId, int]]:
        """Blocks and sizes, in no order."""
        for name, size in self._files.sizes(_directory(upload)):
            match = _FILE_NAME.fullmatch(name)
            if match is not None:
                yield BlockId(upload, match[1], int(match[2])), size

    def uploads(self) -> Iterator[str]:
        """Uploads with a file in their directory."""
        for outer in self._files.entries("blocks"):
            for entry in self._files.entries(f"blocks/{outer.name}"):
                if any(True for _ in self._files.entries(f"blocks/{outer.name}/{entry.name}")):
                    yield entry.name

    def put_document(self, name: str, body: bytes) -> None:
        """Write a document, as durably as a block."""
        self._files.write(*_split(name), body)

    def get_document(self, name: str) -> bytes | None:
        """Read a document."""
        return self._files.read(check_document(name))

    def delete_document(self, name: str) -> None:
        """Remove a document for good: one that came back would come back into rebuilt tables."""
        self._files.remove(*_split(name), forever=True)


def _directory(upload: str) -> str:
    return f"blocks/{fan_out(upload)}/{check_token(upload)}"


def _place(block_id: BlockId) -> tuple[str, str]:
    check_block(block_id)
    return _directory(block_id.upload), f"{block_id.attempt}-{block_id.number}"


def _split(document: str) -> tuple[str, str]:
    directory, _, name = check_document(document).rpartition("/")
    return directory, name
