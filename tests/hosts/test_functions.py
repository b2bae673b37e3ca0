"""The functions as app.py binds them, MinIO's notifications, and a record's whole way to the other site."""

import json
import queue
import threading
import time
from contextlib import suppress
from unittest.mock import patch

import pytest

from chalicelib import bootstrap
from chalicelib.domain.errors import Unavailable
from chalicelib.hosts.minio_events import listening
from chalicelib.objects import accounts
from chalicelib.replication import setup
from chalicelib.replication.runs import State
from chalicelib.settings import Settings
from tests.builders import put, text
from tests.hosts.fronts import FunctionUrl, through
from tests.hosts.functions_site import on_moto, on_services
from tests.hosts.over_tables import link_over_tables, sink_node, sink_places
from tests.hosts.s3_events import SMALL, Told, document, s3_event


@pytest.fixture(scope="module")
def site():
    with on_moto() as site:
        yield site


def invoke(site, name, event):
    """A function's answer, as Lambda gets it."""
    return site.client.lambda_.invoke(name, event).payload


def test_bound_to_the_bucket(site):
    """The function an S3 notification calls, with Chalice's own idea of such an event."""
    event = site.client.events.generate_s3_event("causeway-west-blocks", "manifests/x")

    assert {"documents": 0, "served": 0, "ignored": 1, "failed": 0} == invoke(site, "on_documents", event)


def test_bound_to_a_queue(site):
    """Each message for itself: the poison goes back, and with its tries used up among the dead."""
    good, test_event = json.dumps(s3_event("manifests/x")), json.dumps({"Event": "s3:TestEvent"})
    event = site.client.events.generate_sqs_event([good, "poison", test_event])
    for n, record in enumerate(event["Records"]):
        record["messageId"] = f"message {n}"

    assert {"batchItemFailures": [{"itemIdentifier": "message 1"}]} == invoke(site, "on_documents", event)


@pytest.mark.parametrize("name", ["sweep", "fullsync", "collect"])
def test_schedules(site, name):
    """As EventBridge calls them."""
    event = site.client.events.generate_cw_event(
        "aws.events", "Scheduled Event", {}, ["arn:aws:events:us-west-2:123456789012:rule/each-minute"]
    )

    assert 0 == sum(invoke(site, name, event).values())


# -------------------------------------------------------------------------------- real services


class Heard:
    """What MinIO tells of documents, from the moment this exists."""

    def __init__(self, events, site):
        self._queue = queue.Queue()
        threading.Thread(target=self._listen, args=(iter(events),), daemon=True).start()
        while self._queue.empty():  # until the connection stands
            site.blocks.put_document("manifests/is/anybody/there", b"?")
            time.sleep(0.1)
        while "anybody" in str(self.next(0.5)):
            pass

    def _listen(self, events):
        with suppress(Unavailable):  # MinIO ends with the tests
            for event in events:
                self._queue.put(event)

    def next(self, patience_s=20):
        """The next event."""
        try:
            return self._queue.get(timeout=patience_s)
        except queue.Empty:
            return None


@pytest.fixture
def east_places(minio, dynamodb, monkeypatch):
    """Tables and a bucket of another site, as a link describes them."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", minio.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", minio.secret_key)
    with sink_places(minio, dynamodb) as places:
        yield places


def test_from_put_to_the_other_site(minio, dynamodb, east_places):
    """A PUT through west's function, MinIO's own notification through its handler, over east's tables;
    what was there before comes by the scheduled fullsync."""
    with on_services("west", minio, dynamodb, CAUSEWAY_PRIMARY="west") as west:
        east = sink_node(east_places)
        link_over_tables(west.node, east, east_places)
        heard_ = Heard(bootstrap.document_events(Settings.read()), west.node.site)
        s3 = through(FunctionUrl(), west.url, *west.keys, west.region)

        s3.create_bucket(Bucket="photos", CreateBucketConfiguration={"LocationConstraint": west.region})
        s3.put_object(Bucket="photos", Key="a b/ü", Body=SMALL * 10)
        for event in [heard_.next(), heard_.next()]:  # the bucket's document and the object's
            counts = [invoke(west, "on_documents", event) for _ in range(2)]
            assert counts[0]["served"] and not counts[1]["served"]

        assert [] == list(west.node.outbox("east").all())
        photos = accounts.require_bucket(east.site, "photos")
        assert SMALL * 10 == text(east.site, photos.id, "a b/ü")
        assert accounts.find_user(east.site, west.keys[0]) is None

        schedule = west.client.events.generate_cw_event("aws.events", "Scheduled Event", {}, [])
        assert {"running": 1, "driven": 1, "failed": 0} == invoke(west, "fullsync", schedule)

        assert State.COMPLETE is west.node.runs.read("east").state
        user = accounts.find_user(east.site, west.keys[0])
        assert west.keys[1] == setup.secret_of(east.site, user)


def test_the_server_listens_to_minio(minio, dynamodb):
    """What a function is told by S3, a server hears from MinIO itself."""
    with on_services("west", minio, dynamodb) as west:
        told = queue.Queue()
        photos = west.node.names.decide("create_bucket", {"name": "photos", "owner": "ann"})
        events = bootstrap.document_events(Settings.read())
        log = Told()
        log.event = log
        with listening(events, "", lambda one: told.put(one) or 1, log):
            for n in range(100):  # until the connection stands
                record = put(west.node.site, accounts.require_bucket(west.node.site, "photos"), f"k{n}")
                with suppress(queue.Empty):
                    assert photos.id == told.get(timeout=0.2).bucket_id
                    break
            assert [] == log.events

            assert document(record).startswith("manifests/")


def test_a_listener_that_is_cut_off():
    """It listens again, and says so once."""
    tries = queue.Queue()
    log = Told()
    log.event = log

    class Broken:
        def __iter__(self):
            tries.put(1)
            yield s3_event("manifests/x")
            raise Unavailable("cut")

    with patch("chalicelib.hosts.minio_events.PAUSE_S", 0.01), listening(Broken(), "", lambda one: 1, log):
        for _ in range(3):
            tries.get(timeout=10)

    assert {"document_ignored", "bucket_events_broken"} == {name for name, _ in log.events}


def test_who_listens_to_what():
    """A directory tells of its commits itself, S3 tells functions and queues."""
    aws = {
        "CAUSEWAY_SITE": "west",
        "CAUSEWAY_BACKEND": "aws",
        "CAUSEWAY_BLOCKS_BUCKET": "blocks",
        "CAUSEWAY_MASTER_KEY": "0" * 64,
    }
    directory = {"CAUSEWAY_SITE": "west", "CAUSEWAY_DATA": "data"}
    on_s3 = {**aws, "CAUSEWAY_BLOCKS_ENDPOINT": "https://s3.eu-west-1.amazonaws.com"}

    for variables in (aws, directory, on_s3):
        assert bootstrap.document_events(Settings.from_environment(variables)) is None
