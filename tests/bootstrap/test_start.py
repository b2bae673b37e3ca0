"""A start over DynamoDB, a bucket and KMS: works with what it needs, names all that is wrong otherwise."""

import secrets
import socket
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest

from chalicelib import bootstrap
from chalicelib.adapters.dynamodb import create_tables, delete_tables
from chalicelib.bootstrap import EVERY_POWER, Powers, aws, master_key
from chalicelib.bootstrap.start import START_TRIES
from chalicelib.bootstrap.stores import open_aws
from chalicelib.ports.metadata import Delete, Table
from chalicelib.settings import Settings, SettingsError
from tests.services.faulty import CUT_AFTER, DENIED, FORBIDDEN, THROTTLED, faulty, refused

CONTEXT = {"causeway:site": "west"}


class Place:
    """Tables, a bucket and a KMS key, and the settings of a site over them."""

    def __init__(self, minio, dynamodb, moto):
        self.name = f"start-{secrets.token_hex(6)}"
        self.keys = {"aws_access_key_id": minio.access_key, "aws_secret_access_key": minio.secret_key}
        own = {"region_name": "us-east-1", **self.keys}
        self.tables = boto3.client("dynamodb", endpoint_url=dynamodb.endpoint, **own)
        self.store = boto3.client("s3", endpoint_url=minio.endpoint, **own)
        self.kms = boto3.client("kms", endpoint_url=moto.endpoint, **own)
        self.told = {
            "site": "west",
            "backend": "aws",
            "blocks_bucket": self.name,
            "blocks_endpoint": minio.endpoint,
            "dynamodb_prefix": self.name,
            "dynamodb_endpoint": dynamodb.endpoint,
            "kms_key": self.kms.create_key()["KeyMetadata"]["Arn"],
            "kms_endpoint": moto.endpoint,
        }

    def settings(self, **changes):
        """A site's, some of them otherwise."""
        told = {**self.told, **changes}
        return Settings.from_environment({f"CAUSEWAY_{n.upper()}": str(v) for n, v in told.items() if v})

    def start(self, powers=EVERY_POWER, **changes):
        """The master key of a site that starts."""
        return open_aws(self.settings(**changes), powers).master_key

    def problems(self, powers=EVERY_POWER, **changes):
        """What a start that fails says."""
        with pytest.raises(SettingsError) as raised:
            self.start(powers, **changes)
        return raised.value.problems


@pytest.fixture(scope="module")
def shared_place(minio, dynamodb, moto):
    """One for all tests of this file."""
    place = Place(minio, dynamodb, moto)
    create_tables(place.tables, place.name)
    place.store.create_bucket(Bucket=place.name)
    yield place
    place.store.delete_bucket(Bucket=place.name)
    delete_tables(place.tables, place.name)


@pytest.fixture
def place(shared_place, monkeypatch):
    """The same, not set up yet."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", shared_place.keys["aws_access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", shared_place.keys["aws_secret_access_key"])
    for sk in (b"master_key", b"record"):
        row = {"pk": {"S": "site"}, "sk": {"B": sk}}
        shared_place.tables.delete_item(TableName=f"{shared_place.name}-site", Key=row)
    return shared_place


def test_the_master_key_is_made_once(place):
    """The first start makes it, all others open it; a site over it reads what another wrapped."""
    first = place.start()
    assert first == place.start() == place.start(Powers(founds=False))
    wrapped = bootstrap.build_function(place.settings()).node.site.vault.wrap("secret", "context")
    vault = bootstrap.build_worker(place.settings()).node.site.vault
    assert "secret" == vault.unwrap(wrapped, "context")


def test_starts_at_once_agree(place):
    """Whoever loses the compare-and-set takes the winner's."""
    with ThreadPoolExecutor(6) as pool:
        keys = list(pool.map(lambda _: place.start(), range(6)))
    assert {keys[0]} == set(keys)


def test_only_ciphertext_is_kept(place):
    """No row holds the key; what is kept opens with the site's encryption context only."""
    key = place.start()
    rows = place.tables.scan(TableName=f"{place.name}-site")["Items"]
    forms = b"".join(bytes(row["val"]["B"]) for row in rows)
    assert forms and key not in forms and key.hex().encode() not in forms
    sealed = master_key.codec.decode_document(forms_of(rows, b"master_key"))["sealed"]
    assert key == place.kms.decrypt(CiphertextBlob=sealed, EncryptionContext=CONTEXT)["Plaintext"]
    with pytest.raises(place.kms.exceptions.InvalidCiphertextException):
        place.kms.decrypt(CiphertextBlob=sealed, EncryptionContext={"causeway:site": "east"})


