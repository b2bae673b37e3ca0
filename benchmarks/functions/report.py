"""What a run over functions found: on the terminal and in docs/benchmarks.md between two markers."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.functions.cold import Cold
from benchmarks.functions.warm import Warm

BEGIN, END = "<!-- begin: written by `python -m benchmarks functions` -->", "<!-- end: functions -->"
RATIO_MAX = 1.3
ZIPPED_MIB_MAX = 50.0
MIB = 1 << 20


@dataclass(slots=True)
class Found:
    """One run; what was not measured is empty."""

    repeats: int
    load_before: float
    baseline: Cold | None = None
    first: list[Cold] = field(default_factory=list)
    functions: list[Cold] = field(default_factory=list)
    warm: list[Warm] = field(default_factory=list)
    zips: dict[str, int] = field(default_factory=dict)

    def ratio(self, cold: Cold) -> float:
        """To the baseline of the same run."""
        assert self.baseline is not None
        return cold.ms / self.baseline.ms

    @property
    def reached(self) -> bool:
        """Whether everything that was measured is within its limit."""
        sizes = all(size < ZIPPED_MIB_MAX * MIB for size in self.zips.values())
        return sizes and all(self.ratio(each) <= RATIO_MAX for each in self.first)

    def lines(self) -> list[str]:
        """As Markdown."""
        return [*self._first(), *self._functions(), *self._warm(), *self._facts()]

    def _first(self) -> list[str]:
        if self.baseline is None:
            return []
        rows = [
            _row(each.name, f"{each.ms:.0f}", f"{self.baseline.ms:.0f}", f"{self.ratio(each):.2f}",
                 f"≤ {RATIO_MAX} ×", "reached" if self.ratio(each) <= RATIO_MAX else "NO")
            for each in self.first
        ]  # fmt: skip
        head = _row("cold start to the first signed GET's 200", "ms", "baseline, ms", "ratio", "to reach", "")
        return [head, "|---|---:|---:|---:|---|---|", *rows, ""]

    def _functions(self) -> list[str]:
        if not self.functions:
            return []
        rows = [
            _row(_name(each), f"{each.ms:.0f}", f"{each.init_ms:.0f}", f"{each.mib:.0f}")
            for each in self.functions
        ]
        head = _row("function", "cold start, ms", "of it until imported, ms", "memory at most, MiB")
        return [head, "|---|---:|---:|---:|", *rows, ""]

    def _warm(self) -> list[str]:
        if not self.warm:
            return []
        rows = [_row(each.name, f"{each.p50_ms:.1f}", f"{each.p99_ms:.1f}") for each in self.warm]
        return [_row("warm, one client", "p50, ms", "p99, ms"), "|---|---:|---:|", *rows, ""]

    def _facts(self) -> list[str]:
        sizes = ", ".join(f"{name} {size / MIB:.1f} MiB" for name, size in self.zips.items())
        names = ("boto3", "aws-lambda-powertools")
        libraries = " ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
        return [
            f"- package, zipped: {sizes}; to reach: each under {ZIPPED_MIB_MAX:.0f} MiB",
            f"- date: {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores shared by everything, "
            f"{platform.system()}, Python {platform.python_version()}, {libraries}",
            f"- others' load: {self.load_before:.2f} before; medians of {self.repeats} cold starts each",
        ]


def _name(cold: Cold) -> str:
    return cold.name + (f" (failed: {cold.failures[0]})" if cold.failures else "")


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def write_markdown(found: Found, path: Path) -> None:
    """Between the markers; what stands around them stays. Without markers: at the end."""
    old = path.read_text()
    if BEGIN not in old:
        old = f"{old.rstrip()}\n\n{BEGIN}\n{END}\n"
    before, _, rest = old.partition(BEGIN)
    told = "\n".join([BEGIN, "", *found.lines(), "", END])
    path.write_text(before + told + rest.partition(END)[2])
