"""What a site costs on AWS: prices × what was counted and measured. `python -m benchmarks.cost [--json]`

Prices   PRICES, public ones of us-east-1 without discounts and free tiers, as remembered, of 2025: compare
         them with the price list of your region before you rely on a sum
Counted  benchmarks/functions/calls.json: calls and capacity units of real requests (functions/calls.py)
Measured its `ms`, on one machine with DynamoDB Local and MinIO beside: AWS's own latencies are not in it
Assumed  ASSUMED, by name
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PRICES = {
    "lambda, GB-s": 0.0000166667,
    "lambda, request": 0.20 / 1e6,
    "REST API, request": 3.50 / 1e6,
    "Function URL, request": 0.0,
    "DynamoDB, write unit": 0.625 / 1e6,
    "DynamoDB, read unit": 0.125 / 1e6,
    "S3, PUT or LIST": 0.005 / 1e3,
    "S3, GET": 0.0004 / 1e3,
    "SQS, request": 0.40 / 1e6,
    "KMS, request": 0.03 / 1e4,
    "KMS, key a month": 1.00,
    "logs, GB taken in": 0.50,
    "alarm, metric a month": 0.10,
    "metric of our own, a month": 0.30,
    "between regions, GB": 0.02,
    "to the internet, GB": 0.09,
    "S3, GB-month": 0.023,
    "DynamoDB, GB-month with PITR": 0.25 + 0.20,
}
ASSUMED = {
    "memory of a function, GB": 1.0,  # .chalice/config.json
    "log bytes of an invocation": 1_000.0,  # START, END, REPORT, one line, one EMF line
    "requests of SQS for a document": 3.0,  # S3's send, receive, delete; batches make it less
    "invocations at the sink for a record": 1.0,  # the gateway takes a batch of records in one
    "invocations at the sink for a block": 1.0,
    "KMS requests of a table an hour": 12.0,  # DynamoDB asks each 5 minutes, a bucket key each hour
}
TABLES = 9
# One for each alarm of the site and its functions; those of a table do sums over several.
ALARMED_METRICS = 21 + TABLES * 2 + TABLES * 3
OWN_METRICS = 40  # names × dimensions that a site with one link tells
MONTH_MINUTES = 30.4 * 24 * 60
KEPT = Path(__file__).parent / "functions" / "calls.json"
SMALL, LARGE = 4 << 10, 4 << 20
Counted = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """Dollars, part by part."""

    what: str
    front: float = 0.0
    functions: float = 0.0
    tables: float = 0.0
    blocks: float = 0.0
    queues: float = 0.0
    logs: float = 0.0
    transfer: float = 0.0

    @property
    def total(self) -> float:
        return sum(value for name, value in asdict(self).items() if name != "what")

    def times(self, count: float, what: str) -> Row:
        """That often."""
        return Row(what, **{name: value * count for name, value in asdict(self).items() if name != "what"})


def invoked(ms: float, times: float = 1.0) -> tuple[float, float]:
    """(function, its logs) of one invocation that takes this long."""
    seconds = ASSUMED["memory of a function, GB"] * ms / 1000
    logs = ASSUMED["log bytes of an invocation"] / 1e9 * PRICES["logs, GB taken in"]
    return (PRICES["lambda, request"] + seconds * PRICES["lambda, GB-s"]) * times, logs * times


def tables(counted: Counted) -> float:
    """Of DynamoDB."""
    reads = counted["read_units"] * PRICES["DynamoDB, read unit"]
    return float(reads + counted["write_units"] * PRICES["DynamoDB, write unit"])


def blocks(counted: Counted) -> float:
    """Of S3's requests. DELETE is free."""
    calls = counted["calls"]
    dear = calls.get("PutObject", 0) + calls.get("ListObjectsV2", 0)
    return float(dear * PRICES["S3, PUT or LIST"] + calls.get("GetObject", 0) * PRICES["S3, GET"])


