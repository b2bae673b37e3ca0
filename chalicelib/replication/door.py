"""The door for other sites: a signed request in, one verb of `Sink`, an answer out.

In      path "/causeway/peer/<verb>", headers, how long the body is and how to read it
Out     (HTTP status, frame). An error is a frame {"error": class name, "message": …}
Order   who signed it → which verb → room for the body → the body, which must be the one that was signed →
        its arguments. Who has not signed learns nothing and sends nothing
Source  DESIGN §5 "Links"; law *one door*.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from chalicelib.domain import wire
from chalicelib.domain.errors import (
    Conflict,
    Corrupt,
    Indeterminate,
    Missing,
    NoRoom,
    Refused,
    StoreDown,
    StoreError,
    Unavailable,
)
from chalicelib.domain.manifest import Block, BlockId, BlockRef, HashAlgorithm
from chalicelib.ports.peers import Delivery
from chalicelib.ports.site import Site
from chalicelib.replication.links import Link, LinkBook
from chalicelib.replication.sink import Sink

Answer = tuple[dict[str, Any], list[bytes]]
Verb = Callable[[Sink, dict[str, Any], list[bytes]], Answer]
PREFIXES_MAX = 256
INCOMPLETE_MAX = 1000
RUN_MAX = 64
ASKED_MAX = 64  # sites a request may name: more than any sensible topology has
SMALL_BYTES_MAX = 64 * 1024  # of a question; what is longer counts against the buffers
_LARGE = frozenset({"apply", "put_block"})  # carry records and blocks, and take no buffers themselves

_STATUS: dict[type[StoreError], int] = {
    Refused: 403,
    Corrupt: 400,
    Conflict: 409,
    NoRoom: 507,
    Missing: 404,
    Unavailable: 503,
    Indeterminate: 503,
}


def _hello(sink: Sink, header: dict[str, Any], blobs: list[bytes]) -> Answer:
    hello = sink.hello()
    plain = {name: getattr(hello, name) for name in hello.__slots__ if name != "public_key"}
    return plain, [hello.public_key]


def _apply(sink: Sink, header: dict[str, Any], blobs: list[bytes]) -> Answer:
    deliveries = [
        Delivery(str(kind), blob, tuple(str(site) for site in has))
        for (kind, has), blob in zip(header["deliveries"], blobs, strict=True)
    ]
    return {"answers": [[a.outcome, a.reason] for a in sink.apply(deliveries)]}, []


def _wanted(sink: Sink, header: dict[str, Any], blobs: list[bytes]) -> Answer:
    found = sink.wanted(str(header["bucket_id"]), str(header["key_hash"]))
    return {"wanted": [[b.upload, b.attempt, b.number] for b in found]}, []


def _ref(header: dict[str, Any], blobs: list[bytes]) -> BlockRef:
    upload, attempt, number = header["id"]
    block_id = BlockId(str(upload), str(attempt), int(number))
    algorithm = HashAlgorithm[str(header.get("algorithm", HashAlgorithm.BLAKE3.name))]
    return BlockRef(
        block_id, Block(int(header["size"]), blobs[0], blobs[1], algorithm), str(header["origin"])
    )


def _put_block(sink: Sink, header: dict[str, Any], blobs: list[bytes]) -> Answer:
    sink.put_block(_ref(header, blobs), blobs[2])
    return {}, []


def _asked(header: dict[str, Any]) -> tuple[str, ...]:
    asked = tuple(str(site) for site in header["asked"])
    if len(asked) > ASKED_MAX:
        raise Refused("too many sites were asked already")
    return asked


def _get_block(sink: Sink, header: dict[str, Any], blobs: list[bytes]) -> Answer:
    body = sink.get_block(_ref(header, blobs), _asked(header))
    return {"found": body is not None}, [body] if body is not None else []


def _fold(sink: Sink, header: dict[str, Any], blobs: list[bytes]) -> Answer:
    run = str(header["run"])
    if len(run) > RUN_MAX:
        raise Refused("no run has so long a name")
    return {"folded": sink.fold(run, int(header["for_ms"]))}, []


def _tree(sink: Sink, header: dict[str, Any], blobs: list[bytes]) -> Answer:
    prefixes = [str(prefix) for prefix in header["prefixes"]]
    if len(prefixes) > PREFIXES_MAX:
        raise Refused(f"at most {PREFIXES_MAX} nodes at a time")
    nodes = sink.tree(str(header["bucket_id"]), prefixes)
    return {"nodes": [[node.keys, f"{node.digest:x}"] for node in nodes]}, []


def _entries(sink: Sink, header: dict[str, Any], blobs: list[bytes]) -> Answer:
    found = sink.entries(str(header["bucket_id"]), str(header["prefix"]))
    return {}, [b"".join(bytes.fromhex(key) + digest for key, digest in found)]


def _incomplete(sink: Sink, header: dict[str, Any], blobs: list[bytes]) -> Answer:
    limit = min(int(header["limit"]), INCOMPLETE_MAX)
    return {"records": sink.incomplete(str(header["after"]), limit)}, []


def _accounts(sink: Sink, header: dict[str, Any], blobs: list[bytes]) -> Answer:
    return {"stamps": sink.accounts()}, []


def _decide(sink: Sink, header: dict[str, Any], blobs: list[bytes]) -> Answer:
    decided = sink.decide(str(header["verb"]), dict(header["arguments"]), str(header["key"]))
    form = decided.pop("form", b"")
    return decided, [form]


def _bucket_empty(sink: Sink, header: dict[str, Any], blobs: list[bytes]) -> Answer:
    return {"empty": sink.bucket_empty(blobs[0], _asked(header))}, []


VERBS: dict[str, Verb] = {
    "hello": _hello,
    "apply": _apply,
    "wanted": _wanted,
    "put_block": _put_block,
    "get_block": _get_block,
    "fold": _fold,
    "tree": _tree,
    "entries": _entries,
    "incomplete": _incomplete,
    "accounts": _accounts,
    "decide": _decide,
    "bucket_empty": _bucket_empty,
}


class PeerDoor:
    """Lets linked sites in, and nobody else."""

    def __init__(self, site: Site, links: LinkBook, sink_of: Callable[[Link], Sink]) -> None:
        self._site = site
        self._links = links
        self._sink_of = sink_of

    def handle(
        self, method: str, path: str, headers: Mapping[str, str], length: int, read: Callable[[], bytes]
    ) -> tuple[int, bytes]:
        """Answer one request; `headers` by lower-case name, `read` brings the `length` bytes of the body."""
        try:
            link = self._who(method, path, headers)
            name = path.removeprefix(wire.PATH)
            verb = VERBS.get(name)
            if verb is None or method != "POST":
                raise Refused(wire.NO_SUCH_VERB)
            with self._room(name, length):
                body = read()
                if not wire.same(wire.body_hash(body), headers.get(wire.BODY, "")):
                    raise Refused("the body is not the one that was signed")
                header, blobs = wire.unpack(body)
                return 200, wire.pack(*verb(self._sink_of(link), header, blobs))
        except StoreError as problem:
            return self._problem(problem)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as problem:
            return self._problem(Corrupt(f"bad arguments: {type(problem).__name__}"))

    def _problem(self, problem: StoreError) -> tuple[int, bytes]:
        kind = next(k for k in type(problem).__mro__ if k in _STATUS or k is StoreError)
        name = kind.__name__ if kind in _STATUS else "Unavailable"
        told = str(problem)
        if isinstance(problem, StoreDown):
            self._site.log.event("store_down", problem=told[:300])
            told = "its stores do not answer now; its log says why"
        return _STATUS.get(kind, 503), wire.pack({"error": name, "message": told})

    def _room(self, verb: str, length: int) -> AbstractContextManager[None]:
        """Room for a body of that length: no verb may wait for buffers while its own request holds some."""
        if length <= SMALL_BYTES_MAX:
            return nullcontext()
        if verb not in _LARGE or length > wire.FRAME_BYTES_MAX:
            raise Refused(f"{length} bytes are too many for {verb}")
        return self._site.buffers.hold(length)

    def _who(self, method: str, path: str, headers: Mapping[str, str]) -> Link:
        source = headers.get(wire.FROM, "")
        link = self._links.read().by_site.get(source)
        # An unknown site is checked against a secret nobody has, so that time does not tell.
        secret = self._secret(link) if link is not None else self._site.ids.token(32)
        time_text = headers.get(wire.TIME, "")
        time_ms = int(time_text) if time_text.isascii() and time_text.isdigit() else 0
        expected = wire.signature(
            secret,
            method=method,
            path=path,
            source=source,
            target=self._site.id,
            time_ms=time_ms,
            body_hash=headers.get(wire.BODY, ""),
        )
        good = wire.same(expected, headers.get(wire.SIGNATURE, ""))
        if not good or link is None or headers.get(wire.TO) != self._site.id:
            raise Refused("the link's signature does not match; `causeway connect` sets it up anew")
        if abs(self._site.clock.now_ms() - time_ms) > wire.WINDOW_MS:
            raise Refused(f"the clocks of {source} and {self._site.id} are more than 5 minutes apart")
        return link

    def _secret(self, link: Link) -> str:
        return self._site.vault.unwrap(link.secret, link_context(link.site))


def link_context(site: str) -> str:
    """What a link's wrapped secret is bound to."""
    return f"link/{site}"
