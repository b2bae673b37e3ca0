"""`python -m benchmarks`, `make bench`: measure beside MinIO, print the ratios.

`python -m benchmarks functions` measures packaged functions instead: benchmarks/functions/command.py.

Exit    0 every row is at least half as good as the peer · 1 a row is not, or durable or verified is not
        · 2 wrong use · 3 the peer is not installed
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from benchmarks import evidence, report, rows
from benchmarks.functions.command import main as functions
from benchmarks.load import same_bytes
from benchmarks.peers import side_by_side
from benchmarks.rows import GIB, LAG, MEMORY, MIB, NAMES, Plan
from tests.services.install import Missing, cache_directory

QUIET_LOAD = 0.5  # above, somebody else is using the cores


def main() -> int:
    """Run what was asked for."""
    if sys.argv[1:2] == ["functions"]:
        return functions(sys.argv[2:])
    asked = _arguments()
    console = Console(stderr=False)
    wanted = tuple(asked.rows.split(",")) if asked.rows else NAMES
    unknown = set(wanted) - set(NAMES)
    if unknown:
        console.print(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
        return 2
    load_before = os.getloadavg()[0]
    if load_before > QUIET_LOAD:
        console.print(f"[yellow]load is {load_before:.2f} already: the figures will be worse than they are")
    plan = Plan(asked.seconds, asked.repeats, asked.keys, asked.stream_mib * MIB, asked.puts)
    if asked.full:
        plan = Plan(max(asked.seconds, 8.0), max(asked.repeats, 3), 100_000, 5 * GIB, max(asked.puts, 300))
    directory = Path(tempfile.mkdtemp(prefix="bench-", dir=_place(asked.directory)))
    try:
        found = _run(wanted, plan, directory, console, load_before)
    except Missing as reason:
        console.print(f"{reason}")
        return 3
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    report.show(found, console)
    if asked.json:
        report.write_json(found, asked.json)
    if asked.markdown:
        report.write_markdown(found, asked.markdown)
    sound = found.evidence.durable and found.evidence.verified and not found.evidence.not_default
    return 0 if sound and all(row.above_floor for row in found.rows) else 1


def _run(
    wanted: tuple[str, ...], plan: Plan, directory: Path, console: Console, load_before: float
) -> report.Report:
    found: list[rows.Row] = []

    def tell(new: Iterable[rows.Row]) -> None:
        for row in new:
            found.append(row)
            console.print("  ".join(report.cells(row)), highlight=False)

    with side_by_side(directory) as (ours, theirs):
        rows.prepare((ours, theirs), wanted, plan, lambda text: console.print(text, style="dim"))
        for peer in (ours, theirs):
            if not same_bytes(peer.target, f"/{rows.LARGE}/same", 9 * MIB):
                raise SystemExit(f"{peer.target.name} gave back other bytes than it was given")
        proven = evidence.gather(ours, rows.LARGE)
        console.print(proven.line(), highlight=False)
        for name in wanted:
            if name in rows.THROUGHPUT:
                tell([rows.THROUGHPUT[name].measure(name, ours, theirs, plan)])
    if MEMORY in wanted:
        tell(rows.measure_memory(directory, plan))
    if LAG in wanted:
        tell(rows.measure_lag(directory, plan))
    return report.Report(plan, proven, found, load_before)


def _place(chosen: Path | None) -> Path:
    """A real disk: temporary directories may lie in memory, where syncing costs nothing."""
    place = chosen or cache_directory() / "benchmarks"
    place.mkdir(parents=True, exist_ok=True)
    return place


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure beside a real MinIO.")
    parser.add_argument("--rows", default="", help=f"some of {','.join(NAMES)}; all if not given")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each run (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="of each row and peer (%(default)s)")
    parser.add_argument("--keys", type=int, default=20_000, help="in the bucket that is listed (%(default)s)")
    parser.add_argument("--stream-mib", type=int, default=512, help="of each streamed object (%(default)s)")
    parser.add_argument("--puts", type=int, default=200, help="whose lag is taken (%(default)s)")
    parser.add_argument("--full", action="store_true", help="100,000 keys, 5 GiB objects, longer runs")
    parser.add_argument("--directory", type=Path, help="where data is kept meanwhile, on the disk to measure")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table between its markers")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
