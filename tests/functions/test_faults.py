"""Packaged functions over stores that fail: nothing acknowledged is lost, nothing is left over after GC.

The site's functions reach DynamoDB and MinIO through relays that throttle, refuse, cut and delay calls, and
that kill the function before or after any one of them. What became of it is looked at through the REST API,
whose function lives in sandboxes of its own.
"""

import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.domain.manifest import index_refs, part_refs
from chalicelib.domain.names import key_hash
from chalicelib.objects import accounts, bodies, gc
from chalicelib.objects.get import current
from tests.functions.world import bucket_keys
from tests.lambda_host.deployed import deployed
from tests.services.faulty import CUT_AFTER, CUT_BEFORE, SLOW_DOWN, THROTTLED, early, faulty, refused

BLOCK = 64 * 1024
OLD, NEW = secrets.token_bytes(2 * BLOCK + 7), secrets.token_bytes(3 * BLOCK + 5)
LEEWAY_S = 1
STEPS_MAX = 60  # calls of the longest operation here, and room
pytestmark = pytest.mark.timeout(600)  # many cold starts, on however busy a machine


class Shaky:
    """A site behind relays, and how to break it."""

    def __init__(self, site, tables, blocks):
        self.site, self.tables, self.blocks = site, tables, blocks
        self.s3 = site.front("url").boto3()  # what is broken
        self.eye = site.front("domain").boto3()  # what looks
        self._count, self._lock = 0, threading.Lock()

    def calm(self):
        """No more faults."""
        for relay in (self.tables, self.blocks):
            relay.clear()
            relay.before = relay.after = lambda n, operation: None

    def read(self, key):
        """What stands at a key, None if nothing does."""
        try:
            return self.eye.get_object(Bucket="photos", Key=key)["Body"].read()
        except ClientError as problem:
            assert "NoSuchKey" == problem.response["Error"]["Code"]
            return None

    @contextmanager
    def killed_at(self, step, after):
        """The function is killed at its `step`-th call of a store; yields the calls there were, at last."""
        self.s3.list_buckets()  # a sandbox that is warm: its start is not among the steps
        seen = []

        def call(n, operation):
            with self._lock:
                seen.append(operation)
                mine = len(seen) == step
            if mine:
                self.site.host.kill("Gateway")

        for relay in (self.tables, self.blocks):
            setattr(relay, "after" if after else "before", call)
        try:
            yield seen
        finally:
            self.calm()


@pytest.fixture(scope="module")
def shaky(minio, dynamodb, moto):
    """One site for all tests here; blocks of 64 KiB, a leeway of a second."""
    with ExitStack() as stack:
        tables = stack.enter_context(faulty(dynamodb.endpoint))
        blocks = stack.enter_context(faulty(minio.endpoint))
        told = {
            "block_size": "64KiB",
            "leeway": f"{LEEWAY_S}s",
            "dynamodb_endpoint": tables.endpoint,
            "blocks_endpoint": blocks.endpoint,
        }
        site = stack.enter_context(deployed("west", minio, dynamodb, moto, **told))
        shaky = Shaky(site, tables, blocks)
        shaky.s3.create_bucket(Bucket="photos")
        yield shaky


@pytest.fixture(autouse=True)
def calm(shaky):
    """Whatever a test broke is whole again."""
    yield
    shaky.calm()


def named_blocks(site):
    """The names of all blocks that some record needs, as they lie in the bucket."""
    inside = site.wired().node.site
    names = set()
    for bucket in accounts.named_buckets(inside):
        for key in _keys(site):
            record = current(inside, bucket.id, key_hash(key))
            if record is not None and record.live and record.upload:
                refs = [*index_refs(record), *part_refs(record, bodies.parts_of(inside, record))]
                names |= {f"{ref.id.upload}/{ref.id.attempt}/{ref.id.number}" for ref in refs}
    return names


def _keys(site):
    pages = site.front("domain").boto3().get_paginator("list_objects_v2").paginate(Bucket="photos")
    return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


def collected(site):
    """GC by its own function, as often as it takes: closing, closed, gone."""
    for _ in range(4):
        time.sleep(LEEWAY_S + 0.2)
        site.host.tick("Collect")
    return {key.split("/", 2)[2] for key in bucket_keys(site, "blocks/")}


# -------------------------------------------------------------------------- killed between steps


def put_inline(shaky, key):
    """A body that lies in its record."""
    shaky.s3.put_object(Bucket="photos", Key=key, Body=NEW[:100])
    return NEW[:100]


def put_blocks(shaky, key):
    """A body of four blocks."""
    shaky.s3.put_object(Bucket="photos", Key=key, Body=NEW)
    return NEW


def delete(shaky, key):
    """A tombstone."""
    shaky.s3.delete_object(Bucket="photos", Key=key)
    return None


def copy(shaky, key):
    """Blocks of another upload, copied by the store."""
    shaky.s3.copy_object(Bucket="photos", Key=key, CopySource="photos/source")
    return NEW


def multipart(shaky, key):
    """Begin, one part, complete."""
    begun = shaky.s3.create_multipart_upload(Bucket="photos", Key=key)
    where = {"Bucket": "photos", "Key": key, "UploadId": begun["UploadId"]}
    part = shaky.s3.upload_part(**where, PartNumber=1, Body=NEW)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    shaky.s3.complete_multipart_upload(**where, MultipartUpload=parts)
    return NEW


