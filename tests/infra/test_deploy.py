"""`causeway deploy` against moto's CloudFormation, S3 and Lambda: what it shows, makes, refuses.

moto carries out no SAM transform, so what is applied here is the package's template after it, without the
types that in_moto.py names. It tells no outputs of a stack that a change set made.
"""

import json
import shutil
import stat
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from typer.testing import CliRunner

from chalicelib.cli import deploy_stack
from chalicelib.cli.main import app
from tests.infra.in_moto import makeable, stores
from tests.infra.translated import ZIPS_BUCKET, translated
from tests.lambda_host.packaging import ROOT, Package
from tests.services.run import Service, moto_server

OK, NO, USAGE, UNREACHABLE, REFUSED = range(5)
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


@dataclass
class Ran:
    """How a command ended."""

    exit: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def run(*arguments: object, **environment: str | None) -> Ran:
    """One `causeway deploy …`, in this process."""
    told = ["deploy", *map(str, arguments)]
    result = CliRunner().invoke(app, told, env=CLEAN | environment, catch_exceptions=False)
    return Ran(result.exit_code, result.stdout, result.stderr)


@pytest.fixture(scope="module")
def server() -> Iterator[Service]:
    """moto, for these tests alone: stacks have fixed names."""
    with moto_server() as service:
        yield service


