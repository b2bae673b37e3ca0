"""`causeway deploy`: a site as functions on AWS, from the checkout.

A stage of .chalice/config.json is a site, and names its region. CloudFormation is what makes it; `--format
terraform` leaves what the module in infra/terraform takes instead.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from chalicelib.cli import deploy_administrator, deploy_terraform
from chalicelib.cli.command import At, Profile, command, noun
from chalicelib.cli.deploy_artifacts import Artifacts
from chalicelib.cli.deploy_aws import Aws
from chalicelib.cli.deploy_package import Build, find_project, opened, package, with_zips
from chalicelib.cli.deploy_screen import progress, show_changes, show_outputs
from chalicelib.cli.deploy_stack import Change, Proposal, Stack
from chalicelib.cli.failure import Exit, Failure, usage

app = noun("deploy", "Package a site as functions and make it on AWS.")

FILE = "file://"
StageName = Annotated[
    str, typer.Option("--stage", help="A stage of .chalice/config.json; one stage is one site.")
]
Project = Annotated[
    Path | None, typer.Option("--project", metavar="DIR", help="The checkout; this directory if it is one.")
]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Where the package is; build/STAGE if not given.")
]
Format = Annotated[str, typer.Option("--format", help="cloudformation or terraform.")]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--parameter",
        metavar="NAME=VALUE",
        help="A parameter of infra/cloudformation/parameters.yaml, a secret one as NAME=file://PATH; what is "
        "not given stays as it was.",
    ),
]
AwsEndpoint = Annotated[
    str,
    typer.Option(
        "--aws-endpoint-url", metavar="URL", help="AWS itself if not given; for LocalStack or moto."
    ),
]
Adopt = Annotated[
    bool,
    typer.Option("--adopt", help="Take tables and bucket of the site that are there already into the stack."),
]
Built = Annotated[
    bool, typer.Option("--built", help="Use what `causeway deploy package` left, do not package again.")
]


@command(
    app,
    "package",
    "causeway deploy package --stage west",
    "causeway deploy package --stage west --format terraform",
    site=False,
)
def package_stage(
    at: At, stage: StageName, project: Project = None, out: Out = None, format: Format = "cloudformation"
) -> None:
    """Package the functions and make their template. Asks nothing of AWS."""
    build = _build(project, stage, out, built=False)
    zips = {path.name: path.stat().st_size for path in build.zips}
    report: dict[str, Any] = {
        "stage": stage,
        "region": build.region,
        "stack": build.stack,
        "directory": str(build.directory),
        "resources": len(build.template["Resources"]),
        "zips": zips,
    }
    lines = [f"{name}: {count / 1e6:.1f} MB" for name, count in zips.items()]
    if _terraform(format):
        report["variables"] = str(deploy_terraform.write_variables(build))
        lines.append(f"{report['variables']}: variables of the module in infra/terraform")
    at.out.value(report, f"{build.directory}: stack {build.stack} for {build.region}", *lines)


@command(
    app,
    "plan",
    "causeway deploy plan --stage west",
    "causeway deploy plan --stage west --parameter LogRetentionDays=90 --json",
    site=False,
)
def plan(  # noqa: PLR0913 - each is an option of the command
    at: At,
    stage: StageName,
    project: Project = None,
    out: Out = None,
    format: Format = "cloudformation",
    built: Built = False,
    parameter: Parameters = None,
    adopt: Adopt = False,
    profile: Profile = "",
    aws_endpoint_url: AwsEndpoint = "",
) -> None:
    """Show what `apply` would change, and change nothing.

    Of a stack that is there CloudFormation is asked, which needs the package in the artifact bucket; of one
    that is not, everything the template makes is listed.
    """
    build = _build(project, stage, out, built)
    if _terraform(format):
        deploy_terraform.plan(at.out, find_project(project), build)
        return
    aws = Aws(profile, build.region, aws_endpoint_url)
    stack = Stack(aws, build.stack)
    if stack.described() is None and not adopt:
        changes = [
            Change("Add", name, one["Type"]) for name, one in sorted(build.template["Resources"].items())
        ]
        show_changes(at.out, build.stack, Proposal("", True, changes))
        return
    proposal = _propose(aws, stack, build, parameter, adopt)
    stack.drop(proposal)
    show_changes(at.out, build.stack, proposal)


@command(
    app,
    "apply",
    "causeway deploy apply --stage west",
    "causeway deploy apply --stage west --parameter AlarmEmail=ops@example.com",
    "causeway deploy apply --stage west --yes-replace KeysTable",
    site=False,
)
def apply(  # noqa: PLR0913 - each is an option of the command
    at: At,
    stage: StageName,
    project: Project = None,
    out: Out = None,
    format: Format = "cloudformation",
    built: Built = False,
    parameter: Parameters = None,
    adopt: Adopt = False,
    yes_replace: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Agree that this table, bucket or key is replaced or let go."),
    ] = None,
    profile: Profile = "",
    aws_endpoint_url: AwsEndpoint = "",
) -> None:
    """Make the site, or bring it up to date; shows each step and ends with the endpoints."""
    if _terraform(format):
        raise usage(
            "`terraform apply` in infra/terraform applies what `causeway deploy package` wrote for it"
        )
    build = _build(project, stage, out, built)
    aws = Aws(profile, build.region, aws_endpoint_url)
    stack = Stack(aws, build.stack)
    proposal = _propose(aws, stack, build, parameter, adopt)
    lost = [change.logical_id for change in proposal.lost() if change.logical_id not in (yes_replace or [])]
    if lost:
        stack.drop(proposal)
        raise Failure(
            Exit.REFUSED,
            f"this would replace or let go of what keeps data: {', '.join(lost)}. "
            f"`causeway deploy plan --stage {stage}` shows why; agree to each with --yes-replace NAME",
        )
    if proposal.name:
        with progress(at.out, build.stack, len(proposal.changes)) as told:
            stack.carry_out(proposal, told)
    else:
        at.out.note(f"{build.stack} is up to date")
    show_outputs(at.out, build.stack, stack.outputs())


@command(
    app,
    "administrator",
    "causeway deploy administrator --stage west",
    "causeway deploy administrator --stage west --profile-name causeway-west",
    site=False,
)
def administrator(
    at: At,
    stage: StageName,
    project: Project = None,
    profile_name: Annotated[
        str,
        typer.Option(metavar="NAME", help="Leave the keys in this new profile of ~/.aws, do not show them."),
    ] = "",
    profile: Profile = "",
    aws_endpoint_url: AwsEndpoint = "",
) -> None:
    """Make the first administrator of a site that was just applied; its keys are shown this once."""
    place = find_project(project)
    deploy_administrator.make(at.out, place, stage, profile_name, profile, aws_endpoint_url)


def _build(project: Path | None, stage: str, out: Path | None, built: bool) -> Build:
    place = find_project(project)
    directory = (out or place / "build" / stage).absolute()
    return opened(place, stage, directory) if built else package(place, stage, directory)


def _propose(aws: Aws, stack: Stack, build: Build, parameters: list[str] | None, adopt: bool) -> Proposal:
    import json

    known = build.template["Parameters"]
    given = _parameters(parameters or [], known)
    artifacts = Artifacts(aws)
    uris = {path.name: artifacts.upload(path) for path in build.zips}
    template = json.dumps(with_zips(build.template, uris))
    return stack.propose(artifacts.upload_text(template, f"{build.stack}.json"), known, given, adopt)


def _parameters(given: list[str], known: dict[str, Any]) -> dict[str, str]:
    found = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or name not in known or name == "Site":
            names = ", ".join(sorted(known.keys() - {"Site"}))
            raise usage(f"--parameter {name}: give NAME=VALUE, or NAME=file://PATH, with one of {names}")
        found[name] = _text_of(name, value)
    return found


def _text_of(name: str, value: str) -> str:
    """A value as given, or what a file holds, as the AWS CLI reads it: a secret in a command line is seen by
    everybody on the machine."""
    if not value.startswith(FILE):
        return value
    try:
        return Path(value.removeprefix(FILE)).read_text().strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise usage(f"--parameter {name}: {value} cannot be read: {problem}") from problem


def _terraform(format: str) -> bool:
    if format not in ("cloudformation", "terraform"):
        raise usage("--format is cloudformation or terraform")
    return format == "terraform"
