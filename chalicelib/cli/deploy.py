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
from chalicelib.cli.deploy_package import APP, Build, find_project, opened, package, with_zips
from chalicelib.cli.deploy_parameters import checked, made_with
from chalicelib.cli.deploy_screen import progress, show_changes, show_outputs
from chalicelib.cli.deploy_stack import Change, Proposal, Stack
from chalicelib.cli.deploy_template import merge_template, stage_variables
from chalicelib.cli.failure import Exit, Failure, usage
from chalicelib.cli.output import Output

app = noun("deploy", "Package a site as functions and make it on AWS.")

StageName = Annotated[
    str, typer.Option("--stage", help="A stage of .chalice/config.json; one stage is one site.")
]
Project = Annotated[
    Path | None,
    typer.Option(
        "--project",
        metavar="DIR",
        help="The checkout. If not given, this directory if it is one, otherwise the checkout that this "
        "command was installed from.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="DIR", help="Where the package is; build/STAGE in the checkout if not given."
    ),
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
    terraform = _terraform(format)
    build = _build(at.out, find_project(project), stage, out, built=False)
    zips = {path.name: path.stat().st_size for path in build.zips}
    report: dict[str, Any] = {
        "stage": stage,
        "site": build.site,
        "region": build.region,
        "stack": build.stack,
        "directory": str(build.directory),
        "resources": len(build.template["Resources"]),
        "zips": zips,
    }
    lines = [f"{name}: {count / 1e6:.1f} MB" for name, count in zips.items()]
    what = f"stack {build.stack}"
    if terraform:
        del report["stack"]  # Terraform has none
        what = f"site {build.site}"
        report["variables"] = str(deploy_terraform.write_variables(build))
        lines.append(f"{report['variables']}: variables of the module in infra/terraform")
    at.out.value(report, f"{build.directory}: {what} for {build.region}", *lines)


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
    that is not, what the template makes with these parameters is listed.
    """
    place = find_project(project)
    if _terraform(format):
        _cloudformations_own({"--adopt": adopt, "--aws-endpoint-url": aws_endpoint_url}, parameter)
        build = _build(at.out, place, stage, out, built)
        deploy_terraform.show(at.out, place, build, "plan", profile)
        return
    given = _given(place, stage, out, built, parameter)
    stack = _stack(place, stage, profile, aws_endpoint_url)
    new = stack.changeable() is None  # before packaging: without credentials nobody has to wait to hear of it
    build = _build(at.out, place, stage, out, built)
    if new and not adopt:
        made = made_with(build.template, given)
        changes = [Change("Add", name, one["Type"]) for name, one in sorted(made.items())]
        show_changes(at.out, build.stack, Proposal("", True, changes))
        return
    proposal = _propose(stack, build, given, adopt)
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
    """Make the site, or bring it up to date; shows each step and ends with the endpoints.

    With --format terraform it prints the command that does so: Terraform applies.
    """
    place = find_project(project)
    if _terraform(format):
        own = {"--adopt": adopt, "--aws-endpoint-url": aws_endpoint_url, "--yes-replace": yes_replace}
        _cloudformations_own(own, parameter)
        build = _build(at.out, place, stage, out, built)
        deploy_terraform.show(at.out, place, build, "apply", profile)
        return
    given = _given(place, stage, out, built, parameter)
    stack = _stack(place, stage, profile, aws_endpoint_url)
    stack.changeable()  # before packaging, as above
    build = _build(at.out, place, stage, out, built)
    proposal = _propose(stack, build, given, adopt)
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


@command(app, "show", "causeway deploy show --stage west", site=False)
def show(
    at: At,
    stage: StageName,
    project: Project = None,
    profile: Profile = "",
    aws_endpoint_url: AwsEndpoint = "",
) -> None:
    """Show the endpoints and the other outputs of a site that was applied, as `apply` ended with them."""
    stack = _stack(find_project(project), stage, profile, aws_endpoint_url)
    if stack.described() is None:
        raise usage(
            f"there is no stack {stack.name} in {stack.region}: "
            f"`causeway deploy apply --stage {stage}` makes it"
        )
    show_outputs(at.out, stack.name, stack.outputs())


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


def _build(out: Output, place: Path, stage: str, directory: Path | None, built: bool) -> Build:
    directory = _directory(place, stage, directory)
    if built:
        return opened(place, stage, directory)
    out.note(f"packaging {stage} from {place.absolute()}")
    return package(place, stage, directory)


def _directory(place: Path, stage: str, out: Path | None) -> Path:
    return (out or place / "build" / stage).absolute()


def _given(
    place: Path, stage: str, out: Path | None, built: bool, parameters: list[str] | None
) -> dict[str, str]:
    """The parameters, judged by the template, which need not be packaged for that."""
    if built:
        template = opened(place, stage, _directory(place, stage, out)).template
    else:
        template = merge_template(place, stage)
    return checked(template, parameters or [])


def _stack(place: Path, stage: str, profile: str, aws_endpoint_url: str) -> Stack:
    variables = stage_variables(place, stage)
    aws = Aws(profile, variables["CAUSEWAY_REGION"], aws_endpoint_url)
    return Stack(aws, f"{APP}-{variables['CAUSEWAY_SITE']}")


def _propose(stack: Stack, build: Build, given: dict[str, str], adopt: bool) -> Proposal:
    import json

    artifacts = Artifacts(stack.aws)
    uris = {path.name: artifacts.upload(path) for path in build.zips}
    template = json.dumps(with_zips(build.template, uris))
    url = artifacts.upload_text(template, f"{build.stack}.json")
    return stack.propose(url, build.template["Parameters"], given, adopt)


def _cloudformations_own(given: dict[str, Any], parameters: list[str] | None) -> None:
    """Refuse what has no meaning for Terraform: an option that is ignored is one that was believed."""
    if parameters:
        raise usage(
            "--parameter is CloudFormation's; use -var alarm_email=… with the `terraform` command that this "
            "prints; infra/terraform/variables.tf lists the variables"
        )
    for option, value in given.items():
        if value:
            raise usage(f"{option} is CloudFormation's: leave it out with --format terraform")


def _terraform(format: str) -> bool:
    if format not in ("cloudformation", "terraform"):
        raise usage(f"--format {format}: cloudformation or terraform")
    return format == "terraform"
