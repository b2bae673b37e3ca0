"""The relay fails calls before and after they are done, and lets all others pass."""

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from chalicelib.adapters.dynamodb import client_config, create_tables
from tests.services.faulty import (
    CUT_AFTER,
    CUT_BEFORE,
    DENIED,
    FORBIDDEN,
    SLOW_DOWN,
    early,
    faulty,
    late,
    refused,
)

KEY = {"pk": {"S": "p"}, "sk": {"B": b"s"}}


@pytest.fixture(scope="module")
def tables(dynamodb):
    """Tables behind no relay."""
    client = boto3.client("dynamodb", **dynamodb.boto3_arguments())
    create_tables(client, "relayed")
    return client


@pytest.fixture
def relay(dynamodb, tables):
    """One before DynamoDB Local, its table empty."""
    tables.delete_item(TableName="relayed-keys", Key=KEY)
    with faulty(dynamodb.endpoint) as relay:
        yield relay


@pytest.fixture
def client(dynamodb, relay):
    """A client behind it that never tries twice."""
    arguments = dynamodb.boto3_arguments() | {"endpoint_url": relay.endpoint}
    return boto3.client("dynamodb", **arguments, config=client_config(read_timeout=0.5))


def put(client):
    """One write."""
    client.put_item(TableName="relayed-keys", Item=KEY)


def there(tables):
    """Whether it was done."""
    return "Item" in tables.get_item(TableName="relayed-keys", Key=KEY)


@pytest.mark.parametrize(
    ("fault", "error", "done"),
    [
        (CUT_BEFORE, ConnectionClosedError, False),
        (CUT_AFTER, ConnectionClosedError, True),
        (late(2), ReadTimeoutError, True),
        (refused("ThrottlingException"), ClientError, False),
        (DENIED, ClientError, False),
    ],
    ids=["cut before", "cut after", "late", "refused", "denied"],
)
def test_one_call_fails(client, tables, relay, fault, error, done):
    """The fault befalls the call it was meant for, once; what was done is done."""
    relay.next("PutItem", fault)
    client.get_item(TableName="relayed-keys", Key=KEY)
    with pytest.raises(error):
        put(client)

    assert done == there(tables)
    put(client)
    assert ["GetItem", "PutItem", "PutItem"] == relay.calls
    assert [] == relay.pending()


def test_after_and_times(client, relay):
    """Some pass, some fail, the rest pass."""
    relay.next("PutItem", refused("ThrottlingException"), times=2, after=1)
    fates = []
    for _ in range(4):
        try:
            put(client)
            fates.append("done")
        except ClientError as problem:
            fates.append(problem.response["Error"]["Code"])

    assert ["done", "ThrottlingException", "ThrottlingException", "done"] == fates


def test_callers_are_told_of_each_call(client, tables, relay):
    """Before a call nothing is done yet; after it, it is, though nobody has been answered."""
    told = []
    relay.before = lambda n, operation: told.append(("before", n, operation, there(tables)))
    relay.after = lambda n, operation: told.append(("after", n, operation, there(tables)))
    client.get_item(TableName="relayed-keys", Key=KEY)
    put(client)

    assert [
        ("before", 1, "GetItem", False),
        ("after", 1, "GetItem", False),
        ("before", 2, "PutItem", False),
        ("after", 2, "PutItem", True),
    ] == told


def test_fields_of_an_answer(client, relay):
    """What a refused transaction says of its items arrives."""
    reasons = [{"Code": "TransactionConflict"}]
    relay.next("TransactWriteItems", refused("TransactionCanceledException", CancellationReasons=reasons))
    with pytest.raises(ClientError) as raised:
        client.transact_write_items(TransactItems=[{"Put": {"TableName": "relayed-keys", "Item": KEY}}])

    assert reasons == raised.value.response["CancellationReasons"]


def test_before_minio(minio):
    """S3's calls are known by method and path; bodies and signatures pass unchanged."""
    with faulty(minio.endpoint) as relay:
        arguments = minio.boto3_arguments() | {"endpoint_url": relay.endpoint}
        s3 = boto3.client("s3", **arguments, config=client_config())
        s3.create_bucket(Bucket="relayed")
        relay.next("PUT */one", SLOW_DOWN)
        relay.next("GET */one", early(0.01))
        with pytest.raises(ClientError, match="SlowDown"):
            s3.put_object(Bucket="relayed", Key="one", Body=b"1" * 100_000)
        s3.put_object(Bucket="relayed", Key="one", Body=b"2" * 100_000)

        assert b"2" * 100_000 == s3.get_object(Bucket="relayed", Key="one")["Body"].read()
        assert 100_000 == s3.head_object(Bucket="relayed", Key="one")["ContentLength"]
        assert ["one"] == [each["Key"] for each in s3.list_objects_v2(Bucket="relayed")["Contents"]]
        assert 2 == relay.count("PUT /relayed/one")
        relay.next("GET */one", FORBIDDEN)
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.get_object(Bucket="relayed", Key="one")
        s3.delete_object(Bucket="relayed", Key="one")
        s3.delete_bucket(Bucket="relayed")
