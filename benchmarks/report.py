"""What a run found: on the terminal, as JSON, and in docs/benchmarks.md between two markers.

Every form names the machine, the versions, how it was measured, and the evidence for durable and verified.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.evidence import Evidence
from benchmarks.rows import Plan, Row
from tests.services.install import GO_TOOLS

BEGIN, END = "<!-- begin: written by `make bench` -->", "<!-- end -->"
HEADS = ("work", "Causeway", "MinIO", "unit", "ratio", "to reach", "at least half as good")


@dataclass(frozen=True, slots=True)
class Report:
    """One run."""

    plan: Plan
    evidence: Evidence
    rows: list[Row]
    load_before: float  # what others did on this machine when we began
    load_highest: float = 0.0

    def facts(self) -> dict[str, str]:
        """What the figures depend on."""
        libraries = " ".join(f"{n} {importlib.metadata.version(n)}" for n in ("apsw", "blake3", "xxhash"))
        return {
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            "machine": f"{os.cpu_count()} cores, {_cpu()}, {_memory_gib():.0f} GiB, {platform.system()} "
            f"{platform.release().split('-')[0]}",
            "versions": f"Causeway {importlib.metadata.version('causeway')}, Python "
            f"{platform.python_version()}, {libraries}, MinIO {GO_TOOLS['minio'].version.split('-')[1]}",
            "others' load": f"{self.load_before:.2f} before the run",
            "method": f"servers and clients share the cores; peers alternate, {self.plan.repeats} × "
            f"{self.plan.seconds:g} s each, medians; SigV4, unsigned payloads, one connection a client; "
            f"LIST over {self.plan.keys:,} keys",
        }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "?")


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)


def cells(row: Row) -> tuple[str, ...]:
    """One row as text."""
    sign = "≤" if row.less_is_better else "≥"
    reach = f"{sign} {row.reach:g}" + (" MiB" if row.absolute else " ×")
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    verdict = "reached" if row.reached else "yes" if row.above_floor else "NO"
    theirs = "" if row.theirs is None else _figure(row.theirs)
    return (row.title, _figure(row.ours), theirs, row.unit, ratio, reach, verdict)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"


def show(report: Report, console: Console) -> None:
    """On the terminal."""
    table = Table(*HEADS, title="Causeway beside MinIO")
    for column in table.columns[1:3]:
        column.justify = "right"
    for row in report.rows:
        colour = "green" if row.reached else "yellow" if row.above_floor else "red"
        table.add_row(*cells(row), style=colour)
    console.print(table)
    console.print(report.evidence.line(), highlight=False)
    for name, value in report.facts().items():
        console.print(f"{name}: {value}", highlight=False)


def as_json(report: Report) -> dict[str, Any]:
    """For other programs."""
    rows = [
        {**asdict(row), "ratio": row.ratio, "reached": row.reached, "above_floor": row.above_floor}
        for row in report.rows
    ]
    evidence = asdict(report.evidence) | {"durable": report.evidence.durable}
    return {"facts": report.facts(), "plan": asdict(report.plan), "evidence": evidence, "rows": rows}


def write_json(report: Report, path: Path) -> None:
    """As JSON."""
    path.write_text(json.dumps(as_json(report), indent=1) + "\n")


def write_markdown(report: Report, path: Path) -> None:
    """Between the markers of `path`; what stands around them stays."""
    lines = ["| " + " | ".join(HEADS) + " |", "|---|---:|---:|---|---:|---|---|"]
    lines += ["| " + " | ".join(cells(row)) + " |" for row in report.rows]
    lines += ["", report.evidence.line() + ".", ""]
    lines += [f"- {name}: {value}" for name, value in report.facts().items()]
    told = "\n".join([BEGIN, "", *lines, "", END])
    old = path.read_text() if path.exists() else f"# Causeway beside MinIO\n\n{BEGIN}\n{END}\n"
    before, _, rest = old.partition(BEGIN)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(before + told + rest.partition(END)[2])
