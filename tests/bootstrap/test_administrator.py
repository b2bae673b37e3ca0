"""The first administrator: one, whoever asks and however often; its keys are told once."""

import dataclasses
import secrets
import threading

import boto3
import pytest

from chalicelib import bootstrap
from chalicelib.adapters.dynamodb import create_tables, delete_tables
from chalicelib.bootstrap.administrator import first_administrator
from chalicelib.domain.account import LOCAL
from chalicelib.domain.errors import Unavailable
from chalicelib.objects import accounts
from chalicelib.replication.setup import secret_of
from chalicelib.settings import Settings
from tests.builders import MINUTE_MS, Net

ASKING = 6


@pytest.fixture
def node():
    return Net("a")["a"]


def users(node):
    """All there are."""
    return list(accounts.all_users(node.site))


def test_made_once(node):
    """An administrator with the keys that were told; a second call tells nothing and makes nobody."""
    keys = first_administrator(node)

    [user] = users(node)
    assert user.admin and user.enabled and node.record.epoch == user.epoch != LOCAL
    assert {"access_key": user.access_key, "secret_key": secret_of(node.site, user)} == keys
    assert first_administrator(node) is None and first_administrator(node) is None
    assert [user] == users(node)


def test_at_another_site_than_the_primary(node):
    """A user of that site alone: its primary, which cannot be asked yet, has one of its own."""
    second = dataclasses.replace(node, record=dataclasses.replace(node.record, primary="b"))

    assert first_administrator(second)

    assert [LOCAL] == [user.epoch for user in users(node)]


def test_one_that_died(node, monkeypatch):
    """While somebody makes it nobody else does; whoever dies at it keeps others waiting for minutes only."""
    monkeypatch.setattr(accounts, "save_user", _die, raising=True)
    with pytest.raises(Unavailable):
        first_administrator(node)
    monkeypatch.undo()

    assert first_administrator(node) is None and [] == users(node)
    node.site.clock.advance(6 * MINUTE_MS)

    assert first_administrator(node) and 1 == len(users(node))


def _die(*_, **__):
    raise Unavailable("DynamoDB: down")


def test_at_the_same_time(minio, dynamodb, monkeypatch):
    """Several functions over the same tables: one has keys to show."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", minio.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", minio.secret_key)
    name = f"first-{secrets.token_hex(6)}"
    same = dataclasses.replace(minio, endpoint=dynamodb.endpoint)
    tables = boto3.client("dynamodb", **same.boto3_arguments())
    told = {
        "site": "west",
        "backend": "aws",
        "master_key": secrets.token_hex(32),
        "blocks_bucket": name,
        "blocks_endpoint": minio.endpoint,
        "dynamodb_prefix": name,
        "dynamodb_endpoint": dynamodb.endpoint,
    }
    settings = Settings.from_environment({f"CAUSEWAY_{k.upper()}": value for k, value in told.items()})
    create_tables(tables, name)
    boto3.client("s3", **minio.boto3_arguments()).create_bucket(Bucket=name)
    try:
        nodes = [bootstrap.build_function(settings, lambda *_: []).node for _ in range(ASKING)]
        made, together = [], threading.Barrier(ASKING)

        def ask(node):
            together.wait()
            made.append(first_administrator(node))

        threads = [threading.Thread(target=ask, args=(node,)) for node in nodes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        [keys] = [keys for keys in made if keys]
        assert ASKING == len(made)
        assert [keys["access_key"]] == [user.access_key for user in users(nodes[0])]
    finally:
        delete_tables(tables, name)
