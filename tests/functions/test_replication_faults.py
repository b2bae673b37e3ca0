"""West's functions killed between any two calls of DynamoDB as they replicate: both sites end equal.

`on_documents`, `sweep` and `fullsync_step` each serve the same debt, over east's tables; whatever one of them
left half done, the queue's redelivery, the next sweep or the next step does. GC then finds nothing left over.
"""

import secrets
import threading
import time
from contextlib import suppress

import pytest

from tests.e2e.linked import contents
from tests.functions.world import BLOCK_SIZE, time_limit, two_sites
from tests.lambda_host.function import FunctionError
from tests.services.faulty import faulty

BODY = secrets.token_bytes(BLOCK_SIZE + 100)
STEPS_MAX = 400
STEP_S = 3  # of fullsync_step: a killed driver's lease ends with it
pytestmark = pytest.mark.timeout(600)  # many cold starts, on however busy a machine


@pytest.fixture(scope="module")
def relay(dynamodb):
    """Before all tables."""
    with faulty(dynamodb.endpoint) as relay:
        yield relay


@pytest.fixture(scope="module")
def world(dynamodb, moto, relay):
    """Two linked sites, their tables behind the relay."""
    with two_sites(dynamodb, moto, dynamodb_endpoint=relay.endpoint) as world:
        world.connect()
        time_limit(world.west, "FullsyncStep", STEP_S)
        world.west.front("url").boto3().create_bucket(Bucket="photos")
        settled(world)
        yield world


@pytest.fixture(scope="module")
def west(world):
    """Where things are written."""
    return world.west.front("url").boto3()


@pytest.fixture(scope="module")
def east(world):
    """Where they arrive."""
    return world.east.front("url").boto3(keys=world.west.keys)


def settled(world, seconds=90):
    """Minutes pass: what is left of every debt is served."""
    deadline = time.monotonic() + seconds
    while True:
        world.west.host.tick("Fullsync")
        with suppress(FunctionError):
            world.west.host.tick("Sweep")
        world.pump()
        link = world.link()
        if not (link["records_behind"] or link["blocks_behind"]) and world.run_of()["state"] != "running":
            return
        assert time.monotonic() < deadline, link
        time.sleep(0.5)


def killed_at(world, relay, name, step, work):
    """`work` done while the function dies at its `step`-th call; how many calls there were."""
    calls, lock = [], threading.Lock()

    def before(n, operation):
        with lock:
            calls.append(operation)
            mine = len(calls) == step
        if mine:
            world.west.host.kill(name)

    relay.before = before
    try:
        with suppress(FunctionError):
            work()
    finally:
        relay.before = lambda n, operation: None
    return len(calls)


def warm(world, name):
    """Its start is not among the steps."""
    if name == "Sweep":
        world.west.host.tick(name)
    else:
        world.west.host.call(name, {"Records": []})


def by_documents(world):
    """The queue's messages, dealt with one time."""
    world.west.host.poll("OnDocuments", wait_s=2)


def by_sweep(world):
    """The minute's sweep, although events came: they are left in their queue."""
    world.west.host.tick("Sweep")


# A sweep looks at every shard of every lane, and most of its calls find nothing: some of them will do.
@pytest.mark.parametrize(
    ("name", "work", "stride"), [("OnDocuments", by_documents, 1), ("Sweep", by_sweep, 13)]
)
def test_killed_while_it_replicates(world, relay, west, east, name, work, stride):
    """A new object, an overwrite and a delete at each step at which it is killed."""
    west.put_object(Bucket="photos", Key=f"{name}/overwritten", Body=b"first")
    west.put_object(Bucket="photos", Key=f"{name}/deleted", Body=BODY)
    settled(world)
    kills = 0
    for step in range(1, STEPS_MAX, stride):
        warm(world, name)
        west.put_object(Bucket="photos", Key=f"{name}/{step}", Body=BODY)
        west.put_object(Bucket="photos", Key=f"{name}/overwritten", Body=b"%d" % step)
        west.delete_object(Bucket="photos", Key=f"{name}/deleted")
        if killed_at(world, relay, name, step, lambda: work(world)) < step:
            break
        kills += 1
    settled(world)

    assert 3 < kills < STEPS_MAX // stride - 1
    assert contents(west, "photos") == contents(east, "photos")
    assert f"{name}/deleted" not in contents(east, "photos")
