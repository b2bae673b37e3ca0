"""Multipart uploads: create, upload a part, complete, abort, list. Open ones are local to their site.

Every attempt at a part has its own id and row, so a part sent twice never mixes blocks. Complete is
one transaction, upload open → committed plus the record; Abort is open → closing; one of them wins.
A repeated Complete that would give the same ETag is answered from the committed upload until leeway.

Errors  NoSuchUpload, InvalidPart, InvalidPartOrder, EntityTooSmall, EntityTooLarge, PreconditionFailed
Source  AWS multipart upload API; DESIGN §5 "Multipart".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from chalicelib.domain.errors import Conflict, Determinate, Indeterminate, StoreError
from chalicelib.domain.forms import decode_attempt, decode_upload, encode_attempt, encode_upload
from chalicelib.domain.manifest import Block, BlockId, Checksum, Part, Record
from chalicelib.domain.names import key_hash
from chalicelib.domain.stamp import Stamp
from chalicelib.domain.upload import PartAttempt, Upload, UploadState
from chalicelib.objects import bodies, due, rows, uploads
from chalicelib.objects.commit import OpenBucket, commit
from chalicelib.objects.errors import (
    EntityTooLarge,
    EntityTooSmall,
    InvalidPart,
    InvalidPartOrder,
    NoSuchUpload,
)
from chalicelib.objects.get import current
from chalicelib.objects.put import CheckedBody, PutRequest, check_conditions
from chalicelib.ports.metadata import Check, Put, Table
from chalicelib.ports.site import Site

PART_BYTES_MIN = 5 * 1024 * 1024  # S3's least size of every part but the last
OBJECT_BYTES_MAX = 5 * 1024**4  # S3's largest object
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class NamedPart:
    """A part as Complete names it; `checksum` is base64 or ""."""

    number: int
    etag: str
    checksum: str = ""


def create(
    site: Site, bucket: OpenBucket, request: PutRequest, algorithm: str = "", kind: str = ""
) -> Upload:
    """Open a multipart upload."""
    upload = Upload(
        uploads.new_id(site),
        bucket.id,
        request.key,
        UploadState.OPEN,
        site.clock.now_ms(),
        site.id,
        multipart=True,
        owner=request.owner,
        headers=request.headers,
        metadata=request.metadata,
        checksum_algorithm=algorithm,
        checksum_kind=kind,
    )
    uploads.open_upload(site, upload)
    return upload


def require(site: Site, bucket: OpenBucket, key: str, upload_id: str) -> Upload:
    """The open upload of that id, bucket and key."""
    upload = uploads.load(site, upload_id)
    if upload is None or (upload.bucket_id, upload.key) != (bucket.id, key):
        raise NoSuchUpload(upload_id)
    if not upload.multipart or upload.state is not UploadState.OPEN:
        raise NoSuchUpload(upload_id)
    return upload


def upload_part(
    site: Site, upload: Upload, number: int, body: CheckedBody, *, awaited: int = bodies.AWAITED_BYTES
) -> PartAttempt:
    """File one attempt at a part; what an earlier attempt left is collected after Complete or Abort.
    `awaited` is `bodies.write_blocks`'s."""
    attempt_id = site.ids.token(8)
    blocks = bodies.write_blocks(site, upload.id, attempt_id, body, awaited=awaited)
    try:
        etag, checksum = body.finish()
    except Exception:
        _drop(site, upload, attempt_id, blocks)
        raise
    size = sum(block.size for block in blocks)
    value = checksum.value if checksum else ""
    attempt = PartAttempt(Part(number, attempt_id, size, etag, value, blocks), site.clock.now_ms())
    try:
        save_attempts(site, upload, [attempt])
    except Determinate as problem:
        _drop(site, upload, attempt_id, blocks)
        if isinstance(problem, Conflict):
            raise NoSuchUpload(upload.id) from problem
        raise
    return attempt


