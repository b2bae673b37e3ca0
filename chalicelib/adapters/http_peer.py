"""Peer over the other site's signed HTTP API: the client of `replication.door`.

In      endpoint (https://… or http:// to loopback only), CA file, the link's secret
Errors  Unavailable: not sent, or asked in vain · Indeterminate: a write whose answer was lost
        Refused, Conflict, Corrupt, NoRoom, Missing: what the other site said, by name
Source  DESIGN §5 "Links"; ports.peers; urllib3's pool does connections, TLS and time-outs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import urllib3

from chalicelib.domain import errors, wire
from chalicelib.domain.endpoints import check_endpoint
from chalicelib.domain.errors import Corrupt, Indeterminate, Refused, StoreError, Unavailable
from chalicelib.domain.hashtree import Node
from chalicelib.domain.manifest import BlockId, BlockRef
from chalicelib.ports.peers import Answer, Delivery, Hello, Outcome

CONNECT_S = 3.0  # a site that does not answer a SYN is down
READ_S = 60.0  # a block over a slow line
POOL_SIZE = 16
_ERRORS: dict[str, type[StoreError]] = {
    name: getattr(errors, name)
    for name in ("Refused", "Corrupt", "Conflict", "NoRoom", "Missing", "Unavailable", "Indeterminate")
}
_WRITES = frozenset({"apply", "put_block", "decide"})


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
    ) -> None:
        self._endpoint = check_endpoint(endpoint)
        self._me = me
        self._other = other
        self._secret = secret
        self._now_ms = now_ms
        self._pool = urllib3.PoolManager(
            maxsize=POOL_SIZE,
            retries=False,
            timeout=urllib3.Timeout(connect=CONNECT_S, read=READ_S),
            ca_certs=ca_file or None,
            cert_reqs="CERT_REQUIRED",
        )

    def _call(
        self, verb: str, header: dict[str, Any], blobs: Sequence[bytes] = ()
    ) -> tuple[dict[str, Any], list[bytes]]:
        path = wire.PATH + verb
        body = wire.pack(header, blobs)
        time_ms = self._now_ms()
        signed = wire.signature(
            self._secret,
            method="POST",
            path=path,
            source=self._me,
            target=self._other,
            time_ms=time_ms,
            body=body,
        )
        headers = {
            wire.FROM: self._me,
            wire.TO: self._other,
            wire.TIME: str(time_ms),
            wire.SIGNATURE: signed,
            "content-type": "application/octet-stream",
        }
        try:
            answer = self._pool.request(
                "POST", self._endpoint + path, body=body, headers=headers, redirect=False
            )
            frame = answer.data
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as problem:
            raise Unavailable(f"site {self._other} does not answer at {self._endpoint}") from problem
        except urllib3.exceptions.SSLError as problem:
            raise Unavailable(f"TLS to site {self._other} failed: {problem}") from problem
        except urllib3.exceptions.HTTPError as problem:
            kind = Indeterminate if verb in _WRITES else Unavailable
            raise kind(f"the connection to site {self._other} broke: {type(problem).__name__}") from problem
        return self._read(answer.status, frame)

    def _read(self, status: int, frame: bytes) -> tuple[dict[str, Any], list[bytes]]:
        try:
            header, blobs = wire.unpack(frame)
        except Corrupt as problem:
            raise Unavailable(f"{self._endpoint} answered {status}, not as a Causeway site does") from problem
        if "error" in header:
            raise _ERRORS.get(header["error"], Unavailable)(str(header.get("message", "")))
        if status != 200:
            raise Unavailable(f"site {self._other} answered {status}")
        return header, blobs

    def hello(self) -> Hello:
        """Who answers there."""
        header, blobs = self._call("hello", {})
        hello = Hello(public_key=blobs[0], **header)
        if hello.site != self._other:
            raise Refused(f"{self._endpoint} is site {hello.site}, not {self._other}")
        return hello

    def apply(self, deliveries: Sequence[Delivery]) -> list[Answer]:
        """Hand over records."""
        header, _ = self._call(
            "apply",
            {"deliveries": [[d.kind, list(d.has)] for d in deliveries]},
            [d.form for d in deliveries],
        )
        answers = [Answer(Outcome(outcome), reason) for outcome, reason in header["answers"]]
        if len(answers) != len(deliveries):
            raise Indeterminate(f"site {self._other} answered for other records than were sent")
        return answers

    def wanted(self, bucket_id: str, key_hash: str) -> list[BlockId]:
        """Blocks the site lacks."""
        header, _ = self._call("wanted", {"bucket_id": bucket_id, "key_hash": key_hash})
        return [BlockId(*one) for one in header["wanted"]]

    def _ref(self, ref: BlockRef) -> dict[str, Any]:
        block_id = [ref.id.upload, ref.id.attempt, ref.id.number]
        return {"id": block_id, "size": ref.block.size, "origin": ref.origin}

    def put_block(self, ref: BlockRef, body: bytes) -> None:
        """Hand over a block."""
        self._call("put_block", self._ref(ref), [ref.block.hash, ref.block.check, body])

    def get_block(self, ref: BlockRef, asked: tuple[str, ...]) -> bytes | None:
        """Ask for a block."""
        header, blobs = self._call(
            "get_block", {**self._ref(ref), "asked": list(asked)}, [ref.block.hash, ref.block.check]
        )
        return blobs[0] if header["found"] else None

    def tree(self, bucket_id: str, prefixes: Sequence[str]) -> list[Node]:
        """Tree nodes."""
        header, _ = self._call("tree", {"bucket_id": bucket_id, "prefixes": list(prefixes)})
        return [Node(int(keys), int(digest, 16)) for keys, digest in header["nodes"]]

    def entries(self, bucket_id: str, prefix: str) -> list[tuple[str, bytes]]:
        """Tree entries."""
        _, blobs = self._call("entries", {"bucket_id": bucket_id, "prefix": prefix})
        table = blobs[0]
        return [(table[at : at + 16].hex(), table[at + 16 : at + 32]) for at in range(0, len(table), 32)]

    def incomplete(self, after: str, limit: int) -> list[tuple[str, str]]:
        """Records without all blocks."""
        header, _ = self._call("incomplete", {"after": after, "limit": limit})
        return [(str(bucket_id), str(hashed)) for bucket_id, hashed in header["records"]]

    def accounts(self) -> dict[str, str]:
        """Stamps of users and buckets."""
        header, _ = self._call("accounts", {})
        return dict(header["stamps"])

    def decide(self, verb: str, arguments: dict[str, Any], idempotency_key: str) -> dict[str, Any]:
        """Ask for a decision."""
        header, blobs = self._call("decide", {"verb": verb, "arguments": arguments, "key": idempotency_key})
        return {**header, "form": blobs[0]}

    def bucket_empty(self, bucket_id: str) -> bool:
        """Whether a bucket shows nothing there."""
        header, _ = self._call("bucket_empty", {"bucket_id": bucket_id})
        return bool(header["empty"])
