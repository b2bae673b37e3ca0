"""MinIO's webhook: nobody gets in without the token, and what is taken is in the queue or served."""

import dataclasses
import json
import secrets

import boto3
import pytest

from chalicelib.adapters.sqs_queue import SqsQueue
from chalicelib.domain.errors import Unavailable
from chalicelib.hosts import events, lambda_events
from chalicelib.s3.request import BytesBody, Headers, Request
from tests.builders import RULES, Net, put, text
from tests.conformance.queues import received
from tests.hosts.s3_events import SMALL, document, s3_event
from tests.services.run import minio_server
from tests.site_process import directory_site

TOKEN = "0123456789abcdef-token"


class Sealed(BytesBody):
    """A body that must not be read."""

    def read(self, size):
        raise AssertionError("read before the door was opened")


class Kept:
    """A queue in memory; `problem` is raised instead of taking anything."""

    def __init__(self, problem=None):
        self.bodies, self._problem = [], problem

    def send(self, body, attributes=None):
        if self._problem:
            raise self._problem
        self.bodies.append(body)


@pytest.fixture
def net():
    return Net("a", "b", rules=dataclasses.replace(RULES, documents=True)).link("a", "b")


def ask(net, body, *, queue=None, token=TOKEN, method="POST", shown=f"Bearer {TOKEN}"):
    """What the path answers."""
    headers = [("Content-Type", "application/json"), *([("Authorization", shown)] if shown else [])]
    request = Request(method, events.PATH, (), Headers(headers), body, True, "192.0.2.1")
    site = net["a"].site
    return events.webhook(token, queue, net["a"].serve_document, "", site.log)(request)


def minio_event(*names):
    """As MinIO words it: an S3 event with two fields before it."""
    told = s3_event(*names, event="s3:ObjectCreated:Put")
    return BytesBody(json.dumps({"EventName": "s3:ObjectCreated:Put", "Key": "blocks/x", **told}).encode())


