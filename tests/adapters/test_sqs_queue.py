"""SqsQueue keeps the contract on moto over HTTP, and names errors by what is known."""

import secrets
import socket

import boto3
import pytest

from chalicelib import bootstrap
from chalicelib.adapters.sqs_queue import SqsQueue, client_config
from chalicelib.bootstrap import aws
from chalicelib.domain.errors import Indeterminate, StoreError, Unavailable
from chalicelib.settings import Settings
from tests.conformance.queues import QueueContract, received
from tests.queues import MemoryQueue
from tests.services.faulty import CUT_AFTER, DENIED, THROTTLED, faulty, refused


@pytest.fixture(scope="module")
def client(moto):
    return boto3.client("sqs", **moto.boto3_arguments(), config=client_config())


@pytest.fixture
def url(client):
    """Of a queue of the test's own."""
    url = client.create_queue(QueueName=f"documents-{secrets.token_hex(6)}")["QueueUrl"]
    yield url
    client.delete_queue(QueueUrl=url)


@pytest.fixture
def relayed(moto, url):
    """The queue behind a relay, and the relay."""
    with faulty(moto.endpoint) as relay:
        arguments = moto.boto3_arguments() | {"endpoint_url": relay.endpoint}
        client = boto3.client("sqs", **arguments, config=client_config())
        yield SqsQueue(lambda: client, url), relay


class TestOnMoto(QueueContract):
    """An imitation of SQS, behind HTTP."""

    @pytest.fixture
    def queue(self, client, url):
        return SqsQueue(lambda: client, url)


class TestInMemory(QueueContract):
    """The queue of tests that need none of AWS."""

    @pytest.fixture
    def queue(self):
        return MemoryQueue()


def test_named_as_people_call_it(url):
    """Without account and region."""
    assert SqsQueue(None, url).name == SqsQueue(None, url + "/").name == url.rpartition("/")[2]


ASKED = {
    "SendMessage": lambda queue, message: queue.send("y"),
    "ReceiveMessage": lambda queue, message: queue.receive(),
    "DeleteMessage": lambda queue, message: queue.delete(message),
    "ChangeMessageVisibility": lambda queue, message: queue.release(message),
}


@pytest.mark.parametrize("operation", ASKED)
@pytest.mark.parametrize("fault", [DENIED, THROTTLED, refused("AWS.SimpleQueueService.NonExistentQueue")])
def test_refused(relayed, operation, fault):
    """A 4xx was not done, and the error names the queue."""
    queue, relay = relayed
    queue.send("x")
    [message] = received(queue)
    relay.next(operation, fault, times=None)

    with pytest.raises(Unavailable, match=queue.name):
        ASKED[operation](queue, message)


@pytest.mark.parametrize("operation", ASKED)
@pytest.mark.parametrize("fault", [CUT_AFTER, refused("InternalError", 500)])
def test_nobody_knows(relayed, operation, fault):
    """A message may have been sent; the rest may be asked for again."""
    queue, relay = relayed
    queue.send("x")
    [message] = received(queue)
    relay.next(operation, fault, times=None)

    with pytest.raises(StoreError) as raised:
        ASKED[operation](queue, message)

    wanted = Indeterminate if operation == "SendMessage" else Unavailable
    assert type(raised.value) is wanted


@pytest.mark.parametrize("fault", [CUT_AFTER, THROTTLED])
def test_tried_again(relayed, fault):
    """Once is often enough for whatever was wrong; a double does no harm."""
    queue, relay = relayed
    relay.next("SendMessage", fault)

    queue.send("x")

    assert {"x"} == {message.body for message in received(queue)}
    assert 2 == relay.count("SendMessage")


def test_nobody_there(moto, url):
    """Never sent, so that nothing is in doubt."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        arguments = moto.boto3_arguments() | {"endpoint_url": f"http://127.0.0.1:{free.getsockname()[1]}"}
        client = boto3.client("sqs", **arguments, config=client_config())

        with pytest.raises(Unavailable):
            SqsQueue(lambda: client, url).send("x")


def settings(**told):
    """A site with queues."""
    told |= {"site": "west", "data": "data"}
    return Settings.from_environment({f"CAUSEWAY_{name.upper()}": value for name, value in told.items()})


def test_wired_from_settings(moto, url, monkeypatch):
    """Those a site was given; a client is made at the first use only."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", moto.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", moto.secret_key)
    made, real = [], aws.aws_session
    monkeypatch.setattr(aws, "aws_session", lambda: made.append(1) or real())

    queues = bootstrap.open_queues(
        settings(documents_queue=url, documents_dead_queue=url, sqs_endpoint=moto.endpoint)
    )

    assert queues.fullsync is None and queues.fullsync_dead is None and [] == made
    queues.documents.send("x")
    assert "x" == received(queues.documents_dead)[0].body
    assert 1 == len(made)
