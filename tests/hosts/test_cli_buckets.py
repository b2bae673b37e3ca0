"""`causeway bucket`: made, and held where there is somebody to hold them."""

import secrets
from collections.abc import Iterator

import pytest

from tests.command import OK, REFUSED, UNREACHABLE, USAGE, closed_port, run
from tests.site_process import SiteProcess, linked_sites


@pytest.fixture(scope="module")
def west(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteProcess]:
    """The source of east."""
    with linked_sites(tmp_path_factory.mktemp("west"), tmp_path_factory.mktemp("east")) as (site, _):
        yield site


@pytest.fixture
def films(west: SiteProcess) -> str:
    name = f"films-{secrets.token_hex(4)}"
    assert run("bucket", "create", name, "--data", west.data, "--json").json == {"created": name}
    return name


def test_a_bucket_is_made(west: SiteProcess, films: str) -> None:
    """It is the administrator's, and may be held everywhere."""
    assert films in [bucket["Name"] for bucket in west.boto3().list_buckets()["Buckets"]]
    (listed,) = (
        b for b in run("bucket", "list", "--data", west.data, "--json").json["buckets"] if b["name"] == films
    )
    assert listed["sites"] == ["*"]


def test_anybody_makes_buckets(west: SiteProcess) -> None:
    """As by S3."""
    access_key, secret_key = west.user()
    keys = {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key}
    ran = run("bucket", "create", f"own-{secrets.token_hex(4)}", AWS_ENDPOINT_URL=west.endpoint, **keys)
    assert ran.exit == OK


def test_a_bucket_that_cannot_be_made(west: SiteProcess, films: str) -> None:
    """Its name is wrong, or taken; or nobody answers."""
    ran = run("bucket", "create", "AB", "--data", west.data)
    assert ran.exit == USAGE and "3 to 63 lower-case letters" in ran.err
    ran = run("bucket", "create", films, "--data", west.data, "--json")
    assert ran.exit == REFUSED and ran.json["error"] == "BucketAlreadyOwnedByYou"
    nobody = f"http://127.0.0.1:{closed_port()}"
    ran = run("bucket", "create", "other", "--data", west.data, "--endpoint-url", nobody)
    assert ran.exit == UNREACHABLE and nobody in ran.err and "causeway serve" in ran.err


def test_a_site_that_nobody_knows(west: SiteProcess, films: str) -> None:
    """A slip of the pen would stop replication without a word."""
    at = ("--data", west.data)
    ran = run("bucket", "sites", films, "west", "nosuch", *at)
    assert ran.exit == REFUSED
    assert "no link to a site 'nosuch' (linked: east); --anyway if it comes later" in ran.err
    listed = {b["name"]: b["sites"] for b in run("bucket", "list", *at, "--json").json["buckets"]}
    assert listed[films] == ["*"]

    assert run("bucket", "sites", films, "west", "nosuch", "--anyway", *at).exit == OK
    assert run("bucket", "sites", films, "west", "east", *at).out == f"{films} may be held at west, east\n"
    assert run("bucket", "sites", films, "everywhere", *at).out == f"{films} may be held everywhere\n"
