"""`causeway connect` and `fullsync` where something is in the way: they say what, and end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import NO, OK, REFUSED, UNREACHABLE, USAGE, closed_port, run
from tests.site_process import SiteProcess, linked_sites

Sites = tuple[SiteProcess, SiteProcess]


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """west, and its sink east."""
    with linked_sites(tmp_path_factory.mktemp("west"), tmp_path_factory.mktemp("east")) as sites:
        yield sites


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


def test_the_next_steps_can_be_pasted(linked: Sites, tmp_path: Path) -> None:
    """They name the site as it was named; what the environment says is left to it."""
    west, east = linked
    ran = run("connect", "--data", west.data, "--sink-data", east.data)
    assert f"\n  causeway realtime enable east --data {west.data}\n" in ran.err
    ran = run("connect", "--sink-data", east.data, CAUSEWAY_DATA=str(west.data))
    assert "\n  causeway realtime enable east\n" in ran.err

    ran = run("realtime", "enable", "east", "--data", west.data, "--endpoint-url", west.endpoint)
    at = f"--endpoint-url {west.endpoint} --data {west.data}"
    assert ran.out == f"east is owed what is written from now on; next: causeway realtime start east {at}\n"
    ran = run("realtime", "disable", "east", "--data", west.data)
    assert f"`causeway fullsync start east --data {west.data}`" in ran.out


def test_a_sink_that_does_not_answer(linked: Sites) -> None:
    """The option that names it is --sink."""
    west, east = linked
    nobody = f"http://127.0.0.1:{closed_port()}"
    ran = run("connect", "--data", west.data, "--sink", nobody, "--sink-data", east.data)
    assert ran.exit == UNREACHABLE
    assert f"no site answers at {nobody}; start it with `causeway serve`, or give another --sink" in ran.err


def test_keys_that_were_taken_away(linked: Sites, tmp_path: Path) -> None:
    """running.md says to: no start brings them back, so what is said is how to go on without."""
    west, _ = linked
    (tmp_path / "tables.sqlite").touch()
    ran = run("status", "--data", tmp_path)
    assert ran.exit == USAGE and "causeway serve" not in ran.err
    assert f"{tmp_path}/admin.json is not there (removed?): use --endpoint-url with" in ran.err
    ran = run("connect", "--data", west.data, "--sink-data", tmp_path)
    assert ran.exit == USAGE and "(removed?): use --sink with --sink-access-key" in ran.err


def test_a_fullsync_whose_sink_is_down(tmp_path: Path) -> None:
    """It says so at once, and ends when it has waited long enough."""
    with linked_sites(tmp_path / "west", tmp_path / "east") as (west, east):
        east.stop()
        ran = run("fullsync", "start", "east", "--wait", "--give-up", "1", "--data", west.data)
        stood = run("status", "--data", west.data)
        told = run("status", "--data", west.data, "--json")
    assert stood.exit == NO
    assert "not everything is everywhere: east is down (Unavailable: " in stood.err
    assert "realtime to east is disabled" in stood.err
    assert told.exit == NO and len(told.json["unsettled"]) == 2, "one JSON value, with the reasons"
    assert ran.exit == UNREACHABLE
    waiting, ended = ran.err.splitlines()
    assert waiting.startswith("waiting: east does not answer (Unavailable: ")
    assert "given up after 1 s (--give-up): east does not answer" in ended
    assert f"`causeway fullsync status east --data {west.data}`" in ended
