"""`causeway deploy administrator`: the keys of a new site's first administrator, once."""

import json
import stat
from pathlib import Path

import boto3
import pytest

from tests.infra.deploying import OK, REGION, USAGE, Ran, ask, change, make, run
from tests.lambda_host.packaging import ROOT
from tests.services.run import Service


@pytest.fixture
def applied(aws: Service, whole: Path) -> Service:
    """A site whose administrator function answers; moto tells what it was told to."""
    ask(aws, "config", **{"lambda": {"use_docker": False}})
    change(
        whole, lambda t: t["Outputs"].update(GatewayURL={"Value": "https://abc.lambda-url.us-west-2.on.aws/"})
    )
    make(aws, whole)
    answer = json.dumps({"access_key": "CWADMIN", "secret_key": "s3cr3t"})
    ask(aws, "static/lambda-simple/response", results=[answer], region=REGION)
    return aws


def administrator(aws: Service, *arguments: object, **environment: str | None) -> Ran:
    where = ("--stage", "west", "--project", ROOT, "--aws-endpoint-url", aws.endpoint)
    return run("administrator", *where, *arguments, **environment)


def test_the_administrators_keys_are_shown_once(applied: Service) -> None:
    """As lines for a shell, with the endpoint to use them at."""
    ran = administrator(applied)

    assert ran.exit == OK, ran.err
    assert "export AWS_ACCESS_KEY_ID=CWADMIN" in ran.out
    assert "export AWS_SECRET_ACCESS_KEY=s3cr3t" in ran.out
    assert "export AWS_ENDPOINT_URL=https://abc.lambda-url.us-west-2.on.aws" in ran.out


def test_the_administrators_keys_go_into_a_profile(applied: Service, tmp_path: Path) -> None:
    """A profile that boto3 understands, readable by the operator alone; the keys stay off the screen."""
    files = {
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "aws" / "credentials"),
        "AWS_CONFIG_FILE": str(tmp_path / "aws" / "config"),
    }
    ran = administrator(applied, "--profile-name", "causeway-west", **files)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in files.items():
            patch.setenv(name, value)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_REGION"):
            patch.delenv(name, raising=False)
        s3 = boto3.session.Session(profile_name="causeway-west").client("s3")

    assert ran.exit == OK, ran.err
    assert "s3cr3t" not in ran.out + ran.err
    assert stat.S_IMODE((tmp_path / "aws" / "credentials").stat().st_mode) == 0o600
    assert s3.meta.endpoint_url == "https://abc.lambda-url.us-west-2.on.aws"
    assert (s3.meta.region_name, s3.meta.config.signature_version) == (REGION, "s3v4")
    again = administrator(applied, "--profile-name", "causeway-west", **files)
    assert again.exit == USAGE and "there is a profile causeway-west already" in again.err


def test_a_site_that_is_not_there_has_no_administrator(aws: Service) -> None:
    """The message names the command that comes first."""
    ran = administrator(aws)

    assert ran.exit == USAGE and "causeway deploy apply --stage west" in ran.err
