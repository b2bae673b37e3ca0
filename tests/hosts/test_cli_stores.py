"""`causeway stores create`, and `causeway serve` over what it made or did not make."""

import os
import secrets
from unittest import mock

import boto3
import pytest

from chalicelib import bootstrap
from chalicelib.adapters.dynamodb import delete_tables
from chalicelib.settings import Settings
from tests.command import NO, OK, UNREACHABLE, USAGE, closed_port, run
from tests.site_process import SiteProcess, variables


@pytest.fixture
def told(minio, dynamodb, moto):
    """Settings of a site on DynamoDB Local and MinIO whose master key KMS keeps; nothing is made yet."""
    name = f"stores-{secrets.token_hex(6)}"
    own = {"region_name": "us-east-1", **keys(minio)}
    key = boto3.client("kms", endpoint_url=moto.endpoint, **own).create_key()["KeyMetadata"]["KeyId"]
    yield {
        "CAUSEWAY_SITE": "west",
        "CAUSEWAY_BLOCKS_BUCKET": name,
        "CAUSEWAY_BLOCKS_ENDPOINT": minio.endpoint,
        "CAUSEWAY_DYNAMODB_PREFIX": name,
        "CAUSEWAY_DYNAMODB_ENDPOINT": dynamodb.endpoint,
        "CAUSEWAY_KMS_KEY": key,
        "CAUSEWAY_KMS_ENDPOINT": moto.endpoint,
        "AWS_ACCESS_KEY_ID": minio.access_key,
        "AWS_SECRET_ACCESS_KEY": minio.secret_key,
    }
    delete_tables(boto3.client("dynamodb", endpoint_url=dynamodb.endpoint, **own), name)
    store = boto3.client("s3", endpoint_url=minio.endpoint, **own)
    if name in [bucket["Name"] for bucket in store.list_buckets()["Buckets"]]:
        for page in store.get_paginator("list_objects_v2").paginate(Bucket=name):
            for entry in page.get("Contents", []):
                store.delete_object(Bucket=name, Key=entry["Key"])
        store.delete_bucket(Bucket=name)


def keys(service):
    """As boto3 takes them."""
    return {"aws_access_key_id": service.access_key, "aws_secret_access_key": service.secret_key}


def keys_of(told):
    """The same of an environment."""
    return {name.lower(): value for name, value in told.items() if name.startswith("AWS_")}


def settings(told):
    """Of a site of functions."""
    ours = {name: value for name, value in told.items() if name.startswith("CAUSEWAY_")}
    return Settings.from_environment(ours | {"CAUSEWAY_BACKEND": "aws"})


def test_a_server_without_tables_says_what_makes_them(told):
    """One line that names every table and the bucket, before anything listens."""
    name = told["CAUSEWAY_BLOCKS_BUCKET"]
    ran = run("serve", "--backend", "aws", **told)
    assert USAGE == ran.exit
    assert all(f"table {name}-{table}: there is no such table" in ran.err for table in ("keys", "site"))
    assert f"bucket {name}: there is no such bucket" in ran.err
    assert "causeway stores create" in ran.err


def test_what_is_made_can_be_served(told, tmp_path):
    """Made once; made again it changes nothing; a server starts over it and takes an object."""
    name = told["CAUSEWAY_BLOCKS_BUCKET"]
    made = run("stores", "create", "--json", **told)
    assert OK == made.exit and 10 == len(made.json["made"]) and name in made.json["made"]
    again = run("stores", "create", **told)
    assert OK == again.exit and "everything was there" in again.out

    site = SiteProcess(tmp_path, variables({"backend": "aws"}) | told)
    site.start()
    try:
        s3 = site.boto3()
        s3.create_bucket(Bucket="photos")
        s3.put_object(Bucket="photos", Key="one", Body=b"x" * 100_000)
        assert b"x" * 100_000 == s3.get_object(Bucket="photos", Key="one")["Body"].read()
    finally:
        site.stop()
    assert not list(tmp_path.rglob("master.key"))


def test_under_another_kms_key(told, moto):
    """The ciphertext changes, the master key does not: what was wrapped before opens after."""
    run("stores", "create", **told)
    with mock.patch.dict(os.environ, told):
        before = bootstrap.build_function(settings(told)).node.site.vault
        wrapped = before.wrap("secret", "context")
        own = {"region_name": "us-east-1", **keys_of(told)}
        kms = boto3.client("kms", endpoint_url=moto.endpoint, **own)
        new = told | {"CAUSEWAY_KMS_KEY": kms.create_key()["KeyMetadata"]["KeyId"]}

        ran = run("stores", "rewrap", "--json", **new)

        assert OK == ran.exit
        assert told["CAUSEWAY_KMS_KEY"] in ran.json["before"] and new["CAUSEWAY_KMS_KEY"] in ran.json["now"]
        kms.schedule_key_deletion(KeyId=told["CAUSEWAY_KMS_KEY"], PendingWindowInDays=7)
        after = bootstrap.build_function(settings(new)).node.site.vault
        assert "secret" == after.unwrap(wrapped, "context")


def test_nothing_to_rewrap(told):
    """A site that was never set up."""
    run("stores", "create", **told)
    ran = run("stores", "rewrap", **told)
    assert NO == ran.exit and "keeps no master key" in ran.err


def test_who_may_not_make_them_is_told(told):
    """The service's own words."""
    ran = run("stores", "create", **told | {"CAUSEWAY_BLOCKS_BUCKET": "UPPER"})
    assert NO == ran.exit and "bucket" in ran.err.lower() and "CreateBucket" in ran.err


def test_settings_are_checked_first(told):
    """As for serve."""
    ran = run("stores", "create", **told | {"CAUSEWAY_SITE": ""})
    assert USAGE == ran.exit and "CAUSEWAY_SITE: missing" in ran.err


@pytest.mark.parametrize(
    ("name", "which"), [("DYNAMODB", "DynamoDB at {}"), ("BLOCKS", "the store of bucket {bucket} at {}")]
)
def test_a_store_that_does_not_answer(told, name, which):
    """Which one, where, and that it is no answer."""
    nobody = f"http://127.0.0.1:{closed_port()}"
    ran = run("stores", "create", **told | {f"CAUSEWAY_{name}_ENDPOINT": nobody})
    assert UNREACHABLE == ran.exit
    assert f"{which.format(nobody, bucket=told['CAUSEWAY_BLOCKS_BUCKET'])} does not answer" in ran.err
    assert f"correct --{name.lower()}-endpoint" in ran.err


def test_a_master_key_file_that_is_not_there(told, tmp_path):
    """It is not the key that a server would find; nothing is made."""
    path = tmp_path / "west.key"
    ran = run("stores", "create", "--master-key-file", path, **told | {"CAUSEWAY_KMS_KEY": None})
    assert USAGE == ran.exit and f"--master-key-file {path} is no file" in ran.err
    path.write_text(secrets.token_hex(32))
    path.chmod(0o600)
    made = run("stores", "create", "--master-key-file", path, "--json", **told | {"CAUSEWAY_KMS_KEY": None})
    assert OK == made.exit and 10 == len(made.json["made"])
