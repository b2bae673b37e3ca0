"""DynamoMetadata over a real DynamoDB Local whose calls are throttled, cut off and answered too late."""

import itertools
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import boto3
import pytest

from chalicelib.adapters.dynamodb import DynamoMetadata, client_config, create_tables, delete_tables
from chalicelib.adapters.dynamodb.calls import TRIES_MAX
from chalicelib.domain.errors import Conflict, Indeterminate, Unavailable
from chalicelib.domain.names import key_hash
from chalicelib.domain.upload import UploadState
from chalicelib.objects import get, uploads
from chalicelib.ports.metadata import ABSENT, Delete, Put, RowId, Table, expected
from tests.adapters.dynamodb_double import token
from tests.builders import KIB, bucket, put, site, text
from tests.services.faulty import CUT_AFTER, CUT_BEFORE, THROTTLED, THROUGHPUT, faulty, late, refused

TRANSACT = "TransactWriteItems"
RIVAL = refused("TransactionCanceledException", CancellationReasons=[{"Code": "TransactionConflict"}])
SPENT = refused(
    "TransactionCanceledException", CancellationReasons=[{"Code": "ProvisionedThroughputExceeded"}]
)
BROKEN = refused("InternalServerError", 500)
PREFIX = f"faults-{secrets.token_hex(4)}"
ORDINAL = itertools.count()


def two(value, expect=ABSENT):
    """A transaction of two rows nobody else has."""
    pk = f"p{next(ORDINAL)}"
    return [
        Put(RowId(Table.KEYS, pk, b"one"), value, expect),
        Put(RowId(Table.LISTING, pk, b"two"), value),
    ]


@pytest.fixture(scope="module")
def tables(dynamodb):
    """A client that meets no faults."""
    client = boto3.client("dynamodb", **dynamodb.boto3_arguments(), config=client_config())
    create_tables(client, PREFIX)
    yield client
    delete_tables(client, PREFIX)


@pytest.fixture
def relay(dynamodb, tables):
    """What stands before DynamoDB Local."""
    with faulty(dynamodb.endpoint) as relay:
        yield relay


@pytest.fixture
def rows(dynamodb, relay):
    """The adapter behind it; it waits as long as it would, but for time-outs."""
    arguments = dynamodb.boto3_arguments() | {"endpoint_url": relay.endpoint}
    client = boto3.client("dynamodb", **arguments, config=client_config(read_timeout=0.5))
    return DynamoMetadata(client, PREFIX, 1, sleep_ms=lambda ms: None, token=token)


def values(rows, writes):
    """What stands where `writes` put something."""
    return rows.get([write.row for write in writes])


@pytest.mark.parametrize(
    "fault",
    [CUT_AFTER, late(1), CUT_BEFORE, THROTTLED, THROUGHPUT, RIVAL, SPENT, BROKEN],
    ids=["answer cut", "answer late", "cut", "throttled", "throughput", "rival", "spent", "broken"],
)
def test_a_transaction_is_done_once(rows, relay, fault):
    """Whatever became of two tries: a third carries the same token, and ABSENT holds all the same."""
    relay.next(TRANSACT, fault, times=2)
    writes = two(b"1")

    rows.transact(writes)

    assert [b"1", b"1"] == values(rows, writes)
    assert 3 == relay.count(TRANSACT)
    with pytest.raises(Conflict):
        rows.transact(writes)


@pytest.mark.parametrize("fault", [CUT_AFTER, CUT_BEFORE, late(1)], ids=["answer cut", "cut", "answer late"])
def test_a_single_write_whose_answer_was_lost(rows, relay, fault):
    """It has no token, so nobody guesses: Indeterminate, and never a second call."""
    (one, _) = two(b"1")
    relay.next("PutItem", fault)

    with pytest.raises(Indeterminate):
        rows.transact([one])

    assert 1 == relay.count("PutItem")
    assert [None if fault is CUT_BEFORE else b"1"] == values(rows, [one])


def test_throttled_for_too_long(rows, relay):
    """Nothing was written, and that is what is said; reading is not kept from trying by it."""
    writes = two(b"1")
    relay.next(TRANSACT, THROTTLED, times=TRIES_MAX)
    relay.next("TransactGetItems", THROTTLED, times=3)

    with pytest.raises(Unavailable):
        rows.transact(writes)

    assert [None, None] == values(rows, writes)


