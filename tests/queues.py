"""A queue in memory for tests. It keeps the contract of ports/queues.py: adapters/test_sqs_queue.py."""

import time
from dataclasses import dataclass, field
from itertools import count

from chalicelib.ports.queues import RECEIVE_MAX, Message

_ids = count(1)


@dataclass
class _Held:
    id: str
    body: str
    attributes: dict[str, str]
    sent_ms: int
    hidden_until: float = 0.0
    received: int = 0


@dataclass
class MemoryQueue:
    """`problem`, while it is set, is raised by every call."""

    name: str = "queue"
    problem: Exception | None = None
    held: dict[str, _Held] = field(default_factory=dict)

    def send(self, body, attributes={}):  # noqa: B006 - never changed
        """Put a message in."""
        self._fail()
        id_ = f"message-{next(_ids)}"
        told = {name: value for name, value in attributes.items() if value}
        self.held[id_] = _Held(id_, body, told, int(time.time() * 1000))

    def receive(self, limit=RECEIVE_MAX, hidden_s=30):
        """Some messages."""
        self._fail()
        now, found = time.monotonic(), []
        for one in self.held.values():
            if one.hidden_until <= now and len(found) < min(limit, RECEIVE_MAX):
                one.hidden_until = now + hidden_s
                one.received += 1
                found.append(Message(one.id, one.id, one.body, one.attributes, one.sent_ms, one.received))
        return found

    def delete(self, message):
        """It is dealt with."""
        self._fail()
        self.held.pop(message.id, None)

    def release(self, message):
        """Others may have it."""
        self._fail()
        if message.id in self.held:
            self.held[message.id].hidden_until = 0.0

    @property
    def bodies(self):
        """Of all messages there are."""
        return [one.body for one in self.held.values()]

    def _fail(self):
        if self.problem is not None:
            raise self.problem
