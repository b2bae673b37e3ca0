"""A whole world of packaged functions: MinIO's own notifications, DynamoDB Local, SQS, two sites.

PUT at west → manifest in east's tables → GET at east by proxy_get → blocks → fullsync over the queue, killed
half-way → equal sites. Each test goes on with the world the one before left.
"""

import json
import secrets
import threading
import time

import boto3
import pytest

from chalicelib.replication.runs import LEASE_MS
from tests.e2e.linked import contents
from tests.functions.world import BLOCK_SIZE, bucket_keys, time_limit, two_sites

BIG = secrets.token_bytes(5 * BLOCK_SIZE + 1000)
SMALL = b"a few bytes"
STEP_S = 4  # the time limit of a step of fullsync: seconds, where AWS allows minutes
MANY = 150
pytestmark = pytest.mark.timeout(600)  # many cold starts, on however busy a machine


@pytest.fixture(scope="module")
def world(dynamodb, moto):
    """West streams to east's tables; blocks wait until they are told to follow."""
    with two_sites(dynamodb, moto) as world:
        world.connect()
        world.causeway(world.west, "realtime", "pause-blocks", "east")
        world.pump()
        yield world


@pytest.fixture(scope="module")
def west(world):
    """An S3 client through west's REST API."""
    client = world.west.front("rest").boto3()
    client.create_bucket(Bucket="photos")
    return client


@pytest.fixture(scope="module")
def east(world):
    """The same user at east's Function URL: its account came over the link, or waits for the fullsync."""
    return world.east.front("url").boto3(keys=world.west.keys)


def same(world, west, east):
    """Whether a client finds the same at both sites."""
    here, there = contents(west, "photos"), contents(east, "photos")
    assert here.keys() == there.keys()
    assert here == there
    return here


def test_the_first_fullsync_ends_the_backfill(world, west):
    """What was there before the link, users among it: a schedule, messages, steps."""
    world.west.host.tick("Fullsync")
    world.pump()
    deadline = time.monotonic() + 60
    # Commits that read older links may still be under way for 20 s: a run begun after that ends the backfill.
    while world.link()["backfilling"]:
        assert time.monotonic() < deadline, world.run_of()
        time.sleep(1)
        world.west.host.tick("Fullsync")
        world.pump()

    assert "complete" == world.run_of()["state"]


def test_a_manifest_arrives_by_the_bucket_s_event(world, west, east):
    """MinIO tells the webhook, the queue tells the function, the function writes east's tables: nothing of
    east runs for it, and no schedule of west."""
    sweeps = len(world.west.host.lines("Sweep"))
    west.put_object(Bucket="photos", Key="big", Body=BIG, Metadata={"of": "west"})
    west.put_object(Bucket="photos", Key="a b/ü+%2F", Body=SMALL)
    east_ran = len(world.east.host.lines("OnDocuments"))
    served = world.pump("OnDocuments")

    assert served >= 2
    listed = {each["Key"]: each["Size"] for each in east.list_objects_v2(Bucket="photos")["Contents"]}
    assert {"big": len(BIG), "a b/ü+%2F": len(SMALL)} == listed
    assert sweeps == len(world.west.host.lines("Sweep"))
    assert east_ran == len(world.east.host.lines("OnDocuments"))
    assert [] == bucket_keys(world.east, "blocks/")


def test_blocks_come_by_proxy_get(world, east):
    """East's function asks west's Function URL for what it lacks, verifies and keeps it."""
    got = east.get_object(Bucket="photos", Key="big")

    assert BIG == got["Body"].read() and {"of": "west"} == got["Metadata"]
    assert SMALL == east.get_object(Bucket="photos", Key="a b/ü+%2F")["Body"].read()
    assert 6 == len(bucket_keys(world.east, "blocks/"))


def test_then_blocks_follow(world, west, east):
    """Once they may: the sweep copies what is owed, and says that nothing is."""
    west.put_object(Bucket="photos", Key="second", Body=BIG[::-1])
    world.pump("OnDocuments")
    assert 6 == len(bucket_keys(world.east, "blocks/"))
    assert world.link()["blocks_behind"]

    world.causeway(world.west, "realtime", "resume-blocks", "east")
    time.sleep(6)  # functions know links for 5 s
    world.west.host.tick("Sweep")
    world.pump()

    assert 12 == len(bucket_keys(world.east, "blocks/"))
    status = world.link()
    assert (0, 0) == (status["records_behind"], status["blocks_behind"])
    same(world, west, east)
    lag = [each for each in world.west.host.metrics("Sweep") if "lag_seconds" in each]
    assert {"west"} == {each["site"] for each in lag} and {"east"} == {e["link"] for e in lag if "link" in e}


def test_deletes_and_overwrites_arrive(world, west, east):
    """And no older record comes back, in whatever order and however often events are told."""
    west.put_object(Bucket="photos", Key="second", Body=b"overwritten")
    west.delete_object(Bucket="photos", Key="a b/ü+%2F")
    world.pump()

    assert {"big", "second"} == set(same(world, west, east))


