"""infra/terraform as terraform itself sees it: formatted, valid, and refusing what cannot be.

The provider behind it is a stand-in with the real one's schema: names and types of arguments are checked,
what the real provider checks beyond that is not. No resource was ever made on AWS by these tests.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from chalicelib.cli.deploy_template import FUNCTIONS
from chalicelib.cli.deploy_terraform import VARIABLES_FILE
from chalicelib.ports.metadata import Table
from tests.infra.terraform import MODULE, Refused, applied, copied, made, run, said_by_package, wanted
from tests.lambda_host.packaging import Package
from tests.services.install import binary

INIT = ["init", "-input=false", "-backend=false"]
VALIDATE = ["validate", "-json"]


@pytest.fixture(autouse=True)
def _terraform() -> None:
    wanted()


def test_the_files_are_formatted() -> None:
    """terraform fmt has nothing to do."""
    done = subprocess.run(
        [str(binary("terraform")), "fmt", "-check", "-recursive", str(MODULE)], capture_output=True, text=True
    )

    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("where", [".", "examples/two-sites"])
def test_terraform_validates_against_the_providers_schema(where: str, tmp_path: Path) -> None:
    """The module and the example of two sites."""
    directory = copied(tmp_path) / where
    said = json.loads(run(directory, "us-west-2", INIT, VALIDATE))

    assert said["valid"] and said["diagnostics"] == []


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("billing_mode ", "billing_mood ", "Unsupported argument"),
        ("  hash_key                    =", "  # =", ""),
        ("enabled     = true", 'enabled     = "perhaps"', "a bool is required"),
        ("aws_kms_key.site.arn", "aws_kms_key.site.arm", "Unsupported attribute"),
        ("point_in_time_recovery {", "point_in_time {", "Unsupported block type"),
    ],
)
def test_the_schema_is_really_checked(before: str, after: str, told: str, tmp_path: Path) -> None:
    """What is wrong in the module is found: the stand-in is not a provider that takes everything."""
    directory = copied(tmp_path)
    path = directory / "tables.tf"
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after, 1))
    if not told:  # optional in the schema: the real provider's own code asks for it
        run(directory, "us-west-2", INIT, VALIDATE)
        return

    with pytest.raises(Refused, match=told):
        run(directory, "us-west-2", INIT, VALIDATE)


@pytest.mark.parametrize(
    "wrong",
    [
        {"site": "West!"},
        {"log_retention_days": 31},
        {"public_url": "http://plain.example.com"},
        {"alarm_topic": "causeway"},
        {"documents_concurrency": 1},
        {"blocks_bucket_suffix": "k3x9"},
        {"api_logs": "yes"},
        {"functions": {}},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_variable_that_cannot_be_is_refused(wrong: dict[str, Any], west: Package, tmp_path: Path) -> None:
    """Before anything is made, naming the variable."""
    with pytest.raises(Refused, match=f"var.{next(iter(wrong))}|Invalid value for variable"):
        applied(tmp_path, west, **wrong)


def test_a_provider_of_another_region_is_refused(west: Package, tmp_path: Path) -> None:
    """A package for west is not made in another region by an environment that was forgotten."""
    with pytest.raises(Refused, match=r"set\s+AWS_REGION=us-west-2"):
        applied(tmp_path, west, region="eu-central-1")


def test_two_sites_are_made_side_by_side(west: Package, tmp_path: Path) -> None:
    """The example over what two packagings left: everything twice, under names of each site's own.

    The stand-in is of one region, so both sites are in it here.
    """
    directory = copied(tmp_path) / "examples" / "two-sites"
    for site in ("west", "east"):
        said = said_by_package(west, site=site)
        (tmp_path / f"{site}.json").write_text(json.dumps(said))
    told = {site: str(tmp_path / f"{site}.json") for site in ("west", "east")}
    (directory / "sites.auto.tfvars.json").write_text(json.dumps(told))

    found = made(directory, "us-west-2")

    tables = {one.values["name"] for one in found if one.kind == "aws_dynamodb_table"}
    assert tables == {f"causeway-{site}-{table}" for site in ("west", "east") for table in Table}
    assert len([one for one in found if one.kind == "aws_lambda_function"]) == 2 * len(FUNCTIONS)
    text = (directory / "main.tf").read_text()
    for site in ("west", "east"):
        assert f"build/{site}/{VARIABLES_FILE}" in text