@pytest.mark.parametrize("operation", [put_inline, put_blocks, delete, copy, multipart])
def test_killed_between_any_two_steps(shaky, operation):
    """Before and after every call of a store: the key holds the old object or the new one, whole; what was
    acknowledged is there; the same request then succeeds; and GC leaves no block that nobody names."""
    shaky.eye.put_object(Bucket="photos", Key="source", Body=NEW)
    outcomes = []
    for after in (False, True):
        for step in range(1, STEPS_MAX):
            key = f"{operation.__name__}/{after}/{step}"
            shaky.eye.put_object(Bucket="photos", Key=key, Body=OLD)
            acknowledged = False
            with shaky.killed_at(step, after) as seen:
                try:
                    new = operation(shaky, key)
                    acknowledged = True
                except (ClientError, BotoCoreError):
                    pass
            if len(seen) < step:
                break
            found = shaky.read(key)
            wanted = operation(shaky, key) if not acknowledged else new
            assert found == wanted if acknowledged else found in (OLD, wanted), (step, seen)
            assert wanted == shaky.read(key)
            outcomes.append((acknowledged, found == OLD))
        assert acknowledged and step > 2, "the operation never came to its end"

    assert {old for _, old in outcomes} == {True, False}, "kills came all before, or all after the commit"
    assert named_blocks(shaky.site) == collected(shaky.site)
    assert [] == gc.orphans(shaky.site.wired().node.site)


# ------------------------------------------------------------------------------- stores that fail


def test_throttled_for_a_moment(shaky):
    """Tried again inside the request; the client sees nothing of it."""
    shaky.tables.next("*", THROTTLED, times=3)

    shaky.s3.put_object(Bucket="photos", Key="throttled", Body=NEW)

    assert NEW == shaky.read("throttled") and [] == shaky.tables.pending()


def test_throttled_for_good(shaky):
    """503, which clients try again; nothing was stored, and later it is."""
    shaky.tables.next("TransactWriteItems", THROTTLED, times=None)

    with pytest.raises(ClientError) as refusal:
        shaky.s3.put_object(Bucket="photos", Key="throttled long", Body=b"new")
    assert 503 == refusal.value.response["ResponseMetadata"]["HTTPStatusCode"]
    shaky.calm()

    assert shaky.read("throttled long") is None
    shaky.s3.put_object(Bucket="photos", Key="throttled long", Body=b"new")
    assert b"new" == shaky.read("throttled long")


@pytest.mark.parametrize("body", [b"inline", NEW])
def test_the_answer_of_a_commit_is_lost(shaky, body):
    """Whether it took place is found out, by the write's own id, and told as it is."""
    shaky.tables.next("TransactWriteItems", CUT_AFTER, times=2, after=int(len(body) > BLOCK))

    shaky.s3.put_object(Bucket="photos", Key="lost answer", Body=body)

    assert body == shaky.read("lost answer") and [] == shaky.tables.pending()


def test_a_commit_that_never_arrived(shaky):
    """The same, cut before: it is sent again."""
    shaky.tables.next("TransactWriteItems", CUT_BEFORE)

    shaky.s3.put_object(Bucket="photos", Key="never arrived", Body=b"inline")

    assert b"inline" == shaky.read("never arrived")


def test_transactions_that_collide(shaky):
    """DynamoDB cancels one of two; it is tried again."""
    reasons = [{"Code": "TransactionConflict"}]
    conflict = refused("TransactionCanceledException", CancellationReasons=reasons)
    shaky.tables.next("TransactWriteItems", conflict, times=3)

    shaky.s3.put_object(Bucket="photos", Key="collided", Body=b"inline")

    assert b"inline" == shaky.read("collided")


def test_one_of_many_wins_a_race(shaky):
    """Conditional writes of the same key, at once, through several sandboxes."""

    def attempt(n):
        try:
            shaky.s3.put_object(Bucket="photos", Key="race", Body=b"%d" % n, IfNoneMatch="*")
            return n
        except ClientError as problem:
            assert "PreconditionFailed" == problem.response["Error"]["Code"]
            return None

    with ThreadPoolExecutor(4) as pool:
        (winner,) = [n for n in pool.map(attempt, range(12)) if n is not None]

    assert b"%d" % winner == shaky.read("race")


def test_the_bucket_slows_down(shaky):
    """503 SlowDown for some blocks: tried again inside the request."""
    shaky.blocks.next("PUT */blocks/*", SLOW_DOWN, times=2)

    shaky.s3.put_object(Bucket="photos", Key="slowed", Body=NEW)

    assert NEW == shaky.read("slowed") and [] == shaky.blocks.pending()


def test_the_bucket_slows_down_for_good(shaky):
    """503, the old object stays, and nothing is left after GC."""
    shaky.eye.put_object(Bucket="photos", Key="slow", Body=OLD)
    shaky.blocks.next("PUT */blocks/*", SLOW_DOWN, times=None, after=1)

    with pytest.raises(ClientError) as refusal:
        shaky.s3.put_object(Bucket="photos", Key="slow", Body=NEW)
    assert 503 == refusal.value.response["ResponseMetadata"]["HTTPStatusCode"]
    shaky.calm()

    assert OLD == shaky.read("slow")
    assert named_blocks(shaky.site) == collected(shaky.site)


def test_a_slow_bucket(shaky):
    """Late is not wrong."""
    shaky.blocks.next("PUT */blocks/*", early(1.5), times=2)

    shaky.s3.put_object(Bucket="photos", Key="late", Body=NEW)

    assert NEW == shaky.read("late")


def test_a_document_that_cannot_be_written(shaky):
    """The write stands; its document is only a wake-up."""
    shaky.blocks.next("PUT */manifests/*", SLOW_DOWN, times=None)

    shaky.s3.put_object(Bucket="photos", Key="no document", Body=NEW)

    assert NEW == shaky.read("no document")