def test_doubled_reordered_and_redelivered_events_change_nothing(world, west, east):
    """Every document there ever was is told again, twice, the newest first, with wrong sequencers."""
    before = same(world, west, east)
    queue = world.west.host.mappings("OnDocuments")[0].url
    sqs = _sqs(world)
    documents = bucket_keys(world.west, "manifests/")
    assert len(documents) >= 5
    for key in [*reversed(documents), *documents]:
        record = {"eventName": "ObjectCreated:Put", "s3": {"object": {"key": key, "sequencer": "0"}}}
        sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({"Records": [record]}))
    rows = _rows(world.east)

    assert 2 * len(documents) == world.pump("OnDocuments")

    assert before == same(world, west, east) and rows == _rows(world.east)


def test_a_poison_message_is_shown_with_its_reason(world):
    """It stops nobody, ends in the dead queue, and `causeway failed` says why and lets it go."""
    queue = world.west.host.mappings("OnDocuments")[0].url
    _sqs(world).send_message(QueueUrl=queue, MessageBody='{"poison": true}')
    world.pump("OnDocuments")

    found = world.causeway(world.west, "failed", "list", status=1)
    (letter,) = found["letters"]
    assert "MalformedEvent" in letter["reason"] and letter["body"] == '{"poison": true}'
    assert letter["queue"].endswith("DocumentsQueue") and letter["request_id"]
    world.causeway(world.west, "failed", "retry", letter["id"])
    world.pump("OnDocuments")
    (again,) = world.causeway(world.west, "failed", "list", status=1)["letters"]
    world.causeway(world.west, "failed", "drop", again["id"])
    assert [] == world.causeway(world.west, "failed", "list")["letters"]


def test_a_fullsync_over_the_queue_is_killed_and_goes_on(world, west, east):
    """Written while realtime was off; steps of seconds, one of them killed in the middle of its work."""
    world.causeway(world.west, "realtime", "disable", "east")
    time.sleep(6)
    for n in range(MANY):
        west.put_object(Bucket="photos", Key=f"many/{n:04}", Body=b"%d" % n)
    for n in range(10):
        west.put_object(Bucket="photos", Key=f"large/{n}", Body=BIG[n:])
    west.delete_object(Bucket="photos", Key="big")
    world.pump("OnDocuments")
    assert "big" in contents(east, "photos")
    time_limit(world.west, "FullsyncStep", STEP_S)

    world.causeway(world.west, "fullsync", "start", "east")
    killed = _killed_at_work(world)
    after_kill = world.run_of()
    steps = _drive(world)

    assert killed and "running" == after_kill["state"]
    assert steps >= 2
    run = world.run_of()
    assert "complete" == run["state"], run
    assert MANY + 11 <= run["tally"]["applied"]
    assert 2 + MANY + 10 - 1 == len(same(world, west, east))


def test_a_further_fullsync_moves_nothing(world, west, east):
    """Equal is equal."""
    world.causeway(world.west, "fullsync", "start", "east")
    _drive(world)

    run = world.run_of()
    assert ("complete", 0, 0) == (run["state"], run["tally"]["sent"], run["tally"]["bytes"]), run


def test_no_function_said_a_secret(world):
    """Whatever they logged."""
    lines = "\n".join([*world.west.host.lines(), *world.east.host.lines()])
    settings = world.west.settings()
    for secret in (world.west.keys[1], world.east.keys[1], settings["CAUSEWAY_EVENTS_TOKEN"]):
        assert secret not in lines


def _sqs(world):
    found = world.west.host.mappings("OnDocuments")[0]
    return found._sqs


def _rows(site):
    """All rows of a site's tables that replication decides on."""
    told = site.settings()
    client = boto3.client(
        "dynamodb",
        endpoint_url=told["CAUSEWAY_DYNAMODB_ENDPOINT"],
        region_name=told["CAUSEWAY_BLOCKS_REGION"],
        aws_access_key_id=told["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=told["AWS_SECRET_ACCESS_KEY"],
    )
    return {
        table: sorted(str(sorted(item.items())) for item in _items(client, table))
        for table in (
            f"{told['CAUSEWAY_DYNAMODB_PREFIX']}-{name}" for name in ("keys", "listing", "incomplete")
        )
    }


def _items(client, table):
    pages = client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return [item for page in pages for item in page["Items"]]


def _killed_at_work(world):
    """Let a step begin with the queue's message, and kill it once the run has moved."""
    host, began = world.west.host, world.run_of()["tally"]
    polled = []
    step = threading.Thread(target=lambda: polled.append(host.poll("FullsyncStep", wait_s=5)))
    step.start()
    deadline = time.monotonic() + 30
    while world.run_of()["tally"] == began:
        assert time.monotonic() < deadline, "the run never moves"
    killed = host.kill("FullsyncStep", busy_only=True)
    step.join(30)
    assert polled[0].failed == polled[0].messages == 1
    return killed


def _drive(world):
    """Minutes pass: the schedule finds a run that nobody drives, steps hand it on; how many steps."""
    deadline, steps = time.monotonic() + 90, 0
    while world.run_of()["state"] == "running":
        assert time.monotonic() < deadline, world.run_of()
        got = world.west.host.poll("FullsyncStep").messages
        steps += got
        if not got:
            world.west.host.tick("Fullsync")
            time.sleep(min(1, LEASE_MS / 1000))
    return steps
