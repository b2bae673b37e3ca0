"""`causeway user` where the answer is no: it says why, and what to do."""

from collections.abc import Iterator

import pytest

from tests.command import OK, REFUSED, run
from tests.site_process import SiteProcess, directory_site


@pytest.fixture(scope="module")
def west(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteProcess]:
    with directory_site(tmp_path_factory.mktemp("west"), "west") as site:
        yield site


def test_the_last_administrator_cannot_be_disabled(west: SiteProcess) -> None:
    """Or nobody could let it in again."""
    key, _ = west.keys
    ran = run("user", "disable", key, "--data", west.data)
    assert ran.exit == REFUSED
    assert f"{key} is the last administrator; make another first: causeway user create NAME" in ran.err
    assert run("user", "disable", key, "--data", west.data, "--json").json["error"] == "InvalidRequest"
    assert run("status", "--data", west.data).exit == OK


@pytest.mark.parametrize("words", [("disable",), ("enable",), ("new-secret",), ("update", "--name", "x")])
def test_an_unknown_access_key(west: SiteProcess, words: tuple[str, ...]) -> None:
    """Which one, and how to find the right one; nothing of it is our mistake."""
    verb, *more = words
    ran = run("user", verb, "NOPE", *more, "--data", west.data)
    assert ran.exit == REFUSED
    assert ran.err == "causeway: no user has access key NOPE; causeway user list shows them\n"
    assert west.events("admin_request_failed") == []


def test_an_address_that_is_taken(west: SiteProcess) -> None:
    """A refusal, not a site that does not answer."""
    assert run("user", "create", "Ada", "--email", "ada@example.com", "--data", west.data).exit == OK
    ran = run("user", "create", "Ada", "--email", "ada@example.com", "--data", west.data)
    assert ran.exit == REFUSED and "ada@example.com is taken" in ran.err
