"""What one site may ask of another over a link: the sink's door, and the source's for proxy_get.

A Peer is either the other site's signed HTTP API (`adapters.http_peer`) or, where this site's role
reaches the sink's tables and bucket, the same functions run with the sink's wiring (`replication.sink`).
Both keep one contract (tests/conformance/peers.py).

Shapes
  Delivery   what is sent: kind "object" | "user" | "bucket", its encoded form, and `has`, the sites known
             to hold it (it is not sent back to them).
  Answer     what the sink says of one delivery:
               HAVE       it holds this or something newer, whole: nothing is owed
               APPLIED    the record is committed and needs no blocks
               BLOCKS     the record is committed; its blocks are owed next
               HELD       not merged: the stamp is too far ahead, or the sink is busy; ask again later
               REFUSED    a law or policy of the sink forbids it; `reason` says which
Errors
  Unavailable    the peer could not be asked (three answers: this is "don't know", never "not found")
  Indeterminate  it may have happened; every verb is idempotent, so ask again
  Refused        the link is not allowed to do this
Source  DESIGN §5 "Realtime", "GET at the sink", "Fullsync", "Links".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from chalicelib.domain.hashtree import Node
from chalicelib.domain.manifest import BlockId, BlockRef


class Outcome(StrEnum):
    """What became of one delivery."""

    HAVE = "have"
    APPLIED = "applied"
    BLOCKS = "blocks"
    HELD = "held"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Hello:
    """Who answers: checked when a link is made and at the start of every fullsync."""

    site: str
    incarnation: str
    version: int
    now_ms: int
    primary: str
    public_key: bytes
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """One record on its way to a sink."""

    kind: str
    form: bytes
    has: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the sink says of one delivery."""

    outcome: Outcome
    reason: str = ""


class Peer(Protocol):
    """Another site, as seen over one link."""

    def hello(self) -> Hello:
        """Who the other side is."""

    def apply(self, deliveries: Sequence[Delivery]) -> list[Answer]:
        """Hand over records; one answer each, in order. At most 100 at a time."""

    def wanted(self, bucket_id: str, key_hash: str) -> list[BlockId]:
        """Which blocks of the key's head the other side still lacks; [] also ends its incompleteness."""

    def put_block(self, ref: BlockRef, body: bytes) -> None:
        """Hand over one block; Refused if its bytes do not match or the upload is not there."""

    def get_block(self, ref: BlockRef, asked: tuple[str, ...]) -> bytes | None:
        """The block, or None for "definitely not"; `asked` names the sites already asked."""

    def fold(self, run: str, for_ms: int) -> bool:
        """Go on, for `for_ms` at most, to fold what the other side's tree does not show yet; whether all is
        folded that was committed there before `run`, a name no other run has, first asked."""

    def tree(self, bucket_id: str, prefixes: Sequence[str]) -> list[Node]:
        """The nodes at `prefixes` ("" is the root, each hex digit one level down), as last folded."""

    def entries(self, bucket_id: str, prefix: str) -> list[tuple[str, bytes]]:
        """(key hash, digest) of every key below `prefix`, in order."""

    def incomplete(self, after: str, limit: int) -> list[tuple[str, str]]:
        """(bucket id, key hash) of records whose blocks are not all there, in order, after `after`."""

    def accounts(self) -> dict[str, str]:
        """kind:id → stamp of every user and bucket the other side knows."""

    def decide(self, verb: str, arguments: dict[str, Any], idempotency_key: str) -> dict[str, Any]:
        """Ask the primary to decide on a name; the same key gets the same answer."""

    def bucket_empty(self, form: bytes, asked: tuple[str, ...]) -> bool:
        """Close the other side's copy of the bucket that `form` holds, and then say whether it shows no key
        and no open upload, nor any copy at its own sinks but those of `asked`, who are asked by others.
        Unavailable if one of them cannot be asked, or did not close."""
