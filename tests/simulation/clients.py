"""Clients: what people do at every site at once, on few keys, and what they are told about it.

A request is a task in the site's process: a crash breaks its connection. KINDS names the operations and
their weights; `race` sends several If-None-Match:* for one fresh key, of which one may win.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chalicelib.domain.errors import Missing
from chalicelib.domain.manifest import Record
from chalicelib.domain.names import key_hash
from chalicelib.objects import accounts, bodies, copy, delete, get, multipart, put
from chalicelib.objects.commit import OpenBucket
from chalicelib.objects.errors import NoSuchBucket, NoSuchKey, PreconditionFailed
from tests.simulation import clerk
from tests.simulation.oracle import ACKED, UNKNOWN, ClientGone, Op, Oracle, body_of
from tests.simulation.sites import Life, SimSite
from tests.simulation.swarm import Swarm
from tests.simulation.watch import number_of
from tests.simulation.world import World

KINDS = {
    "put inline": 9,
    "put blocks": 12,
    "put if": 5,
    "delete": 8,
    "copy": 5,
    "self-copy": 5,
    "multipart": 6,
    "get": 14,
    "get range": 6,
    "names": 8,
    "race": 1,
}
OWNER = "alice"
BODY_BYTES_MAX = 600


class SlowBody:
    """A body that arrives in pieces, and sometimes not at all."""

    def __init__(self, world: World, body: bytes, gone_at: int | None) -> None:
        self._world = world
        self._body = body
        self._gone_at = gone_at
        self._at = 0

    def read(self, size: int) -> bytes:
        """The next piece."""
        if self._gone_at is not None and self._at >= self._gone_at:
            raise ClientGone
        if self._world.rng.random() < 0.2:
            self._world.pause(self._world.rng.randrange(60))
        piece = self._body[self._at : self._at + min(size, 100)]
        self._at += len(piece)
        return piece

    def finish(self) -> tuple[str, None]:
        """What it turned out to be."""
        return hashlib.md5(self._body, usedforsecurity=False).hexdigest(), None


@dataclass
class Client:
    """One person at one site."""

    world: World
    swarm: Swarm
    oracle: Oracle
    site: SimSite
    buckets: list[str]
    rng: random.Random

    def work(self) -> None:
        """Everything this client does."""
        kinds, weights = list(KINDS), list(KINDS.values())
        for _ in range(self.swarm.operations):
            self.world.pause(self.rng.randrange(self.swarm.think_ms))
            kind = self.rng.choices(kinds, weights)[0]
            getattr(self, kind.replace(" ", "_").replace("-", "_"))(self.rng.choice(self.buckets))

    # ----------------------------------------------------------------- asking

    def ask(self, op: Op, work: Callable[[Life], Any]) -> Any:
        """Send a request and wait for its answer; None and a note in the oracle if it is an error."""
        while (life := self.site.life) is None or life.process.dead:
            self.world.pause(100)
        task = life.call(op.kind, lambda: work(life))
        try:
            return task.result()
        except Exception as problem:  # noqa: BLE001 - the oracle judges it
            self.oracle.refused(op, problem)
            return None

    def _handle(self, life: Life, bucket_id: str) -> OpenBucket:
        """The bucket as a handler finds it: by the name people know it by."""
        known = self.site.watch.bucket(bucket_id)
        if known is None:
            raise NoSuchBucket(bucket_id)
        handle = accounts.require_bucket(life.node.site, known.name)
        if handle.id != bucket_id:  # deleted and made again meanwhile: another bucket
            raise NoSuchBucket(known.name)
        return handle

    def names(self, bucket: str) -> None:
        clerk.turn(self)

    def _begin(self, kind: str, bucket: str, key: str = "", size: int = 0) -> Op:
        key = key or f"k{self.rng.randrange(self.swarm.keys)}"
        return self.oracle.begin(kind, self.site, bucket, key, size)

    def _request(self, op: Op, **conditions: Any) -> put.PutRequest:
        return put.PutRequest(op.key, OWNER, metadata=(("op", str(op.number)),), **conditions)

    def _put(self, op: Op, bucket: str, **conditions: Any) -> Record | None:
        body = SlowBody(self.world, body_of(op.content, op.size), None)
        if self.rng.random() < 0.03:
            body = SlowBody(self.world, body_of(op.content, op.size), self.rng.randrange(op.size + 1))

        def work(life: Life) -> Record:
            handle = self._handle(life, bucket)
            return put.put_object(life.node.site, handle, self._request(op, **conditions), body)

        record = self.ask(op, work)
        if record is not None:
            self.oracle.acked(op, self.site, record)
        return record

    # ---------------------------------------------------------------- writing

    def put_inline(self, bucket: str) -> None:
        self._put(self._begin("put inline", bucket, size=self.rng.randrange(1, 17)), bucket)

    def put_blocks(self, bucket: str) -> None:
        self._put(self._begin("put blocks", bucket, size=self.rng.randrange(17, BODY_BYTES_MAX)), bucket)

    def put_if(self, bucket: str) -> None:
        op = self._begin("put if", bucket, size=self.rng.randrange(1, 200))
        head = self.site.watch.heads.get((bucket, key_hash(op.key)))
        if self.rng.random() < 0.5:
            self._put(op, bucket, if_none_match=True)
        else:
            self._put(op, bucket, if_match=head.etag if head is not None else "*")

    def delete(self, bucket: str) -> None:
        op = self._begin("delete", bucket)
        before = len(self.site.watch.history[bucket, key_hash(op.key)])

        def work(life: Life) -> bool:
            handle = self._handle(life, bucket)
            delete.delete_object(life.node.site, handle, op.key)
            return True

        if self.ask(op, work):
            self.oracle.deleted(op, self.site, bucket, before)

    def copy(self, bucket: str) -> None:
        self._copied("copy", bucket, f"k{self.rng.randrange(self.swarm.keys)}")

    def self_copy(self, bucket: str) -> None:
        self._copied("self-copy", bucket, "")

    def _copied(self, kind: str, bucket: str, source_key: str) -> None:
        op = self._begin(kind, bucket)
        source_key = source_key or op.key
        atlas = self.site.atlas

        def work(life: Life) -> Record:
            site = life.node.site
            handle = self._handle(life, bucket)
            source = get.head(site, bucket, source_key)
            if atlas.touched(source.upload):  # see the atlas: such a copy could not be survived
                raise NoSuchKey(source_key)
            writer = self.oracle.ops[number_of(source)]
            op.content, op.size = writer.content, writer.size
            atlas.copying[source.upload] += 1
            try:
                return copy.copy_object(site, source, handle, self._request(op))
            finally:
                atlas.copying[source.upload] -= 1

        record = self.ask(op, work)
        if record is not None:
            self.oracle.acked(op, self.site, record)

    def race(self, bucket: str) -> None:
        """Law: exactly one winner of N concurrent If-None-Match:*."""
        key = f"race-{len(self.oracle.ops)}"
        ops = [self._begin("put if", bucket, key, self.rng.randrange(1, 120)) for _ in range(3)]

        def run(op: Op) -> None:
            self._put(op, bucket, if_none_match=True)

        tasks = [
            self.world.spawn(self.world.outside, f"race {op.number}", "race", lambda op=op: run(op))
            for op in ops
        ]
        for task in tasks:
            self.world.wait(task)
            if task.error is not None:
                raise task.error
        won = [op for op in ops if op.status == ACKED]
        lost = [op for op in ops if self.oracle.why.get(op.number) == PreconditionFailed.__name__]
        unsure = [op for op in ops if op.status == UNKNOWN]
        if len(won) > 1 or (lost and not won and not unsure):
            self.world.fail("one winner", f"{len(won)} of {ops} won")

    # -------------------------------------------------------------- multipart

    def multipart(self, bucket: str) -> None:
        count = self.rng.randrange(1, 5)
        sizes = [self.rng.randrange(16, 150) for _ in range(count)]
        op = self._begin("multipart", bucket, size=sum(sizes))
        body = body_of(op.content, op.size)

        def create(life: Life) -> str:
            handle = self._handle(life, bucket)
            return multipart.create(life.node.site, handle, self._request(op)).id

        upload_id = self.ask(op, create)
        if upload_id is None:
            return
        named = []
        for number, size in enumerate(sizes, 1):
            start = sum(sizes[: number - 1])
            etag = self._part(op, bucket, upload_id, number, body[start : start + size])
            if etag is None:
                return self._abort(op, bucket, upload_id)
            named.append(multipart.NamedPart(number, etag))
        if self.rng.random() < 0.2:
            return self._abort(op, bucket, upload_id)
        rival = None
        if self.rng.random() < 0.3:
            turn = self._abort if self.rng.random() < 0.5 else self._complete
            args = (op, bucket, upload_id) if turn == self._abort else (op, bucket, upload_id, named)
            rival = self.world.spawn(self.world.outside, "rival", "multipart", lambda: turn(*args))
        self._complete(op, bucket, upload_id, named)
        if rival is not None:
            rival.result()
        return None

    def _part(self, op: Op, bucket: str, upload_id: str, number: int, piece: bytes) -> str | None:
        """Upload a part, up to three times; its ETag."""

        def work(life: Life) -> str:
            site = life.node.site
            handle = self._handle(life, bucket)
            upload = multipart.require(site, handle, op.key, upload_id)
            body = SlowBody(self.world, piece, None)
            return multipart.upload_part(site, upload, number, body).part.etag

        again = self.rng.random() < 0.15
        for attempt in range(3):
            etag = self.ask(op, work)
            if etag is not None and not (again and attempt == 0):
                return etag
        return None

    def _complete(self, op: Op, bucket: str, upload_id: str, named: list[multipart.NamedPart]) -> None:
        for _ in range(2):
            asked = self.oracle.again(op)

            def work(life: Life) -> Record:
                site = life.node.site
                handle = self._handle(life, bucket)
                return multipart.complete(
                    site, handle, self._request(op), upload_id, named, lambda upload, parts: None
                )

            record = self.ask(asked, work)
            if record is not None:
                self.oracle.completed(op, self.site)
                return

    def _abort(self, op: Op, bucket: str, upload_id: str) -> None:
        def work(life: Life) -> bool:
            handle = self._handle(life, bucket)
            multipart.abort(life.node.site, handle, op.key, upload_id)
            return True

        if self.ask(self.oracle.again(op), work):
            self.oracle.aborted(op)

    # ---------------------------------------------------------------- reading

    def get(self, bucket: str) -> None:
        self._read("get", bucket, whole=True)

    def get_range(self, bucket: str) -> None:
        self._read("get range", bucket, whole=False)

    def _read(self, kind: str, bucket: str, whole: bool) -> None:
        op = self._begin(kind, bucket)
        self.ask(op, lambda life: read(self.world, self.oracle, self.site, life, op, bucket, whole))


def read(world: World, oracle: Oracle, site: SimSite, life: Life, op: Op, bucket: str, whole: bool) -> None:
    """GET as a handler does it, judged by the oracle as the client sees it."""
    inner = life.node.site
    try:
        record = get.head(inner, bucket, op.key)
    except NoSuchKey:
        oracle.nothing(op, site, bucket)
        return
    writer = oracle.shown(op, site, record)
    start, end = 0, record.size
    if not whole:
        start = world.rng.randrange(record.size)
        end = world.rng.randrange(start, record.size) + 1
    received = b""
    try:
        for piece in bodies.read(inner, record, start, end):
            received += piece
            if world.rng.random() < 0.1:
                world.pause(world.rng.randrange(40))
    except Missing:
        oracle.bytes_are(op, writer, start, end, received, whole=False)
        _lost_at_its_origin(world, site, record)
        raise
    oracle.bytes_are(op, writer, start, end, received, whole=True)


def _lost_at_its_origin(world: World, site: SimSite, record: Record) -> None:
    """A site that took an upload has its blocks for as long as its head names it."""
    head = site.watch.heads[record.bucket_id, key_hash(record.key)]
    ours = record.origin == site.name and head.upload == record.upload
    if ours and not site.atlas.touched(record.upload):
        world.fail("durable", f"{site.name} lacks blocks of {record.key} {record.stamp}")
