"""SQS batches: each message for itself; what is given up lies among the dead with its reason."""

import json
import secrets
from dataclasses import replace

import boto3
import pytest
from chalice.local import LambdaContext

from chalicelib.domain.errors import Unavailable
from chalicelib.hosts import lambda_queues
from chalicelib.hosts.lambda_events import MalformedEvent
from chalicelib.hosts.lambda_queues import REASON_CHARS_MAX, GivesUp
from chalicelib.replication import setup
from tests.hosts.functions_site import on_moto
from tests.hosts.s3_events import Told, s3_event

TRIES = 5


class Dead:
    """A dead queue in memory; `problem` is raised instead of taking anything."""

    def __init__(self, problem=None):
        self.letters, self._problem = [], problem

    def send(self, body, attributes):
        if self._problem:
            raise self._problem
        self.letters.append((body, attributes))


def batch(*bodies, received=1):
    """An event as a mapping of SQS sends it."""
    return {
        "Records": [
            {
                "messageId": f"m{n}",
                "receiptHandle": "h",
                "body": body,
                "attributes": {"ApproximateReceiveCount": str(received), "SentTimestamp": "1700000000000"},
                "messageAttributes": {},
                "md5OfBody": "x",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:causeway-west-documents",
                "awsRegion": "us-east-1",
            }
            for n, body in enumerate(bodies)
        ]
    }


def failures(event, deal, dead, told=None):
    """Message ids that come again."""
    one = GivesUp(deal, dead, TRIES, "request 7", told or Told())
    answer = lambda_queues.answer(event, LambdaContext("on_documents", 1024), one)
    return [each["itemIdentifier"] for each in answer["batchItemFailures"]]


def deal(message):
    """Work that fails as the message says."""
    if message == "malformed":
        raise MalformedEvent("the message holds no S3 event")
    if message == "down":
        raise Unavailable("DynamoDB: throttled")
    if message == "bug":
        raise ZeroDivisionError("division by zero")


def test_what_can_never_succeed():
    """Is among the dead after its first try, and does not come again; the rest of the batch is dealt with."""
    dead, done = Dead(), []

    def noted(message):
        deal(message)
        done.append(message)

    assert [] == failures(batch("fine", "malformed", "fine too"), noted, dead)

    assert ["fine", "fine too"] == done
    [(body, attributes)] = dead.letters
    assert "malformed" == body
    assert attributes == {
        "reason": "MalformedEvent: the message holds no S3 event",
        "queue": "causeway-west-documents",
        "message_id": "m1",
        "request_id": "request 7",
        "tries": "1",
    }


@pytest.mark.parametrize("kind", ["down", "bug"])
def test_what_may_succeed_later(kind):
    """Comes again, alone, until the last time the queue allows."""
    dead = Dead()
    for received in range(1, TRIES):
        assert ["m1"] == failures(batch("fine", kind, received=received), deal, dead)
    assert [] == dead.letters

    assert [] == failures(batch("fine", kind, received=TRIES), deal, dead)

    [(body, attributes)] = dead.letters
    reason = {"down": "Unavailable: DynamoDB: throttled", "bug": "ZeroDivisionError: division by zero"}[kind]
    assert (kind, reason) == (body, attributes["reason"])


def test_a_batch_that_fails_as_a_whole():
    """Is no error of the function: each message comes again, for itself."""
    assert ["m0", "m1"] == failures(batch("down", "bug"), deal, Dead())


@pytest.mark.parametrize("dead", [None, Dead(Unavailable("queue dead: down"))])
def test_no_dead_queue_now(dead):
    """The message stays in its queue, whose own redrive takes it once it came too often."""
    told = Told()

    assert ["m0", "m1"] == failures(batch("malformed", "down", received=TRIES), deal, dead, told)

    names = [name for name, _ in told.events]
    assert 2 == names.count("message_failed")
    assert (2 if dead else 0) == names.count("message_not_buried")


def test_a_reason_that_sqs_would_refuse():
    """Is cut and printable: a letter never fails for its words."""
    dead = Dead()

    def fail(message):
        raise MalformedEvent("\x00\n\ud800" + "x" * 10_000)

    assert [] == failures(batch("x"), fail, dead)

    reason = dead.letters[0][1]["reason"]
    assert len(reason) <= REASON_CHARS_MAX and reason.isprintable() and reason.encode()
    assert reason.startswith("MalformedEvent: ")


# ------------------------------------------------------------------- the function, with its queues


@pytest.fixture
def site():
    """West's functions with queues of their own; `site.urls` by setting."""
    names = ("documents_queue", "documents_dead_queue", "fullsync_queue", "fullsync_dead_queue")
    run = secrets.token_hex(4)
    account = "https://sqs.us-west-2.amazonaws.com/123456789012"
    urls = {name: f"{account}/{run}-{name.replace('_', '-')}" for name in names}
    with on_moto(**{f"CAUSEWAY_{name.upper()}": url for name, url in urls.items()}) as site:
        site.sqs = boto3.client("sqs", site.node.site.rules.region)
        for url in urls.values():
            site.sqs.create_queue(QueueName=url.rpartition("/")[2])
        site.urls = urls
        yield site


def letters(site, name):
    """What lies in a queue: (body, attributes)."""
    answer = site.sqs.receive_message(
        QueueUrl=site.urls[name], MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=0
    )
    return [
        (one["Body"], {n: each["StringValue"] for n, each in one.get("MessageAttributes", {}).items()})
        for one in answer.get("Messages", [])
    ]


@pytest.mark.parametrize(
    ("function", "dead"),
    [("on_documents", "documents_dead_queue"), ("fullsync_step", "fullsync_dead_queue")],
)
def test_poison_in_a_function(site, function, dead):
    """app.py's own handler sends it away, with the request id of its Lambda context."""
    answer = site.client.lambda_.invoke(function, batch("poison")).payload

    assert {"batchItemFailures": []} == answer
    [(body, attributes)] = letters(site, dead)
    assert "poison" == body and attributes["request_id"]
    assert attributes["reason"].startswith("MalformedEvent: ")


def test_a_minute_s_schedule_names_the_runs(site):
    """One message a run, and none more while a driver has it."""
    key = site.node.site.vault.public_key().hex()
    north = setup.Wanted("north", "https://127.0.0.1:9", secrets.token_hex(32), key, "0" * 16)
    setup.connect(site.node, replace(north, sink=True, prove=False))
    event = site.client.events.generate_cw_event("aws.events", "Scheduled Event", {}, [])
    site.node.start_fullsync("north")

    first = site.client.lambda_.invoke("fullsync", event).payload
    assert {"running": 1, "sent": 1, "failed": 0} == first
    assert [(json.dumps({"sink": "north"}), {})] == letters(site, "fullsync_queue")

    assert site.node.runs.lease("north", site.node.site.clock.now_ms(), 60_000)
    assert {"running": 1, "sent": 0, "failed": 0} == site.client.lambda_.invoke("fullsync", event).payload


def test_a_test_event_in_a_batch(site):
    """S3 sends one when a notification is set up; names that are no documents are not worth a letter."""
    event = batch(json.dumps({"Event": "s3:TestEvent"}), json.dumps(s3_event("manifests/x")))

    assert {"batchItemFailures": []} == site.client.lambda_.invoke("on_documents", event).payload

    assert [] == letters(site, "documents_dead_queue")
