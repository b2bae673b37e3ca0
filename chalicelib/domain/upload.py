"""Uploads: one attempt to write an object. Its blocks live exactly as long as it does.

    open ──commit──▶ committed
      │                  │
      └─────close────────┴──▶ closing ──blocks deleted──▶ (row gone)

The table below is the only place where a transition is allowed; each is one compare-and-set.
Source  DESIGN §5 "PUT", "Multipart", "GC".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from chalicelib.domain.manifest import Pairs, Part


class UploadState(StrEnum):
    """Where an upload stands."""

    OPEN = "open"
    COMMITTED = "committed"
    CLOSING = "closing"


TRANSITIONS: dict[UploadState, frozenset[UploadState]] = {
    UploadState.OPEN: frozenset({UploadState.COMMITTED, UploadState.CLOSING}),
    UploadState.COMMITTED: frozenset({UploadState.COMMITTED, UploadState.CLOSING}),
    UploadState.CLOSING: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Upload:
    """One upload at one site; `answer_etag` of a committed multipart upload tells a repeated Complete. Which
    parts it was completed from only its record says: a row is too small for 10,000 of them."""

    id: str
    bucket_id: str
    key: str
    state: UploadState
    opened_ms: int
    origin: str
    multipart: bool = False
    owner: str = ""
    headers: Pairs = ()
    metadata: Pairs = ()
    checksum_algorithm: str = ""
    checksum_kind: str = ""
    answer_etag: str = ""


@dataclass(frozen=True, slots=True)
class PartAttempt:
    """One attempt at a part of an open multipart upload."""

    part: Part
    modified_ms: int


def move(upload: UploadState, to: UploadState) -> UploadState:
    """`to`, if the table allows it; ValueError naming both states otherwise."""
    if to not in TRANSITIONS[upload]:
        raise ValueError(f"an upload that is {upload} cannot become {to}")
    return to