def save_attempts(site: Site, upload: Upload, attempts: Sequence[PartAttempt]) -> None:
    """Write the attempts' rows, as many as one transaction takes but for one. After anything but Determinate
    the blocks are left to GC: the rows may stand, now or soon, and a Complete would name what they name.
    Conflict: the upload is no longer open."""
    puts = [
        Put(rows.attempt(upload.id, one.part.number, one.part.attempt), encode_attempt(one))
        for one in attempts
    ]
    try:
        site.metadata.transact([*puts, Check(rows.upload(upload.id), encode_upload(upload))])
    except Indeterminate as lost:
        try:
            found = site.metadata.get([put.row for put in puts])
        except StoreError as problem:  # Determinate is said of this look, not of the write
            raise lost from problem
        if found != [put.value for put in puts]:
            raise


def _drop(site: Site, upload: Upload, attempt_id: str, blocks: Sequence[Block]) -> None:
    """Best effort: what cannot be deleted now, or not by us, GC finds; the client hears of what went wrong
    before."""
    if not site.rules.deletes:
        return
    with suppress(StoreError):
        for number in range(len(blocks)):
            site.blocks.delete(BlockId(upload.id, attempt_id, number))


def attempts(site: Site, upload_id: str) -> list[PartAttempt]:
    """Every attempt at every part, by part number."""
    found: list[PartAttempt] = []
    start = b"p/"
    while True:
        page = site.metadata.scan(
            Table.UPLOADS,
            rows.upload_pk(upload_id),
            start=start,
            after=True,
            end=b"p0",
            limit=_PAGE,
        )
        found.extend(decode_attempt(form) for _, form in page)
        if len(page) < _PAGE:
            return found
        start = page[-1][0]


def latest_parts(site: Site, upload_id: str) -> list[PartAttempt]:
    """The newest attempt at each part, by part number: what ListParts shows."""
    newest: dict[int, PartAttempt] = {}
    for attempt in attempts(site, upload_id):
        known = newest.get(attempt.part.number)
        if known is None or attempt.modified_ms >= known.modified_ms:
            newest[attempt.part.number] = attempt
    return [newest[number] for number in sorted(newest)]


def _chosen(site: Site, upload: Upload, named: Sequence[NamedPart], part_bytes_min: int) -> tuple[Part, ...]:
    numbers = [part.number for part in named]
    if not numbers:
        raise InvalidPart("name at least one part")
    if any(a >= b for a, b in zip(numbers, numbers[1:], strict=False)):
        raise InvalidPartOrder("name the parts in ascending order, each once")
    newest = {attempt.part.number: attempt.part for attempt in latest_parts(site, upload.id)}
    parts = []
    for name in named:
        part = newest.get(name.number)
        if part is None or part.etag != name.etag.strip('"').lower():
            raise InvalidPart(f"part {name.number} was not uploaded with that ETag")
        if name.checksum and name.checksum != part.checksum:
            raise InvalidPart(f"part {name.number} was uploaded with another checksum")
        parts.append(part)
    for part in parts[:-1]:
        if part.size < part_bytes_min:
            raise EntityTooSmall(f"part {part.number} has {part.size} bytes")
    if sum(part.size for part in parts) > OBJECT_BYTES_MAX:
        raise EntityTooLarge(f"an object has at most {OBJECT_BYTES_MAX} bytes")
    return tuple(parts)


def etag_of(etags: Sequence[str]) -> str:
    """S3's ETag of a multipart object: the MD5 of the parts' MD5s, then the number of parts."""
    joined = b"".join(bytes.fromhex(etag.strip('"')) for etag in etags)
    return f"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{len(etags)}"


def complete(
    site: Site,
    bucket: OpenBucket,
    request: PutRequest,
    upload_id: str,
    named: Sequence[NamedPart],
    checksum_of: Callable[[Upload, tuple[Part, ...]], Checksum | None],
    part_bytes_min: int | None = None,
) -> Record:
    """Turn the named parts into the key's object; all but the last have at least `part_bytes_min`, S3's
    PART_BYTES_MIN if not given."""
    upload = uploads.load(site, upload_id)
    if upload is None or (upload.bucket_id, upload.key) != (bucket.id, request.key):
        raise NoSuchUpload(upload_id)
    repeated = _repeated(site, upload, named)
    if repeated is not None:
        return repeated
    if upload.state is not UploadState.OPEN:
        raise NoSuchUpload(upload_id)
    parts = _chosen(site, upload, named, PART_BYTES_MIN if part_bytes_min is None else part_bytes_min)
    checksum = checksum_of(upload, parts)
    etag = etag_of([part.etag for part in parts])
    index = bodies.index_if_long(site, upload.id, parts)
    build = _build(site, request, upload, parts, index, etag, checksum)
    hashed_due = site.clock.now_ms() + site.rules.leeway_ms
    try:
        return commit(
            site,
            bucket,
            request.key,
            build,
            *uploads.committing(site, upload, answer_etag=etag),
            due.for_key(site, hashed_due, due.PARTS, upload.id, bucket.id, request.key),
        )
    except Conflict as race:
        now = uploads.load(site, upload_id)
        again = _repeated(site, now, named) if now else None
        if again is None:
            raise NoSuchUpload(upload_id) from race
        return again


