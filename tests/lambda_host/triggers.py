"""What calls functions on AWS besides HTTP: an event source mapping of SQS, and EventBridge's schedules.

    mapping.poll()          receive once, invoke, delete what succeeded; Polled
    tick(function)          what the function's schedule sends it

Promise A batch that fails stays in the queue; with `hurry` it is visible again at once instead of after its
        visibility time-out. With ReportBatchItemFailures only what is named stays; an answer that cannot be
        understood fails the whole batch.
Errors  WrongMapping: AWS would refuse to create it
Source  Lambda developer guide: "Using Lambda with Amazon SQS", "Handling errors for an SQS event source in
        Lambda"; EventBridge user guide, "Scheduled rule events".
"""

import json
import time
import uuid
from dataclasses import dataclass
from typing import Any

from tests.lambda_host.function import Function, Result
from tests.lambda_host.template import ACCOUNT, QueueSource, Schedule


class WrongMapping(AssertionError):
    """As CreateEventSourceMapping says it."""


@dataclass(frozen=True)
class Polled:
    """What one look into a queue led to."""

    messages: int
    failed: int
    result: Result | None  # None when nothing was there


class QueueMapping:
    """One queue before one function."""

    def __init__(self, function: Function, source: QueueSource, sqs: Any, url: str, arn: str) -> None:
        self.function, self._source, self._sqs, self.url, self._arn = function, source, sqs, url, arn
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
        visibility_s = int(found["VisibilityTimeout"])
        if visibility_s < function.spec.timeout_s:
            raise WrongMapping(
                f"Queue visibility timeout: {visibility_s} seconds is less than Function timeout: "
                f"{function.spec.timeout_s} seconds"
            )

    def poll(self, wait_s: int = 0, hurry: bool = True) -> Polled:
        """Receive once."""
        got = self._sqs.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=min(10, self._source.batch_size),
            WaitTimeSeconds=wait_s,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        ).get("Messages", [])
        if not got:
            return Polled(0, 0, None)
        result = self.function.invoke({"Records": [self._record(each) for each in got]})
        failed = self._failed(result, {each["MessageId"] for each in got})
        for each in got:
            handle = {"QueueUrl": self.url, "ReceiptHandle": each["ReceiptHandle"]}
            if each["MessageId"] not in failed:
                self._sqs.delete_message(**handle)
            elif hurry:
                self._sqs.change_message_visibility(**handle, VisibilityTimeout=0)
        return Polled(len(got), len(failed), result)

    def _failed(self, result: Result, batch: set[str]) -> set[str]:
        if result.error:
            return batch
        if not self._source.reports_failures:
            return set()
        try:
            answer = json.loads(result.payload) or {}
            named = {each["itemIdentifier"] for each in answer.get("batchItemFailures") or []}
        except (KeyError, TypeError, AttributeError, ValueError):
            return batch
        return named if named <= batch else batch

    def _record(self, message: dict[str, Any]) -> dict[str, Any]:
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message.get("Attributes", {}),
            "messageAttributes": {
                name: {
                    "dataType": each["DataType"],
                    "stringListValues": [],
                    "binaryListValues": [],
                    **({"stringValue": each["StringValue"]} if "StringValue" in each else {}),
                }
                for name, each in message.get("MessageAttributes", {}).items()
            },
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": self._arn,
            "awsRegion": self._arn.split(":")[3],
        }


def scheduled_event(function: Function, schedule: Schedule) -> Any:
    """What EventBridge sends."""
    if schedule.input is not None:
        return json.loads(schedule.input)
    region = function.spec.arn.split(":")[3]
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "region": region,
        "resources": [f"arn:aws:events:{region}:{ACCOUNT}:rule/{function.spec.function_name}"],
        "detail": {},
    }


def seconds_of(expression: str) -> int:
    """How often `rate(…)` is."""
    number, unit = expression.removeprefix("rate(").removesuffix(")").split()
    return int(number) * {"minute": 60, "hour": 3600, "day": 86_400}[unit.rstrip("s")]
