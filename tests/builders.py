"""Small sites for tests: memory adapters, a clock that is set by hand, links that can be cut.

    site("west")                 one wired ports.site.Site without links
    Net().add("a"), .link("a", "b")   several replication.node.Node in one process
    net.deliver()                serve every outbox until nothing is due
    put, text, remove, listing   what a client would do, without S3

Nothing here checks anything: a builder that asserted would hide what a test promises.
"""

import hashlib
from collections import Counter
from dataclasses import replace
from itertools import pairwise

from chalicelib.adapters.hashing import Blake3Hashing
from chalicelib.adapters.http_peer import HttpPeer
from chalicelib.adapters.memory_blocks import MemoryBlocks
from chalicelib.adapters.system import ByteBudget, Inline, MemoryLocks, SystemClock
from chalicelib.adapters.vault import AesVault
from chalicelib.domain.account import Bucket
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.stamp import Stamp
from chalicelib.objects import accounts, bodies, delete, get
from chalicelib.objects import put as putting
from chalicelib.objects.commit import OpenBucket
from chalicelib.objects.list import list_objects
from chalicelib.objects.put import PutRequest
from chalicelib.objects.verified import VerifiedBlocks
from chalicelib.ports.site import Rules, Site
from chalicelib.replication.door import PeerDoor, link_context
from chalicelib.replication.links import Link, LinkBook, SiteRecord, found_site
from chalicelib.replication.node import node
from chalicelib.replication.outbox import OutboxAnnouncer
from tests.doubles import (
    START_MS as START_MS,
)
from tests.doubles import (
    Bytes,
    CountingMetadata,
    Counts,
    Events,
    Nobody,
    SeededIds,
    SetClock,
)

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
KIB = 1024
RULES = Rules(block_size=64 * KIB, inline_max=4 * KIB)


def site(name="west", *, clock=None, rules=RULES, shards=1, items_max=100, checks_contend=False, **parts):
    """One site over memory. `parts` replaces any field of ports.site.Site."""
    clock = clock or SetClock()
    ids = SeededIds(name)
    hashing = Blake3Hashing()
    blocks = parts.pop("blocks", None) or VerifiedBlocks(MemoryBlocks(), hashing)
    wired = {
        "id": name,
        "metadata": CountingMetadata(shards, items_max, checks_contend),
        "blocks": blocks,
        "reader": blocks,
        "announcer": Nobody(),
        "clock": clock,
        "ids": ids,
        "parallel": Inline(),
        "buffers": ByteBudget(64 * 1024 * KIB),
        "locks": MemoryLocks(SystemClock()),
        "hashing": hashing,
        "vault": AesVault(hashlib.sha256(name.encode()).digest(), ids),
        "log": Events(),
        "rules": rules,
    }
    return Site(**{**wired, **parts})


def bucket(at, name="photos", **fields):
    """An open bucket, made without asking anybody."""
    stamp = Stamp(at.clock.now_ms(), 0, at.id)
    made = Bucket(
        **{
            "id": f"{stamp}-{name}",
            "name": name,
            "owner": "ann",
            "created_ms": at.clock.now_ms(),
            "stamp": stamp,
            "home": at.id,
            **fields,
        }
    )
    accounts.save_bucket(at, None, made)
    return accounts.require_bucket(at, name)


def put(at, into, key, body=b"hello", **fields):
    """PUT `body` under `key`; the record."""
    return putting.put_object(at, into, PutRequest(**{"key": key, "owner": "ann", **fields}), Bytes(body))


def remove(at, into, key):
    """DELETE."""
    delete.delete_object(at, into, key)


def nobody_waits(entry, head):
    """For gc.run: every sink has everything."""
    return False


def whole(at, record):
    """Every byte of a record's object."""
    return b"".join(bodies.read(at, record, 0, record.size))


def text(at, bucket_id, key):
    """GET: every byte that `key` holds."""
    return whole(at, get.head(at, bucket_id, key))


def listing(at, bucket_id, **asked):
    """One page."""
    return list_objects(
        at, bucket_id, **{"prefix": "", "delimiter": "", "after": "", "max_keys": 1000, **asked}
    )


def keys(at, bucket_id):
    """The visible keys of the first page."""
    return [one.key for one in listing(at, bucket_id).keys]


def stored_rows(at):
    """Every row of a site: (table, pk, sk) → value, for comparing whole states."""
    return {
        (table, pk, sk): value
        for (table, pk), rows in at.metadata._partitions.items()
        for sk, value in rows.values.items()
    }


def inner_blocks(at):
    """What lies beneath the verification, to damage or lose blocks."""
    return at.blocks._inner


# ------------------------------------------------------------------------------- several sites


class Wire:
    """A Peer in this process: the other site's Sink while the line holds."""

    def __init__(self, net, me, link):
        self._net, self._me, self._other = net, me, link.site

    def __getattr__(self, verb):
        def call(*args, **kwargs):
            self._net.calls[self._me, self._other, verb] += 1
            self._net.called.append((self._me, self._other, verb))
            if (self._me, self._other) in self._net.cut:
                raise Unavailable(f"site {self._other} does not answer")
            other = self._net[self._other]
            sink = other.sink_of(other.links.read().get(self._me))
            answer = getattr(sink, verb)(*args, **kwargs)
            if self._net.lost_answers:
                raise self._net.lost_answers.pop(0)
            return answer

        return call


