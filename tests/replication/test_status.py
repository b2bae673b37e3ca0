"""Status: computed from the outbox, the runs and the contacts, never from what was hoped."""

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.manifest import BlockId
from chalicelib.objects import gc
from chalicelib.objects.copy import copy_object
from chalicelib.objects.put import PutRequest
from chalicelib.replication import status
from chalicelib.replication.runs import State
from tests.builders import HOUR_MS, MINUTE_MS, inner_blocks, put, remove, text

BODY = bytes(range(256)) * 1000  # four blocks
DAY_MS = 24 * HOUR_MS


def shown(net, at="a"):
    """The one link of a site."""
    (link,) = status.links(net[at])
    return link


def test_caught_up(net, photos):
    """Nothing owed, nothing outstanding: no lag, and the link is up."""
    put(net["a"].site, photos, "k", BODY)
    net.deliver()

    link = shown(net)

    assert ("b", "sink", True, True, 0, 0, 0, 0, "") == (
        link.site,
        link.role,
        link.up,
        link.caught_up,
        link.lag_ms,
        link.records_behind,
        link.blocks_behind,
        link.bytes_behind,
        link.error,
    )
    assert (2, 4) == (link.records_sent, link.blocks_sent)
    assert link.bytes_sent > len(BODY)


def test_behind(net, photos):
    """How far, in seconds, objects and bytes: from the moment of the commit."""
    put(net["a"].site, photos, "k", BODY)
    net.clock.advance(7000)
    put(net["a"].site, photos, "l", b"hello")

    link = shown(net)

    assert (False, 7000, 2, 0, len(BODY) + 5) == (
        link.caught_up,
        link.lag_ms,
        link.records_behind,
        link.blocks_behind,
        link.bytes_behind,
    )


def test_blocks_count_until_they_are_there(net, photos):
    """A record whose blocks are owed is behind; lag goes on from its commit."""
    put(net["a"].site, photos, "k", BODY)
    net.records_only()
    net.clock.advance(3000)

    link = shown(net)

    assert (False, 3000, 0, 1) == (link.caught_up, link.lag_ms, link.records_behind, link.blocks_behind)
    assert 1 == status.incomplete_records(net["b"])
    net.deliver()
    assert shown(net).caught_up
    assert 0 == status.incomplete_records(net["b"])


def test_a_link_that_is_down(net, photos):
    """Says so, since when, and why; lag grows; it is up again when something went over."""
    net.cut.add(("a", "b"))
    put(net["a"].site, photos, "k", b"x")
    net.deliver()
    down_ms = net.clock.now_ms()
    net.clock.advance(HOUR_MS)

    link = shown(net)
    assert (False, False, HOUR_MS, down_ms) == (link.up, link.caught_up, link.lag_ms, link.contact_ms)
    assert "does not answer" in link.error

    net.cut.clear()
    net.deliver()
    assert (True, True, "") == (shown(net).up, shown(net).caught_up, shown(net).error)


def test_a_link_nobody_uses(net, photos):
    """A greeting finds out whether it is up."""
    net.cut.add(("a", "b"))
    net["a"].greet(net["a"].links.read().get("b"))
    assert not shown(net).up

    net.cut.clear()
    net.clock.advance(MINUTE_MS)
    net["a"].greet(net["a"].links.read().get("b"))
    assert shown(net).up


def test_what_failed_and_why(net, photos):
    """The last error of what is owed is shown while the link itself is up."""
    broken = put(net["a"].site, photos, "k", BODY)
    inner_blocks(net["a"].site).delete(BlockId(broken.upload, "0", 0))
    net.deliver()

    link = shown(net)

    assert "Missing" in link.error
    assert not link.caught_up


@pytest.mark.parametrize("switch", [{"enabled": False}, {"backfilling": True}])
def test_never_caught_up_too_early(net, photos, switch):
    """A link that is disabled, or still backfilling, is not, however empty its outbox."""
    net["a"].links.update("b", **switch)

    assert not shown(net).caught_up


def test_the_other_side(net, photos):
    """A site shows the links it is the sink of, too."""
    put(net["a"].site, photos, "k", BODY)
    net.records_only()
    text(net["b"].site, photos.id, "k")

    link = shown(net, "b")

    assert ("a", "source", 4, 0) == (link.site, link.role, link.proxy_get_blocks, link.proxy_get_errors)


