"""Oracle: every operation a client began, what it was told, and whether that can be true.

    pending → acked | failed (told that nothing happened) | unknown (told nothing, or nothing certain)

durable     what was acknowledged is a record of that key at that site, and stays unless a later one took
            its place; an acknowledged delete left a tombstone
order       an operation on a key that starts after another was acknowledged at that site is stamped later
atomic, true bytes   what a reader sees is one operation's record with exactly that operation's bytes
answers     an operation that was told "nothing happened" never shows
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from chalicelib.domain.errors import Determinate, StoreError
from chalicelib.domain.manifest import Record
from chalicelib.domain.names import key_hash
from chalicelib.domain.stamp import Stamp
from chalicelib.objects.errors import ObjectsError
from tests.simulation.sites import SimSite
from tests.simulation.watch import Ledger, number_of
from tests.simulation.world import Died, World

PENDING, ACKED, FAILED, UNKNOWN = "pending", "acked", "failed", "unknown"


class ClientGone(Exception):
    """The client broke off in the middle of its body."""


@dataclass
class Op:
    """One operation: `content` says whose bytes it carries, for a copy carries another's."""

    number: int
    kind: str
    site: str
    bucket: str
    key: str
    content: int
    size: int
    status: str = PENDING
    floor: Stamp | None = None  # what this site had acknowledged or shown of the key when it began


def body_of(content: int, size: int) -> bytes:
    """The bytes an operation wrote: no two contents are alike."""
    return hashlib.shake_128(str(content).encode()).digest(size)


class Oracle:
    """Knows everything that was asked and answered."""

    def __init__(self, world: World, ledger: Ledger) -> None:
        self.world = world
        self._ledger = ledger
        self.ops: list[Op] = [Op(0, "none", "", "", "", 0, 0)]
        self._floors: dict[tuple[str, str, str], Stamp] = {}
        self.users: list[str] = []  # names asked for
        self.why: dict[int, str] = {}  # operation → the error it was told
        self.reads = 0

    def begin(self, kind: str, site: SimSite, bucket_id: str, key: str, size: int = 0) -> Op:
        """An operation is about to start."""
        number = len(self.ops)
        floor = self._floors.get((site.name, bucket_id, key))
        op = Op(number, kind, site.name, bucket_id, key, number, size, floor=floor)
        self.ops.append(op)
        self.world.log("begin", kind, number, key)
        return op

    # ---------------------------------------------------------------- answers

    def acked(self, op: Op, site: SimSite, record: Record) -> None:
        """A write was acknowledged with this record."""
        op.status = ACKED
        self.world.log("acked", op.number, str(record.stamp)[8:])
        history = site.watch.history[record.bucket_id, key_hash(record.key)]
        if not any(known.stamp == record.stamp for known in history):
            self.world.fail("durable", f"{op} acknowledged with {record.stamp}, which was never committed")
        if op.floor is not None and record.stamp <= op.floor:
            self.world.fail("order", f"{op} got {record.stamp}, not above {op.floor} acknowledged before it")
        self._raise_floor(site, record)

    def again(self, op: Op) -> Op:
        """Another request about the same multipart upload, with a floor of its own."""
        return replace(op, floor=self._floors.get((op.site, op.bucket, op.key)))

    def completed(self, op: Op, site: SimSite) -> None:
        """A Complete was acknowledged; the record may have been committed by an earlier try."""
        known = [r for r in site.watch.history[op.bucket, key_hash(op.key)] if number_of(r) == op.number]
        if not known:
            self.world.fail("durable", f"{op} was completed, but no record of it was ever committed")
        if op.status == FAILED:
            self.world.fail("answers", f"{op} was both aborted and completed")
        op.status = ACKED
        self._raise_floor(site, known[0])

    def aborted(self, op: Op) -> None:
        """An Abort was acknowledged: the upload never shows."""
        if op.number in self._ledger.committed:
            self.world.fail("answers", f"{op} was aborted, yet its record was committed")
        op.status = FAILED

    def deleted(self, op: Op, site: SimSite, bucket_id: str, before: int) -> None:
        """A delete was acknowledged; `before` is how many records the key had had when it began."""
        op.status = ACKED
        history = site.watch.history[bucket_id, key_hash(op.key)]
        tombstones = [record for record in history[max(0, before - 1) :] if not record.live]
        if not tombstones:
            self.world.fail("durable", f"{op} acknowledged, but no tombstone was committed")
        self._raise_floor(site, tombstones[0])

    def _raise_floor(self, site: SimSite, record: Record) -> None:
        place = (site.name, record.bucket_id, record.key)
        known = self._floors.get(place)
        if known is None or record.stamp > known:
            self._floors[place] = record.stamp

    def refused(self, op: Op, problem: BaseException) -> None:
        """An operation ended with an error: decide what the client may conclude."""
        self.world.log("error", op.number, type(problem).__name__, str(problem)[:80])
        certain = isinstance(problem, Determinate | ObjectsError | ClientGone)
        if not certain and not isinstance(problem, StoreError | Died):
            raise problem
        self.why[op.number] = type(problem).__name__
        if op.kind == "multipart":  # one answer of many about the same upload
            return
        op.status = FAILED if certain else UNKNOWN
        if certain and op.number in self._ledger.committed:
            self.world.fail("answers", f"{op} was told {problem!r}, yet its record was committed")

    # ------------------------------------------------------------------ reads

    def shown(self, op: Op, site: SimSite, record: Record) -> Op:
        """A reader was given this record; the operation that wrote it."""
        self.reads += 1
        history = site.watch.history[record.bucket_id, key_hash(record.key)]
        if not any(known.stamp == record.stamp for known in history):
            self.world.fail("atomic", f"{op} was shown {record.stamp}, which was never the head")
        if op.floor is not None and record.stamp < op.floor:
            self.world.fail("durable", f"{op} was shown {record.stamp}, older than {op.floor}")
        writer = self.ops[number_of(record)]
        if writer.status == FAILED:
            self.world.fail("answers", f"{op} was shown {writer}, which was told that nothing happened")
        if writer.key != op.key or record.size != writer.size:
            self.world.fail("atomic", f"{op} was shown a record of {record.size} bytes of {writer}")
        self._raise_floor(site, record)
        return writer

    def nothing(self, op: Op, site: SimSite, bucket_id: str) -> None:
        """A reader was told that the key holds nothing."""
        self.reads += 1
        if op.floor is None:
            return
        history = site.watch.history[bucket_id, key_hash(op.key)]
        if not any(not record.live and record.stamp >= op.floor for record in history):
            self.world.fail("durable", f"{op} was told of no key, though {op.floor} was acknowledged or seen")

    def bytes_are(self, op: Op, writer: Op, start: int, end: int, body: bytes, whole: bool) -> None:
        """A reader received these bytes of [start, end); `whole` if the answer ended well."""
        true = body_of(writer.content, writer.size)[start:end]
        good = body == true if whole else true.startswith(body)
        if not good:
            self.world.fail("true bytes", f"{op} got {len(body)} bytes that are not those of {writer}")
