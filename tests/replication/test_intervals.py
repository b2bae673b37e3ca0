"""How often a link is compared: by the site's setting, whatever it says then, or by the link's own."""

from dataclasses import replace

import pytest

from chalicelib.objects.errors import InvalidRequest
from chalicelib.replication import setup, status
from tests.builders import HOUR_MS, MINUTE_MS


def every(net, interval_ms):
    """Site a under another setting, as after a deployment."""
    old = net["a"]
    site = replace(old.site, rules=replace(old.site.rules, fullsync_interval_ms=interval_ms))
    net.nodes["a"] = replace(old, site=site)


def starts(net, hours):
    """After how many hours runs began, looked for each minute."""
    found, began_ms = [], net.clock.now_ms()
    for _ in range(hours * 60):
        if net["a"].schedule():
            found.append(round((net.clock.now_ms() - began_ms) / HOUR_MS, 1))
            net["a"].drive_fullsync("b", HOUR_MS)
        net.clock.advance(MINUTE_MS)
    return found


def test_as_the_site_says(net):
    """And as it says later: nobody touches the link."""
    every(net, 6 * HOUR_MS)
    assert [0, 6, 12] == starts(net, 13)

    every(net, 2 * HOUR_MS)
    assert [1, 3] == starts(net, 4)  # the last one was an hour ago

    every(net, 0)
    assert [] == starts(net, 48)


def test_its_own(net):
    """Stands above the site's until it is given back."""
    every(net, 6 * HOUR_MS)
    setup.fullsync_interval(net["a"], "b", 2 * HOUR_MS)
    assert [0, 2, 4] == starts(net, 5)
    every(net, HOUR_MS)
    assert 2 * HOUR_MS == status.links(net["a"])[0].fullsync_interval_ms

    setup.fullsync_interval(net["a"], "b", None)
    assert HOUR_MS == status.links(net["a"])[0].fullsync_interval_ms
    assert 5 == len(starts(net, 5))


def test_never(net):
    """Zero is an interval of its own, too: this link is compared by hand only."""
    setup.fullsync_interval(net["a"], "b", 0)

    assert [] == starts(net, 24)


@pytest.mark.parametrize("wrong", ["6h", 1.5, True, -1, 1])
def test_wrong_intervals(net, wrong):
    """Refused; the link keeps what it had."""
    with pytest.raises(InvalidRequest):
        setup.fullsync_interval(net["a"], "b", wrong)

    assert net["a"].links.read().get("b").fullsync_interval_ms is None
