"""What the operations pages say of the template: each alarm has its row, the bill counts their metrics."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer

from benchmarks import cost
from chalicelib.cli.deploy_template import FUNCTIONS, merge_template
from chalicelib.cli.main import app
from chalicelib.ports.metadata import Table
from tests.docs.pages import ROOT, blocks, pages, spoken

TEMPLATE = merge_template(ROOT, "west")
RESOURCES = TEMPLATE["Resources"]
OPERATIONS = ROOT / "docs" / "operations"
TERRAFORM, CONTAINER = ROOT / "infra" / "terraform", ROOT / "infra" / "container"
REGIONAL = {"cloudformation", "dynamodb", "kms", "lambda", "sqs"}
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


def commands(page: Path, word: str) -> list[str]:
    """Lines to type that begin with a word, and commands within sentences if they have options."""
    text = page.read_text()
    typed = [line.partition(f"{word} ")[2] for line in blocks(text) if re.search(rf"(^|[(;] ?){word} ", line)]
    named = [one.removeprefix(f"{word} ") for one in spoken(text) if one.startswith(f"{word} ")]
    return [*typed, *(one for one in named if " --" in one)]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_aws_say_where(page: Path) -> None:
    """Two regions are linked: without --region it is whatever the operator's profile says."""
    asked = [one for one in commands(page, "aws") if one.split()[0] in REGIONAL]
    rewraps = [one for one in commands(page, "causeway") if one.startswith("stores rewrap")]

    assert [one for one in asked if "--region" not in one] == []
    assert [one for one in rewraps if "--blocks-region" not in one or "west-blocks" not in one] == []


def test_commands_of_aws_are_found() -> None:
    """The check above sees the loop, the line with its continuation, and the one in parentheses."""
    found = commands(OPERATIONS / "deploy.md", "aws")

    assert len([one for one in found if one.startswith("dynamodb ")]) == 5
    assert [one for one in found if one.startswith("lambda invoke ")]


def test_the_example_of_rewrap_says_where() -> None:
    """It looks in us-east-1 otherwise, and says that there is no such table."""
    stores: Any = typer.main.get_command(app)
    help = stores.get_command(None, "stores").get_command(None, "rewrap").epilog

    assert "--blocks-region us-west-2" in help and "--blocks-bucket causeway-west-blocks" in help


def test_deploying_names_what_is_there() -> None:
    """Outputs as the template calls them, variables of a stage, the section that variables.tf names."""
    page = (OPERATIONS / "deploy.md").read_text()
    stage = json.loads((ROOT / ".chalice" / "config.json").read_text())["stages"]["west"]
    keep = re.search(r"see docs/operations/deploy.md, ([\w ]+)\.", (TERRAFORM / "variables.tf").read_text())

    assert "`GatewayURL`" in page and "GatewayURL" in TEMPLATE["Outputs"]
    assert "`EndpointURL`" in page
    assert [name for name in stage["environment_variables"] if f"`{name}`" not in page] == []
    assert keep and f"\n## {keep[1]}\n" in page


def test_the_unit_documents_itself_by_a_file_that_is_installed() -> None:
    """`systemctl help causeway` opens what README.md has one install."""
    unit = (CONTAINER / "systemd" / "causeway.service").read_text()
    (place,) = re.findall(r"^Documentation=file:(.*)$", unit, re.M)

    assert [line for line in blocks((CONTAINER / "README.md").read_text()) if line.endswith(f" {place}")]
