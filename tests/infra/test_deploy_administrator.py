"""`causeway deploy administrator`: the packaged function answers, its keys open the site.

An account here is moto's CloudFormation, which knows the stack's outputs, and the host of packaged functions
as Lambda's Invoke.
"""

import http.client
import json
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest

from tests.command import OK, REFUSED, USAGE
from tests.infra.deploying import REGION, Ran, run
from tests.lambda_host.deployed import DeployedSite, deployed
from tests.lambda_host.invoke_api import InvokeApi
from tests.lambda_host.packaging import ROOT
from tests.lambda_host.wire import Answer, Request, Server
from tests.services.run import Service

STACK = "causeway-west"


@pytest.fixture
def site(lambda_runtime: object, minio: Service, dynamodb: Service, moto: Service) -> Iterator[DeployedSite]:
    """A new site, which nobody can use yet."""
    with deployed("west", minio, dynamodb, moto) as site:
        yield site


@pytest.fixture
def account(site: DeployedSite, moto: Service) -> Iterator[str]:
    """Where AWS is, for the command."""
    cloudformation = boto3.client("cloudformation", **(moto.boto3_arguments() | {"region_name": REGION}))
    topic: dict[str, Any] = {"Type": "AWS::SNS::Topic"}  # a stack has one resource at least
    outputs = {"GatewayURL": {"Value": f"{site.host.function_url}/"}}
    body = json.dumps({"Resources": {"Topic": topic}, "Outputs": outputs})
    cloudformation.create_stack(StackName=STACK, TemplateBody=body)
    server = Server(_account(InvokeApi(site.host.functions), moto))
    try:
        yield server.url
    finally:
        server.close()
        with suppress(cloudformation.exceptions.ClientError):
            cloudformation.delete_stack(StackName=STACK)


def _account(invoke: InvokeApi, moto: Service) -> Any:
    def answer(request: Request) -> Answer:
        if request.path.startswith("/2015-03-31/"):
            return invoke.answer(request)
        far = http.client.HTTPConnection(urlsplit(moto.endpoint).netloc)
        far.request(request.method, request.target, request.body, dict(request.headers))
        told = far.getresponse()
        kind = ("Content-Type", told.getheader("Content-Type", "text/xml"))
        return Answer(told.status, (kind,), told.read())

    return answer


def administrator(account: str, *arguments: object, **environment: str | None) -> Ran:
    """The command."""
    where = ("--stage", "west", "--project", ROOT, "--aws-endpoint-url", account)
    return run("administrator", *where, *arguments, **environment)


def test_the_administrators_keys_are_shown_once(site: DeployedSite, account: str) -> None:
    """Lines for a shell that open the site; a second time there are none to show."""
    ran = administrator(account)
    told = dict(line.removeprefix("export ").split("=", 1) for line in ran.out.splitlines())
    s3 = boto3.client(
        "s3",
        endpoint_url=told["AWS_ENDPOINT_URL"],
        aws_access_key_id=told["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=told["AWS_SECRET_ACCESS_KEY"],
        region_name=REGION,
    )

    assert ran.exit == OK, ran.err
    assert s3.list_buckets()["Buckets"] == [] and told["AWS_ENDPOINT_URL"] == site.host.function_url
    again = administrator(account, "--json")
    assert again.exit == REFUSED and "administrator" in again.json["message"]
    assert told["AWS_SECRET_ACCESS_KEY"] not in "".join(site.host.lines())


def test_the_administrators_keys_go_into_a_profile(account: str, tmp_path: Path) -> None:
    """A profile that boto3 understands, readable by the operator alone; the secret stays off the screen."""
    files = {
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "aws" / "credentials"),
        "AWS_CONFIG_FILE": str(tmp_path / "aws" / "config"),
    }
    ran = administrator(account, "--profile-name", "west-operator", **files)
    assert ran.exit == OK, ran.err
    with pytest.MonkeyPatch.context() as patch:
        for name, value in files.items():
            patch.setenv(name, value)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_REGION"):
            patch.delenv(name, raising=False)
        session = boto3.session.Session(profile_name="west-operator")
        s3, secret = session.client("s3"), session.get_credentials().secret_key

    assert s3.list_buckets()["Buckets"] == []
    assert (s3.meta.region_name, s3.meta.config.signature_version) == (REGION, "s3v4")
    assert secret not in ran.out + ran.err
    assert stat.S_IMODE((tmp_path / "aws" / "credentials").stat().st_mode) == 0o600
    again = administrator(account, "--profile-name", "west-operator", **files)
    assert again.exit == USAGE and "there is a profile west-operator already" in again.err


def test_a_site_that_is_not_there_has_no_administrator(aws: Service) -> None:
    """The message names the command that comes first."""
    ran = administrator(aws.endpoint)

    assert ran.exit == USAGE and "causeway deploy apply --stage west" in ran.err
