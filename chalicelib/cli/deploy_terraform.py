"""What `--format terraform` leaves for the module in infra/terraform: the same zips, and its variables.

    build/<stage>/causeway.tfvars.json      site, region, where the zips are, each function
Source  infra/terraform/README.md says how the module takes them.
"""

from __future__ import annotations

import json
from pathlib import Path
from shlex import quote
from typing import Any

from chalicelib.cli.deploy_package import Build
from chalicelib.cli.deploy_template import FUNCTIONS
from chalicelib.cli.failure import usage
from chalicelib.cli.output import Output

VARIABLES_FILE = "causeway.tfvars.json"
MODULE = Path("infra", "terraform")


def variables(build: Build) -> dict[str, Any]:
    """The module's variables of one packaged stage."""
    functions = {}
    for logical_id, name in FUNCTIONS.items():
        said = build.template["Resources"][logical_id]["Properties"]
        functions[name] = {
            "handler": said["Handler"],
            "timeout": said["Timeout"],
            "memory_size": said["MemorySize"],
            # What refers to another resource is the module's to give: it makes those resources.
            "environment": {k: v for k, v in said["Environment"]["Variables"].items() if isinstance(v, str)},
        }
    zips = {path.name: str(path) for path in build.zips}
    return {
        "site": build.site,
        "region": build.region,
        "runtime": build.template["Resources"]["Gateway"]["Properties"]["Runtime"],
        "deployment_zip": zips["deployment.zip"],
        "layer_zip": zips["layer-deployment.zip"],
        "functions": functions,
    }


def write_variables(build: Build) -> Path:
    """Leave them beside the package."""
    path = build.directory / VARIABLES_FILE
    try:
        path.write_text(json.dumps(variables(build), indent=1) + "\n")
    except OSError as problem:
        raise usage(f"{path}: cannot be written: {problem.strerror}; name another --out") from problem
    return path


def show(out: Output, project: Path, build: Build, verb: str, profile: str) -> None:
    """Say how Terraform plans or applies it."""
    path = write_variables(build)
    environment = [f"AWS_PROFILE={quote(profile)}"] if profile else []
    module = (project / MODULE).absolute()
    command = " ".join(
        [
            *environment,
            f"AWS_REGION={build.region}",
            f"terraform -chdir={quote(str(module))} {verb} -var-file={quote(str(path))}",
        ]
    )
    out.value({"variables": str(path), "command": command}, command)
    out.note(f"Nothing was changed: the command above is Terraform's {verb}; it needs `init` once before")
