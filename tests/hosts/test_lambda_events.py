"""Bucket events and schedules: doubled, late, lost or malformed, what arrives at the sinks is the same."""

import dataclasses
import json
import queue
import secrets
import threading
import time
from contextlib import suppress
from unittest.mock import patch
from urllib.parse import quote_plus

import boto3
import pytest

from chalicelib import bootstrap
from chalicelib.adapters.dynamodb import create_tables, delete_tables
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.names import key_hash
from chalicelib.hosts import lambda_events
from chalicelib.hosts.lambda_events import MalformedEvent, on_documents
from chalicelib.hosts.minio_events import listening
from chalicelib.objects import accounts, documents
from chalicelib.replication import setup
from chalicelib.replication.runs import State
from chalicelib.settings import Settings
from tests.builders import RULES, Net, SetClock, keys, put, remove, text
from tests.hosts.fronts import FunctionUrl, through
from tests.hosts.functions_site import on_moto, on_services

SMALL = bytes(range(256)) * 1200  # five blocks, on the small lane
MINUTE = 60_000


def s3_event(*names, event="ObjectCreated:Put"):
    """As AWS documents it ("Event message structure", version 2.2); keys are URL-encoded."""
    return {
        "Records": [
            {
                "eventVersion": "2.2",
                "eventSource": "aws:s3",
                "awsRegion": "us-west-2",
                "eventTime": "1970-01-01T00:00:00.000Z",
                "eventName": event,
                "userIdentity": {"principalId": "AIDAJDPLRKLG7UEXAMPLE"},
                "requestParameters": {"sourceIPAddress": "127.0.0.1"},
                "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810", "x-amz-id-2": "FMyUVURIY8"},
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "configurationId": "documents",
                    "bucket": {
                        "name": "causeway-west-blocks",
                        "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
                        "arn": "arn:aws:s3:::causeway-west-blocks",
                    },
                    "object": {
                        "key": quote_plus(name),
                        "size": 1024,
                        "eTag": "d41d8cd98f00b204e9800998ecf8427e",
                        "sequencer": "0055AED6DCD90281E5",
                    },
                },
            }
            for name in names
        ]
    }


def document(record):
    """The name of a record's document."""
    return documents.name(record.bucket_id, key_hash(record.key), str(record.stamp))


class Told:
    """What the handler logs."""

    def __init__(self):
        self.events = []

    def __call__(self, name, **fields):
        self.events.append((name, fields))


@pytest.fixture
def net():
    return Net("a", "b", rules=dataclasses.replace(RULES, documents=True)).link("a", "b")


@pytest.fixture
def photos(net):
    return net.make_bucket()


def heard(net, *names, prefix="", **fields):
    """What a's handler does about an event."""
    return on_documents(s3_event(*names, **fields), net["a"].serve_document, prefix, Told())


# ------------------------------------------------------------------------------------- documents


def test_a_document_is_a_record_on_its_way(net, photos):
    """One event: the record and its blocks are there, and nothing is owed any more."""
    record = put(net["a"].site, photos, "k", SMALL)
    assert net["a"].site.blocks.get_document(document(record))

    count = heard(net, document(record))

    assert {"documents": 1, "served": 2, "ignored": 0, "failed": 0} == count
    assert SMALL == text(net["b"].site, photos.id, "k")
    assert [] == net.owed("a", "b")


def test_all_records_of_an_event(net, photos):
    """And each of them its own."""
    records = [put(net["a"].site, photos, f"k{n}") for n in range(5)]

    assert 3 == heard(net, *(document(record) for record in records[:3]))["served"]

    assert ["k0", "k1", "k2"] == keys(net["b"].site, photos.id)
    assert 2 == len(net.owed("a", "b"))


def test_doubled_and_late(net, photos):
    """A second time there is nothing to do: not a call goes over the link."""
    record = put(net["a"].site, photos, "k", SMALL)
    heard(net, document(record))
    calls = sum(net.calls.values())

    assert 0 == heard(net, document(record), document(record))["served"]

    assert calls == sum(net.calls.values())