def request(counted: Counted, front: str, what: str) -> Row:
    """One request of a client."""
    function, logs = invoked(counted["ms"])
    return Row(
        what,
        front=PRICES[f"{front}, request"],
        functions=function,
        tables=tables(counted),
        blocks=blocks(counted),
        logs=logs,
    )


def sent(counted: Counted, folded: Counted, idle: Counted, size: int, what: str) -> Row:
    """One object going to one sink: on_documents, the sink's gateway, both sites' tables and buckets."""
    blocks_of_it = 0 if size == SMALL else 1
    at_sink = ASSUMED["invocations at the sink for a record"]
    at_sink += blocks_of_it * ASSUMED["invocations at the sink for a block"]
    source, source_logs = invoked(counted["ms"])
    sink, sink_logs = invoked(counted["ms"] / at_sink, at_sink)
    fold = {name: folded[name] - idle[name] for name in ("read_units", "write_units")}
    return Row(
        what,
        functions=source + sink,
        tables=tables(counted) + 2 * tables(fold),
        blocks=blocks(counted),
        queues=ASSUMED["requests of SQS for a document"] * PRICES["SQS, request"],
        logs=source_logs + sink_logs,
        transfer=size / 1e9 * PRICES["between regions, GB"],
    )


def rows(counted: dict[str, Counted]) -> list[Row]:
    """A million of each request, a terabyte to a sink, a month of nothing."""
    found = []
    plain = (
        "PUT 4 KiB",
        "GET 4 KiB",
        "HEAD 4 KiB",
        "LIST 1,000 keys",
        "DELETE 4 KiB",
        "PUT 4 MiB",
        "GET 4 MiB",
    )
    for front in ("Function URL", "REST API"):
        for name in plain:
            found.append(request(counted[name], front, "").times(1e6, f"1 million {name}, {front}"))
    fold, idle = counted["sweep, one change folded"], counted["sweep, nothing due"]
    for name, size in (("4 KiB", SMALL), ("4 MiB", LARGE)):
        one = sent(counted[f"{name} to a sink, at both sites"], fold, idle, size, "")
        found.append(one.times(1e6, f"1 million objects of {name} to a sink"))
        found.append(one.times(1e12 / size, f"1 TB in objects of {name} to a sink"))
    return [*found, month(idle)]


def month(idle: Counted) -> Row:
    """A site that nobody uses: schedules, key, alarms, metrics."""
    sweep, logs = invoked(idle["ms"], 2 * MONTH_MINUTES)  # sweep and fullsync
    kms = TABLES * MONTH_MINUTES / 60 * ASSUMED["KMS requests of a table an hour"] * PRICES["KMS, request"]
    fixed = kms + PRICES["KMS, key a month"] + ALARMED_METRICS * PRICES["alarm, metric a month"]
    return Row(
        "a month without a request: schedules, key, alarms, metrics",
        front=fixed + OWN_METRICS * PRICES["metric of our own, a month"],
        functions=sweep,
        tables=2 * MONTH_MINUTES * tables(idle),
        logs=logs,
    )


def markdown(found: list[Row]) -> str:
    """The table, dollars."""
    parts = ("front", "functions", "tables", "blocks", "queues", "logs", "transfer")
    lines = [f"| what | {' | '.join(parts)} | total, $ |", "|---|" + "---:|" * (len(parts) + 1)]
    for row in found:
        shown = " | ".join(f"{getattr(row, part):,.2f}" for part in parts)
        lines.append(f"| {row.what} | {shown} | {row.total:,.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Print it."""
    parser = argparse.ArgumentParser(description="What a site costs on AWS.")
    parser.add_argument("--json", action="store_true", help="prices, assumptions, counts and rows as JSON")
    asked = parser.parse_args()
    counted: dict[str, Counted] = json.loads(KEPT.read_text())
    found = rows(counted)
    if asked.json:
        plain = [asdict(row) | {"total": row.total} for row in found]
        told = {"prices": PRICES, "assumed": ASSUMED, "counted": counted, "rows": plain}
        print(json.dumps(told, indent=1))
    else:
        print(markdown(found))


if __name__ == "__main__":
    main()
