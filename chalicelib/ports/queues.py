"""Queues: messages that something later, perhaps another process, deals with at least once.

send     the message will be received, at least once, in no order that counts
receive  up to `limit` messages, hidden from others for `hidden_s`: whoever does not delete one by then sees
         it again; so that looking at a queue is receiving with a short time and releasing
delete   it is dealt with; deleting twice is no error
release  let others see it at once
Errors   Unavailable when nothing was done, Indeterminate when a message may have been sent (again)
Source   Amazon SQS standard queues; DESIGN §5: "messages name an item, never carry it".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

RECEIVE_MAX = 10  # messages a call, as SQS has it


@dataclass(frozen=True, slots=True)
class Message:
    """A message in hand; `handle` deletes or releases it, and only for as long as it is hidden."""

    id: str
    handle: str = field(repr=False)
    body: str
    attributes: dict[str, str]
    sent_ms: int
    received: int  # times, this one included


class Queue(Protocol):
    """One queue."""

    @property
    def name(self) -> str:
        """What people call it."""

    def send(self, body: str, attributes: Mapping[str, str] = {}) -> None:
        """Put a message in."""

    def receive(self, limit: int = RECEIVE_MAX, hidden_s: int = 30) -> list[Message]:
        """Some messages, none if there are none now."""

    def delete(self, message: Message) -> None:
        """It is dealt with."""

    def release(self, message: Message) -> None:
        """Others may have it."""


@dataclass(frozen=True, slots=True)
class Queues:
    """A site's queues; None for those it was not given."""

    documents: Queue | None = None
    fullsync: Queue | None = None
    documents_dead: Queue | None = None
    fullsync_dead: Queue | None = None

    def pairs(self) -> tuple[tuple[Queue | None, Queue | None], ...]:
        """Each with where its messages go that are given up."""
        return (self.documents, self.documents_dead), (self.fullsync, self.fullsync_dead)


NO_QUEUES = Queues()
