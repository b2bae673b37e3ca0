"""The contract of ports/queues.py; an adapter passes it by overriding `queue`, an empty one for each test."""

import json
import time

import pytest

from chalicelib.ports.queues import RECEIVE_MAX, Queue

PATIENCE = 20  # receives: only a message that is lost takes so many
PAUSE_S = 0.2


def received(queue, at_least=1, hidden_s=30):
    """What comes, once so many have come; a queue need not give all it has at a time."""
    found = []
    for _ in range(PATIENCE):
        found += queue.receive(hidden_s=hidden_s)
        if len(found) >= at_least:
            return found
        time.sleep(PAUSE_S)
    raise AssertionError(f"{at_least} messages were sent, {len(found)} came")


class QueueContract:
    """ports.queues.Queue."""

    @pytest.fixture
    def queue(self) -> Queue:
        raise NotImplementedError

    def test_what_was_sent_comes(self, queue):
        """Body and attributes as they were; when it was sent and how often it came."""
        body = json.dumps({"sink": "east", "ü": 'a"b\n'})
        attributes = {"reason": "MalformedEvent: not an event", "queue": "documents"}

        queue.send(body, attributes)

        [message] = received(queue)
        assert (body, attributes, 1) == (message.body, message.attributes, message.received)
        assert message.sent_ms > 1_700_000_000_000 and message.id

    def test_attributes_without_a_value(self, queue):
        """Are none."""
        queue.send("x", {"reason": "", "queue": "documents"})

        assert {"queue": "documents"} == received(queue)[0].attributes

    def test_an_empty_queue(self, queue):
        """Has nothing, which is no error."""
        assert [] == queue.receive()

    def test_hidden_while_in_hand(self, queue):
        """Nobody else receives it; released it is there at once, and has come once more."""
        queue.send("x")
        [message] = received(queue)
        assert [] == queue.receive()

        queue.release(message)

        [again] = received(queue)
        assert (message.id, "x", 2) == (again.id, again.body, again.received)

    def test_not_deleted_in_time(self, queue):
        """Whoever died with it in hand is followed by another."""
        queue.send("x")
        [message] = received(queue, hidden_s=1)

        assert [message.id] == [again.id for again in received(queue)]

    def test_deleted(self, queue):
        """Gone, and a second time no error."""
        queue.send("x")
        [message] = received(queue, hidden_s=1)
        queue.delete(message)
        queue.delete(message)

        queue.send("y")
        assert ["y"] == [one.body for one in received(queue)]

    def test_limit(self, queue):
        """No more than were asked for, never more than a call may bring; none is lost by that."""
        for n in range(12):
            queue.send(str(n))

        few, many = queue.receive(2), queue.receive(100)
        assert len(few) <= 2 and len(many) <= RECEIVE_MAX
        rest = received(queue, 12 - len(few) - len(many))
        assert {str(n) for n in range(12)} == {one.body for one in [*few, *many, *rest]}