def test_out_of_order(net, photos):
    """The newer first: the older one's item is settled, for what replaced it has its own."""
    old = put(net["a"].site, photos, "k", b"old")
    new = put(net["a"].site, photos, "k", b"new")

    heard(net, document(new), document(old))

    assert b"new" == text(net["b"].site, photos.id, "k")
    assert [] == net.owed("a", "b")


def test_a_key_that_is_gone(net, photos):
    """The event of a put after its delete sends the tombstone, or nothing; never the object."""
    record = put(net["a"].site, photos, "k")
    remove(net["a"].site, photos, "k")

    heard(net, document(record))
    net.deliver()

    assert [] == keys(net["b"].site, photos.id)
    assert [] == net.owed("a", "b")


def test_a_record_that_is_nowhere(net, photos):
    """Somebody wrote a document by hand, or restored a bucket: nothing happens."""
    name = documents.name(photos.id, key_hash("never"), "0192f3a4b5c6-0003-west")

    assert {"documents": 1, "served": 0, "ignored": 0, "failed": 0} == heard(net, name)


def test_users_and_buckets_have_documents(net):
    """They go as fast as objects do."""
    bucket = net["a"].names.decide("create_bucket", {"name": "films", "owner": "ann"})
    user = net["a"].names.decide("create_user", {"name": "Ann"})

    heard(
        net, f"manifests/bucket/{bucket.id}/{bucket.stamp}", f"manifests/user/{user.access_key}/{user.stamp}"
    )

    assert {f"bucket:{bucket.id}", f"user:{user.access_key}"} <= net["b"].sink_of(
        net["b"].links.read().get("a")
    ).accounts().keys()
    assert [] == net.owed("a", "b")
    assert net["a"].site.blocks.get_document(f"manifests/bucket/{bucket.id}/{bucket.stamp}")
    assert net["a"].site.blocks.get_document(f"manifests/user/{user.access_key}/{user.stamp}")


def test_a_sink_that_is_down(net, photos):
    """The handler succeeds: the item stays owed, and the sweep of a later minute sends it."""
    record = put(net["a"].site, photos, "k", SMALL)
    net.cut.add(("a", "b"))

    assert 0 == heard(net, document(record))["served"]
    assert 1 == len(net.owed("a", "b"))

    net.cut.clear()
    net.clock.advance(MINUTE)
    assert 2 == lambda_events.sweep(net["a"], MINUTE)["served"]
    assert SMALL == text(net["b"].site, photos.id, "k")


def test_stopped_links_and_paused_blocks(net, photos):
    """Stopped: nothing is sent. Without blocks: the record alone."""
    record = put(net["a"].site, photos, "k", SMALL)
    net["a"].links.update("b", started=False)
    assert 0 == heard(net, document(record))["served"]

    net["a"].links.update("b", started=True, blocks=False)
    assert 1 == heard(net, document(record))["served"]

    assert ["small"] == [stage for stage, _ in net.owed("a", "b")]


def test_where_the_prefix_is(net, photos):
    """A site may have a part of a bucket only: other parts are not its business."""
    record = put(net["a"].site, photos, "k")

    assert 1 == heard(net, document(record), prefix="east/")["ignored"]
    assert 1 == heard(net, "east/" + document(record), prefix="east/")["served"]


@pytest.mark.parametrize(
    "key",
    [
        "manifests/",
        "manifests/x/y/z",
        "manifests/" + "0" * 32 + "/bucket/notastamp",
        "manifests/" + "0" * 32 + "/../0192f3a4b5c6-0003-west",
        "manifests/user/A/B/0192f3a4b5c6-0003-west",
        "manifests/user/A/0192f3a4b5c6-0003-west\n",
        "blocks/00/u/a/0",
        "\udcff",
        "",
        "%",
    ],
)
def test_names_that_are_no_documents(net, key):
    """Told and left alone; a retry would bring nothing else."""
    told = Told()
    event = s3_event("x")
    event["Records"][0]["s3"]["object"]["key"] = key

    count = on_documents(event, net["a"].serve_document, "", told)

    assert (1, ["document_ignored"]) == (count["ignored"], [name for name, _ in told.events])


