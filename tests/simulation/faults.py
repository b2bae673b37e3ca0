"""Faults: the stores of a site as they are on a bad day, and the tally of what hit whom.

    metadata   refused (did not happen) · unknown+ (happened, answer lost) · unknown- (did not happen,
               answer lost all the same) · crash before and after the commit
    blocks     the same five
A crash ends every task of the site's process; rows and blocks that were committed stay.
The tally counts (operation, fault): the operation whose own call was hit, or, for what happens to a
whole site (AMBIENT), every operation under way there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from chalicelib.adapters.memory_blocks import MemoryBlocks
from chalicelib.adapters.memory_metadata import MemoryMetadata
from chalicelib.domain.errors import Indeterminate, Unavailable
from chalicelib.domain.manifest import BlockId, BlockRef
from chalicelib.ports.metadata import RowId, Table, Write
from tests.simulation.world import Crash, World

if TYPE_CHECKING:
    from tests.simulation.sites import Life

METADATA = ("rows refused", "rows unknown+", "rows unknown-", "rows crash before", "rows crash after")
BLOCKS = ("block refused", "block unknown+", "block unknown-", "block crash before", "block crash after")
LINK = ("lost before", "lost after", "delayed", "late", "twice")
AMBIENT = ("partition", "clock step", "crash", "flipped byte", "lost block")
RARE = {
    "create user": 6,
    "create bucket": 8,
    "delete bucket": 8,
    "get range": 6,
    "get": 3,
    "delete": 3,
    "copy": 3,
    "self-copy": 4,
    "put inline": 2,
    "gc": 3,
    "fold": 3,
    "fullsync": 4,
}
CRASH_RARE = 12  # how much likelier such an operation's block write is to meet a crash
ALL = METADATA + BLOCKS + LINK + AMBIENT


class Faults:
    """How often what goes wrong, and what went wrong."""

    def __init__(self, world: World, rate: float, crash_rate: float, link_rate: float) -> None:
        self._world = world
        self.on = False
        self.tally: Counter[tuple[str, str]] = Counter()
        self.total = 0
        self._rate = rate
        self._crash_rate = crash_rate
        self._link_rate = link_rate

    def hit(self, fault: str) -> None:
        """Count a fault against the operation that meets it."""
        self.tally[self._world.current.role, fault] += 1
        self.total += 1
        self._world.log("fault", fault)

    def ambient(self, fault: str, roles: Sequence[str]) -> None:
        """Count a fault against all that is under way where it strikes."""
        for role in sorted(set(roles)):
            self.tally[role, fault] += 1
        self.total += 1
        self._world.log("fault", fault)

    def read(self, refused: str) -> None:
        """Before a read."""
        if self.on and self._world.rng.random() < self._rate * RARE.get(self._world.current.role, 1):
            self.hit(refused)
            raise Unavailable("refused by the simulator")

    def write(self, life: Life, names: tuple[str, ...], act: Callable[[], Any]) -> Any:
        """`act`, which changes a store, with one of the five."""
        if not self.on:
            return act()
        rate, crash_rate = self._rates(names)
        chance = self._world.rng.random()
        if chance >= 3 * rate + 2 * crash_rate:
            return act()
        refused, happened, lost, before, after = names
        if chance < rate:
            self.hit(refused)
            raise Unavailable("refused by the simulator")
        if chance < 2 * rate:
            value = act()
            self.hit(happened)
            raise Indeterminate("happened; the simulator lost the answer")
        if chance < 3 * rate:
            self.hit(lost)
            raise Indeterminate("did not happen; the simulator lost the answer")
        if chance < 3 * rate + crash_rate:
            self.hit(before)
        else:
            value = act()  # noqa: F841 - committed, and nobody will ever be told
            self.hit(after)
        life.crash()
        raise Crash

    def _rates(self, names: tuple[str, ...]) -> tuple[float, float]:
        """The rarer an operation, the more of its calls fail, so that each fault meets each operation."""
        role = self._world.current.role
        rare = RARE.get(role, 1)
        seldom = CRASH_RARE if names is BLOCKS and role in RARE else 1
        return self._rate * rare, self._crash_rate * rare * seldom

    def link(self) -> str:
        """What befalls the next message, "" for nothing."""
        if not self.on or self._world.rng.random() >= self._link_rate:
            return ""
        return self._world.rng.choice(LINK)


class FaultyMetadata:
    """The rows of one site as one life of it sees them."""

    def __init__(self, inner: MemoryMetadata, life: Life) -> None:
        self._inner = inner
        self._life = life
        self._world = life.world
        self._faults = life.faults
        self._watch = life.site.watch
        self.shards = inner.shards
        self.items_max = inner.items_max
        self.checks_contend = inner.checks_contend

    def get(self, rows: Sequence[RowId]) -> list[bytes | None]:
        """Read."""
        self._world.pause(self._world.rng.randrange(3))
        self._world.log("get", rows[0].table.value, rows[0].pk[-9:])
        self._faults.read("rows refused")
        return self._inner.get(rows)

    def scan(self, table: Table, pk: str, **where: Any) -> list[tuple[bytes, bytes]]:
        """Read a page, which may be old by the time it is seen."""
        self._world.pause(self._world.rng.randrange(3))
        self._faults.read("rows refused")
        page = self._inner.scan(table, pk, **where)
        if page:
            self._world.log("scan", table.value, pk[-9:], len(page))
            self._world.pause(self._world.rng.randrange(3))
        return page

    def transact(self, writes: Sequence[Write]) -> None:
        """Write."""
        rng = self._world.rng
        self._world.pause(rng.randrange(6))
        self._world.log("transact", writes[0].row.table.value, writes[0].row.pk[-9:], len(writes))
        self._faults.write(self._life, METADATA, lambda: self._commit(writes))
        self._world.pause(rng.randrange(6))

    def _commit(self, writes: Sequence[Write]) -> None:
        self._inner.transact(writes)
        self._watch.committed(self._life.site, writes)


class FaultyBlocks:
    """The blocks of one site as one life of it sees them."""

    def __init__(self, inner: MemoryBlocks, life: Life) -> None:
        self._inner = inner
        self._life = life
        self._world = life.world
        self._faults = life.faults
        self._atlas = life.site.atlas

    def _write(self, what: str, block: object, act: Callable[[], Any]) -> Any:
        self._world.pause(self._world.rng.randrange(12))
        self._world.log(what, block)
        answer = self._faults.write(self._life, BLOCKS, act)
        self._world.pause(self._world.rng.randrange(4))
        return answer

    def put(self, block_id: BlockId, body: bytes) -> None:
        """File a block; a damaged one is whole again."""
        body = bytes(body)  # the caller may reuse its buffer, though we are slow

        def act() -> None:
            self._inner.put(block_id, body)
            self._atlas.healed(self._life.site.name, block_id)

        self._write("put", _short(block_id), act)

    def get(self, ref: BlockRef) -> bytes | None:
        """Read a block."""
        self._world.pause(self._world.rng.randrange(8))
        self._faults.read("block refused")
        body = self._inner.get(ref)
        self._world.log("read", _short(ref.id), body is not None)
        return body

    def link(self, source: BlockId, target: BlockId) -> bool:
        """File a block twice."""
        return bool(self._write("link", _short(target), lambda: self._inner.link(source, target)))

    def _only_gc(self) -> None:
        """Where the site's processes may not delete, nobody but GC does."""
        role = self._world.current.role
        if role != "gc" and not self._life.site.swarm.rules.deletes:
            self._world.fail("gc", f"{role} deletes blocks of {self._life.site.name}")

    def delete(self, block_id: BlockId) -> None:
        """Remove a block."""
        self._only_gc()
        self._write("delete", _short(block_id), lambda: self._inner.delete(block_id))

    def delete_upload(self, upload: str) -> None:
        """Remove an upload."""
        self._only_gc()

        def act() -> None:
            self._inner.delete_upload(upload)
            self._atlas.dropped(self._life.site.name, upload)

        self._write("delete_upload", upload[-6:], act)

    def list_upload(self, upload: str) -> Iterator[tuple[BlockId, int]]:
        """Blocks of an upload, as they were when asked."""
        self._world.pause(self._world.rng.randrange(6))
        self._faults.read("block refused")
        return iter(list(self._inner.list_upload(upload)))

    def uploads(self) -> Iterator[str]:
        """All uploads."""
        self._world.pause(self._world.rng.randrange(6))
        return iter(list(self._inner.uploads()))

    def put_document(self, name: str, body: bytes) -> None:
        """Write a document."""
        self._write("document", name[-9:], lambda: self._inner.put_document(name, body))

    def get_document(self, name: str) -> bytes | None:
        """Read a document."""
        return self._inner.get_document(name)

    def delete_document(self, name: str) -> None:
        """Remove a document."""
        self._write("undocument", name[-9:], lambda: self._inner.delete_document(name))


def _short(block_id: BlockId) -> str:
    return f"{block_id.upload[-6:]}/{block_id.attempt[:3]}/{block_id.number}"
