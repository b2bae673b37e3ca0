"""A queue of Amazon SQS, or of whatever speaks its protocol.

Needs    `client` is called at the first use only: a function that never sends pays for no client
         sqs:SendMessage to send; ReceiveMessage, DeleteMessage, ChangeMessageVisibility for the rest
Errors   refused (4xx) or never sent: Unavailable · anything else: Indeterminate if it sends, else Unavailable
Source   SQS API reference; contract: ports/queues.py, tests/conformance/queues.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
)

from chalicelib.domain.errors import Indeterminate, Unavailable
from chalicelib.ports.queues import RECEIVE_MAX, Message

_NEVER_SENT = (ConnectTimeoutError, EndpointConnectionError, NoCredentialsError)


def client_config() -> Config:
    """How the client is to be made: sending twice does no harm, so the SDK may try again."""
    return Config(retries={"total_max_attempts": 3, "mode": "standard"}, connect_timeout=3, read_timeout=10)


class SqsQueue:
    """The queue at `url`."""

    def __init__(self, client: Callable[[], Any], url: str) -> None:
        self._client = client
        self._url = url
        self.name = url.rstrip("/").rpartition("/")[2]

    def send(self, body: str, attributes: Mapping[str, str] = {}) -> None:
        """Put a message in; empty attributes, which SQS does not take, are left out."""
        told = {
            name: {"DataType": "String", "StringValue": value} for name, value in attributes.items() if value
        }
        with self._asking(sends=True):
            self._client().send_message(QueueUrl=self._url, MessageBody=body, MessageAttributes=told)

    def receive(self, limit: int = RECEIVE_MAX, hidden_s: int = 30) -> list[Message]:
        """Some messages."""
        with self._asking():
            answer = self._client().receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=min(limit, RECEIVE_MAX),
                VisibilityTimeout=hidden_s,
                WaitTimeSeconds=1,  # asks all of SQS's servers, not a sample that may miss the few there are
                AttributeNames=["SentTimestamp", "ApproximateReceiveCount"],
                MessageAttributeNames=["All"],
            )
        return [_message(plain) for plain in answer.get("Messages", [])]

    def delete(self, message: Message) -> None:
        """Remove it."""
        with self._asking():
            self._client().delete_message(QueueUrl=self._url, ReceiptHandle=message.handle)

    def release(self, message: Message) -> None:
        """Show it to others."""
        with self._asking():
            self._client().change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=message.handle, VisibilityTimeout=0
            )

    @contextmanager
    def _asking(self, sends: bool = False) -> Iterator[None]:
        try:
            yield
        except (ClientError, BotoCoreError) as problem:
            told = f"queue {self.name}: {type(problem).__name__}: {problem}"
            answer = getattr(problem, "response", None) or {}  # a connection's error has one that is None
            status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            known = isinstance(problem, _NEVER_SENT) or 400 <= status < 500
            raise (Indeterminate if sends and not known else Unavailable)(told) from problem


def _message(plain: dict[str, Any]) -> Message:
    about, attributes = plain.get("Attributes", {}), plain.get("MessageAttributes", {})
    return Message(
        plain["MessageId"],
        plain["ReceiptHandle"],
        plain["Body"],
        {name: each["StringValue"] for name, each in attributes.items() if "StringValue" in each},
        int(about.get("SentTimestamp", 0)),
        int(about.get("ApproximateReceiveCount", 1)),
    )
