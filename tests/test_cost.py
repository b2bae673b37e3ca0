"""benchmarks/cost.py: its arithmetic by hand, and that requests still take what was counted for them."""

import json
from pathlib import Path

import pytest

from benchmarks import cost
from benchmarks.functions import calls
from tests.services.run import Service

DOCUMENT = Path(__file__).parent.parent / "docs" / "operations" / "cost.md"


def test_a_row_is_what_a_calculator_says() -> None:
    """A PUT through the REST API that takes 1 s, 10 write and 4 read units and two PUTs of S3."""
    took = {
        "calls": {"PutObject": 2, "TransactWriteItems": 2},
        "read_units": 4,
        "write_units": 10,
        "ms": 1000.0,
    }

    row = cost.request(took, "REST API", "").times(1e6, "a million")

    assert row.front == pytest.approx(3.50)
    assert row.functions == pytest.approx(0.20 + 16.6667)
    assert row.tables == pytest.approx(10 * 0.625 + 4 * 0.125)
    assert row.blocks == pytest.approx(10.00)
    assert row.logs == pytest.approx(0.50)
    assert row.total == pytest.approx(3.50 + 16.8667 + 6.75 + 10.00 + 0.50)


def test_the_page_shows_what_the_program_prints() -> None:
    """docs/operations/cost.md holds the table of the kept counts."""
    counted = json.loads(cost.KEPT.read_text())

    assert cost.markdown(cost.rows(counted)) in DOCUMENT.read_text()


def test_requests_take_what_was_counted(
    minio: Service, dynamodb: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls and capacity units of every row but the listing, counted anew."""
    monkeypatch.setattr(calls, "ROUNDS", 2)
    monkeypatch.setattr(calls, "LISTED", 2)
    kept = json.loads(cost.KEPT.read_text())

    found = calls.count(minio, dynamodb)

    assert found.keys() == kept.keys()
    for name in kept.keys() - {"LIST 1,000 keys"}:
        assert {**found[name], "ms": 0} == {**kept[name], "ms": 0}, (
            f"{name}: python -m benchmarks.functions.calls"
        )
