"""Why `causeway status` says no."""

import pytest

from chalicelib.cli import status

FINE = {
    "site": "east", "role": "sink", "up": True, "enabled": True, "started": True, "backfilling": False,
    "records_behind": 0, "blocks_behind": 0, "caught_up": True, "error": "",
}  # fmt: skip


def reasons(incomplete=0, **link):
    return status.unsettled({"links": [FINE | link], "incomplete": incomplete})


def test_nothing_is_wrong():
    """Nor is a source, whatever its link lacks."""
    assert [] == reasons() == reasons(role="source", up=False, caught_up=False)


@pytest.mark.parametrize(
    ("link", "why"),
    [
        ({"up": False, "error": "Unavailable: x"}, "east is down (Unavailable: x): what it has is not known"),
        ({"enabled": False, "caught_up": False}, "realtime to east is disabled, so it is owed nothing"),
        (
            {"records_behind": 1, "blocks_behind": 2, "caught_up": False},
            "east is 1 record and 2 blocks behind",
        ),
        (
            {"backfilling": True, "caught_up": False},
            "no fullsync to east has completed since realtime was enabled",
        ),
        ({"incomplete": 1}, "1 record lacks blocks here"),
        ({"incomplete": 2}, "2 records lack blocks here"),
    ],
)
def test_what_is_wrong(link, why):
    """Each in words of its own."""
    assert [why] == reasons(**link)


def test_stopped_with_something_owed():
    """Both are said."""
    found = reasons(started=False, records_behind=2, caught_up=False)
    assert ["east is 2 records and 0 blocks behind", "realtime to east is stopped"] == found
