"""GC: blocks go only after leeway, after a second look at their upload and at every record of its key.

    due row ─ open        still open after leeway: close it
            ─ superseded  no record names the upload and every sink has what superseded it: close it
            ─ parts       drop the attempts that Complete did not name
            ─ closing     nobody can be filing into it any more: delete blocks and the rows of its parts
            ─ closed      nobody can be deleting its blocks any more: its row goes, unless a block came late

While an upload's row says closing, its blocks may be deleted by any number of runs at once, for nothing
can come to name them: the sink holds a record that would. Once the row is gone such a record, arriving
late, opens the upload again and files the same blocks anew, and a run that was still deleting would
take them. So the row outlives every deletion: it goes in a step of its own that deletes no block, a
leeway after the last one; a run looks at entry and row once more right before it acts, and a look ends
in one transaction that only one run can win. This needs no lock and no lease, so it holds on every
store, however many runs overlap.

In      owed: the (bucket id, key hash) pairs some enabled link has not confirmed, or None when that
        cannot be told; then nothing superseded is touched (law *gc*: never on a partial view)
Out     Report of what was done and what was held, with the reasons
Source  DESIGN §5 "GC"; the race it must not repeat: research/riakcs.md §1.10.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass, field

from chalicelib.domain import codec
from chalicelib.domain.errors import Conflict, Corrupt, Missing, StoreError
from chalicelib.domain.forms import decode_upload, encode_upload
from chalicelib.domain.manifest import index_attempt
from chalicelib.domain.upload import Upload, UploadState
from chalicelib.objects import bodies, due, multipart, rows, uploads
from chalicelib.objects.due import Due
from chalicelib.ports.metadata import Check, Delete, RowId, Table, Write, expected
from chalicelib.ports.site import HOUR_MS, Site

FAILURES_MAX = 20  # of looks in one run; more are no matter of single uploads
_PAGE = 200


@dataclass(slots=True)
class Report:
    """What one run did: counts of uploads; `held` counts what a sink still needs, `lost` what it lost."""

    closed: int = 0
    collected: int = 0
    blocks: int = 0
    held: int = 0
    lost: int = 0
    kept: int = 0
    unfinished: bool = False  # time was up: the next run goes on
    problems: list[str] = field(default_factory=list)


def run(
    site: Site,
    owed: Set[tuple[str, str]] | None,
    *,
    now_ms: int | None = None,
    stop_ms: int | None = None,
) -> Report:
    """Look at everything that is due. `now_ms` later than the clock's looks at what will be due then:
    only for where nobody else is at work, for it cuts leeway short. No look begins after `stop_ms`; shards
    begin at another one each hour, so that what is held in one never keeps the others waiting. Nor does an
    upload that cannot be looked at or removed: the first such failure is raised when all others were."""
    report = Report()
    failures: list[StoreError] = []
    for row, form in _due(site, site.clock.now_ms() if now_ms is None else now_ms):
        if stop_ms is not None and site.clock.now_ms() >= stop_ms:
            report.unfinished = True
            break
        try:
            _look(site, row, form, owed, report)
        except StoreError as problem:
            failures.append(problem)
            if len(failures) == FAILURES_MAX:
                break
    if failures:
        raise failures[0]
    return report


def _due(site: Site, until: int) -> Iterator[tuple[RowId, bytes]]:
    first = site.clock.now_ms() // HOUR_MS
    for n in range(site.metadata.shards):
        pk = rows.due_pk((first + n) % site.metadata.shards)
        start, after = b"", False
        while True:
            end = (until + 1).to_bytes(6)
            page = site.metadata.scan(Table.UPLOADS, pk, start=start, after=after, end=end, limit=_PAGE)
            for sk, form in page:
                yield RowId(Table.UPLOADS, pk, sk), form
            if len(page) < _PAGE:
                break
            start, after = page[-1][0], True


def _look(site: Site, row: RowId, form: bytes, owed: Set[tuple[str, str]] | None, report: Report) -> None:
    entry = due.decode(form)
    now, upload_form = site.metadata.get([row, rows.upload(entry.upload)])
    if now != form:
        return  # another run has dealt with it since the page was read
    end: list[Write] = [Delete(row, form)]
    if upload_form is not None:
        upload = decode_upload(upload_form)
        if not _WHAT[entry.reason](site, entry, upload, owed, report):
            return
        end += _next_step(site, entry, upload)
    try:
        site.metadata.transact(end)
    except Conflict:
        return  # another run did the same, and was first
    report.collected += any(write.row == rows.upload(entry.upload) for write in end)


def _next_step(site: Site, entry: Due, upload: Upload) -> list[Write]:
    """What follows a look at a closing upload, in the transaction that ends the look."""
    if upload.state is not UploadState.CLOSING:
        return []
    if entry.reason == due.CLOSING:
        due_ms = site.clock.now_ms() + site.rules.leeway_ms
        return [due.put(site, due_ms, due.CLOSED, upload.id, entry.bucket_id, entry.key_hash)]
    if entry.reason == due.CLOSED:
        if any(site.blocks.list_upload(upload.id)):  # whoever filed it so late may not delete
            now_ms = site.clock.now_ms()
            return [due.put(site, now_ms, due.CLOSING, upload.id, entry.bucket_id, entry.key_hash)]
        return [Delete(rows.upload(upload.id), encode_upload(upload))]
    return []


def _open(site: Site, entry: Due, upload: Upload, owed: Set[tuple[str, str]] | None, report: Report) -> bool:
    if upload.state is UploadState.OPEN and uploads.close(site, upload):
        report.closed += 1
        site.blocks.delete_upload(upload.id)
    return True


def _superseded(
    site: Site, entry: Due, upload: Upload, owed: Set[tuple[str, str]] | None, report: Report
) -> bool:
    if upload.state is UploadState.CLOSING:
        return True
    head_row = rows.head(entry.bucket_id, entry.key_hash)
    head_form = site.metadata.get([head_row])[0]
    if head_form is None:
        report.problems.append(f"upload {upload.id}: its key has no head; kept")
        return False
    if codec.decode_record(head_form).upload == upload.id:
        report.kept += 1
        return True
    if owed is None:
        report.held += 1
        return False
    if (entry.bucket_id, entry.key_hash) in owed:
        if site.clock.now_ms() - entry.since_ms < site.rules.gc_hold_ms:
            report.held += 1
            return False
        report.lost += 1
        site.log.event("gc_hold_ended", bucket=entry.bucket_id, key_hash=entry.key_hash)
    # The head is checked in the same transaction: a record that comes to name the upload again
    # between our look and the close would otherwise lose its blocks.
    if not uploads.close(site, upload, Check(head_row, expected(head_form))):
        return False
    report.closed += 1
    report.blocks += sum(1 for _ in site.blocks.list_upload(upload.id))
    site.blocks.delete_upload(upload.id)
    return True


def _parts(site: Site, entry: Due, upload: Upload, owed: Set[tuple[str, str]] | None, report: Report) -> bool:
    if upload.state is not UploadState.COMMITTED:
        return True
    head_form = site.metadata.get([rows.head(entry.bucket_id, entry.key_hash)])[0]
    head = codec.decode_record(head_form) if head_form is not None else None
    if head is None or head.upload != upload.id:
        return False  # superseded: it goes as a whole, unless a record comes to name it again
    try:
        kept = {part.attempt for part in bodies.parts_of(site, head)}
    except (Missing, Corrupt) as problem:
        report.problems.append(f"upload {upload.id}: its part list cannot be read; kept: {problem}")
        return False
    kept.add(index_attempt(head.index))
    # By what is filed, not by the attempts' rows: one that broke off left blocks and no row.
    for block_id, _ in list(site.blocks.list_upload(upload.id)):
        if block_id.attempt not in kept:
            report.blocks += 1
            site.blocks.delete(block_id)
    _drop_attempts(site, upload)
    return True


def _closing(
    site: Site, entry: Due, upload: Upload, owed: Set[tuple[str, str]] | None, report: Report
) -> bool:
    if upload.state is not UploadState.CLOSING:
        return True
    site.blocks.delete_upload(upload.id)
    _drop_attempts(site, upload)
    return True


def _closed(
    site: Site, entry: Due, upload: Upload, owed: Set[tuple[str, str]] | None, report: Report
) -> bool:
    return True  # the row goes with the entry: `_next_step`


_WHAT = {
    due.OPEN: _open,
    due.SUPERSEDED: _superseded,
    due.PARTS: _parts,
    due.CLOSING: _closing,
    due.CLOSED: _closed,
}


def _drop_attempts(site: Site, upload: Upload) -> None:
    size = min(site.metadata.items_max, 100)
    parts = [one.part for one in multipart.attempts(site, upload.id)]
    for at in range(0, len(parts), size):
        some = parts[at : at + size]
        site.metadata.transact([Delete(rows.attempt(upload.id, part.number, part.attempt)) for part in some])


def orphans(site: Site) -> list[str]:
    """Uploads that have blocks here but no row: what no GC entry will ever find. Always empty, or a bug."""
    return [
        upload
        for upload in sorted(site.blocks.uploads())
        if site.metadata.get([rows.upload(upload)])[0] is None
    ]
