"""What is benchmarked is what users get: default settings, every write synced, every read checked."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import evidence, peers, report
from benchmarks.evidence import Evidence
from benchmarks.rows import Plan, Row
from chalicelib.settings import Settings

SOUND = Evidence("FULL", "wal", 1, 1, True)
PLAN = Plan(seconds=5, repeats=3, keys=20_000, stream_bytes=1 << 29, puts=200)


def test_the_benchmarked_site_is_the_default_one(tmp_path: Path):
    """Its own environment makes the default settings; it syncs what it files, and serves no changed byte."""
    with peers.causeway(tmp_path) as site:
        site.s3().create_bucket(Bucket="proof")
        found = evidence.gather(site, "proof")

    assert found.not_default == ()
    assert found.durable
    assert found.verified
    assert "durable: yes (synchronous=FULL" in found.line()
    assert "configuration: default" in found.line()


def test_a_site_that_is_not_the_default_is_told_apart():
    """A setting that was changed for speed is named; the site's name, place and port are its own."""
    assert evidence.not_default(Settings(site="west", data=Path("west"), port=1)) == ()
    assert evidence.not_default(Settings(workers=7)) == ("workers=7",)


@pytest.mark.parametrize("less", [{"synchronous": "NORMAL"}, {"file_syncs": 0}, {"directory_syncs": 0}])
def test_less_than_durable_is_not_called_durable(less: dict):
    """One sync too few is enough."""
    assert SOUND.durable
    assert not replace(SOUND, **less).durable
    assert "durable: NO" in replace(SOUND, **less).line()


def test_ratios_are_judged_by_their_direction():
    """More operations are better, more milliseconds are not."""
    rate = Row("r", "PUT", "/s", 60.0, 100.0, 1.5)
    lag = Row("l", "lag", "ms", 30.0, 100.0, 0.5, less_is_better=True)

    assert (rate.ratio, rate.reached, rate.above_floor) == (0.6, False, True)
    assert (lag.ratio, lag.reached, lag.above_floor) == (0.3, True, True)
    assert not replace(rate, ours=49.0).above_floor
    assert not replace(lag, ours=201.0).above_floor


def test_the_table_is_written_between_its_markers(tmp_path: Path):
    """What stands around the table stays, however often it is written."""
    page = tmp_path / "benchmarks.md"
    page.write_text(f"# Before\n\n{report.BEGIN}\nold\n{report.END}\n\nAfter\n")
    found = report.Report(PLAN, SOUND, [Row("r", "PUT", "/s", 60.0, 100.0, 1.5)], 0.1)

    report.write_markdown(found, page)
    report.write_markdown(found, page)

    text = page.read_text()
    assert text.startswith(f"# Before\n\n{report.BEGIN}\n")
    assert text.endswith(f"{report.END}\n\nAfter\n")
    assert text.count("| PUT | 60.0 | 100 | /s | 0.60 | ≥ 1.5 × | yes |") == 1
    assert "old" not in text
