"""S3Blocks keeps the contract on moto and on real MinIO, and names errors by what is known."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count

import boto3
import pytest
from moto import mock_aws

from chalicelib.adapters.s3_blocks import S3Blocks, client_config
from chalicelib.domain.errors import Indeterminate, NoRoom, StoreDown, Unavailable
from tests.conformance.blocks import BlockStoreContract, block_id, file_all, ref

ORDINAL = count()
SLOW = "<Error><Code>SlowDown</Code><Message>NoSuchKey, perhaps</Message></Error>"


def clear(client, bucket):
    """Empty a bucket that tests share."""
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        names = [{"Key": entry["Key"]} for entry in page.get("Contents", [])]
        if names:
            client.delete_objects(Bucket=bucket, Delete={"Objects": names})


class TestOnMoto(BlockStoreContract):
    """An imitation of S3, strict about requests."""

    writers = 1  # moto shares its buffers among threads without a lock

    @pytest.fixture
    def blocks(self):
        with mock_aws():
            client = boto3.client("s3", region_name="us-east-1", config=client_config())
            client.create_bucket(Bucket="blocks")
            yield S3Blocks(client, "blocks", "below/")

    def test_the_layout(self, blocks):
        """Blocks and documents lie where the module says, below the prefix."""
        blocks.put(block_id("up", "a", 7), b"x")
        blocks.put_document("manifests/k", b"x")

        client = boto3.client("s3", region_name="us-east-1")
        found = [entry["Key"] for entry in client.list_objects_v2(Bucket="blocks")["Contents"]]
        assert ["below", "blocks"] == found[0].split("/")[:2]
        assert ["up", "a", "7"] == found[0].split("/")[3:]
        assert "below/manifests/k" == found[1]


@pytest.fixture(scope="module")
def client(minio):
    """A client of the real MinIO."""
    return boto3.client("s3", **minio.boto3_arguments(), config=client_config())


@pytest.fixture(scope="module")
def bucket(client):
    """A bucket of this module's own."""
    name = f"blocks-{threading.get_native_id()}-{next(ORDINAL)}"
    client.create_bucket(Bucket=name)
    yield name
    clear(client, name)
    client.delete_bucket(Bucket=name)


class TestOnMinIO(BlockStoreContract):
    """The real thing."""

    @pytest.fixture
    def blocks(self, client, bucket):
        yield S3Blocks(client, bucket)
        clear(client, bucket)

    def test_the_store_vouches_for_the_bytes(self, blocks, client):
        """Bytes changed between us and the store are refused: nothing is filed."""

        def damage(request, **_):
            request.body = b"damaged!"

        client.meta.events.register("before-send.s3.PutObject", damage)
        try:
            with pytest.raises(Unavailable):
                blocks.put(block_id(), b"original")
        finally:
            client.meta.events.unregister("before-send.s3.PutObject", damage)

        assert blocks.get(ref(block_id())) is None

    def test_the_hash_is_kept(self, blocks, client, bucket):
        """The SHA-256 that was checked can be asked for later, of the block and of its link."""
        blocks.put(block_id("one"), b"x")
        blocks.link(block_id("one"), block_id("two"))

        kept = [
            client.head_object(Bucket=bucket, Key=entry["Key"], ChecksumMode="ENABLED")
            for entry in client.list_objects_v2(Bucket=bucket)["Contents"]
        ]
        assert ["LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE="] * 2 == [
            head["ChecksumSHA256"] for head in kept
        ]

    def test_a_lost_bucket_is_no_answer(self, client):
        """Where the bucket is gone, a block is not `None` but unknown."""
        lost = S3Blocks(client, "no-such-bucket-here")

        for verb in (
            lambda: lost.get(ref(block_id())),
            lambda: lost.put(block_id(), b"x"),
            lambda: lost.link(block_id(), block_id("two")),
            lambda: list(lost.uploads()),
            lambda: lost.delete_upload("up"),
        ):
            with pytest.raises(Unavailable):
                verb()

    def test_wrong_credentials_are_no_answer(self, minio, bucket):
        """A refused question is not `None`."""
        arguments = minio.boto3_arguments() | {"aws_secret_access_key": "wrong-wrong"}
        refused = boto3.client("s3", **arguments, config=client_config())

        with pytest.raises(Unavailable):
            S3Blocks(refused, bucket).get(ref(block_id()))

    def test_many_readers_and_writers_of_one_client(self, blocks):
        """One client serves all threads."""
        names = [block_id(number=number) for number in range(64)]
        file_all(blocks, names, b"y" * 10_000)

        with ThreadPoolExecutor(16) as pool:
            read = list(pool.map(lambda name: blocks.get(ref(name)), names))

        assert [b"y" * 10_000] * 64 == read


