"""Who wins: the greater stamp. Commutative, associative, idempotent; nothing else decides.

Two records of one key with the same stamp are the same record, because a site takes a stamp inside
the compare-and-set above the head's. Should a broken clock or a restored backup break that, the
encoded form breaks the tie, the same way at every site.
Source  DESIGN §3 *merge*; Shapiro et al. 2011, last-writer-wins register.
"""

from __future__ import annotations

from chalicelib.domain import codec
from chalicelib.domain.manifest import Record


def rank(record: Record) -> tuple[object, bytes]:
    """What records of one key are compared by."""
    return record.stamp, codec.encode_record(record)


def winner(one: Record, other: Record) -> Record:
    """The record a key holds after both have been seen."""
    if one.stamp != other.stamp:
        return one if one.stamp > other.stamp else other
    return one if codec.encode_record(one) >= codec.encode_record(other) else other


def supersedes(incoming: Record, head: Record | None) -> bool:
    """Whether `incoming` takes the place of `head`; False for the very same record."""
    if head is None:
        return True
    if incoming.stamp != head.stamp:
        return incoming.stamp > head.stamp
    return codec.encode_record(incoming) > codec.encode_record(head)
