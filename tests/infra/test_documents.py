"""What the operations pages say of the template: each alarm has its row, the bill counts their metrics."""

import re

from benchmarks import cost
from chalicelib.cli.deploy_template import FUNCTIONS, merge_template
from chalicelib.ports.metadata import Table
from tests.lambda_host.packaging import ROOT

RESOURCES = merge_template(ROOT, "west")["Resources"]
OUTPUTS = merge_template(ROOT, "west")["Outputs"]
OPERATIONS = ROOT / "docs" / "operations"
ALARMS = [one["Properties"] for one in RESOURCES.values() if one.get("Type") == "AWS::CloudWatch::Alarm"]


def row_of(name: str) -> str:
    """An alarm as the page calls it: those of functions and of tables have one row together."""
    short = name.removeprefix("causeway-${Site}-")
    of, _, what = short.rpartition("-")
    if of in FUNCTIONS.values() and what in ("errors", "throttles"):
        return f"FUNCTION-{what}"
    return f"TABLE-{what}" if of in {table.value for table in Table} else short


def test_every_alarm_has_its_row() -> None:
    """docs/operations/alarms.md says what each means and what to do, and speaks of none that is not there."""
    lines = (OPERATIONS / "alarms.md").read_text().splitlines()
    first = [line.split("|")[1] for line in lines if line.startswith("| `")]
    told = {name for cell in first for name in re.findall(r"`([^`]+)`", cell)}

    assert told == {row_of(one["AlarmName"]["Fn::Sub"]) for one in ALARMS}


def test_the_bill_counts_every_alarm_metric() -> None:
    """benchmarks/cost.py and its page: AWS asks for each metric an alarm looks at, not for a sum."""
    count = 0
    for one in ALARMS:
        count += len([query for query in one["Metrics"] if "MetricStat" in query]) if "Metrics" in one else 1

    assert count == cost.ALARMED_METRICS
    assert f"{count} alarm metrics" in " ".join((OPERATIONS / "cost.md").read_text().split())
