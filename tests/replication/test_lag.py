"""How far a sink is behind, at a price that does not grow with what is owed."""

import pytest

from chalicelib.ports.metadata import Table
from chalicelib.replication import status
from chalicelib.replication.outbox import STAGES
from tests.builders import KIB, MINUTE_MS, Net, put

BODY = b"x" * (64 * KIB)


@pytest.fixture
def net():
    return Net("a", "b", shards=4).link("a", "b")


def lag(net):
    """Of b."""
    return status.lag(net["a"], "b")


def test_nothing_is_owed(net, photos):
    """Not behind at all, however long ago the last one was."""
    net.clock.advance(MINUTE_MS)

    assert status.Lag(0, 0, 0, 0, False) == lag(net)


def test_as_status_counts(net, photos):
    """Records and blocks, bytes, the age of the oldest: the same as the exact count."""
    for n in range(5):
        put(net["a"].site, photos, f"block{n}", BODY)
        net.clock.advance(1000)
    net.records_only()
    for n in range(3):
        put(net["a"].site, photos, f"k{n}")
        net.clock.advance(1000)

    exact = status.links(net["a"])[0]
    assert (3, 5, 8000) == (exact.records_behind, exact.blocks_behind, exact.lag_ms)
    assert status.Lag(3, 5, exact.bytes_behind, 8000, False) == lag(net)


def test_tried_in_vain(net, photos):
    """What waits for its next try is as old as it was."""
    put(net["a"].site, photos, "k")
    for stage, owing in list(net["a"].outbox("b").all()):
        net["a"].outbox("b").retry(owing, stage, "Unavailable: down")
    net.clock.advance(5000)

    assert 5000 == lag(net).age_ms


def test_very_far_behind(net, photos, monkeypatch):
    """Says so, with what was looked at: one page of each shard and stage, of so many items."""
    monkeypatch.setattr(status, "LAG_ITEMS", 10)
    for n in range(200):
        put(net["a"].site, photos, f"k{n}")
    net.clock.advance(7000)
    pages, metadata = [], net["a"].site.metadata
    real = metadata.scan

    def scan(table, pk, **asked):
        page = real(table, pk, **asked)
        pages.append((table, asked["limit"], len(page)))
        return page

    monkeypatch.setattr(metadata, "scan", scan)
    found = lag(net)

    assert found.more and 4 * 10 == found.records and 7000 == found.age_ms
    assert len(STAGES) * 4 == len([page for page in pages if page[0] is Table.OUTBOX])
    assert all(limit == 10 for table, limit, _ in pages if table is Table.OUTBOX)