@pytest.fixture
def aws(server: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    """An account in which nothing is."""
    monkeypatch.setattr(deploy_stack, "LOOK_S", 0.01)
    ask(server, "reset")
    return server


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


@pytest.fixture
def built(west: Package, tmp_path: Path) -> Path:
    """What `causeway deploy package` leaves, of it what moto can change as well as make."""
    (tmp_path / "sam.json").write_text(json.dumps(stores(translated(west))))
    return tmp_path


@pytest.fixture
def whole(west: Package, tmp_path: Path, aws: Service) -> Path:
    """All that moto can make."""
    s3 = client(aws, "s3")
    s3.create_bucket(Bucket=ZIPS_BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    for name in west.zips:
        s3.upload_file(str(west.directory / name), ZIPS_BUCKET, name)
    (tmp_path / "sam.json").write_text(json.dumps(makeable(translated(west))))
    return tmp_path


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


def test_plan_of_a_new_site_lists_everything_and_makes_nothing(aws: Service, whole: Path) -> None:
    """Without a stack each resource is one to add; no stack and no bucket comes of looking."""
    ran = run("plan", *on(aws, whole), "--json")

    assert ran.exit == OK and ran.json["new"] is True
    assert {one["action"] for one in ran.json["changes"]} == {"Add"}
    assert {"KeysTable", "BlocksBucket", "SiteKey"} <= {one["resource"] for one in ran.json["changes"]}
    assert client(aws, "cloudformation").list_stacks()["StackSummaries"] == []
    assert {one["Name"] for one in client(aws, "s3").list_buckets()["Buckets"]} == {ZIPS_BUCKET}
    human = run("plan", *on(aws, whole))
    assert "would be made" in human.out and "AWS::DynamoDB::Table" in human.out


def test_apply_makes_the_site(aws: Service, whole: Path) -> None:
    """Tables, queues, functions are there afterwards, and each step was told."""
    ran = run("apply", *on(aws, whole))

    assert ran.exit == OK, ran.err
    assert "create_complete" in ran.err
    stacks = client(aws, "cloudformation").list_stacks()["StackSummaries"]
    assert [(one["StackName"], one["StackStatus"]) for one in stacks] == [
        ("causeway-west", "CREATE_COMPLETE")
    ]
    assert len(client(aws, "dynamodb").list_tables()["TableNames"]) == 9
    assert len(client(aws, "lambda").list_functions()["Functions"]) == 8


def test_apply_of_what_is_there_changes_nothing_and_shows_where_it_is(aws: Service, built: Path) -> None:
    """Nothing to do is no failure; the outputs are shown all the same."""
    # moto compares a number with the text that was given for it.
    change(built, lambda t: [one.update(Type="String") for one in t["Parameters"].values()])
    make(aws, built)
    ran = run("apply", *on(aws, built))

    assert ran.exit == OK, ran.err
    assert "up to date" in ran.err and "causeway-west-blocks" in ran.out
    told = run("apply", *on(aws, built), "--json")
    assert told.json["outputs"]["BlocksBucket"] == "causeway-west-blocks"


def test_plan_of_a_site_that_is_there_shows_the_difference(aws: Service, built: Path) -> None:
    """What would change, and still nothing does: no change set is left."""
    make(aws, built)
    change(built, lambda t: t["Resources"]["FullsyncQueue"]["Properties"].update(VisibilityTimeout=1900))
    ran = run("plan", *on(aws, built), "--json")

    assert ran.exit == OK and ran.json["new"] is False
    assert [(one["action"], one["resource"]) for one in ran.json["changes"]] == [("Modify", "FullsyncQueue")]
    left = client(aws, "cloudformation").list_change_sets(StackName="causeway-west")["Summaries"]
    assert [one for one in left if one["ExecutionStatus"] == "AVAILABLE"] == []


def test_apply_changes_what_is_different(aws: Service, built: Path) -> None:
    """The queue has the new value, the rest is as it was."""
    make(aws, built)
    change(built, lambda t: t["Resources"]["FullsyncQueue"]["Properties"].update(VisibilityTimeout=1900))
    ran = run("apply", *on(aws, built), "--json")

    assert ran.exit == OK, ran.out
    sqs = client(aws, "sqs")
    url = sqs.get_queue_url(QueueName="causeway-west-fullsync")["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
    assert found["Attributes"]["VisibilityTimeout"] == "1900"


def test_what_keeps_data_is_not_let_go_without_a_word(aws: Service, built: Path) -> None:
    """A table that the template no longer has stops `apply`, until it is named."""

    change(built, lambda t: t["Resources"]["SiteTable"]["Properties"].pop("DeletionProtectionEnabled"))
    make(aws, built)
    change(built, lambda t: t["Resources"].pop("SiteTable"))
    refused = run("apply", *on(aws, built), "--json")
    planned = run("plan", *on(aws, built), "--json").json
    tables = client(aws, "dynamodb").list_tables()["TableNames"]

    assert refused.exit == REFUSED and "SiteTable" in refused.json["message"]
    assert "--yes-replace" in refused.json["message"] and "causeway-west-site" in tables
    assert [one["resource"] for one in planned["changes"] if one["loses_data"]] == ["SiteTable"]
    agreed = run("apply", *on(aws, built), "--yes-replace", "SiteTable", "--json")
    assert agreed.exit == OK, agreed.out


def test_parameters_are_those_of_the_template(aws: Service, built: Path) -> None:
    """One that is given counts and stays; one that does not exist is a mistake, named with those that do."""
    made = run("apply", *on(aws, built), "--parameter", "LogRetentionDays=90")
    wrong = run("apply", *on(aws, built), "--parameter", "Retention=90")
    site = run("apply", *on(aws, built), "--parameter", "Site=north")

    assert made.exit == OK, made.err
    groups = client(aws, "logs").describe_log_groups()["logGroups"]
    assert {one["retentionInDays"] for one in groups} == {90}
    assert wrong.exit == site.exit == USAGE and "LogRetentionDays" in wrong.err


def test_the_artifact_bucket_is_closed_and_filled_once(aws: Service, west: Package, tmp_path: Path) -> None:
    """Made private and encrypted; what is there already is not sent again."""
    from chalicelib.cli.deploy_artifacts import Artifacts
    from chalicelib.cli.deploy_aws import Aws

    account = Aws("", REGION, aws.endpoint)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CLEAN.items():
            patch.setenv(name, value) if value is not None else patch.delenv(name, raising=False)
        artifacts = Artifacts(account)
        path = tmp_path / "deployment.zip"
        path.write_bytes(b"zip")
        first, again = artifacts.upload(path), Artifacts(account).upload(path)
        policy = artifacts._only_tls()
    s3, bucket = client(aws, "s3"), {"Bucket": artifacts.bucket}

    assert first == again and first.startswith("s3://causeway-artifacts-123456789012-us-west-2/")
    (rule,) = s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    closed = s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"]
    assert set(closed.values()) == {True} and len(closed) == 4
    assert policy["Statement"][0]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert len(s3.list_objects_v2(**bucket)["Contents"]) == 1


@pytest.mark.parametrize(
    ("arguments", "environment", "exit", "words"),
    [
        ((), {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, USAGE, "no AWS credentials"),
        (("--profile", "nobody"), {}, USAGE, "nobody"),
        (("--stage", "north"), {}, USAGE, "there are: east, west"),
        (("--aws-endpoint-url", "http://127.0.0.1:9"), {}, UNREACHABLE, "us-west-2"),
        (("--format", "pulumi"), {}, USAGE, "cloudformation or terraform"),
        (("--out", "nowhere"), {}, USAGE, "causeway deploy package --stage west"),
        (("--project", "tests"), {}, USAGE, "no checkout of Causeway"),
    ],
)
def test_mistakes_are_told_in_plain_words(
    aws: Service,
    built: Path,
    arguments: tuple[str, ...],
    environment: dict[str, str | None],
    exit: int,
    words: str,
) -> None:
    """No traceback: what is wrong, what to do, and the exit status that says whose turn it is."""
    ran = run("apply", *on(aws, built), *arguments, "--json", **environment)

    assert ran.exit == exit
    assert words in ran.json["message"]


def test_a_stack_that_was_never_made_is_not_changed() -> None:
    """CloudFormation cannot change what it rolled back: the way out is in the message."""
    stack = deploy_stack.Stack.__new__(deploy_stack.Stack)
    stack.name, stack._aws = "causeway-west", deploy_stack.Aws("", REGION)
    told = stack._never_made({"StackStatus": "ROLLBACK_COMPLETE"})

    assert "delete-stack --stack-name causeway-west --region us-west-2" in told and "--adopt" in told


def test_a_replacement_of_a_table_is_a_loss() -> None:
    """CloudFormation says Replacement: True, or Conditional; of a queue that is no loss, of a table it is."""

    def said(kind: str, replacement: str) -> deploy_stack.Change:
        return deploy_stack._change(
            {
                "ResourceChange": {
                    "Action": "Modify",
                    "LogicalResourceId": "KeysTable",
                    "PhysicalResourceId": "causeway-west-keys",
                    "ResourceType": kind,
                    "Replacement": replacement,
                    "Details": [{"Target": {"Attribute": "Properties", "Name": "KeySchema"}}],
                }
            }
        )

    table = said("AWS::DynamoDB::Table", "True")
    assert table.loses_data and table.because == ("KeySchema",)
    assert said("AWS::DynamoDB::Table", "Conditional").loses_data
    assert said("AWS::KMS::Key", "True").loses_data
    assert not said("AWS::DynamoDB::Table", "False").loses_data
    assert not said("AWS::SQS::Queue", "True").loses_data


def test_a_taken_name_is_told_with_the_way_out() -> None:
    """Bucket names are global."""
    told = deploy_stack._in_plain_words(["BlocksBucket: causeway-west-blocks already exists"])

    assert "--parameter BlocksBucketSuffix=" in told


def test_package_leaves_a_template_and_zips(tmp_path: Path) -> None:
    """`causeway deploy package` in a checkout: zips, template, and the variables of Terraform's module."""
    ran = run(
        "package", "--stage", "west", "--project", ROOT, "--out", tmp_path, "--format", "terraform", "--json"
    )

    assert ran.exit == OK, ran.out
    assert (ran.json["stack"], ran.json["region"]) == ("causeway-west", REGION)
    assert set(ran.json["zips"]) == {"deployment.zip", "layer-deployment.zip"}
    assert sum(ran.json["zips"].values()) < 50_000_000
    variables = json.loads(Path(ran.json["variables"]).read_text())
    assert variables["site"] == "west" and variables["functions"]["collect"]["timeout"] == 900


def test_package_refuses_what_cannot_be_deployed(tmp_path: Path) -> None:
    """A function without a role, a prefix that is not the tables': said before anything is uploaded."""
    project = tmp_path / "project"
    for name in ("app.py", "requirements.txt", ".chalice", "infra", "chalicelib"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, project / name) if project.exists() else (
            project.mkdir(),
            copy(ROOT / name, project / name),
        )
    config = json.loads((project / ".chalice" / "config.json").read_text())
    config["stages"]["west"]["environment_variables"]["CAUSEWAY_DYNAMODB_PREFIX"] = "other"
    (project / ".chalice" / "config.json").write_text(json.dumps(config))
    with (project / "app.py").open("a") as file:
        file.write(
            "\n\n@app.lambda_function(name='forgotten')\ndef forgotten(event, context):\n    return None\n"
        )
    ran = run("package", "--stage", "west", "--project", project, "--out", tmp_path / "out", "--json")

    assert ran.exit == NO
    assert "Forgotten of app.py has no role" in ran.json["message"]
    assert "CAUSEWAY_DYNAMODB_PREFIX of stage west is not causeway-west" in ran.json["message"]


# ------------------------------------------------------------------------------------ administrator


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
