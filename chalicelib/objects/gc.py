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

A look that leaves an entry, because the upload is held or something failed, puts it an hour off, so that
the entries behind it get their turn: in order of time, each is looked at before any comes round again.

In      owes: asked right before a superseded upload is closed, of its entry and its key's head, whether
        an enabled link has yet to confirm that head; None when that cannot be told: then the upload is not
        touched, whatever its age (law *gc*: never on a partial view). False must stay false while the head
        stands: the head is checked again in the transaction that closes
Out     Report of what was done and what was held, with the reasons
Source  DESIGN §5 "GC"; the race it must not repeat: research/riakcs.md §1.10.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from chalicelib.domain import codec
from chalicelib.domain.errors import Conflict, Corrupt, Missing, StoreError
from chalicelib.domain.forms import decode_upload, encode_upload
from chalicelib.domain.manifest import Record, index_attempt
from chalicelib.domain.upload import Upload, UploadState
from chalicelib.objects import bodies, documents, due, multipart, rows, uploads
from chalicelib.objects.due import Due
from chalicelib.ports.metadata import Check, Delete, Put, RowId, Table, Write, expected
from chalicelib.ports.site import HOUR_MS, Site

FAILURES_MAX = 20  # of looks in one run; more are no matter of single uploads
AGAIN_MS = HOUR_MS  # until an entry that stays is looked at again; never longer than leeway
_PAGE = 200

Owes = Callable[[Due, Record], bool | None]


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
    owes: Owes,
    *,
    now_ms: int | None = None,
    stop_ms: int | None = None,
) -> Report:
    """Look at everything that is due. `now_ms` later than the clock's looks at what will be due then:
    only for where nobody else is at work, for it cuts leeway short. No look begins after `stop_ms`, and
    nothing is read before the first but its page; shards begin at another one each hour, for where a run has
    no time for all of them. An upload that cannot be looked at or removed is put off; the first such failure
    is raised when all were looked at, or FAILURES_MAX failed: then the next run goes on behind those."""
    report = Report()
    failures: list[StoreError] = []
    until = site.clock.now_ms() if now_ms is None else now_ms
    for row, form in _due(site, until):
        if stop_ms is not None and site.clock.now_ms() >= stop_ms:
            report.unfinished = True
            break
        try:
            _look(site, row, form, owes, report, until)
        except StoreError as problem:
            failures.append(problem)
            with suppress(StoreError):  # then it is first again, if it is not another run's by now
                site.metadata.transact([Delete(row, form), _again(site, form, until)])
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


def _look(site: Site, row: RowId, form: bytes, owes: Owes, report: Report, until: int) -> None:
    entry = due.decode(form)
    now, upload_form = site.metadata.get([row, rows.upload(entry.upload)])
    if now != form:
        return  # another run has dealt with it since the page was read
    end: list[Write] = [Delete(row, form)]
    upload = decode_upload(upload_form) if upload_form is not None else None
    if upload is not None and not _WHAT[entry.reason](site, entry, upload, owes, report):
        end.append(_again(site, form, until))
    else:
        if entry.superseded:
            documents.remove(site, entry.bucket_id, entry.key_hash, entry.superseded)
        end += _next_step(site, entry, upload) if upload is not None else []
    try:
        site.metadata.transact(end)
    except Conflict:
        return  # another run did the same, and was first
    report.collected += any(write.row == rows.upload(entry.upload) for write in end)


def _again(site: Site, form: bytes, until: int) -> Put:
    """The same entry later on: behind all that a run up to `until` looks at, no later than its hold ends."""
    entry = due.decode(form)
    now_ms = max(until, site.clock.now_ms())
    due_ms = now_ms + max(1, min(AGAIN_MS, site.rules.leeway_ms))
    hold_ends_ms = entry.since_ms + site.rules.gc_hold_ms
    if entry.reason == due.SUPERSEDED and now_ms < hold_ends_ms < due_ms:
        due_ms = hold_ends_ms
    return Put(due.row(site, due_ms, entry.reason, entry.upload), form)


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


def _open(site: Site, entry: Due, upload: Upload, owes: Owes, report: Report) -> bool:
    if upload.state is UploadState.OPEN and uploads.close(site, upload):
        report.closed += 1
        site.blocks.delete_upload(upload.id)
    return True


def _superseded(site: Site, entry: Due, upload: Upload, owes: Owes, report: Report) -> bool:
    if upload.state is UploadState.CLOSING:
        return True
    head_row = rows.head(entry.bucket_id, entry.key_hash)
    head_form = site.metadata.get([head_row])[0]
    if head_form is None:
        report.problems.append(f"upload {upload.id}: its key has no head; kept")
        return False
    head = codec.decode_record(head_form)
    if head.upload == upload.id:
        report.kept += 1
        return True
    owed = owes(entry, head)
    if owed is None:
        report.held += 1
        return False
    if owed:
        if site.clock.now_ms() - entry.since_ms < site.rules.gc_hold_ms:
            report.held += 1
            return False
        report.lost += 1
        site.log.event("gc_hold_ended", bucket=entry.bucket_id, key_hash=entry.key_hash)
    # The head is checked in the same transaction: a record that comes to name the upload again
    # between our look and the close would otherwise lose its blocks; a newer one is owed anew.
    if not uploads.close(site, upload, Check(head_row, expected(head_form))):
        return False
    report.closed += 1
    report.blocks += sum(1 for _ in site.blocks.list_upload(upload.id))
    site.blocks.delete_upload(upload.id)
    return True


def _parts(site: Site, entry: Due, upload: Upload, owes: Owes, report: Report) -> bool:
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


def _closing(site: Site, entry: Due, upload: Upload, owes: Owes, report: Report) -> bool:
    if upload.state is not UploadState.CLOSING:
        return True
    site.blocks.delete_upload(upload.id)
    _drop_attempts(site, upload)
    return True


def _closed(site: Site, entry: Due, upload: Upload, owes: Owes, report: Report) -> bool:
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