def test_pages_of_a_scan(rows, relay):
    """A page that was throttled, cut off or late is asked for again; no row comes twice or not at all."""
    pk = f"p{next(ORDINAL)}"
    names = [b"%03d" % n for n in range(40)]
    rows.transact([Put(RowId(Table.OUTBOX, pk, name), b"x" * 60 * KIB) for name in names])  # pages of 1 MB
    for fault in (THROUGHPUT, CUT_AFTER, late(1)):
        relay.next("Query", fault, after=1)

    assert names == [sk for sk, _ in rows.scan(Table.OUTBOX, pk)]
    assert [] == relay.pending()


def test_races_for_one_row(rows, relay):
    """Of rivals that saw the same value one wins, though answers are lost and calls throttled meanwhile."""
    row, wins, lock = RowId(Table.KEYS, f"p{next(ORDINAL)}", b"one"), [], threading.Lock()
    for n, fault in enumerate((CUT_AFTER, THROTTLED, CUT_BEFORE, RIVAL)):
        relay.next(TRANSACT, fault, times=2, after=3 * n)

    def add(who):
        while True:
            seen = rows.get([row])[0]
            count = int(seen or b"0")
            mark = RowId(Table.LISTING, row.pk, b"%d by %d" % (count, who))
            try:
                rows.transact([Put(row, b"%d" % (count + 1), expected(seen)), Put(mark, b"", ABSENT)])
            except Conflict:
                continue
            with lock:
                wins.append(count)
            return

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(add, range(12)))

    assert list(range(12)) == sorted(wins)
    assert [b"12"] == rows.get([row])
    assert 12 == len(rows.scan(Table.LISTING, row.pk))


# ------------------------------------------------------------------------- a commit over it


@pytest.fixture
def west(rows):
    """A site on these tables, its blocks in memory."""
    return site(f"west-{next(ORDINAL)}", metadata=rows)


@pytest.fixture
def photos(west, relay):
    """A bucket of one's own; calls are counted from here on."""
    made = bucket(west, f"photos-{next(ORDINAL)}")
    relay.clear()
    return made


def test_a_commit_done_but_never_answered(west, photos, relay):
    """Every answer lost: what stands at the head says that the commit took place."""
    relay.next(TRANSACT, CUT_AFTER, times=TRIES_MAX, after=1)  # the first one opens the upload

    record = put(west, photos, "k", b"x" * 100 * KIB)

    assert record.stamp == get.head(west, photos.id, "k").stamp
    assert b"x" * 100 * KIB == text(west, photos.id, "k")


def test_a_commit_that_never_arrived(west, photos, relay):
    """Nothing at the head: it did not take place, is answered so, and its upload is closed."""
    relay.next(TRANSACT, CUT_BEFORE, times=TRIES_MAX, after=1)

    with pytest.raises(Unavailable, match="did not take place"):
        put(west, photos, "k", b"x" * 100 * KIB)

    assert None is get.current(west, photos.id, key_hash("k"))
    assert [] == list(west.blocks.uploads())


def test_a_commit_overwritten_before_it_was_looked_for(west, photos, tables, relay):
    """Another write stands at the head by then: the upload's own row still tells that ours took place."""
    straight = replace(
        west, metadata=DynamoMetadata(tables, PREFIX, 1, sleep_ms=lambda ms: None, token=token)
    )
    first = iter([True])

    def overwrite(n, operation):
        if operation == TRANSACT and 2 == relay.count(TRANSACT) and next(first, False):
            put(straight, photos, "k", b"newer")

    relay.after = overwrite
    relay.next(TRANSACT, CUT_AFTER, after=1)
    relay.next(TRANSACT, CUT_BEFORE, times=TRIES_MAX - 1, after=1)

    record = put(west, photos, "k", b"x" * 100 * KIB)

    assert UploadState.COMMITTED is uploads.load(west, record.upload).state
    assert record.stamp < get.head(west, photos.id, "k").stamp
    assert b"newer" == text(west, photos.id, "k")


def test_deleting_what_is_gone(rows, relay):
    """A repeated delete whose first answer was lost is in doubt, not a conflict."""
    (one, _) = two(b"1")
    rows.transact([one])
    relay.next("DeleteItem", CUT_AFTER)

    with pytest.raises(Indeterminate):
        rows.transact([Delete(one.row, b"1")])

    assert [None] == values(rows, [one])
