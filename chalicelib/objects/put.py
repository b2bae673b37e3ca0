"""PUT: a body becomes a record and, unless it is small, blocks.

    read the start of the body
    small: the record carries it inline ──────────────────────────────┐
    else: open an upload → file blocks while the body streams in ─────┤
    body.finish() says the body was what its headers promised         │
    commit ◀──────────────────────────────────────────────────────────┘

In      an open bucket, a key, the body and what its headers say
Out     the record
Errors  PreconditionFailed, and whatever the body raises: then nothing is stored
Source  DESIGN §5 "PUT"; AWS PutObject.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from chalicelib.domain.manifest import Checksum, Pairs, Part, Record
from chalicelib.domain.stamp import Stamp
from chalicelib.domain.upload import Upload, UploadState
from chalicelib.objects import bodies, uploads
from chalicelib.objects.commit import OpenBucket, commit
from chalicelib.objects.errors import NoSuchKey, PreconditionFailed
from chalicelib.ports.metadata import Write
from chalicelib.ports.site import Site

WHOLE = "0"  # the attempt that a plain PUT's blocks are filed under


class CheckedBody(Protocol):
    """A body that knows what it must turn out to be."""

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, b"" at the end."""

    def finish(self) -> tuple[str, Checksum | None]:
        """(MD5 hex, checksum to keep) once everything was read; raises if the body was not as promised."""


@dataclass(frozen=True, slots=True)
class PutRequest:
    """What a PUT's headers say. `if_match`: an ETag that must stand there; `if_none_match`: nothing may."""

    key: str
    owner: str
    headers: Pairs = ()
    metadata: Pairs = ()
    if_match: str | None = None
    if_none_match: bool = False


def check_conditions(request: PutRequest, head: Record | None) -> None:
    """Conditional writes, judged on the head inside the compare-and-set."""
    live = head if head is not None and head.live else None
    if request.if_none_match and live is not None:
        raise PreconditionFailed("If-None-Match")
    if request.if_match is not None:
        check_if_match(request.if_match, request.key, live)


def check_if_match(if_match: str, key: str, live: Record | None) -> None:
    """If-Match of a write: an ETag, or `*` for any object at all; S3 answers 404 for none."""
    if live is None:
        raise NoSuchKey(key)
    if if_match not in ("*", live.etag):
        raise PreconditionFailed("If-Match")


def put_object(site: Site, bucket: OpenBucket, request: PutRequest, body: CheckedBody) -> Record:
    """Store the body under the key."""
    first = bytes(bodies.read_up_to(body, site.rules.inline_max + 1))
    if len(first) <= site.rules.inline_max:
        etag, checksum = body.finish()
        return commit(site, bucket, request.key, _build(site, bucket, request, etag, checksum, first))
    return _put_blocks(site, bucket, request, body, first)


def _put_blocks(
    site: Site, bucket: OpenBucket, request: PutRequest, body: CheckedBody, first: bytes
) -> Record:
    upload = Upload(
        uploads.new_id(site),
        bucket.id,
        request.key,
        UploadState.OPEN,
        site.clock.now_ms(),
        site.id,
        owner=request.owner,
    )
    uploads.open_upload(site, upload)
    try:
        blocks = bodies.write_blocks(site, upload.id, WHOLE, body, first)
        etag, checksum = body.finish()
        part = Part(1, WHOLE, sum(b.size for b in blocks), etag, "", blocks)
        build = _build(site, bucket, request, etag, checksum, b"", upload.id, part)
        extra: list[Write] = uploads.committing(site, upload)
        return commit(site, bucket, request.key, build, *extra)
    except Exception:
        # Closing is a compare-and-set on the *open* row: should the commit have taken place after
        # all (its answer lost), the row is committed by now and nothing is closed.
        uploads.abandon(site, upload)
        raise


def _build(
    site: Site,
    bucket: OpenBucket,
    request: PutRequest,
    etag: str,
    checksum: Checksum | None,
    inline: bytes,
    upload: str = "",
    part: Part | None = None,
) -> Callable[[Record | None, Stamp], Record]:
    parts: tuple[Part, ...] = (part,) if part else ()
    index = bodies.index_if_long(site, upload, parts)

    def build(head: Record | None, stamp: Stamp) -> Record:
        check_conditions(request, head)
        return Record(
            bucket_id=bucket.id,
            key=request.key,
            stamp=stamp,
            live=True,
            modified_ms=site.clock.now_ms(),
            size=part.size if part else len(inline),
            etag=etag,
            owner=request.owner,
            headers=request.headers,
            metadata=request.metadata,
            checksum=checksum,
            origin=site.id,
            upload=upload,
            part_count=1,
            inline=inline,
            parts=() if index else parts,
            index=index,
        )

    return build
