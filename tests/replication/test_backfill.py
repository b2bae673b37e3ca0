"""Backfilling: a link just enabled is not called caught up before a fullsync has seen every key.

Where commits do not check the links (DynamoDB), a writer may still go by links it read before the link was
enabled; what it commits then is announced to nobody. Only a run that begins after the last such commit can
bring it, and only that run ends the backfill.
"""

import pytest

from chalicelib.replication import setup, status
from chalicelib.replication.links import COMMIT_MS, LinkBook
from chalicelib.replication.runs import State
from tests.builders import HOUR_MS, Net, put, text


@pytest.fixture
def net():
    """a streams to b, and has just been told to."""
    net = Net("a", "b", checks_contend=True).link("a", "b", enabled=False, started=False)
    setup.realtime(net["a"], "b", "enable")
    setup.realtime(net["a"], "b", "start")
    return net


def caught_up(net):
    return status.links(net["a"])[0].caught_up


def drive(net):
    """What the background does: start what is due, drive what runs."""
    for sink in net["a"].schedule():
        net["a"].drive_fullsync(sink, HOUR_MS)


def test_what_was_committed_unannounced_arrives(net):
    """A commit that missed the enabling reaches the sink by itself, before anybody says caught up."""
    photos = net.make_bucket()
    drive(net)
    announced = net["a"].site.announcer.writes
    net["a"].site.announcer.writes = lambda owed: []  # as a writer that read the links a moment ago
    put(net["a"].site, photos, "unannounced", b"late")
    net["a"].site.announcer.writes = announced
    net.deliver()
    assert not caught_up(net)

    net.clock.advance(COMMIT_MS)
    drive(net)
    assert caught_up(net)
    assert text(net["b"].site, photos.id, "unannounced") == b"late"


def test_links_that_are_kept_are_waited_for(net):
    """Where processes keep links for a while, the run that ends the backfill begins after that while."""
    net["a"].links._keep_ms = 5000
    net.clock.advance(COMMIT_MS)
    drive(net)
    assert not caught_up(net)
    net.clock.advance(5000)
    drive(net)
    assert caught_up(net)


def test_a_driver_with_old_links_ends_it_too(net):
    """Whoever drives the run may have read the links before the link was enabled: the row decides."""
    node = net["a"]
    old = LinkBook(node.site.metadata, node.site.clock, 30_000)
    setup.realtime(node, "b", "disable")
    old.read()
    setup.realtime(node, "b", "enable")
    net.clock.advance(COMMIT_MS)
    old_reading, node.links.read = node.links.read, old.read
    node.start_fullsync("b")
    node.drive_fullsync("b", HOUR_MS)
    node.links.read = old_reading
    net.clock.advance(COMMIT_MS)
    drive(net)
    assert caught_up(net)


def test_a_driver_that_died_at_the_end(net):
    """A run that was stored as complete by a process that then died still ends the backfill."""
    node = net["a"]
    net.clock.advance(COMMIT_MS)
    node.start_fullsync("b")
    ended = node.links.update
    node.links.update = lambda *args, **kwargs: None
    while node.runs.read("b").state is State.RUNNING:
        node.drive_fullsync("b", HOUR_MS)
    node.links.update = ended
    assert not caught_up(net)
    drive(net)
    assert caught_up(net)


def test_a_stopped_run_stays_stopped(net):
    """An operator who stops the run is obeyed: it is not begun again by itself, and nothing is caught up."""
    node = net["a"]
    node.runs.stop("b", net.clock.now_ms())
    net.clock.advance(COMMIT_MS)
    drive(net)
    assert node.runs.read("b").state is State.STOPPED
    assert not caught_up(net)
