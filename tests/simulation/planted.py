"""Six bugs that such systems really have had, planted here and never in production: each must be found.

They show that the checkers see: a simulator that lets one of them pass proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from chalicelib.domain import resolution, stamp
from chalicelib.domain.manifest import Record
from chalicelib.domain.names import key_hash
from chalicelib.objects import commit, due, gc, put, uploads
from chalicelib.objects.get import current
from chalicelib.replication.outbox import Outbox


def _early(site: Any, bucket: Any, key: str, build: Any, *extra: Any) -> Record:
    """Acknowledges a PUT while its transaction is still under way."""
    head = current(site, bucket.id, key_hash(key))
    record = build(head, stamp.after(head.stamp if head else None, site.clock.now_ms(), site.id))
    site.parallel.start(lambda: commit.commit(site, bucket, key, build, *extra))
    return record


def _blind(incoming: Record, head: Record | None) -> bool:
    """The sink takes whatever arrives, as long as it is not what it has."""
    return head is None or incoming.stamp != head.stamp


def _confirm(self: Outbox, owing: Any) -> None:
    """The item goes as soon as the record has arrived, blocks or no blocks."""
    self.settle([owing])


def _no_look(site: Any, entry: Any, upload: Any, owed: Any, report: Any) -> bool:
    """GC believes what it noted when the upload was superseded."""
    if upload.state == "committed" and uploads.close(site, upload):
        site.blocks.delete_upload(upload.id)
    return True


def _no_site(incoming: Record, head: Record | None) -> bool:
    """Stamps compared without the site: two sites may both keep their own."""
    if head is None:
        return True
    one, other = incoming.stamp, head.stamp
    return (one.ms, one.counter) > (other.ms, other.counter)


def _wall_clock(previous: Any, now_ms: int, site: str) -> stamp.Stamp:
    """Stamps by the wall clock alone, not above the head's."""
    return stamp.Stamp(now_ms, 0, site)


PLANTED: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "ack before commit": (put, "commit", _early),
    "blind apply": (resolution, "supersedes", _blind),
    "confirm before blocks": (Outbox, "advance", _confirm),
    "gc without second look": (gc._WHAT, due.SUPERSEDED, _no_look),
    "no tie-break": (resolution, "supersedes", _no_site),
    "wall-clock stamps": (stamp, "after", _wall_clock),
}


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Production with this bug in it."""
    where, what, bug = PLANTED[name]
    if isinstance(where, dict):
        before = where[what]
        where[what] = bug
        try:
            yield
        finally:
            where[what] = before
        return
    before = getattr(where, what)
    setattr(where, what, bug)
    try:
        yield
    finally:
        setattr(where, what, before)