def forms_of(rows, sk):
    """The value of one row."""
    return next(bytes(row["val"]["B"]) for row in rows if bytes(row["sk"]["B"]) == sk)


def test_a_key_of_its_own_stays(place):
    """A site that was set up under a key it was given gets no new one: its secrets would be lost."""
    own = {"kms_key": "", "master_key": "11" * 32}
    bootstrap.build_function(place.settings(**own))
    for powers in (EVERY_POWER, Powers(founds=False)):
        (problem,) = place.problems(powers)
        assert "CAUSEWAY_MASTER_KEY" in problem
    assert bytes.fromhex("11" * 32) == place.start(**own)


def test_a_key_that_kms_keeps_stays(place):
    """Another one, given by mistake, would open nothing."""
    place.start()
    (problem,) = place.problems(kms_key="", master_key="11" * 32)
    assert place.told["kms_key"] in problem and "CAUSEWAY_KMS_KEY" in problem


def test_a_function_that_may_not_found_a_site_says_who_does(place):
    """Before the administrator's function was invoked."""
    (problem,) = place.problems(Powers(founds=False))
    assert "administrator function" in problem


def test_an_answer_lost_while_the_key_is_kept(place):
    """The row was written though nobody said so: read back, never made twice."""
    with faulty(place.told["dynamodb_endpoint"]) as relay:
        relay.next("PutItem", CUT_AFTER)
        key = place.start(dynamodb_endpoint=relay.endpoint)
        assert [] == relay.pending()
    assert key == place.start()


def test_everything_wrong_is_named_at_once(place):
    """A typing error in the prefix, a bucket that is not there."""
    told = "\n".join(place.problems(dynamodb_prefix="no-such", blocks_bucket="no-such-bucket"))
    assert all(f"table no-such-{table}: there is no such table" in told for table in Table)
    assert "bucket no-such-bucket: there is no such bucket" in told
    assert "causeway stores create" in told


def test_one_missing_table(place):
    """Only that one is named."""
    place.tables.delete_table(TableName=f"{place.name}-outbox")
    try:
        told = [problem for problem in place.problems() if problem.startswith("table ")]
    finally:
        create_tables(place.tables, place.name)
    assert [f"table {place.name}-outbox: there is no such table in us-east-1"] == told


def test_tables_of_another_make(place):
    """Named by what DynamoDB says of their keys."""
    place.tables.create_table(
        TableName="other-keys",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    try:
        told = place.problems(dynamodb_prefix="other")
    finally:
        place.tables.delete_table(TableName="other-keys")
    assert any(problem.startswith("table other-keys: GetItem is answered ValidationE") for problem in told)


@pytest.mark.parametrize(("call", "verb"), [("*Get*", "GetItem"), ("*Write*", "PutItem")])
def test_no_permission_for_tables(place, call, verb):
    """Reading and writing are both tried, and what to grant is said."""
    with faulty(place.told["dynamodb_endpoint"]) as relay:
        relay.next(call, DENIED, times=None)
        relay.next(verb, DENIED, times=None)
        told = place.problems(dynamodb_endpoint=relay.endpoint)
    assert all(
        any(f"{place.name}-{table}: grant dynamodb:{verb}" in each for each in told) for table in Table
    )


def test_only_tables_that_are_written_are_tried(place):
    """The administrator's role writes three."""
    place.start()
    with faulty(place.told["dynamodb_endpoint"]) as relay:
        relay.next("PutItem", DENIED, times=None)
        relay.next("TransactWriteItems", DENIED)
        told = place.problems(Powers(writes={Table.USERS}), dynamodb_endpoint=relay.endpoint)
    assert 1 == len(told) and f"{place.name}-users" in told[0]


def test_trying_to_write_writes_nothing(place):
    """The condition is never true."""
    place.start()
    for table in Table:
        items = place.tables.scan(TableName=f"{place.name}-{table}")["Items"]
        assert not [item for item in items if item["pk"]["S"] == "probe"]


def test_what_passes_by_is_no_problem(place):
    """One throttled read, one throttled bucket: tried again, or not the site's fault."""
    place.start()
    with faulty(place.told["dynamodb_endpoint"]) as relay, faulty(place.told["blocks_endpoint"]) as store:
        relay.next("TransactGetItems", THROTTLED)
        relay.next("TransactWriteItems", THROTTLED)
        store.next("GET *", refused("SlowDown", 503))
        place.start(dynamodb_endpoint=relay.endpoint, blocks_endpoint=store.endpoint)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (FORBIDDEN, "grant s3:GetObject on blocks/* and manifests/*, s3:ListBucket"),
        (refused("PermanentRedirect", 301), "set CAUSEWAY_BLOCKS_REGION"),
        (refused("AuthorizationHeaderMalformed", 400), "set CAUSEWAY_BLOCKS_REGION"),
        (refused("InvalidAccessKeyId", 403), "the credentials are not valid"),
        (refused("ExpiredToken", 400), "the credentials have expired"),
    ],
    ids=lambda value: value.code if hasattr(value, "code") else "",
)
def test_a_bucket_that_cannot_be_used(place, fault, said):
    """What S3 says is turned into what to do."""
    place.start()
    with faulty(place.told["blocks_endpoint"]) as store:
        store.next("GET *", fault, times=None)
        (problem,) = place.problems(blocks_endpoint=store.endpoint)
        assert said in problem
        place.start(Powers(bucket=False), blocks_endpoint=store.endpoint)