@pytest.mark.parametrize(
    "shown",
    ["", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"bearer {TOKEN}", TOKEN,
     f"Basic {TOKEN}", "Bearer ü", f" Bearer {TOKEN}"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["POST", "GET", "HEAD"])
def test_without_the_token(net, shown, method):
    """403 whatever else is asked, and nothing of the body is read."""
    assert 403 == ask(net, Sealed(b"{}"), method=method, shown=shown).status


def test_where_no_token_is_set(net):
    """Nothing opens the path: no token, and above all not the empty one."""
    for shown in ("", "Bearer", "Bearer ", f"Bearer {TOKEN}"):
        assert 404 == ask(net, Sealed(b"{}"), token="", shown=shown).status


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_other_methods(net, method):
    """MinIO of old asked HEAD whether anybody is there: any answer says so."""
    assert 405 == ask(net, Sealed(b""), method=method).status


def test_too_large(net):
    """Not read either; nor is what does not say how much it is."""
    endless = Sealed(b"")
    endless.length = None

    for body in (Sealed(b"x" * (events.BODY_BYTES_MAX + 1)), endless):
        assert 413 == ask(net, body).status


@pytest.mark.parametrize(
    "body",
    [b"", b"x", b"[]", b"{}", b'{"Records": 1}', b"\xff\xfe{\x00}\x00", b"[" * 80_000, b'"\\ud800"'],
    ids=lambda body: repr(body[:8]),
)
def test_what_is_no_event(net, body):
    """Said so; nothing goes into the queue."""
    queue = Kept()

    assert 400 == ask(net, BytesBody(body), queue=queue).status
    assert [] == queue.bodies


def test_served_at_once(net):
    """Where there is no queue: the record and its blocks are at the sink before MinIO has its answer."""
    photos = net.make_bucket()
    record = put(net["a"].site, photos, "a b/ü", SMALL)

    assert 200 == ask(net, minio_event(document(record))).status
    assert 200 == ask(net, minio_event(document(record))).status  # doubled: nothing to do

    assert SMALL == text(net["b"].site, photos.id, "a b/ü")
    assert [] == net.owed("a", "b")


def test_a_sink_that_is_down(net):
    """Is no reason to be told again: the item is owed, the sweep serves it."""
    record = put(net["a"].site, net.make_bucket(), "k", SMALL)
    net.cut.add(("a", "b"))

    assert 200 == ask(net, minio_event(document(record))).status
    assert 1 == len(net.owed("a", "b"))


def test_into_the_queue(net):
    """As it came; nothing is served here then."""
    record, queue = put(net["a"].site, net.make_bucket(), "k", SMALL), Kept()

    assert 200 == ask(net, minio_event(document(record)), queue=queue).status

    assert s3_event(document(record), event="s3:ObjectCreated:Put") == json.loads(queue.bodies[0])
    assert 1 == len(net.owed("a", "b"))


def test_what_a_queue_takes(net):
    """Characters that JSON may hold and SQS refuses arrive as ASCII, and no message is too long for it."""
    queue = Kept()
    told = {
        "Records": [
            {"eventName": "s3:ObjectCreated:Put", "s3": {"object": {"key": "\uffff\ufffe" + "é" * 40_000}}}
        ]
    }

    assert 200 == ask(net, BytesBody(json.dumps(told, ensure_ascii=False).encode()), queue=queue).status
    assert 413 == ask(net, minio_event("é" * events.BODY_BYTES_MAX), queue=queue).status
    (body,) = queue.bodies
    assert body.isascii() and body.isprintable() and len(body) < 256 * 1024


def test_a_queue_that_is_down(net):
    """503: MinIO may send it again."""
    queue = Kept(Unavailable("queue documents: down"))

    assert 503 == ask(net, minio_event("manifests/x"), queue=queue).status
    assert ["event_not_taken"] == net["a"].site.log.names()
    assert TOKEN not in repr(net["a"].site.log.told)


def test_events_of_removals(net):
    """Are taken and left alone."""
    queue = Kept()
    body = BytesBody(json.dumps(s3_event("manifests/x", event="s3:ObjectRemoved:Delete")).encode())

    assert 200 == ask(net, body, queue=queue).status
    assert [] == queue.bodies


def test_minio_itself(tmp_path, moto, monkeypatch):
    """A real bucket's notification, with the token MinIO was told, through a served site into the queue."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", moto.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", moto.secret_key)
    sqs = boto3.client("sqs", **moto.boto3_arguments())
    url = sqs.create_queue(QueueName=f"documents-{secrets.token_hex(6)}")["QueueUrl"]
    told = {"documents_queue": url, "sqs_endpoint": moto.endpoint, "blocks_region": moto.region}
    with directory_site(tmp_path, "west", events_token=TOKEN, workers=1, **told) as site:
        webhook = {
            "MINIO_NOTIFY_WEBHOOK_ENABLE_WEST": "on",
            "MINIO_NOTIFY_WEBHOOK_ENDPOINT_WEST": f"{site.endpoint}/causeway/events",
            "MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_WEST": f"Bearer {TOKEN}",
        }
        with minio_server(environment=webhook) as minio:
            s3 = boto3.client("s3", **minio.boto3_arguments())
            s3.create_bucket(Bucket="blocks")
            s3.put_bucket_notification_configuration(
                Bucket="blocks",
                NotificationConfiguration={
                    "QueueConfigurations": [
                        {"QueueArn": "arn:minio:sqs::WEST:webhook", "Events": ["s3:ObjectCreated:*"]}
                    ]
                },
            )
            s3.put_object(Bucket="blocks", Key="manifests/a b/ü", Body=b"{}")

            [message] = received(SqsQueue(lambda: sqs, url))

        assert ["manifests/a b/ü"] == list(lambda_events.keys_in(lambda_events.body_of(message.body)))
