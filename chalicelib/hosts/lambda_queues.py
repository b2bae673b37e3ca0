"""SQS batches: each message for itself, and those that are given up among the dead with their reason.

    answer(event, context, GivesUp(deal, dead, tries, request_id, tell))   → {"batchItemFailures": […]}

deal    the work; MalformedEvent says that it can never succeed
Promise a message that fails comes back, alone; one that can never succeed, or failed for the last time the
        queue allows, goes to the dead queue by our own hand, so that its reason goes with it. What ends
        the function itself (time, memory) leaves no reason: the queue's redrive policy takes it then
Limits  REASON_CHARS_MAX of a reason: an attribute is paid for as a message's body
Source  AWS Lambda "Partial batch responses"; Powertools "Batch processing"; SQS "Message attributes".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chalicelib.domain.errors import StoreError
from chalicelib.hosts.lambda_events import MalformedEvent
from chalicelib.ports.queues import Queue

REASON_CHARS_MAX = 500


@dataclass(frozen=True)
class GivesUp:
    """Deals with a message, or sees to it that whoever looks finds out why not."""

    deal: Callable[[str], None]
    dead: Queue | None
    tries: int
    request_id: str
    tell: Callable[..., None]

    def __call__(self, record: Any) -> None:
        """One message of a batch; raises if it shall come again."""
        try:
            self.deal(record.body)
        except Exception as problem:
            reason = f"{type(problem).__name__}: {problem}"[:REASON_CHARS_MAX]
            received = int(record.attributes.approximate_receive_count)
            last = isinstance(problem, MalformedEvent) or received >= self.tries
            self.tell(
                "message_failed", level="error", message=record.message_id, received=received, reason=reason
            )
            if not last or not self._buried(record, reason, received):
                raise

    def _buried(self, record: Any, reason: str, received: int) -> bool:
        """Whether the dead queue has it now. If it has not, the queue's own redrive takes it, later."""
        if self.dead is None:
            return False
        attributes = {
            "reason": _plain(reason),
            "queue": record.event_source_arn.rpartition(":")[2],
            "message_id": record.message_id,
            "request_id": self.request_id,
            "tries": str(received),
        }
        try:
            self.dead.send(record.body, attributes)
        except StoreError as problem:
            self.tell("message_not_buried", message=record.message_id, problem=str(problem)[:300])
            return False
        return True


def _plain(text: str) -> str:
    """Without the control characters that SQS refuses."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def answer(event: dict[str, Any], context: Any, one: Callable[[Any], None]) -> Any:
    """Deal with every message of a batch; what Lambda shall give back to the queue."""
    # Imported where it is needed: no function without a queue pays for it.
    from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

    # An error for a batch of which nothing succeeded would say no more, and stop what Lambda reads next.
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(event, one, processor, context)