def test_nobody_listens(place):
    """Each service by its name."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        nowhere = f"http://127.0.0.1:{server.getsockname()[1]}"
    places = {"dynamodb_endpoint": nowhere, "blocks_endpoint": nowhere}
    told = "\n".join(place.problems(**places))
    assert "DynamoDB in us-east-1 cannot be used" in told and "S3 in us-east-1 cannot be used" in told
    place.start()
    (problem,) = place.problems(kms_endpoint=nowhere)
    assert "KMS cannot be reached" in problem


def test_no_answer_is_asked_for_no_further(place, monkeypatch):
    """A start has 10 s at Lambda, and each connection takes 3 s to be given up: nine tables are too many."""
    asked = []
    made = aws.dynamodb_client

    def counted(places, session):
        client = made(places, session)
        client.meta.events.register("before-send.dynamodb", lambda request, **_: asked.append(request.url))
        return client

    monkeypatch.setattr(aws, "dynamodb_client", counted)
    told = place.problems(dynamodb_endpoint="http://127.0.0.1:9")

    assert 1 == len(told) and "DynamoDB in us-east-1 cannot be used" in told[0]
    assert len(asked) <= START_TRIES + 2  # to read; to write, and why not


def test_wrong_credentials(place, monkeypatch):
    """MinIO knows no such key; without any at all nothing is tried."""
    place.start()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-wrong")
    assert any("credentials are not valid" in problem for problem in place.problems())
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert any("AWS credentials: none" in problem for problem in place.problems())


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (DENIED, "grant kms:Decrypt on it"),
        (refused("NotFoundException"), "no such key"),
        (refused("DisabledException"), "enable it"),
        (refused("KMSInvalidStateException"), "cancel its deletion"),
        (refused("IncorrectKeyException"), "another KMS key"),
        (refused("ExpiredTokenException"), "expired"),
    ],
    ids=lambda value: value.code if hasattr(value, "code") else "",
)
def test_kms_refuses(place, fault, said):
    """What KMS says is turned into what to do, and the key it was made under is named."""
    place.start()
    with faulty(place.told["kms_endpoint"]) as relay:
        relay.next("Decrypt", fault, times=None)
        (problem,) = place.problems(kms_endpoint=relay.endpoint)
    assert problem.startswith("CAUSEWAY_KMS_KEY: ") and said in problem
    assert place.told["kms_key"] in problem.rpartition("made under ")[2]


def test_kms_for_a_moment_busy(place):
    """Throttling and a cut connection are tried again."""
    key = place.start()
    with faulty(place.told["kms_endpoint"]) as relay:
        relay.next("Decrypt", THROTTLED)
        relay.next("Decrypt", CUT_AFTER)
        assert key == place.start(kms_endpoint=relay.endpoint)
        assert 3 == relay.count("Decrypt")


def test_the_tables_of_another_site(place):
    """Another site's name opens no key."""
    place.start()
    (problem,) = place.problems(site="east")
    assert "not made for site east" in problem


def test_without_kms(place):
    """A key that was given needs no KMS, and makes no row."""
    given = secrets.token_hex(32)
    assert bytes.fromhex(given) == place.start(kms_key="", kms_endpoint="", master_key=given)
    site = open_aws(place.settings(kms_key="", kms_endpoint="", master_key=given)).metadata
    assert [None] == site.get([master_key.ROW])
    site.transact([Delete(master_key.ROW)])


def test_services_in_two_places(place, minio):
    """Settings say which is which: the tables' endpoint is not asked for blocks."""
    place.start()
    with faulty(place.told["blocks_endpoint"]) as store:
        place.start(blocks_endpoint=store.endpoint, blocks_prefix="below/")
        (call,) = store.calls
    assert call.startswith(f"GET /{place.name}/below/manifests/")
    assert minio.endpoint == store.target