def test_where_a_fullsync_stands(net, photos):
    """Its state, its counts so far, and when the next one is due."""
    for n in range(200):
        put(net["a"].site, photos, f"k{n}")
    net["a"].start_fullsync("b")
    for _ in range(8):
        net["a"].drive_fullsync("b", 0)

    run = shown(net).fullsync
    assert State.RUNNING is run.state
    assert 0 < run.tally.sent < 200
    assert net.clock.now_ms() + shown(net).fullsync_interval_ms == run.next_ms

    net["a"].drive_fullsync("b", HOUR_MS)
    assert State.COMPLETE is shown(net).fullsync.state


class TestGcHold:
    """A superseded upload waits for every enabled link, and no longer than seven days."""

    @pytest.fixture
    def old(self, net, photos):
        """An upload that was superseded while the link was stopped."""
        old = put(net["a"].site, photos, "k", BODY)
        net["a"].links.update("b", started=False)
        remove(net["a"].site, photos, "k")
        net.clock.advance(DAY_MS)
        return old

    def test_held_until_the_sink_has_confirmed(self, net, old):
        """Then it goes."""
        assert 1 == net["a"].collect().held
        assert [old.upload] == list(net["a"].site.blocks.uploads())

        net["a"].links.update("b", started=True)
        net.deliver()
        net.clock.advance(gc.AGAIN_MS)
        assert 1 == net["a"].collect().closed

    def test_a_sink_that_is_away_too_long_loses_it(self, net, old):
        """After seven days the report names it."""
        net.clock.advance(6 * DAY_MS)

        report = net["a"].collect()

        assert (1, 1) == (report.lost, report.closed)

    def test_a_disabled_link_holds_nothing(self, net, old):
        """What it was owed was forgotten with it."""
        net["a"].links.update("b", enabled=False)

        assert 1 == net["a"].collect().closed

    def test_a_view_that_cannot_be_had_holds_everything(self, net, old, monkeypatch):
        """GC refuses to run on a partial view."""

        def fail(*args):
            raise Unavailable("down")

        monkeypatch.setattr("chalicelib.replication.node.unconfirmed", fail)
        net.clock.advance(30 * DAY_MS)

        report = net["a"].collect()

        assert (1, 0) == (report.held, report.closed)

    def test_the_sink_collects_for_itself(self, net, photos):
        """A record that took the place of another makes the sink's upload due there too."""
        put(net["a"].site, photos, "k", BODY)
        net.deliver()
        put(net["a"].site, photos, "k", b"newer")
        net.deliver()
        net.clock.advance(DAY_MS)

        assert 1 == net["b"].collect().closed
        net.clock.advance(DAY_MS)
        net["b"].collect()
        assert [] == list(net["b"].site.blocks.uploads())
        assert [] == gc.orphans(net["b"].site)

    def test_overlapping_runs_and_a_record_that_comes_back(self, net, photos, monkeypatch):
        """A run that still deletes when another has ended takes nothing that a late record brought."""
        first = put(net["a"].site, photos, "k", BODY)
        net.deliver()
        put(net["b"].site, net.bucket("b"), "k", b"rival")
        net.clock.advance(DAY_MS)
        net["b"].collect()
        copy_object(net["a"].site, first, photos, PutRequest("k", "ann"))
        net.clock.advance(DAY_MS)
        blocks = net["b"].site.blocks
        delete_upload = blocks.delete_upload

        def late(upload):
            monkeypatch.undo()
            net["b"].collect()
            net.deliver()
            delete_upload(upload)

        monkeypatch.setattr(blocks, "delete_upload", late)
        net["b"].collect()
        for _ in range(4):
            net.clock.advance(DAY_MS)
            net["b"].collect()
            net.deliver()

        assert [] == net.owed("a", "b")
        net.cut.add(("b", "a"))
        assert BODY == text(net["b"].site, photos.id, "k")

    def test_gc_and_a_record_that_comes_back(self, net, photos):
        """While the sink collects an upload, a newer record over that very upload is held, not lost."""
        first = put(net["a"].site, photos, "k", BODY)
        net.deliver()
        put(net["b"].site, net.bucket("b"), "k", b"rival")
        net.clock.advance(DAY_MS)
        net["b"].collect()
        copy_object(net["a"].site, first, photos, PutRequest("k", "ann"))

        net.deliver()
        ((_, item),) = net.owed("a", "b")
        assert "being collected" in item.error

        for _ in range(2):
            net.clock.advance(DAY_MS)
            net["b"].collect()
        net.deliver()
        assert [] == net.owed("a", "b")
        net.cut.add(("b", "a"))
        assert BODY == text(net["b"].site, photos.id, "k")
