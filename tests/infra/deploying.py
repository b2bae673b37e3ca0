"""Runs `causeway deploy` in this process against a moto server. A built package is a directory."""

import json
import urllib.request
from pathlib import Path
from typing import Any

import boto3

from tests import command
from tests.command import Ran
from tests.lambda_host.packaging import ROOT
from tests.services.run import Service

CLEAN = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",  # the site's, for S3 clients: not for this
    "AWS_PROFILE": None,
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
}
REGION = "us-west-2"


def run(*arguments: object, **environment: str | None) -> Ran:
    """One `causeway deploy …`, in this process."""
    return command.run("deploy", *arguments, **CLEAN | environment)


def ask(server: Service, path: str, **fields: Any) -> None:
    """moto's own API."""
    request = urllib.request.Request(
        f"{server.endpoint}/moto-api/{path}",
        data=json.dumps(fields).encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10).read()


def client(server: Service, service: str) -> Any:
    """boto3 to moto, in the stage's region."""
    return boto3.client(service, **(server.boto3_arguments() | {"region_name": REGION}))


def change(built: Path, edit: Any) -> None:
    """Edit the template of a package."""
    template = json.loads((built / "sam.json").read_text())
    edit(template)
    (built / "sam.json").write_text(json.dumps(template))


def make(aws: Service, built: Path) -> None:
    """Make the stack of a package as if it had been applied before."""
    text = (built / "sam.json").read_text()
    known = {k: str(v.get("Default", "")) for k, v in json.loads(text)["Parameters"].items() if k != "Site"}
    client(aws, "cloudformation").create_stack(
        StackName="causeway-west",
        TemplateBody=text,
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in known.items()],
    )


def on(aws: Service, built: Path) -> tuple[object, ...]:
    """Options of most commands here."""
    return (
        "--stage",
        "west",
        "--project",
        ROOT,
        "--built",
        "--out",
        built,
        "--aws-endpoint-url",
        aws.endpoint,
    )
