"""`causeway connect` and `fullsync` where something is in the way: they say what, and end."""

from collections.abc import Iterator

import pytest

from tests.hosts.test_cli import OK, REFUSED, run
from tests.site_process import SiteProcess, directory_site

Sites = tuple[SiteProcess, SiteProcess]


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """west, and its sink east."""
    with (
        directory_site(tmp_path_factory.mktemp("west"), "west", primary="west") as west,
        directory_site(tmp_path_factory.mktemp("east"), "east", primary="west") as east,
    ):
        assert run("connect", "--data", west.data, "--sink-data", east.data).exit == OK
        yield west, east


@pytest.mark.parametrize("words", [("start",), ("start", "--wait"), ("status",), ("interval", "1h")])
def test_no_fullsync_to_a_source(linked: Sites, words: tuple[str, ...]) -> None:
    """Nothing would ever drive it: refused by the site, not by the command alone."""
    _, east = linked
    verb, *more = words
    ran = run("fullsync", verb, "west", *more, "--data", east.data)
    assert ran.exit == REFUSED
    assert ran.err == "causeway: west is no sink of this site; `causeway connect` makes it one\n"
    run_of_it = east.admin("GET", "status")["links"][0]["fullsync"]
    assert run_of_it["state"] == "never"
    assert run("fullsync", "stop", "west", "--data", east.data).exit == OK