def test_what_s3_sends_besides(net, photos):
    """A test event, a removal: nothing to do."""
    record = put(net["a"].site, photos, "k")
    test_event = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b", "RequestId": "x"}

    assert 0 == on_documents(test_event, net["a"].serve_document, "", Told())["documents"]
    assert 0 == heard(net, document(record), event="ObjectRemoved:Delete")["documents"]
    assert 1 == heard(net, document(record), event="s3:ObjectCreated:Put")["documents"]  # MinIO's way


@pytest.mark.parametrize(
    "event",
    [{}, [], None, "x", {"Records": 1}, {"Records": [1]}, {"Records": [{"eventName": "ObjectCreated:Put"}]},
     {"Records": [{"eventName": 1, "s3": {"object": {"key": "k"}}}]},
     {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"object": {"key": None}}}]}],
    ids=repr,
)  # fmt: skip
def test_events_that_are_none(event):
    """Told apart from those that only bring nothing."""
    with pytest.raises(MalformedEvent):
        on_documents(event, lambda told: 0, "", Told())


@pytest.mark.parametrize("message", ["", "x", "[]", "{", '{"Type": "Notification"}', "[" * 5000])
def test_messages_that_hold_no_event(message):
    """So that the queue gives them up."""
    with pytest.raises(MalformedEvent):
        lambda_events.body_of(message)


def test_messages_by_way_of_sns():
    """A topic before the queue wraps once more."""
    inner = json.dumps(s3_event("k"))

    assert s3_event("k") == lambda_events.body_of(json.dumps({"Type": "Notification", "Message": inner}))
    assert s3_event("k") == lambda_events.body_of(inner)


# ------------------------------------------------------------------------------------- schedules


def test_the_sweep_serves_folds_and_greets(net, photos):
    """All that is due on every lane; dirty marks; and it learns that an idle link is up."""
    for n in range(150):
        put(net["a"].site, photos, f"k{n}", b"x")
    put(net["a"].site, photos, "large", SMALL)

    count = lambda_events.sweep(net["a"], MINUTE)
    idle = lambda_events.sweep(net["a"], MINUTE)

    assert {"served": 152, "failed": 0, "folded": 151} == count
    assert {"served": 0, "failed": 0, "folded": 0} == idle
    assert 151 == len(keys(net["b"].site, photos.id))
    assert net["a"].contacts.read("b").up


def test_the_sweep_stops_in_time(net, photos):
    """No step begins when the time is nearly up; what is left is owed still."""
    put(net["a"].site, photos, "k")

    assert {"served": 0, "failed": 0, "folded": 0} == lambda_events.sweep(net["a"], 0)
    assert 1 == len(net.owed("a", "b"))


def test_the_sweep_goes_on_to_other_sinks():
    """One sink that is down keeps no other waiting."""
    net = Net("a", "b", "c").link("a", "b").link("a", "c")
    photos = net.make_bucket()
    put(net["a"].site, photos, "k")
    net.cut.add(("a", "b"))

    lambda_events.sweep(net["a"], MINUTE)

    assert ["k"] == keys(net["c"].site, photos.id)
    assert not net["a"].contacts.read("b").up


class Ticking(SetClock):
    """A clock that goes on by itself."""

    def now_ms(self):
        self.ms += 3
        return self.ms


