"""`causeway deploy` against moto's CloudFormation, S3 and Lambda: what it shows, makes, refuses.

moto carries out no SAM transform, so what is applied here is the package's template after it, without the
types that in_moto.py names. It tells no outputs of a stack that a change set made.
"""

import json
import secrets
from pathlib import Path

import pytest

from tests.command import OK, REFUSED, UNREACHABLE, USAGE
from tests.infra.deploying import CLEAN, REGION, change, client, make, on, run
from tests.infra.translated import ZIPS_BUCKET
from tests.lambda_host.packaging import ROOT, Package
from tests.services.run import Service


def test_plan_of_a_new_site_lists_everything_and_makes_nothing(aws: Service, whole: Path) -> None:
    """Without a stack each resource is one to add; no stack and no bucket comes of looking."""
    ran = run("plan", *on(aws, whole), "--json")

    assert ran.exit == OK and ran.json["new"] is True
    assert {one["action"] for one in ran.json["changes"]} == {"Add"}
    named = {one["resource"] for one in ran.json["changes"]}
    assert {"KeysTable", "BlocksBucket", "SiteKey"} <= named
    assert not {"AlarmsTopic", "ApiLogsRole", "ApplyOverTables"} & named  # no parameter asks for them
    with_topic = run("plan", *on(aws, whole), "--parameter", "AlarmEmail=ops@example.com", "--json")
    assert {one["resource"] for one in with_topic.json["changes"]} - named == {"AlarmsTopic"}
    assert client(aws, "cloudformation").list_stacks()["StackSummaries"] == []
    assert {one["Name"] for one in client(aws, "s3").list_buckets()["Buckets"]} == {ZIPS_BUCKET}
    human = run("plan", *on(aws, whole))
    assert f"would be made: {len(named)} resources" in human.out and "AWS::DynamoDB::Table" in human.out


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


def test_the_outputs_can_be_shown_again(aws: Service, built: Path) -> None:
    """Endpoints are asked for after the first day too; without a stack the message says what makes one."""
    where = ("--stage", "west", "--project", ROOT, "--aws-endpoint-url", aws.endpoint)
    missing = run("show", *where)
    make(aws, built)
    shown = run("show", *where, "--json")

    assert missing.exit == USAGE and "`causeway deploy apply --stage west` makes it" in missing.err
    assert shown.exit == OK, shown.out
    assert shown.json["stack"] == "causeway-west"
    assert shown.json["outputs"]["BlocksBucket"] == "causeway-west-blocks"


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


def test_a_secret_parameter_comes_from_a_file(aws: Service, built: Path, tmp_path: Path) -> None:
    """It is in no command line, answer or template, and the stack has it; a missing file is named."""
    token = secrets.token_hex(16)
    path = tmp_path / "token"
    path.write_text(f"{token}\n")

    made = run("apply", *on(aws, built), "--parameter", f"EventsToken=file://{path}")
    missing = run("apply", *on(aws, built), "--parameter", "EventsToken=file://nowhere")

    assert made.exit == OK, made.err
    (stack,) = client(aws, "cloudformation").describe_stacks(StackName="causeway-west")["Stacks"]
    told = {each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]}
    assert told["EventsToken"] == token  # moto shows what AWS, told NoEcho, does not
    template = json.loads((built / "sam.json").read_text())
    assert {name for name, each in template["Parameters"].items() if each.get("NoEcho")} == {
        "BlocksAccessKey",
        "BlocksSecretKey",
        "EventsToken",
    }
    assert token not in made.out + made.err + (built / "sam.json").read_text()
    assert missing.exit == USAGE and "nowhere" in missing.err


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
