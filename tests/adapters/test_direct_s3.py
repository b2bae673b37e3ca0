"""S3Direct keeps the contract on real MinIO and, as far as it checks anything, on moto."""

import secrets

import boto3
import pytest

from chalicelib.adapters.s3_blocks import S3Blocks, S3Direct, client_config, direct_config
from chalicelib.adapters.s3_unsigned import refuses_unsigned
from chalicelib.adapters.system import SystemClock
from chalicelib.domain.errors import Unavailable
from tests.conformance.blocks import block_id
from tests.conformance.direct import DirectAttacks, DirectBlocksContract
from tests.services.minio_user import user_of
from tests.services.run import minio_root


def pair(service, user=lambda bucket: None):
    """An adapter of each port over a bucket of their own, by a user of their own if there is one."""
    bucket = f"direct-{secrets.token_hex(6)}"
    boto3.client("s3", **service.boto3_arguments()).create_bucket(Bucket=bucket)
    client = boto3.client("s3", **(user(bucket) or service).boto3_arguments(), config=client_config())
    direct = S3Direct(
        lambda: client, lambda: client, refuses_unsigned, SystemClock().now_ms, bucket, "below/"
    )
    return S3Blocks(client, bucket, "below/"), direct


@pytest.fixture(scope="module")
def own_minio():
    """Root of a MinIO of these tests' own."""
    with minio_root() as root:
        yield root


@pytest.fixture(scope="module")
def on_minio(own_minio):
    """The real thing, with no more rights than infra/container/minio-policy.json gives."""
    return pair(own_minio, lambda bucket: user_of(own_minio, bucket))


@pytest.fixture(scope="module")
def on_moto(moto):
    """An imitation."""
    return pair(moto)


def direct_of(client, bucket="bucket"):
    """An adapter that has nothing to do with blocks."""
    return S3Direct(lambda: client, lambda: client, refuses_unsigned, SystemClock().now_ms, bucket)


class OverS3:
    """Both fixtures, from `pair`."""

    @pytest.fixture
    def blocks(self, stores):
        return stores[0]

    @pytest.fixture
    def direct(self, stores):
        return stores[1]


class TestOnMinIO(OverS3, DirectAttacks):
    """The real thing."""

    @pytest.fixture
    def stores(self, on_minio):
        return on_minio

    def test_root_is_given_no_urls(self, own_minio):
        """Root's access key alone would write: found out without leaving anything, and asked again."""
        client = boto3.client("s3", **own_minio.boto3_arguments(), config=client_config())
        client.create_bucket(Bucket="of-root")
        direct = direct_of(client, "of-root")

        assert [False, False] == [direct.refuses_unsigned() for _ in range(2)]
        assert "Contents" not in client.list_objects_v2(Bucket="of-root")
        client.put_object(Bucket="of-root", Key="k", Body=b"x")  # signed as ever

    def test_a_store_that_does_not_answer_refuses_nothing(self, minio):
        """Nobody is given a URL, and nobody is told that it is the store's fault."""
        dead = {**minio.boto3_arguments(), "endpoint_url": "http://127.0.0.1:9"}
        client = boto3.client("s3", **dead, config=client_config())
        asked = []
        client.meta.events.register("before-send.s3", lambda request, **_: asked.append(request.url))
        direct = direct_of(client)
        for _ in range(3):
            with pytest.raises(Unavailable):
                direct.refuses_unsigned()
        assert 1 == len(asked)  # nobody waits for a store that another has just asked in vain

    def test_a_link_is_vouched_for_too(self, stores):
        """The store's own copy keeps what was checked."""
        blocks, direct = stores
        one, other = block_id("up-link", "d0"), block_id("up-link", "d1")
        blocks.put(one, b"x")
        blocks.link(one, other)

        assert direct.vouched(one) == direct.vouched(other)
        assert direct.vouched(other) is not None

    def test_another_endpoint_for_clients(self, minio, stores):
        """URLs name the endpoint that clients see; what the site asks itself goes to its own."""
        ours, bucket = stores[0]._client, stores[0]._bucket
        seen = {**minio.boto3_arguments(), "endpoint_url": "https://blocks.example.test"}
        theirs = boto3.client("s3", **seen, config=client_config())
        direct = S3Direct(lambda: ours, lambda: theirs, refuses_unsigned, SystemClock().now_ms, bucket)

        assert direct.presign_get(block_id("up"), 60).url.startswith("https://blocks.example.test/")
        assert direct.vouched(block_id("up")) is None

    @pytest.mark.parametrize(
        "bucket, host",
        [
            ("blocks", "blocks.s3.eu-west-1.amazonaws.com/b"),
            ("blocks.of.west", "s3.eu-west-1.amazonaws.com/blocks.of.west/b"),
        ],
    )
    def test_on_aws(self, bucket, host):
        """A URL names the bucket's own region: the global endpoint may answer 307, signed for nobody."""
        keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "eu-west-1"}
        client = boto3.client("s3", **keys, config=direct_config(bucket, ""))
        direct = S3Direct(lambda: client, lambda: client, refuses_unsigned, SystemClock().now_ms, bucket)

        assert direct.presign_get(block_id("up"), 60).url.startswith(f"https://{host}")
        put = direct.presign_put(block_id("up"), 1, bytes(32), 60)
        assert put.url.startswith(f"https://{host}") and direct.refuses_unsigned()
        # AWS refuses x-amz-* that nobody signed, so what guards MinIO is not needed there.
        assert {"content-length", "if-none-match", "x-amz-checksum-sha256"} == set(put.headers)

    def test_no_answer_is_no_answer(self, minio):
        """A store that cannot be reached, or refuses us, does not say that a block is not there."""
        dead = {**minio.boto3_arguments(), "endpoint_url": "http://127.0.0.1:9"}
        wrong = {**minio.boto3_arguments(), "aws_secret_access_key": "x" * 40}
        for arguments in (dead, wrong):
            client = boto3.client("s3", **arguments, config=client_config())
            with pytest.raises(Unavailable):
                direct_of(client).vouched(block_id("up"))

    def test_a_block_of_parts_is_vouched_for_by_nobody(self, stores):
        """A composite checksum is not the SHA-256 of the bytes, though it is of as many."""
        blocks, direct = stores
        name = block_id("up-parts", "d0", 0)
        client = blocks._client
        where = {"Bucket": blocks._bucket, "Key": blocks._name(name)}
        upload = client.create_multipart_upload(**where, ChecksumAlgorithm="SHA256")["UploadId"]
        part = client.upload_part(
            **where, UploadId=upload, PartNumber=1, Body=b"x", ChecksumAlgorithm="SHA256"
        )
        named = [{"PartNumber": 1, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]}]
        client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": named})

        assert b"" == direct.vouched(name).sha256


class TestOnMoto(OverS3, DirectBlocksContract):
    """An imitation that checks no signature, and keeps no hash that came as a header alone."""

    @pytest.fixture
    def stores(self, on_moto):
        return on_moto
