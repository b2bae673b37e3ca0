"""Peer over the other site's signed HTTP API: the client of `replication.door`.

In      endpoint (https://… or http:// to loopback only), CA file, the link's secret
Errors  Unavailable: not sent, or asked in vain · Indeterminate: a write whose answer was lost, or came from
        something between the sites (a gateway's 504). `unreached`, `unanswered`: why asking anything else
        at once would be waiting in vain again
        Refused, Conflict, Corrupt, NoRoom, Missing: what the other site said, by name
        Texts name the site, never where it is: clients read them. The log names the endpoint
Source  DESIGN §5 "Links"; ports.peers; urllib3's pool does connections, TLS and time-outs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import urllib3

from chalicelib.domain import errors, wire
from chalicelib.domain.endpoints import check_endpoint
from chalicelib.domain.errors import Corrupt, Indeterminate, Refused, StoreError, Unavailable
from chalicelib.domain.hashtree import Node
from chalicelib.domain.manifest import BlockId, BlockRef, HashAlgorithm
from chalicelib.ports.peers import Answer, Delivery, Hello, Outcome
from chalicelib.ports.system import Log

T = TypeVar("T")

CONNECT_S = 3.0  # a site that does not answer a SYN is down, and one that takes no piece of a body by then
PIECE_BYTES = 64 * 1024  # urllib3 gives a write CONNECT_S: a block as one write would never pass a slow line
READ_S = 60.0  # without a byte, for a server: a block over a slow line
FUNCTION_READ_S = 8.0  # for a function: two sites asked in vain, connections included, fit an API's 29 s
SLOW_READ_S = 25.0  # for what may take long where it is done: a fold, 20 s at most; what a terabyte lacks
POOL_SIZE = 16
_ERRORS: dict[str, type[StoreError]] = {
    name: getattr(errors, name)
    for name in ("Refused", "Corrupt", "Conflict", "NoRoom", "Missing", "Unavailable", "Indeterminate")
}
_SLOW = frozenset({"fold", "tree", "wanted"})  # no client waits for these
_WRITES = frozenset({"apply", "put_block", "decide", "bucket_empty"})
_NOT_SENT = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)


class HttpPeer:
    """Another site behind its HTTP API."""

    def __init__(
        self,
        endpoint: str,
        *,
        me: str,
        other: str,
        secret: str,
        now_ms: Callable[[], int],
        ca_file: str = "",
        log: Log | None = None,
        read_s: float = READ_S,
    ) -> None:
        self._endpoint = check_endpoint(endpoint)
        self._me = me
        self._other = other
        self._secret = secret
        self._now_ms = now_ms
        self._log = log
        self._read_s = read_s
        self._trouble = ""  # as last logged: a link that is down is asked twice a second
        self._pool = urllib3.PoolManager(
            maxsize=POOL_SIZE,
            retries=False,
            ca_certs=ca_file or None,
            cert_reqs="CERT_REQUIRED",
        )

    def _call(
        self, verb: str, header: dict[str, Any], blobs: Sequence[bytes] = ()
    ) -> tuple[dict[str, Any], list[bytes]]:
        path = wire.PATH + verb
        body = wire.pack(header, blobs)
        body_hash = wire.body_hash(body)
        time_ms = self._now_ms()
        signed = wire.signature(
            self._secret,
            method="POST",
            path=path,
            source=self._me,
            target=self._other,
            time_ms=time_ms,
            body_hash=body_hash,
        )
        headers = {
            wire.FROM: self._me,
            wire.TO: self._other,
            wire.TIME: str(time_ms),
            wire.BODY: body_hash,
            wire.SIGNATURE: signed,
            "content-type": "application/octet-stream",
        }
        try:
            status, frame = self._exchange(verb, path, body, headers)
        except _NOT_SENT as problem:
            self._tell(verb, problem)
            down = Unavailable(f"site {self._other} does not answer")
            down.unreached = True
            raise down from problem
        except urllib3.exceptions.HTTPError as problem:
            self._tell(verb, problem)
            tls = isinstance(problem, urllib3.exceptions.SSLError)
            what = "TLS" if tls else "the connection"
            lost = _lost(verb, f"{what} to site {self._other} failed: {type(problem).__name__}")
            lost.unanswered = _timed_out(problem)
            raise lost from problem
        return self._read(verb, status, frame)

    def _exchange(self, verb: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """Status and body, of which no more is read than a frame may have, in no encoding but its own."""
        read_s = max(self._read_s, SLOW_READ_S) if verb in _SLOW else self._read_s
        answer = self._pool.request(
            "POST",
            self._endpoint + path,
            body=(body[at : at + PIECE_BYTES] for at in range(0, len(body), PIECE_BYTES)),
            headers={**headers, "content-length": str(len(body))},
            redirect=False,
            preload_content=False,
            decode_content=False,
            timeout=urllib3.Timeout(connect=CONNECT_S, read=read_s),
        )
        frame = answer.read(wire.FRAME_BYTES_MAX + 1)
        if len(frame) > wire.FRAME_BYTES_MAX:
            answer.close()  # nobody reads the rest
        else:
            answer.release_conn()
        return answer.status, frame

    def _read(self, verb: str, status: int, frame: bytes) -> tuple[dict[str, Any], list[bytes]]:
        try:
            if len(frame) > wire.FRAME_BYTES_MAX:
                raise Corrupt("an answer is longer than any frame")
            header, blobs = wire.unpack(frame)
        except Corrupt as problem:
            self._tell(verb, problem)
            raise _lost(
                verb, f"what answers for site {self._other} says {status}, not as a Causeway site does"
            ) from problem
        self._trouble = ""
        if "error" in header:
            said = _ERRORS.get(str(header["error"]))
            message = str(header.get("message", ""))
            raise said(message) if said else _lost(verb, message)
        if status != 200:
            raise _lost(verb, f"site {self._other} answered {status}")
        return header, blobs

    def _tell(self, verb: str, problem: Exception) -> None:
        """Log what is wrong with the way there, once."""
        trouble = f"{type(problem).__name__}: {problem}"
        if self._log is not None and trouble != self._trouble:
            self._log.event(
                "peer_failed",
                level="warning",
                site=self._other,
                endpoint=self._endpoint,
                verb=verb,
                problem=trouble,
            )
        self._trouble = trouble

    def _ask(self, verb: str, header: dict[str, Any], read: Callable[..., T], *blobs: bytes) -> T:
        """What `read` makes of the answer's header and blobs."""
        answer = self._call(verb, header, blobs)
        try:
            return read(*answer)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as problem:
            raise _lost(verb, f"site {self._other} answered {verb} as another version would") from problem

    def hello(self) -> Hello:
        """Who answers there."""
        hello = self._ask("hello", {}, lambda header, blobs: Hello(public_key=blobs[0], **header))
        if hello.site != self._other:
            raise Refused(f"site {hello.site} answers where site {self._other} is expected")
        return hello

    def apply(self, deliveries: Sequence[Delivery]) -> list[Answer]:
        """Hand over records."""
        answers = self._ask(
            "apply",
            {"deliveries": [[d.kind, list(d.has)] for d in deliveries]},
            lambda header, _: [Answer(Outcome(outcome), reason) for outcome, reason in header["answers"]],
            *(d.form for d in deliveries),
        )
        if len(answers) != len(deliveries):
            raise Indeterminate(f"site {self._other} answered for other records than were sent")
        return answers

    def wanted(self, bucket_id: str, key_hash: str) -> list[BlockId]:
        """Blocks the site lacks."""
        return self._ask(
            "wanted",
            {"bucket_id": bucket_id, "key_hash": key_hash},
            lambda header, _: [BlockId(*one) for one in header["wanted"]],
        )

    def _ref(self, ref: BlockRef) -> dict[str, Any]:
        block_id = [ref.id.upload, ref.id.attempt, ref.id.number]
        named = {"id": block_id, "size": ref.block.size, "origin": ref.origin}
        if ref.block.algorithm is not HashAlgorithm.BLAKE3:  # a site that knows no other has no such block
            named["algorithm"] = ref.block.algorithm.name
        return named

    def put_block(self, ref: BlockRef, body: bytes) -> None:
        """Hand over a block."""
        self._call("put_block", self._ref(ref), [ref.block.hash, ref.block.check, body])

    def get_block(self, ref: BlockRef, asked: tuple[str, ...]) -> bytes | None:
        """Ask for a block."""
        return self._ask(
            "get_block",
            {**self._ref(ref), "asked": list(asked)},
            lambda header, blobs: blobs[0] if header["found"] else None,
            ref.block.hash,
            ref.block.check,
        )

    def fold(self, run: str, for_ms: int) -> bool:
        """Fold there. A version that does not know the verb folds whenever it is asked for a root."""
        asked = {"run": run, "for_ms": for_ms}
        try:
            return self._ask("fold", asked, lambda header, _: bool(header["folded"]))
        except Refused as said:
            if str(said) != wire.NO_SUCH_VERB:
                raise
            return True

    def tree(self, bucket_id: str, prefixes: Sequence[str]) -> list[Node]:
        """Tree nodes."""
        nodes = self._ask(
            "tree",
            {"bucket_id": bucket_id, "prefixes": list(prefixes)},
            lambda header, _: [Node(int(keys), int(digest, 16)) for keys, digest in header["nodes"]],
        )
        if len(nodes) != len(prefixes):
            raise Unavailable(f"site {self._other} answered for other nodes than were asked for")
        return nodes

    def entries(self, bucket_id: str, prefix: str) -> list[tuple[str, bytes]]:
        """Tree entries."""
        table = self._ask(
            "entries", {"bucket_id": bucket_id, "prefix": prefix}, lambda header, blobs: bytes(blobs[0])
        )
        return [(table[at : at + 16].hex(), table[at + 16 : at + 32]) for at in range(0, len(table), 32)]

    def incomplete(self, after: str, limit: int) -> list[tuple[str, str]]:
        """Records without all blocks."""
        return self._ask(
            "incomplete",
            {"after": after, "limit": limit},
            lambda header, _: [(str(bucket_id), str(hashed)) for bucket_id, hashed in header["records"]],
        )

    def accounts(self) -> dict[str, str]:
        """Stamps of users and buckets."""
        return self._ask("accounts", {}, lambda header, _: dict(header["stamps"]))

    def decide(self, verb: str, arguments: dict[str, Any], idempotency_key: str) -> dict[str, Any]:
        """Ask for a decision."""
        return self._ask(
            "decide",
            {"verb": verb, "arguments": arguments, "key": idempotency_key},
            _decided,
        )

    def bucket_empty(self, form: bytes, asked: tuple[str, ...]) -> bool:
        """Close a bucket there, and whether it shows nothing."""
        return self._ask(
            "bucket_empty", {"asked": list(asked)}, lambda header, _: bool(header["empty"]), form
        )


def _decided(header: dict[str, Any], blobs: Sequence[bytes]) -> dict[str, Any]:
    return {**header, "kind": "" if "refused" in header else header["kind"], "form": blobs[0]}


def _timed_out(problem: urllib3.exceptions.HTTPError) -> bool:
    """In vain: waiting for an answer, or for a piece of the body to be taken."""
    waited = (problem, *problem.args)
    return any(isinstance(one, (urllib3.exceptions.TimeoutError, TimeoutError)) for one in waited)


def _lost(verb: str, message: str) -> StoreError:
    """What is known of a request that was sent, and not answered by the other site."""
    return Indeterminate(message) if verb in _WRITES else Unavailable(message)