@contextmanager
def answering(answer: bytes | None):
    """A store that gives every request the same answer, or, for None, never one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        waiting = []

        def serve():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                waiting.append(connection)
                connection.recv(65_536)
                if answer is not None:
                    connection.sendall(answer)
                    connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield store_at(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)
        for connection in waiting:
            connection.close()


def store_at(port):
    """A store whose client is soon tired of waiting."""
    config = client_config().merge(type(client_config())(read_timeout=0.1, connect_timeout=0.1))
    return S3Blocks(
        boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name="us-east-1",
            aws_access_key_id="a",
            aws_secret_access_key="b",
            config=config,
        ),
        "bucket",
    )


def http(status, body="", length=None):
    """A whole answer, or one that is cut short of its length."""
    head = f"HTTP/1.1 {status} Whatever\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body) if length is None else length}\r\n\r\n{body}".encode()


def writes(store):
    """Every verb that writes."""
    return (
        lambda: store.put(block_id(), b"x"),
        lambda: store.link(block_id("one"), block_id("two")),
        lambda: store.delete(block_id()),
        lambda: store.delete_upload("up"),
        lambda: store.put_document("manifests/a", b"x"),
        lambda: store.delete_document("manifests/a"),
    )


def reads(store):
    """Every verb that only reads."""
    return (
        lambda: store.get(ref(block_id())),
        lambda: list(store.list_upload("up")),
        lambda: list(store.uploads()),
        lambda: store.get_document("manifests/a"),
    )


def each_raises(error, verbs):
    """Every verb raises exactly `error`."""
    for verb in verbs:
        with pytest.raises(error) as raised:
            verb()
        assert error is raised.type


def test_nobody_listens():
    """A refused connection: nothing was sent, so nothing happened."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    each_raises(StoreDown, writes(store_at(port)) + reads(store_at(port)))


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"",
        http(500),
        http(503, SLOW),
        http(200, "<Error>", 100),
        b"not HTTP at all\r\n\r\n",
    ],
    ids=["silence", "hung up", "500", "503", "cut short", "gibberish"],
)
def test_a_doubtful_answer(answer):
    """Who wrote must find out whether it happened; who read can ask again."""
    with answering(answer) as store:
        verbs = writes(store)
        if answer is not None and b"Content-Length: 100" in answer:
            verbs = (verbs[1], verbs[3])  # the others have their answer in the head
        each_raises(Indeterminate, verbs)
        each_raises(StoreDown, reads(store))


@pytest.mark.parametrize("status", [400, 403, 412, 429])
def test_a_refusal(status):
    """4xx: the store says that it did nothing, whatever words it uses."""
    with answering(http(status, SLOW)) as store:
        each_raises(StoreDown, writes(store) + reads(store))


def test_404_without_a_code_is_no_answer():
    """Only NoSuchKey says that a block is not there: a proxy's 404 says nothing about it."""
    with answering(http(404, "<html>NoSuchKey</html>")) as store:
        each_raises(StoreDown, reads(store))


def test_an_error_in_a_200():
    """CopyObject may fail after it has answered 200."""
    with answering(http(200, "<Error><Code>InternalError</Code></Error>")) as store:
        each_raises(Indeterminate, [lambda: store.link(block_id("one"), block_id("two"))])


def test_a_full_store():
    """MinIO's 507 is NoRoom."""
    with answering(http(507, "<Error><Code>XMinioStorageFull</Code></Error>")) as store:
        each_raises(NoRoom, [lambda: store.put(block_id(), b"x")])


class HalfDeleting:
    """A client whose DeleteObjects answers 200 and says that one object stayed."""

    deleted = 0

    def list_objects_v2(self, **_):
        return {"Contents": [{"Key": "one"}, {"Key": "two"}]}

    def delete_objects(self, **_):
        self.deleted += 1
        return {"Errors": [{"Key": "two", "Code": "InternalError"}]}


def test_errors_inside_the_answer_to_delete():
    """delete_upload looks at what became of each object."""
    client = HalfDeleting()

    each_raises(Indeterminate, [lambda: S3Blocks(client, "bucket").delete_upload("up")])

    assert 1 == client.deleted


def test_the_client_never_retries_by_itself():
    """One call is one request: after hidden tries "refused" would not mean "did not happen"."""
    retries = client_config().retries

    assert 1 == retries["total_max_attempts"]
