"""What failed, for people: dead letters with their reasons, and owed items that were tried in vain.

    GET  /causeway/admin/failed                          {"letters": […], "items": […], "more": bool}
    POST /causeway/admin/failed  {action: retry | drop, id}    one letter: back to its queue, or away
                                 {action: retry, all: true}    all letters, then every owed item now, as far
                                 as RETRY_MS goes. `more`: ask again, with the `began_ms` of the answer

Looking at a queue of SQS is receiving from it: while somebody looks, others do not see what he sees.
Limits  LETTERS_MAX, ITEMS_MAX shown: who has more failures than that has one cause, seen in the first of them
Source  DESIGN §1.8; SQS "Dead-letter queues"; replication/outbox.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from chalicelib.domain.errors import StoreError
from chalicelib.objects.errors import InvalidRequest
from chalicelib.ports.queues import RECEIVE_MAX, Message, Queue, Queues
from chalicelib.replication.node import Node

LETTERS_MAX = 100
ITEMS_MAX = 100
RETRY_MS = 10_000  # a front gives a request 29 s; the last letter in hand may take some of it
ITEMS_LOOKED_AT = 1000  # of each stage and shard
LOOK_S = 30  # letters come back by themselves when whoever looks dies
UNTOLD = "the function was ended before it could say why (out of time or memory); see its log"
Fields = dict[str, Any]
_Letters = list[tuple[Queue | None, Queue, Message]]


class Failed:
    """Shows failures and has them tried again."""

    def __init__(self, node: Node, queues: Queues) -> None:
        self._node = node
        self._queues = queues

    def shown(self, name: str, fields: Fields) -> Fields:
        """Everything that failed."""
        now_ms = self._node.site.clock.now_ms()
        with self._letters() as found:
            letters = [_letter(dead, message, now_ms) for _, dead, message in found]
        items, more = self._items(now_ms)
        return {"letters": letters, "items": items, "more": more or len(letters) >= LETTERS_MAX}

    def change(self, name: str, fields: Fields) -> Fields:
        """Retry or drop."""
        action, every, wanted = fields.get("action"), fields.get("all") is True, fields.get("id")
        began_ms = fields.get("began_ms", self._node.site.clock.now_ms())
        known = {"action", "all", "id"} | ({"began_ms"} if every else set())
        if set(fields) - known or action not in ("retry", "drop") or type(began_ms) is not int:
            raise InvalidRequest("action: retry or drop, with id; or action: retry with all, and began_ms")
        if every == isinstance(wanted, str) or (every and action == "drop"):
            raise InvalidRequest("say which: id; or all, to retry everything")
        if every:
            return {"action": action, **self._all_tried_again(began_ms)}
        with self._letters() as found:
            done = self._letters_changed(found, action, lambda message: message.id == wanted)
        if not done:
            raise InvalidRequest("no dead letter has this id now; `causeway failed` lists them")
        return {"action": action, "letters": done, "links": 0}

    def _all_tried_again(self, began_ms: int) -> Fields:
        """`began_ms` bounds how often the same owed item is moved, however often this is asked."""
        clock = self._node.site.clock
        now_ms = clock.now_ms()
        until_ms, began_ms = now_ms + RETRY_MS, max(0, min(began_ms, now_ms))
        letters = tried = 0
        more = True
        while more and clock.now_ms() < until_ms:
            with self._letters(RECEIVE_MAX) as found:
                more = bool(found)
                letters += self._letters_changed(found, "retry", lambda message: True)
        for link in self._node.links.read().sinks():
            tried += 1
            more = not self._node.outbox(link.site).retry_now(until_ms, began_ms) or more
        return {"letters": letters, "links": tried, "more": more, "began_ms": began_ms}

    def _letters_changed(self, found: _Letters, action: str, wanted: Callable[[Message], bool]) -> int:
        done = 0
        for queue, dead, message in [letter for letter in found if wanted(letter[2])]:
            if action == "retry":
                if queue is None:
                    raise InvalidRequest(f"this site was not told the queue that {dead.name} belongs to")
                queue.send(message.body)
            dead.delete(message)
            found.remove((queue, dead, message))
            done += 1
        return done

    @contextmanager
    def _letters(self, limit: int = LETTERS_MAX) -> Iterator[_Letters]:
        """Dead letters in hand; whatever is still listed at the end is shown to others again."""
        found: _Letters = []
        try:
            for queue, dead in self._queues.pairs():
                while dead is not None and len(found) < limit and (page := dead.receive(hidden_s=LOOK_S)):
                    found += [(queue, dead, message) for message in page]
            yield found
        finally:
            for _, dead, message in found:
                with suppress(StoreError):  # it shows itself after LOOK_S
                    dead.release(message)

    def _items(self, now_ms: int) -> tuple[list[Fields], bool]:
        found: list[Fields] = []
        for link in self._node.links.read().sinks():
            for stage, page in self._node.outbox(link.site).firsts(ITEMS_LOOKED_AT):
                for owing in page:
                    item = owing.item
                    if not item.tries:
                        continue
                    if len(found) == ITEMS_MAX:
                        return found, True
                    found.append(
                        {
                            "sink": link.site,
                            "stage": stage,
                            "kind": item.kind,
                            "bucket_id": item.bucket_id,
                            "name": item.name,
                            "tries": item.tries,
                            "error": item.error,
                            "age_ms": now_ms - item.created_ms,
                            "next_ms": int.from_bytes(owing.row.sk[:6]),
                        }
                    )
        return found, False


def _letter(dead: Queue, message: Message, now_ms: int) -> Fields:
    told = message.attributes
    return {
        "id": message.id,
        "queue": told.get("queue") or dead.name,
        "reason": told.get("reason") or UNTOLD,
        "request_id": told.get("request_id", ""),
        "message_id": told.get("message_id") or message.id,  # as the function's log has it
        "tries": told.get("tries", ""),  # unknown if the queue's redrive brought it
        "age_ms": max(0, now_ms - message.sent_ms),
        "body": message.body,
    }
