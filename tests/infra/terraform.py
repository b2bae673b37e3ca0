"""infra/terraform, run by terraform itself against the stand-in provider.

    made = applied(tmp, package)       everything the module makes: [Made(type, key, values)]
    run(tmp, "validate", …)            any other command
Errors  Missing: no terraform, or no schema of its provider; Refused: what terraform said
"""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chalicelib.cli.deploy_package import opened
from chalicelib.cli.deploy_terraform import variables
from tests.infra.provider_schema import schemas
from tests.infra.stand_in_provider import StandIn
from tests.lambda_host.packaging import ROOT, Package
from tests.services.install import binary, provider_package
from tests.services.needed import needed

MODULE = ROOT / "infra" / "terraform"
_DECLARED = re.compile(r'^(resource|data) "(\w+)"', re.M)


class Refused(Exception):
    """Terraform did not do it; the message is what it said."""


@dataclass(frozen=True)
class Made:
    """One resource after an apply."""

    kind: str
    name: str
    key: str | int | None
    values: dict[str, Any]


def wanted() -> None:
    """Skips the test that calls this where terraform or the schema cannot be had; in CI it fails."""
    needed(lambda: (binary("terraform"), provider_package()))


def types() -> set[str]:
    """Every type that the module speaks of."""
    text = "\n".join(path.read_text() for path in MODULE.rglob("*.tf"))
    return {f"data.{name}" if what == "data" else name for what, name in _DECLARED.findall(text)}


def copied(to: Path) -> Path:
    """The module, where terraform may leave its own files."""
    return Path(
        shutil.copytree(MODULE, to / "terraform", ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
    )


def run(directory: Path, region: str, *commands: list[str]) -> str:
    """Terraform's commands one after the other; what the last one said."""
    program = str(binary("terraform"))
    said = ""
    with StandIn(schemas(types()), region) as environment:
        for command in commands:
            done = subprocess.run(
                [program, *command],
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
            )
            if done.returncode:
                said = done.stdout + done.stderr
                raise Refused(f"terraform {command[0]}: {said[max(said.find('Error: '), 0) :]}")
            said = done.stdout
    return said


def said_by_package(package: Package, **more: Any) -> dict[str, Any]:
    """The module's variables, as `causeway deploy package --format terraform` leaves them."""
    return variables(opened(ROOT, package.stage, package.directory)) | more


def applied(to: Path, package: Package, region: str = "", **more: Any) -> list[Made]:
    """What `terraform apply` makes of a packaged stage; `region` is the provider's, if another."""
    directory = copied(to)
    (directory / "site.auto.tfvars.json").write_text(json.dumps(said_by_package(package, **more)))
    return made(directory, region or package.variables["CAUSEWAY_REGION"])


def made(directory: Path, region: str) -> list[Made]:
    """What is in the state after an apply of this directory, its modules' resources too."""
    said = run(
        directory,
        region,
        ["init", "-input=false", "-backend=false"],
        ["apply", "-input=false", "-auto-approve", "-no-color"],
        ["show", "-json"],
    )
    root = json.loads(said)["values"]["root_module"]
    modules = [root, *root.get("child_modules", [])]
    found = [one for module in modules for one in module.get("resources", [])]
    return [Made(one["type"], one["name"], one.get("index"), one["values"]) for one in found]