class DoorPool:
    """Stands where urllib3's pool stands in HttpPeer: hands each request to a PeerDoor."""

    def __init__(self, door):
        self._door = door

    def request(self, method, url, *, body, headers, **_):
        path, body = "/" + url.split("/", 3)[3], b"".join(body)
        return Answered(*self._door.handle(method, path, headers, len(body), lambda: body))


class Answered:
    """What urllib3 would make of an answer."""

    def __init__(self, status, frame):
        self.status = status
        self._frame = frame

    def read(self, size):
        return self._frame[:size]

    def release_conn(self):
        pass

    def close(self):
        pass


def door_of(other):
    """The door of a node."""
    return PeerDoor(other.site, other.links, other.sink_of)


def through_door(net, me, link):
    """A Peer that signs, packs and unpacks as over HTTP, without a socket."""
    mine = net[me]
    secret = mine.site.vault.unwrap(link.secret, link_context(link.site))
    peer = HttpPeer(link.endpoint, me=me, other=link.site, secret=secret, now_ms=mine.site.clock.now_ms)
    peer._pool = DoorPool(door_of(net[link.site]))
    return peer


class Net:
    """Sites in one process that share a clock; `cut` holds (from, to) of lines that are down."""

    def __init__(self, *names, primary="a", over=Wire, **options):
        self.clock = SetClock()
        self.cut = set()
        self.lost_answers = []
        self.calls = Counter()
        self.called = []
        self.nodes = {}
        self._primary = primary
        self._over = over
        for name in names:
            self.add(name, **options)

    def __getitem__(self, name):
        return self.nodes[name]

    def add(self, name, **options):
        """One more site."""
        base = site(name, clock=self.clock, **options)
        links = LinkBook(base.metadata, self.clock)
        announcer = OutboxAnnouncer(base.metadata, self.clock, links, lambda: None)
        record = found_site(base.metadata, SiteRecord(name, f"{name}-life-1", self._primary))
        base = replace(base, announcer=announcer)
        self.nodes[name] = node(base, record, links, lambda link: self._over(self, name, link), Counts())
        return self.nodes[name]

    def restart(self, name):
        """The same stores under a new Node: what a process keeps in memory is gone."""
        old = self.nodes[name]
        base = replace(old.site, reader=old.site.blocks)
        links = LinkBook(base.metadata, self.clock)
        announcer = OutboxAnnouncer(base.metadata, self.clock, links, lambda: None)
        base = replace(base, announcer=announcer)
        dial = lambda link: self._over(self, name, link)  # noqa: E731
        self.nodes[name] = node(base, old.record, links, dial, Counts())
        return self.nodes[name]

    def link(self, source, sink, **fields):
        """`source` streams to `sink`, which may proxy_get from it."""
        secret = f"secret of {min(source, sink)} and {max(source, sink)}"
        switches = {"sink": True, "enabled": True, "started": True, "proxy_get": True, **fields}
        self._half(source, sink, secret, **switches)
        self._half(sink, source, secret, source=True)
        return self

    def both_ways(self, one, other):
        """Each streams to the other."""
        return self.link(one, other).link(other, one)

    def chain(self, *names):
        """Each streams to the next."""
        for one, other in pairwise(names):
            self.link(one, other)
        return self

    def _half(self, at, to, secret, **fields):
        here, there = self[at], self[to]
        wrapped = here.site.vault.wrap(secret, link_context(to))
        key = there.site.vault.public_key()
        fresh = Link(to, "http://127.0.0.1:9", wrapped, key, there.record.incarnation)

        def change(by_site):
            known = by_site.get(to, fresh)
            by_site[to] = replace(known, enabled_ms=self.clock.now_ms(), **fields)

        here.links.change(change)

    def make_bucket(self, at="a", name="photos", **arguments):
        """A bucket decided by the primary, known everywhere it has been delivered to."""
        self[at].names.decide("create_bucket", {"name": name, "owner": "ann", **arguments})
        self.deliver()
        return self.bucket(at, name)

    def bucket(self, at, name="photos") -> OpenBucket:
        """The bucket as `at` knows it."""
        return accounts.require_bucket(self[at].site, name)

    def sinks(self):
        """(node, link) of every link that is served."""
        for one in list(self.nodes.values()):
            for link in one.links.read().sinks():
                if link.started:
                    yield one, link

    def deliver(self):
        """Serve every outbox until nothing anywhere is due."""
        while any(one.serve_all(link) for one, link in list(self.sinks())):
            pass

    def records_only(self):
        """As deliver, but blocks stay owed."""
        while any(one.serve_records(link).done for one, link in list(self.sinks())):
            pass

    def fullsync(self, source, sink, **options):
        """A whole run; what it says at its end."""
        one = self[source]
        one.start_fullsync(sink, **options)
        return one.drive_fullsync(sink, budget_ms=HOUR_MS)

    def owed(self, source, sink):
        """(stage, item) of everything owed."""
        return [(stage, owing.item) for stage, owing in self[source].outbox(sink).all()]
