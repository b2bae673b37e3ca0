"""Opening, committing and closing uploads: whoever files blocks does it inside one of these.

open_upload   the upload's row and its GC entry, before the first block
committing    the writes that turn an open upload into a committed one, for the commit's transaction
abandon       close an upload that failed while we watched, and drop its blocks
close         open or committed → closing, by compare-and-set; False if somebody else was first
drop          the blocks of an upload we closed: at once where this process deletes (Rules.deletes);
              where it does not, GC's look at what is closing, a leeway later, does
leave_to_gc   a block was filed into an upload whose row has gone: closing again, for GC to find
Source        DESIGN §5; the transitions are the table in domain.upload.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from chalicelib.domain.errors import Conflict, StoreError
from chalicelib.domain.forms import decode_upload, encode_upload
from chalicelib.domain.upload import Upload, UploadState, move
from chalicelib.objects import due, rows
from chalicelib.ports.metadata import ABSENT, Delete, Put, Write
from chalicelib.ports.site import Site


def new_id(site: Site) -> str:
    """An upload id: unguessable, and in order of opening within a site."""
    return f"{site.clock.now_ms():012x}{site.ids.token(10)}"


def open_upload(site: Site, upload: Upload) -> None:
    """Write the row before any block is filed, so that a crash leaves nothing unknown."""
    due_ms = upload.opened_ms + site.rules.leeway_ms
    site.metadata.transact(
        [
            Put(rows.upload(upload.id), encode_upload(upload), ABSENT),
            due.for_key(site, due_ms, due.OPEN, upload.id, upload.bucket_id, upload.key),
            *_listed(upload),
        ]
    )


def _listed(upload: Upload) -> list[Write]:
    if not upload.multipart:
        return []
    row = rows.open_upload(upload.bucket_id, upload.key, upload.id)
    return [Put(row, encode_upload(upload))]


def committing(site: Site, upload: Upload, **changes: object) -> list[Write]:
    """Fails the transaction it is part of if the upload is no longer open."""
    move(upload.state, UploadState.COMMITTED)
    committed = replace(upload, state=UploadState.COMMITTED, **changes)  # type: ignore[arg-type]
    due_ms = upload.opened_ms + site.rules.leeway_ms
    writes: list[Write] = [
        Put(rows.upload(upload.id), encode_upload(committed), encode_upload(upload)),
        Delete(due.row(site, due_ms, due.OPEN, upload.id)),
    ]
    if upload.multipart:
        writes.append(Delete(rows.open_upload(upload.bucket_id, upload.key, upload.id)))
    return writes


def load(site: Site, upload_id: str) -> Upload | None:
    """The upload as its row shows it."""
    form = site.metadata.get([rows.upload(upload_id)])[0]
    return decode_upload(form) if form is not None else None


def close(site: Site, upload: Upload, *guards: Write) -> bool:
    """Nobody can commit the upload after this; its blocks may be deleted. Its rows stay for a leeway,
    so that whoever is still filing a block into it can see that it must be taken back."""
    move(upload.state, UploadState.CLOSING)
    closing = replace(upload, state=UploadState.CLOSING)
    due_ms = site.clock.now_ms() + site.rules.leeway_ms
    writes: list[Write] = [
        Put(rows.upload(upload.id), encode_upload(closing), encode_upload(upload)),
        due.for_key(site, due_ms, due.CLOSING, upload.id, upload.bucket_id, upload.key),
        *guards,
    ]
    if upload.multipart:
        writes.append(Delete(rows.open_upload(upload.bucket_id, upload.key, upload.id)))
    try:
        site.metadata.transact(writes)
    except Conflict:
        return False
    return True


def abandon(site: Site, upload: Upload) -> None:
    """Best effort after a failure: what cannot be done now, GC does after leeway."""
    try:
        if close(site, upload):
            drop(site, upload)
    except StoreError as problem:
        site.log.event("upload_not_closed", upload=upload.id, problem=type(problem).__name__)


def drop(site: Site, upload: Upload) -> None:
    """Delete the blocks of an upload that is closing, if that is this process's to do."""
    if site.rules.deletes:
        site.blocks.delete_upload(upload.id)


def leave_to_gc(site: Site, upload: Upload) -> None:
    """Have GC come once more. If the row is there again, its blocks are somebody's, or GC will come."""
    closing = replace(upload, state=UploadState.CLOSING)
    due_ms = site.clock.now_ms() + site.rules.leeway_ms
    with suppress(Conflict):
        site.metadata.transact(
            [
                Put(rows.upload(upload.id), encode_upload(closing), ABSENT),
                due.for_key(site, due_ms, due.CLOSING, upload.id, upload.bucket_id, upload.key),
            ]
        )