def test_fullsync_goes_on_where_it_stopped(monkeypatch):
    """Each function does what its time allows; together they do all, and a further run finds nothing."""
    monkeypatch.setattr("tests.builders.SetClock", Ticking)
    net = Net("a", "b")
    photos = net.make_bucket()
    for n in range(400):
        put(net["a"].site, photos, f"k{n}")
    net.link("a", "b", fullsync_interval_ms=3_600_000)

    runs = 0
    while net["a"].runs.read("b").state is not State.COMPLETE:
        lambda_events.fullsync(net["a"], 1000)
        runs += 1

    assert 2 < runs < 400
    assert keys(net["a"].site, photos.id) == keys(net["b"].site, photos.id)
    assert 1 + 400 == net["a"].runs.read("b").tally.applied  # the bucket, too
    assert {"running": 0, "driven": 0, "failed": 0} == lambda_events.fullsync(net["a"], MINUTE)


def test_fullsync_without_time(net):
    """Nothing is begun that could not be ended."""
    net["a"].start_fullsync("b")

    assert 0 == lambda_events.fullsync(net["a"], 0)["running"]
    assert State.RUNNING is net["a"].runs.read("b").state


def test_gc(net, photos):
    """What nothing names goes after leeway."""
    put(net["a"].site, photos, "k", SMALL)
    put(net["a"].site, photos, "k", SMALL)
    net.deliver()
    net.clock.advance(RULES.leeway_ms + 1)

    assert {"collected": 0, "blocks": 5, "held": 0, "lost": 0} == lambda_events.collect(net["a"])


# ------------------------------------------------------------------------------------ in the app


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
    name = f"east-{secrets.token_hex(6)}"
    same = dataclasses.replace(minio, endpoint=dynamodb.endpoint)  # one identity, as on AWS
    tables = boto3.client("dynamodb", **same.boto3_arguments())
    boto3.client("s3", **minio.boto3_arguments()).create_bucket(Bucket=name)
    create_tables(tables, name)
    yield {
        "dynamodb": {"prefix": name, "region": minio.region, "endpoint": dynamodb.endpoint},
        "bucket": {"name": name, "region": minio.region, "endpoint": minio.endpoint},
    }
    delete_tables(tables, name)


def east_node(places):
    """The other site, as its own functions would wire it."""
    variables = {
        "CAUSEWAY_SITE": "east",
        "CAUSEWAY_PRIMARY": "west",
        "CAUSEWAY_BACKEND": "aws",
        "CAUSEWAY_MASTER_KEY": secrets.token_hex(32),
        "CAUSEWAY_BLOCKS_BUCKET": places["bucket"]["name"],
        "CAUSEWAY_BLOCKS_REGION": places["bucket"]["region"],
        "CAUSEWAY_BLOCKS_ENDPOINT": places["bucket"]["endpoint"],
        "CAUSEWAY_DYNAMODB_PREFIX": places["dynamodb"]["prefix"],
        "CAUSEWAY_DYNAMODB_ENDPOINT": places["dynamodb"]["endpoint"],
    }
    return bootstrap.build_function(Settings.from_environment(variables)).node


def link_over_tables(west, east, places):
    """west streams into east's tables; nobody answers at east's endpoint."""
    secret = secrets.token_hex(32)
    for here, there, more in (
        (east, west, {"source": True, "prove": False}),
        (west, east, {"sink": True, "tables": json.dumps(places)}),
    ):
        wanted = setup.Wanted(
            there.site.id,
            "https://127.0.0.1:9",
            secret,
            there.site.vault.public_key().hex(),
            there.record.incarnation,
            **more,
        )
        setup.connect(here, wanted)
    setup.realtime(west, "east", "enable")
    setup.realtime(west, "east", "start")


def test_from_put_to_the_other_site(minio, dynamodb, east_places):
    """A PUT through west's function, MinIO's own notification through its handler, over east's tables;
    what was there before comes by the scheduled fullsync."""
    with on_services("west", minio, dynamodb, CAUSEWAY_PRIMARY="west") as west:
        east = east_node(east_places)
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
