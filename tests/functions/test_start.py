"""A function that was told something wrong, or may not do what it must: INIT fails and says it all."""

import json
import secrets
from contextlib import contextmanager

import pytest

from chalicelib.ports.metadata import Table
from tests.services.faulty import DENIED, FORBIDDEN, faulty


@pytest.fixture(autouse=True)
def set_up(functions):
    """The site has its master key and its administrator."""
    assert functions.keys


@contextmanager
def told(functions, name, **settings):
    """One function with other settings, in sandboxes of its own."""
    host = functions.host
    changed = {f"CAUSEWAY_{key.upper()}": value for key, value in settings.items()}
    host.forget_idle(name)
    host.of_function[name] = changed
    try:
        yield host
    finally:
        del host.of_function[name]
        host.forget_idle(name)


def refusal(host, name):
    """What Lambda answers, and what its log holds."""
    result = host.call(name)
    assert result.error
    problem = json.loads(result.payload)
    assert problem["errorType"] == "SettingsError"
    assert any("SettingsError" in line for line in result.sandbox.lines)
    assert result.sandbox.invocations <= 1
    return problem["errorMessage"]


def test_everything_wrong_is_told_at_once(functions):
    """Tables by name, the bucket, the KMS key; nothing of it waits for a request."""
    none = f"none-{secrets.token_hex(4)}"
    wrong = {"dynamodb_prefix": none, "blocks_bucket": none}
    with told(functions, "Sweep", **wrong) as host:
        message = refusal(host, "Sweep")

    assert all(f"{none}-{table}: there is no such table" in message for table in Table)
    assert f"bucket {none}: there is no such bucket" in message


def test_settings_that_cannot_be_read(functions):
    """Each by its variable."""
    with told(functions, "Sweep", leeway="soon", block_size="much") as host:
        message = refusal(host, "Sweep")

    assert "CAUSEWAY_LEEWAY" in message
    assert "CAUSEWAY_BLOCK_SIZE" in message


def test_no_permission(functions, dynamodb, minio):
    """What the role lacks is named; once it is granted, the next invocation runs."""
    with faulty(dynamodb.endpoint) as tables, faulty(minio.endpoint) as bucket:
        places = {"dynamodb_endpoint": tables.endpoint, "blocks_endpoint": bucket.endpoint}
        with told(functions, "Sweep", **places) as host:
            tables.next("*", DENIED, times=None)
            bucket.next("*", FORBIDDEN, times=None)
            message = refusal(host, "Sweep")
            tables.clear()
            bucket.clear()
            granted = host.tick("Sweep")

    assert "grant dynamodb:GetItem" in message
    assert "grant s3:GetObject" in message
    assert granted["failed"] == 0


@pytest.mark.parametrize("name", ["Collect", "Gateway"])
def test_another_sites_tables(functions, name):
    """Its master key opens in its own encryption context only."""
    with told(functions, name, site="elsewhere") as host:
        message = refusal(host, name)

    assert "was not made for site elsewhere" in message


def test_gc_is_asked_of_the_function_that_may(functions):
    """`causeway gc` over HTTP: no HTTP function may delete a block."""
    with pytest.raises(AssertionError, match="causeway-west-collect"):
        functions.front("url").admin("POST", "gc")

    assert "collected" in functions.host.tick("Collect")
