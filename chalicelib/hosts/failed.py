"""What failed, for people: dead letters with their reasons, and owed items that were tried in vain.

    GET  /causeway/admin/failed                          {"letters": […], "items": […], "more": bool}
    POST /causeway/admin/failed  {action: retry | drop, id}    one letter: back to its queue, or away
                                 {action: retry, all: true}    all letters, and every owed item now

Looking at a queue of SQS is receiving from it: while somebody looks, others do not see what he sees.
Limits  LETTERS_MAX, ITEMS_MAX shown: who has more failures than that has one cause, seen in the first of them
Source  DESIGN §1.8; SQS "Dead-letter queues"; replication/outbox.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from chalicelib.domain.errors import StoreError
from chalicelib.objects.errors import InvalidRequest
from chalicelib.ports.queues import Message, Queue, Queues
from chalicelib.replication.node import Node

LETTERS_MAX = 100
ITEMS_MAX = 100
ITEMS_LOOKED_AT = 1000  # of each stage and shard
LOOK_S = 30  # letters come back by themselves when whoever looks dies
UNTOLD = "the function was ended before it could say why (out of time or memory); see its log"
Fields = dict[str, Any]


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
        if set(fields) - {"action", "all", "id"} or action not in ("retry", "drop"):
            raise InvalidRequest("action: retry or drop, with id; or action: retry with all")
        if every == isinstance(wanted, str) or (every and action == "drop"):
            raise InvalidRequest("say which: id; or all, to retry everything")
        done = self._letters_changed(action, "" if every else str(wanted))
        if not every and not done:
            raise InvalidRequest("no dead letter has this id now; `causeway failed` lists them")
        tried = 0
        for link in self._node.links.read().sinks() if every else ():
            self._node.outbox(link.site).retry_now()
            tried += 1
        return {"action": action, "letters": done, "links": tried}

    def _letters_changed(self, action: str, wanted: str) -> int:
        done = 0
        with self._letters() as found:
            for queue, dead, message in list(found):
                if wanted and message.id != wanted:
                    continue
                if action == "retry":
                    if queue is None:
                        raise InvalidRequest(f"this site was not told the queue that {dead.name} belongs to")
                    queue.send(message.body)
                dead.delete(message)
                found.remove((queue, dead, message))
                done += 1
        return done

    @contextmanager
    def _letters(self) -> Iterator[list[tuple[Queue | None, Queue, Message]]]:
        """Dead letters in hand; whatever is still listed at the end is shown to others again."""
        found: list[tuple[Queue | None, Queue, Message]] = []
        try:
            for queue, dead in self._queues.pairs():
                while (
                    dead is not None and len(found) < LETTERS_MAX and (page := dead.receive(hidden_s=LOOK_S))
                ):
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
