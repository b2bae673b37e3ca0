"""Net: what lies between sites. A Peer whose other end is a task in the other site's process.

    lost before   never arrived: Unavailable, or Indeterminate for a write nobody answered in time
    lost after    carried out, the answer lost         delayed   slow, but well
    late          the caller gave up, and then it is carried out all the same
    twice         carried out again some time later    blocked   a partition, one way or both
The other side dies meanwhile: the connection breaks, which for a write means "may have happened".
Checks as it carries (laws stays home and no loop), for here is where they would be broken.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from chalicelib.domain import codec
from chalicelib.domain.errors import Indeterminate, StoreError, Unavailable
from chalicelib.ports.peers import Answer, Delivery, Outcome
from chalicelib.replication.door import VERBS
from chalicelib.replication.policy import replicates
from tests.simulation.world import Died, World

if TYPE_CHECKING:
    from tests.simulation.faults import Faults
    from tests.simulation.sites import SimSite

TIMEOUT_MS = 400  # short, so that an operation under faults ends well before leeway does
LATE_MS = 1500
TOLD_MAX = 12  # how often realtime tells a sink of one record that it knows: two pumps, and answers lost
_DONE = (Outcome.HAVE, Outcome.APPLIED, Outcome.BLOCKS)
_WRITES = frozenset({"apply", "put_block", "decide", "bucket_empty"})


class Net:
    """All links' weather."""

    def __init__(self, world: World, faults: Faults, latency_ms: int) -> None:
        self.world = world
        self.faults = faults
        self.latency_ms = latency_ms
        self.blocked: set[tuple[str, str]] = set()
        self.sites: dict[str, SimSite] = {}
        self.told: Counter[tuple[str, str, bytes]] = Counter()

    def travel(self) -> None:
        """One way over the link."""
        self.world.pause(1 + self.world.rng.randrange(self.latency_ms))


class WirePeer:
    """`other` as `me` sees it; keeps the contract of ports.peers.Peer."""

    def __init__(self, net: Net, me: str, other: str) -> None:
        self._net = net
        self._me = me
        self._other = other

    def _call(self, verb: str, *args: Any) -> Any:
        net, world = self._net, self._net.world
        world.log("call", verb, self._other)
        net.travel()
        fault = net.faults.link()
        if fault:
            net.faults.hit(fault)
        if fault == "late":
            self._later(verb, args)
        if fault in ("lost before", "late") or (self._me, self._other) in net.blocked:
            raise self._lost(verb, certain=not fault)
        if fault == "delayed":
            world.pause(world.rng.randrange(TIMEOUT_MS))
        answer = self._deliver(verb, args)
        if fault == "twice":
            self._later(verb, args)
        net.travel()
        if fault == "lost after" or (self._other, self._me) in net.blocked:
            raise self._lost(verb, certain=False)
        return answer

    def _lost(self, verb: str, certain: bool) -> StoreError:
        self._net.world.pause(TIMEOUT_MS)
        if certain or verb not in _WRITES:
            return Unavailable(f"site {self._other} does not answer")
        return Indeterminate(f"the connection to site {self._other} broke")

    def _later(self, verb: str, args: tuple[Any, ...]) -> None:
        world = self._net.world
        after_ms = world.rng.randrange(LATE_MS)

        def work() -> None:
            world.pause(after_ms)
            try:
                self._deliver(verb, args)
            except StoreError as problem:
                world.log("late", verb, type(problem).__name__)

        world.spawn(world.outside, f"late {verb}", world.current.role, work)

    def _deliver(self, verb: str, args: tuple[Any, ...]) -> Any:
        world = self._net.world
        life = self._net.sites[self._other].life
        if life is None or life.process.dead:
            raise Unavailable(f"site {self._other} does not answer")
        sink = life.node.sink_of
        links = life.node.links

        def work() -> Any:
            return getattr(sink(links.read().get(self._me)), verb)(*args)

        task = world.spawn(life.process, f"{self._me}:{verb}", world.current.role, work)
        world.wait(task)
        problem = task.error
        if problem is None:
            return task.value
        if isinstance(problem, Died):
            raise (Indeterminate if verb in _WRITES else Unavailable)(f"site {self._other} broke off")
        if isinstance(problem, StoreError):
            raise problem
        raise AssertionError("".join(traceback.format_exception(problem)))

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        """Any verb of the port."""
        if verb not in VERBS:
            raise AttributeError(verb)
        return lambda *args: self._call(verb, *args)

    def apply(self, deliveries: Sequence[Delivery]) -> list[Answer]:
        """Hand over records."""
        for delivery in deliveries:
            if delivery.kind == "object":
                self._check(delivery)
        answers: list[Answer] = self._call("apply", list(deliveries))
        for delivery, answer in zip(deliveries, answers, strict=True):
            if self._net.world.current.role == "realtime" and answer.outcome in _DONE:
                self._count(delivery)
        return answers

    def _count(self, delivery: Delivery) -> None:
        """A sink that said it has a record is told of it again only when that answer was lost."""
        told = (self._me, self._other, delivery.form)
        self._net.told[told] += 1
        if self._net.told[told] > TOLD_MAX:
            self._net.world.fail("no loop", f"{self._me} told {self._other} {TOLD_MAX} times of one record")

    def _check(self, delivery: Delivery) -> None:
        world = self._net.world
        record = codec.decode_record(delivery.form)
        bucket = self._net.sites[self._me].watch.bucket(record.bucket_id)
        if not replicates(bucket, self._other):
            world.fail("stays home", f"{self._me} sends {record.key} of {bucket} to {self._other}")
        if world.current.role != "realtime":
            return
        if record.stamp.site == self._other:
            world.fail("no loop", f"{self._me} sends {record.key} {record.stamp} back to {self._other}")
