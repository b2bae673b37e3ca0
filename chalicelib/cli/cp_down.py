"""`causeway cp` from a site: blocks straight from the block store, or ranges that fit a function's answer.

    read (the direct API)   → pieces: offset, which bytes of which block, its hash, a URL
    fetch a piece           by URL · by a fresh URL · by a ranged GET through the endpoint
    give                    pieces in order, so a pipe can take them too

Every piece that is a whole block is checked against the hash its record holds, whichever way it came. Where
the endpoint tells no hashes, the ETag of an object that was stored in one PUT is its MD5, checked at the end.
All is of one version of the object: it was found by its ETag, and Failure says if it was written anew. Pieces
come in order, without gaps, and no byte is written beyond the size that was told.
Memory  THREADS + 2 pieces
Errors  Failure
Source  docs/direct.md
"""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from blake3 import blake3

from chalicelib.cli import cp_answer
from chalicelib.cli.cp_answer import nonsense
from chalicelib.cli.cp_names import Remote
from chalicelib.cli.cp_site import THREADS, TRIES, Moved, NotOffered, Site, Unreached, refused, told
from chalicelib.cli.failure import Exit, Failure
from chalicelib.domain.filing import BLOCK_BYTES_MAX

RANGE_BYTES = 4 * 1024 * 1024  # of one answer: what a function can give
_HASHES: dict[str, Callable[[bytes], str]] = {
    "BLAKE3": lambda body: blake3(body).hexdigest(),
    "SHA256": lambda body: hashlib.sha256(body).hexdigest(),
}
_MD5 = re.compile(r"[0-9a-f]{32}").fullmatch
_TOTAL = re.compile(r"bytes \d+-\d+/(\d+)").fullmatch


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes [offset, offset + size) of the object: [start, end) of a block."""

    offset: int
    start: int
    end: int
    block_size: int
    algorithm: str = ""  # "": the endpoint tells no hashes
    hash: str = ""
    url: str | None = field(default=None, repr=False)

    @property
    def size(self) -> int:
        """How many bytes."""
        return self.end - self.start

    @property
    def whole(self) -> bool:
        """Whether its bytes are those that were hashed."""
        return (self.start, self.end) == (0, self.block_size) and bool(self.algorithm)

    def true(self, block: bytes) -> bool:
        """Whether `block` is what the record says."""
        hashed = _HASHES.get(self.algorithm)
        if hashed is None:
            raise Failure(Exit.REFUSED, f"blocks by {self.algorithm}: this causeway is too old to check them")
        return len(block) == self.block_size and hashed(block) == self.hash


@dataclass
class Found:
    """The object, and how its bytes came."""

    size: int
    etag: str
    inline: bytes = b""
    told: bool = True  # whether the endpoint tells hashes
    version: str = ""
    straight: int = 0
    ranged: int = 0
    why: str = ""  # the block store was not read from, though the site offers that


class Receiving:
    """One object; see the module."""

    def __init__(self, site: Site, source: Remote, *, ranged: bool) -> None:
        self._site = site
        self._at = {"bucket": source.bucket, "key": source.key}
        self._by_url = not ranged
        self._page: dict[str, Any] = {}
        self.found = self._find()

    def _find(self) -> Found:
        try:
            page = self._page = self._site.ask("read", **self._at)
        except NotOffered:
            return self._find_plain()
        size, etag = cp_answer.number(page, "size"), cp_answer.text(page, "etag")
        return Found(size, etag, cp_answer.inline_bytes(page), version=cp_answer.text(page, "version"))

    def _find_plain(self) -> Found:
        """The length stands in an answer to a range: a REST API hides that of a HEAD."""
        try:
            answer = self._get(0, RANGE_BYTES, "")
        except Failure as failure:
            if failure.code != "InvalidRange":
                raise
            with told():
                return Found(0, self._site.s3.get_object(**self._names())["ETag"].strip('"'), told=False)
        total = _TOTAL(answer.get("ContentRange", ""))
        with told():
            size = int(total[1]) if total else int(answer["ContentLength"])
            return Found(size, answer["ETag"].strip('"'), told=False)

    def _names(self) -> dict[str, str]:
        return {"Bucket": self._at["bucket"], "Key": self._at["key"]}

    def _get(self, start: int, end: int, etag: str) -> Any:
        from botocore.exceptions import ClientError

        match = {"IfMatch": f'"{etag}"'} if etag else {}
        with told():
            try:
                return self._site.s3.get_object(**self._names(), Range=f"bytes={start}-{end - 1}", **match)
            except ClientError as problem:
                failure = refused(problem)
                raise (_explained(failure) if etag else failure) from problem

    def give(self, target: BinaryIO, moved: Moved) -> None:
        """Write all of it."""
        found = self.found
        md5 = hashlib.md5(usedforsecurity=False)
        check = not found.told and _MD5(found.etag) is not None
        size = 0
        for body in self._bodies():
            size += len(body)
            if size > found.size:
                raise nonsense(f"an object of {found.size} bytes, and more than those")
            target.write(body)
            moved(len(body))
            if check:
                md5.update(body)
        if size != found.size:
            raise Failure(Exit.NO, f"{size} of {found.size} bytes came; run it again")
        if check and md5.hexdigest() != found.etag:
            raise Failure(Exit.NO, "the bytes that came are not those of the object's ETag; run it again")

    def _bodies(self) -> Iterator[bytes]:
        if self.found.inline:
            yield self.found.inline
            return
        flying: deque[Future[bytes]] = deque()
        pool = ThreadPoolExecutor(THREADS, "get")
        try:
            for piece in self._pieces():
                flying.append(pool.submit(self._fetch, piece))
                if len(flying) > THREADS:
                    yield flying.popleft().result()
            while flying:
                yield flying.popleft().result()
        finally:
            if flying:
                self._site.stop.set()
            pool.shutdown(wait=False, cancel_futures=True)

    def _pieces(self) -> Iterator[Piece]:
        if not self.found.told:
            for at in range(0, self.found.size, RANGE_BYTES):
                end = min(at + RANGE_BYTES, self.found.size)
                yield Piece(at, 0, end - at, end - at)
            return
        page, at = self._page, 0
        while True:
            begun = at
            for block in cp_answer.objects(page, "blocks"):
                piece = _piece(block, at, self.found.size)
                at += piece.size
                yield piece
            if page.get("next") is None:
                return
            if cp_answer.number(page, "next") != at or at == begun:
                raise nonsense(f"the page after byte {at} is said to begin elsewhere")
            page = self._read(at, self.found.size)

    def _read(self, start: int, end: int) -> dict[str, Any]:
        try:
            return self._site.ask("read", **self._at, start=start, end=end, version=self.found.version)
        except Failure as failure:
            raise _explained(failure) from None

    # -------------------------------------------------------------- one piece, on a thread of its own

    def _fetch(self, piece: Piece) -> bytes:
        block = self._straight(piece) if self._by_url and piece.url else None
        if block is not None:
            self.found.straight += 1
            return block if piece.whole else block[piece.start : piece.end]
        for tried in range(TRIES):
            body = self._ranged(piece)
            if len(body) == piece.size and (not piece.whole or piece.true(body)):
                self.found.ranged += 1
                return body
            self._site.pause(tried)
        end = piece.offset + piece.size - 1
        raise Failure(
            Exit.NO, f"bytes {piece.offset}-{end} come otherwise than their record says; run it again"
        )

    def _straight(self, piece: Piece) -> bytes | None:
        """By its URL, and by a fresh one: it may have waited here for longer than the first was good."""
        url = piece.url
        for again in (True, False):
            try:
                block = self._site.blocks.get(url) if url else None
            except Unreached as unreached:
                self._by_url, self.found.why = False, str(unreached)
                return None
            if block is not None and piece.true(block):
                return block
            if again:
                page = self._read(piece.offset, piece.offset + piece.size)
                url = next((_url(fresh) for fresh in cp_answer.objects(page, "blocks")), None)
        return None

    def _ranged(self, piece: Piece) -> bytes:
        bodies = []
        end = piece.offset + piece.size
        for at in range(piece.offset, end, RANGE_BYTES):
            upto = min(at + RANGE_BYTES, end)
            answer = self._get(at, upto, self.found.etag)
            with told(), closing(answer["Body"]) as stream:
                bodies.append(stream.read(upto - at))
                if stream.read(1):  # at the end this has botocore check length and checksum
                    raise nonsense(f"more than the {upto - at} bytes that were asked for")
        return b"".join(bodies)


def _piece(block: dict[str, Any], at: int, size: int) -> Piece:
    """What the site says stands at `at` of an object of `size` bytes."""
    if at >= size:
        raise nonsense(f"an object of {size} bytes, and more than those")
    long = cp_answer.number(block, "size", 1, BLOCK_BYTES_MAX)
    start = cp_answer.number(block, "start", 0, long - 1)
    return Piece(
        offset=cp_answer.number(block, "offset", at, at),
        start=start,
        end=cp_answer.number(block, "end", start + 1, min(long, start + size - at)),
        block_size=long,
        algorithm=cp_answer.text(block, "algorithm"),
        hash=cp_answer.text(block, "hash"),
        url=_url(block),
    )


def _url(block: dict[str, Any]) -> str | None:
    return None if block.get("url") is None else cp_answer.text(block, "url")


def _explained(failure: Failure) -> Failure:
    if failure.code in ("PreconditionFailed", "NoSuchKey"):
        told_ = "the object was written anew or deleted while it was read; run it again"
        return Failure(failure.exit, told_, failure.code)
    return failure
