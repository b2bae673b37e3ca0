"""`causeway cp` to a site: small bodies by PUT, larger ones block by block, straight to the block store.

    bytes → parts of one block (more where 10,000 would not hold the object) → batches of BATCH_BLOCKS
    batch: hash · ask for URLs · PUT side by side · have the site verify → ETags of its parts
    commit names them all

Where the endpoint offers no such way, or the block store is not to be reached from here, the bytes go through
the endpoint: cp_plain.
Memory  BATCHES + 1 batches, 32 MiB each; more only for objects above 312 GiB, and streams above 58 GiB, whose
        parts are longer
Errors  Failure, after the upload was aborted: of what failed half-way nothing stays. One too if the site says
        it holds another number of bytes than it was sent
Source  docs/direct.md
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from chalicelib.cli import cp_answer, cp_plain
from chalicelib.cli.cp_body import Readable, Rest, read_up_to
from chalicelib.cli.cp_names import Remote
from chalicelib.cli.cp_site import THREADS, Moved, NotOffered, Site, Unreached, told
from chalicelib.cli.failure import Exit, Failure

ONE_PUT_MAX = 4 * 1024 * 1024  # fits a function's payload, and a record may hold it inline
BATCH_BLOCKS = 8
BATCHES = 2  # on their way at once, while the next is read
ROUNDS = 3  # of PUT and verify for one batch
STREAM_STEP = 1000  # a stream's parts are twice as long after each so many: its length is not known before
_TOO_LARGE = frozenset({"EntityTooLarge", "413"})
Part = list[bytes]


def upload(
    site: Site, source: Readable, size: int | None, target: Remote, headers: dict[str, str], moved: Moved
) -> dict[str, Any]:
    """Copy `source`, of `size` bytes if that is known. What became of it."""
    first = read_up_to(source, ONE_PUT_MAX + 1)
    if len(first) <= ONE_PUT_MAX:
        with told():
            kind = {"ContentType": headers["content-type"]} if headers else {}
            etag = site.s3.put_object(Bucket=target.bucket, Key=target.key, Body=first, **kind)["ETag"]
        moved(len(first))
        return {"etag": etag.strip('"'), "bytes": len(first), "blocks": 0, "direct": False}
    try:
        begun = site.ask("begin", bucket=target.bucket, key=target.key, size=size or 0, headers=headers)
    except NotOffered:
        return cp_plain.upload(site, Rest(first, source), size, target, headers, moved)
    rest = Rest(first, source)
    try:
        return Sending(site, target, begun, size, moved).send(rest)
    except Unreached as unreached:
        again = rest.again()
        if again is None:
            raise
        site.stop.clear()
        try:
            done = cp_plain.upload(site, again, size, target, headers, moved)
        except Failure as failure:  # a function, which cannot take it either
            raise (unreached if failure.code in _TOO_LARGE else failure) from None
        return done | {"why": str(unreached)}


class Sending:
    """One upload by blocks, of `size` bytes if that is known."""

    def __init__(
        self, site: Site, target: Remote, begun: dict[str, Any], size: int | None, moved: Moved
    ) -> None:
        self._site = site
        self._at = {"bucket": target.bucket, "key": target.key, "upload": cp_answer.text(begun, "upload")}
        self._size = size
        self._block_size = cp_answer.block_size(begun)
        self._part_blocks = cp_answer.part_blocks(begun, size)
        self._moved = moved
        self._puts = ThreadPoolExecutor(THREADS, "put")
        self._batches = ThreadPoolExecutor(BATCHES, "batch")

    def send(self, source: Rest) -> dict[str, Any]:
        """Everything `source` gives; aborted if anything goes wrong."""
        try:
            etags, blocks = self._send_all(self._parts(source), source)
            if self._size not in (None, source.given):
                told_ = f"the file had {self._size} bytes and gave {source.given}: it was written meanwhile"
                raise Failure(Exit.NO, f"{told_}; run it again")
            parts = [{"number": number, "etag": etag} for number, etag in enumerate(etags, 1)]
            done = self._site.ask("commit", **self._at, parts=parts)
        except BaseException:  # Ctrl-C too
            self._site.stop.set()
            self._batches.shutdown(wait=False, cancel_futures=True)
            self._puts.shutdown(wait=False, cancel_futures=True)
            self._abort()
            raise
        self._batches.shutdown()
        self._puts.shutdown()
        etag, held = cp_answer.text(done, "etag"), cp_answer.number(done, "size")
        if held != source.given:
            raise Failure(Exit.REFUSED, f"{source.given} bytes were sent, and the site says it holds {held}")
        return {"etag": etag, "bytes": held, "blocks": blocks, "direct": True}

    def _parts(self, source: Rest) -> Iterator[Part]:
        number, block = 0, b"x"
        while block:
            count = self._part_blocks
            if self._size is None:
                count <<= min(number // STREAM_STEP, 8)
            part: Part = []
            while len(part) < count and (block := source.read(self._block_size)):
                part.append(block)
            if part:
                yield part
            number += 1

    def _send_all(self, parts: Iterator[Part], source: Rest) -> tuple[list[str], int]:
        """The ETags of all parts, in order, and how many blocks they have."""
        waiting: list[Future[list[str]]] = []
        etags: list[str] = []
        batch: list[Part] = []
        first, blocks = 1, 0

        def hand_over() -> None:
            nonlocal batch, first
            while len(waiting) >= BATCHES:  # the oldest first: ETags stay in order, memory bounded
                etags.extend(waiting.pop(0).result())
                source.settled()
            waiting.append(self._batches.submit(self._send_batch, first, batch))
            first, batch = first + len(batch), []

        for part in parts:
            batch.append(part)
            blocks += len(part)
            if sum(map(len, batch)) >= BATCH_BLOCKS:
                hand_over()
        if batch:
            hand_over()
        for one in waiting:
            etags.extend(one.result())
        return etags, blocks

    def _send_batch(self, first: int, batch: list[Part]) -> list[str]:
        hashed = list(self._puts.map(_sha256, [block for part in batch for block in part]))
        parts, at = [], 0
        for number, part in enumerate(batch, first):
            described = [
                {"size": len(block), "sha256": digest}
                for block, digest in zip(part, hashed[at : at + len(part)], strict=True)
            ]
            parts.append({"number": number, "blocks": described})
            at += len(part)
        for left in reversed(range(ROUNDS)):
            if self._put_batch(parts, batch):
                try:
                    made = self._site.ask("verify", **self._at, parts=parts)
                except Failure as failure:
                    if failure.code != "InvalidPart" or not left:
                        raise
                else:
                    self._moved(sum(len(block) for part in batch for block in part))
                    answered = cp_answer.objects(made, "parts", len(parts))
                    return [cp_answer.text(one, "etag") for one in answered]
            self._site.pause(0)
        raise Failure(
            Exit.UNREACHABLE, "the block store says again and again that its URLs are no longer good"
        )

    def _put_batch(self, parts: list[dict[str, Any]], batch: list[Part]) -> bool:
        """PUT every block; False if some URL was too old."""
        answer = self._site.ask("urls", **self._at, parts=parts)
        urls = [
            (cp_answer.text(url, "url"), url.get("headers"))
            for one, part in zip(cp_answer.objects(answer, "parts", len(batch)), batch, strict=True)
            for url in cp_answer.objects(one, "urls", len(part))
        ]
        bodies = [block for part in batch for block in part]
        put = self._site.blocks.put
        futures = [
            self._puts.submit(put, url, headers, body)
            for (url, headers), body in zip(urls, bodies, strict=True)
        ]
        return all([future.result() for future in futures])

    def _abort(self) -> None:
        """Best effort: what stays open GC takes after its leeway."""
        self._site.stop.clear()
        with suppress(Failure, NotOffered):
            self._site.ask("abort", **self._at)
        self._site.stop.set()


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
