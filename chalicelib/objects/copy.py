"""COPY: a new record from an old one, moving no byte through the caller where the store can link.

    onto itself     a new record over the same upload: only what is said about the object changes; blocks
                    still on their way here are fetched first, for what a site stamps it holds
    small           the inline body is in the record already
    otherwise       a new upload whose blocks are links to the old ones (a hard link, CopyObject);
                    a block that is not here yet is fetched from another site and filed

The source's ETag and checksum stay: the bytes are the same.
Errors  PreconditionFailed, Missing, NoSuchBucket; Unavailable while blocks are on their way
Source  AWS CopyObject; DESIGN §5 "Copy".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from chalicelib.domain.errors import Conflict, Unavailable
from chalicelib.domain.forms import encode_upload
from chalicelib.domain.manifest import BlockId, BlockRef, Part, Record, index_refs, part_refs
from chalicelib.domain.names import key_hash
from chalicelib.domain.stamp import Stamp
from chalicelib.domain.upload import Upload, UploadState
from chalicelib.objects import bodies, rows, uploads
from chalicelib.objects.commit import OpenBucket, commit
from chalicelib.objects.errors import NoSuchKey
from chalicelib.objects.put import PutRequest, check_conditions
from chalicelib.ports.metadata import Check, Delete, Write
from chalicelib.ports.site import Site

LINKS_AT_ONCE = 32  # CopyObject is slow and cheap to wait for


def copy_object(site: Site, source: Record, bucket: OpenBucket, request: PutRequest) -> Record:
    """Store what `source` holds under another key (or its own), with `request`'s metadata."""
    if source.bucket_id == bucket.id and source.key == request.key:
        return _over_itself(site, source, bucket, request)
    if not source.upload:
        return commit(site, bucket, request.key, _build(site, source, bucket, request, source))
    return _linked(site, source, bucket, request)


def _build(
    site: Site, source: Record, bucket: OpenBucket, request: PutRequest, body: Record
) -> Callable[[Record | None, Stamp], Record]:
    def build(head: Record | None, stamp: Stamp) -> Record:
        check_conditions(request, head)
        return replace(
            body,
            bucket_id=bucket.id,
            key=request.key,
            stamp=stamp,
            modified_ms=site.clock.now_ms(),
            owner=request.owner,
            headers=request.headers,
            metadata=request.metadata,
            origin=source.origin if body is source else site.id,
        )

    return build


def _over_itself(site: Site, source: Record, bucket: OpenBucket, request: PutRequest) -> Record:
    inner = _build(site, source, bucket, request, source)

    def build(head: Record | None, stamp: Stamp) -> Record:
        if head is None or not head.live or head.stamp != source.stamp:
            raise Conflict("the object changed while it was copied onto itself; try again")
        return inner(head, stamp)

    extra: list[Write] = []
    if source.upload:
        upload = uploads.load(site, source.upload)
        if upload is None or upload.state is not UploadState.COMMITTED:
            raise NoSuchKey(source.key)
        extra.append(Check(rows.upload(upload.id), encode_upload(upload)))
        extra += _completed(site, source)
    return commit(site, bucket, request.key, build, *extra)


def _completed(site: Site, source: Record) -> list[Write]:
    """Have every block of an object here; what to commit with that. Otherwise the new record would rest
    on blocks that its sender may collect, once it hears that this site has something newer."""
    incomplete = rows.incomplete(source.bucket_id, key_hash(source.key), site.metadata.shards)
    if site.metadata.get([incomplete])[0] is None:
        return []
    refs = [*index_refs(source), *part_refs(source, bodies.parts_of(site, source))]
    for ref in _missing(site, source, refs):
        with site.buffers.hold(ref.block.size):
            bodies.fetch(site, ref)  # which keeps it
    if _missing(site, source, refs):
        raise Unavailable("the object is still on its way to this site; try again")
    return [Delete(incomplete)]


def _missing(site: Site, source: Record, refs: list[BlockRef]) -> list[BlockRef]:
    here = dict(site.blocks.list_upload(source.upload))
    return [ref for ref in refs if here.get(ref.id) != ref.block.size]


def _linked(site: Site, source: Record, bucket: OpenBucket, request: PutRequest) -> Record:
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
        parts = bodies.parts_of(site, source)
        link_blocks(site, source, parts, upload.id)
        index = bodies.index_if_long(site, upload.id, parts)
        body = replace(source, upload=upload.id, parts=() if index else parts, index=index)
        build = _build(site, source, bucket, request, body)
        return commit(site, bucket, request.key, build, *uploads.committing(site, upload))
    except Exception:
        uploads.abandon(site, upload)
        raise


def link_blocks(site: Site, source: Record, parts: tuple[Part, ...], upload: str) -> None:
    """File every block of `parts` under `upload` too."""
    refs = list(part_refs(source, parts))
    for at in range(0, len(refs), LINKS_AT_ONCE):
        some = refs[at : at + LINKS_AT_ONCE]
        tasks = [site.parallel.start(partial(_link, site, ref, upload)) for ref in some]
        try:
            linked = [task.result() for task in tasks]
        finally:
            bodies.settle_all(tasks)
        for ref in (ref for ref, done in zip(some, linked, strict=True) if not done):
            with site.buffers.hold(site.rules.block_size):
                site.blocks.put(_target(ref, upload), bodies.fetch(site, ref))


def _target(ref: BlockRef, upload: str) -> BlockId:
    return BlockId(upload, ref.id.attempt, ref.id.number)


def _link(site: Site, ref: BlockRef, upload: str) -> bool:
    return site.blocks.link(ref.id, _target(ref, upload))
