"""DynamoMetadata keeps the contract on DynamoDB Local and on moto."""

import dataclasses
import threading
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import boto3
import pytest
from moto import mock_aws

from chalicelib.adapters.dynamodb import (
    DynamoMetadata,
    client_config,
    create_tables,
    delete_tables,
)
from chalicelib.ports.metadata import Table
from tests.adapters.dynamodb_double import seconds_asleep, token
from tests.conformance.metadata import MetadataContract
from tests.services.run import Service


def new_metadata(client: Any, prefix: str) -> DynamoMetadata:
    """The adapter with a real sleep and real chance."""
    return DynamoMetadata(client, prefix, sleep_ms=seconds_asleep, token=token)


@pytest.fixture(scope="module")
def local(dynamodb: Service) -> Iterator[Any]:
    """A client of DynamoDB Local, with tables of its own."""
    service = dataclasses.replace(dynamodb, access_key=f"metadata{uuid4().hex}")
    client = boto3.client("dynamodb", config=client_config(), **service.boto3_arguments())
    create_tables(client, "site")
    yield client
    delete_tables(client, "site")


@pytest.fixture(scope="module")
def moto() -> Iterator[Any]:
    """A client of moto, with tables."""
    with mock_aws():
        client = boto3.client("dynamodb", "us-east-1", config=client_config())
        create_tables(client, "site")
        yield OneAtATime(client)


class OneAtATime:
    """A client whose calls never overlap: moto keeps its rows in plain dictionaries."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if not callable(found) or name in ("meta", "exceptions"):
            return found

        def call(**arguments: Any) -> Any:
            with self._lock:
                return found(**arguments)

        return call


class TestOnDynamoDBLocal(MetadataContract):
    model_examples = 8

    @pytest.fixture
    def metadata(self, local: Any) -> DynamoMetadata:
        return new_metadata(local, "site")


class TestOnMoto(MetadataContract):
    model_examples = 8

    @pytest.fixture
    def metadata(self, moto: Any) -> DynamoMetadata:
        return new_metadata(moto, "site")

    @pytest.mark.xfail(reason="moto takes 25 rows in TransactGetItems, DynamoDB 100")
    def test_get_takes_many_rows(self, metadata: DynamoMetadata, pk: str):
        super().test_get_takes_many_rows(metadata, pk)


def test_tables_can_be_made_and_removed_twice():
    """create_tables and delete_tables leave what is already so as it is."""
    with mock_aws():
        client = boto3.client("dynamodb", "us-east-1", config=client_config())
        for _ in range(2):
            create_tables(client, "site")
            assert sorted(f"site-{t}" for t in Table) == sorted(client.list_tables()["TableNames"])
        for _ in range(2):
            delete_tables(client, "site")
            assert [] == client.list_tables()["TableNames"]


def test_a_client_that_retries_by_itself_is_refused():
    """botocore's own second try of a put would meet its own trace and call it a conflict."""
    with pytest.raises(ValueError, match="client_config"):
        new_metadata(boto3.client("dynamodb", "us-east-1"), "site")