def _repeated(site: Site, upload: Upload, named: Sequence[NamedPart]) -> Record | None:
    """The answer to a Complete that was already carried out, if this is the same one."""
    if upload.state is not UploadState.COMMITTED or not named:
        return None
    try:
        etag = etag_of([part.etag for part in named])
    except ValueError:
        return None
    if etag != upload.answer_etag:
        return None
    record = current(site, upload.bucket_id, key_hash(upload.key))
    if record is not None and record.upload == upload.id:
        return record
    # Superseded since: the answer is still the same, and it is all the client is told.
    stamp = Stamp(upload.opened_ms, 0, site.id)
    return Record(upload.bucket_id, upload.key, stamp, True, upload.opened_ms, etag=etag)


def _build(
    site: Site,
    request: PutRequest,
    upload: Upload,
    parts: tuple[Part, ...],
    index: tuple[Block, ...],
    etag: str,
    checksum: Checksum | None,
) -> Callable[[Record | None, Stamp], Record]:
    def build(head: Record | None, stamp: Stamp) -> Record:
        check_conditions(request, head)
        return Record(
            bucket_id=upload.bucket_id,
            key=upload.key,
            stamp=stamp,
            live=True,
            modified_ms=site.clock.now_ms(),
            size=sum(part.size for part in parts),
            etag=etag,
            owner=upload.owner,
            headers=upload.headers,
            metadata=upload.metadata,
            checksum=checksum,
            origin=site.id,
            upload=upload.id,
            multipart=True,
            part_count=len(parts),
            parts=() if index else parts,
            index=index,
        )

    return build


def abort(site: Site, bucket: OpenBucket, key: str, upload_id: str) -> None:
    """Close the upload and drop its blocks."""
    upload = require(site, bucket, key, upload_id)
    if not uploads.close(site, upload):
        raise NoSuchUpload(upload_id)
    uploads.drop(site, upload)


@dataclass(frozen=True, slots=True)
class UploadPage:
    """Open uploads in order of key; `truncated` says there are more."""

    uploads: list[Upload]
    prefixes: list[str]
    truncated: bool


def list_uploads(
    site: Site,
    bucket_id: str,
    *,
    prefix: str,
    delimiter: str,
    after: tuple[str, str],
    max_uploads: int,
) -> UploadPage:
    """Open uploads after (key marker, upload id marker), common prefixes rolled up."""
    found: list[Upload] = []
    prefixes: list[str] = []
    start = b""
    while True:
        page = site.metadata.scan(
            Table.UPLOADS,
            rows.open_uploads_pk(bucket_id),
            start=start,
            after=bool(start),
            limit=_PAGE,
        )
        for upload in sorted((decode_upload(form) for _, form in page), key=lambda u: (u.key, u.id)):
            if not upload.key.startswith(prefix) or not _behind(upload, after):
                continue
            cut = upload.key.find(delimiter, len(prefix)) if delimiter else -1
            common = upload.key[: cut + len(delimiter)] if cut >= 0 else ""
            if common and (common in prefixes or common == after[0]):
                continue
            if len(found) + len(prefixes) == max_uploads:
                return UploadPage(found, prefixes, True)
            if common:
                prefixes.append(common)
            else:
                found.append(upload)
        if len(page) < _PAGE:
            return UploadPage(found, prefixes, False)
        start = page[-1][0]


def _behind(upload: Upload, after: tuple[str, str]) -> bool:
    key, upload_id = after
    if not key:
        return True
    return upload.key > key or (upload.key == key and bool(upload_id) and upload.id > upload_id)
