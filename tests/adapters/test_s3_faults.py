"""Blocks in a real MinIO that slows down, cuts off and answers too late; under roles that may not do all."""

import secrets
from dataclasses import replace

import boto3
import pytest

from chalicelib.adapters.hashing import Blake3Hashing
from chalicelib.adapters.retrying_blocks import RetryingBlocks
from chalicelib.adapters.s3_blocks import S3Blocks, client_config
from chalicelib.domain.errors import Indeterminate, Unavailable
from chalicelib.objects import gc, multipart
from chalicelib.objects.errors import InvalidRequest
from chalicelib.objects.put import PutRequest, put_object
from chalicelib.objects.verified import VerifiedBlocks
from tests.builders import KIB, RULES, bucket, nobody_waits, put, remove, site, text
from tests.conformance.blocks import block_id, ref
from tests.doubles import Bytes
from tests.services.faulty import CUT_AFTER, CUT_BEFORE, FORBIDDEN, SLOW_DOWN, early, faulty, late, refused

BODY = b"x" * 100 * KIB
TRIES = 3
FAULTS = {
    "slow down": SLOW_DOWN,
    "internal error": refused("InternalError", 500),
    "cut": CUT_BEFORE,
    "answer cut": CUT_AFTER,
    "answer late": late(2),
}
every_fault = pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)


class SetClock:
    """Time passes when somebody waits."""

    def __init__(self):
        self.waited_ms = []

    def sleep_ms(self, ms):
        self.waited_ms.append(ms)


@pytest.fixture
def relay(minio):
    """What stands before MinIO."""
    with faulty(minio.endpoint) as relay:
        yield relay


@pytest.fixture
def clock():
    """How long was waited between tries."""
    return SetClock()


@pytest.fixture
def blocks(minio, relay, clock):
    """The store as a site has it, but for a shorter patience; in a bucket of its own."""
    name = f"faults-{secrets.token_hex(6)}"
    boto3.client("s3", **minio.boto3_arguments()).create_bucket(Bucket=name)
    arguments = minio.boto3_arguments() | {"endpoint_url": relay.endpoint}
    config = client_config().merge(type(client_config())(read_timeout=1))
    return RetryingBlocks(S3Blocks(boto3.client("s3", **arguments, config=config), name), clock)


@every_fault
def test_two_failures_are_outlived(blocks, relay, clock, fault):
    """Filed, read, linked and removed by the third try; what was done twice has one effect."""
    one, two = block_id("one"), block_id("two")
    for pattern in ("PUT */one/*", "GET */one/*", "PUT */two/*", "DELETE */two/*"):
        relay.next(pattern, fault, times=TRIES - 1)

    blocks.put(one, BODY)
    assert BODY == blocks.get(ref(one))
    assert blocks.link(one, two)
    blocks.delete(two)

    assert [] == relay.pending()
    assert [one] == [found for found, _ in blocks.list_upload(one.upload)]
    assert [100, 400] * 4 == clock.waited_ms


@every_fault
def test_three_failures_are_told(blocks, relay, fault):
    """Whoever wrote must find out whether it happened; whoever read knows that nothing was learned."""
    one = block_id("one")
    relay.next("*/one/*", fault, times=2 * TRIES)

    with pytest.raises(Indeterminate):
        blocks.put(one, BODY)
    with pytest.raises(Unavailable):
        blocks.get(ref(one))

    assert (BODY if fault.forward else None) == blocks.get(ref(one))


def test_slow_is_not_wrong(blocks, relay):
    """An answer within patience needs no second try."""
    relay.next("*", early(0.3), times=2)
    blocks.put(block_id(), BODY)
    assert BODY == blocks.get(ref(block_id()))
    assert 2 == len(relay.calls)


def test_an_upload_is_removed_though_pages_fail(blocks, relay):
    """Listing and removing are begun again until a listing is empty."""
    for n in range(5):
        blocks.put(block_id(number=n), b"x")
    relay.next("GET *list-type=2*", SLOW_DOWN)
    relay.next("POST *delete*", CUT_AFTER)

    blocks.delete_upload(block_id().upload)

    assert [] == relay.pending() == list(blocks.list_upload(block_id().upload))


# --------------------------------------------------------------------------------- roles


@pytest.fixture
def west(blocks):
    """A function's site: not GC's, so it may not delete."""
    verified = VerifiedBlocks(blocks, Blake3Hashing())
    rules = replace(RULES, deletes=False, documents=True)
    return site(rules=rules, blocks=verified, reader=verified)


class Wrong(Bytes):
    """A body whose end is not what its head said."""

    def finish(self):
        raise InvalidRequest("not what was announced")


def test_a_role_without_delete(west, relay):
    """All a client does, failures too, goes without s3:DeleteObject; GC, which has it, leaves nothing."""
    for forbidden in ("DELETE *", "POST *delete*"):
        relay.next(forbidden, FORBIDDEN, times=None)
    photos = bucket(west)

    put(west, photos, "k", BODY)
    put(west, photos, "k", BODY[::-1])
    assert BODY[::-1] == text(west, photos.id, "k")
    remove(west, photos, "k")
    with pytest.raises(InvalidRequest):
        put_object(west, photos, PutRequest("k", "ann"), Wrong(BODY))
    for ends in ("abort", "complete"):
        upload = multipart.create(west, photos, PutRequest("k", "ann"))
        with pytest.raises(InvalidRequest):
            multipart.upload_part(west, upload, 1, Wrong(BODY))
        part = multipart.upload_part(west, upload, 1, Bytes(BODY))
        if ends == "abort":
            multipart.abort(west, photos, "k", upload.id)
    named = [multipart.NamedPart(1, part.part.etag)]
    multipart.complete(west, photos, PutRequest("k", "ann"), upload.id, named, lambda *_: None)

    assert 0 == relay.count("DELETE *") + relay.count("POST *")
    assert 5 == len(list(west.blocks.uploads()))
    relay.clear()
    collector = replace(west, rules=replace(west.rules, deletes=True))
    for _ in range(4):
        west.clock.advance(west.rules.leeway_ms)
        report = gc.run(collector, nobody_waits)
        assert [] == report.problems
    assert [upload.id] == list(west.blocks.uploads())
    assert [] == gc.orphans(west)
    assert BODY == text(west, photos.id, "k")


def test_without_the_permission_to_delete_gc_says_so(west, relay):
    """A collector that may not delete loses nothing and forgets nothing: its rows stay until it may."""
    photos = bucket(west)
    put(west, photos, "k", BODY)
    remove(west, photos, "k")
    relay.next("POST *delete*", FORBIDDEN, times=None)
    collector = replace(west, rules=replace(west.rules, deletes=True))
    west.clock.advance(west.rules.leeway_ms)
    with pytest.raises(Unavailable, match="AccessDenied"):
        gc.run(collector, nobody_waits)
    relay.clear()
    for _ in range(4):
        west.clock.advance(west.rules.leeway_ms)
        gc.run(collector, nobody_waits)
    assert [] == list(west.blocks.uploads())


def test_a_role_that_may_not_list(blocks, relay):
    """S3 then answers 403 for what is not there: never taken for "absent", always told as what it is."""
    relay.next("GET */absent/*", FORBIDDEN, times=None)
    relay.next("GET *list-type=2*", FORBIDDEN, times=None)
    blocks.put(block_id("one"), BODY)

    assert BODY == blocks.get(ref(block_id("one")))
    with pytest.raises(Unavailable, match="AccessDenied"):
        blocks.get(ref(block_id("absent")))
    with pytest.raises(Unavailable, match="AccessDenied"):
        list(blocks.list_upload("absent"))
