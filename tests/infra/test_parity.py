"""CloudFormation and Terraform make the same site: what each would make, side by side.

CloudFormation is the translated template, references filled in; Terraform is what `terraform apply` leaves
in its state after a run against the stand-in provider (stand_in_provider.py).
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chalicelib.cli.deploy_template import FUNCTIONS
from tests.infra.roles import Says, says, statements
from tests.infra.terraform import Made, applied, wanted
from tests.infra.test_roles import GOLDEN, SINK
from tests.infra.translated import resolved
from tests.lambda_host.packaging import Package

Properties = dict[str, Any]
Find = Callable[[str], dict[str, Properties]]
Made_of = Callable[[str], list[Properties]]
ASKS = {"alarm_email": "on-call@example.com", "api_logs": "make-role"}


@pytest.fixture(scope="module")
def terraform(west: Package, tmp_path_factory: pytest.TempPathFactory) -> list[Made]:
    """What Terraform makes."""
    wanted()
    return applied(tmp_path_factory.mktemp("parity"), west, **ASKS)


@pytest.fixture
def made(terraform: list[Made]) -> Made_of:
    """Values of each resource of a type."""
    return lambda kind: [one.values for one in terraform if one.kind == kind]


@pytest.fixture
def templated(west: Package) -> Find:
    """Logical id → properties of each resource of a type."""
    return lambda kind: resolved(west, kind)


def test_functions_are_the_same(made: Made_of, templated: Find) -> None:
    """Name, handler, time, memory, runtime, layer, log group and every variable of the environment."""
    theirs = {
        one["FunctionName"]: (
            one["Handler"],
            one["Timeout"],
            one["MemorySize"],
            one["Runtime"],
            one["Architectures"],
            len(one["Layers"]),
            one["Environment"]["Variables"],
        )
        for one in templated("AWS::Lambda::Function").values()
    }
    ours = {
        one["function_name"]: (
            one["handler"],
            one["timeout"],
            one["memory_size"],
            one["runtime"],
            one["architectures"],
            len(one["layers"]),
            one["environment"][0]["variables"],
        )
        for one in made("aws_lambda_function")
    }

    assert ours == theirs and len(ours) == len(FUNCTIONS)


def test_what_is_not_tried_again_is_the_same(made: Made_of, templated: Find) -> None:
    """Asynchronous invocations: no second try."""
    theirs = {
        (one["MaximumRetryAttempts"], one["MaximumEventAgeInSeconds"])
        for one in templated("AWS::Lambda::EventInvokeConfig").values()
    }
    ours = [
        (one["maximum_retry_attempts"], one["maximum_event_age_in_seconds"])
        for one in made("aws_lambda_function_event_invoke_config")
    ]

    assert set(ours) == theirs and len(ours) == len(FUNCTIONS)


@pytest.mark.parametrize("function", FUNCTIONS.values())
def test_a_role_is_what_its_golden_file_says(terraform: list[Made], function: str) -> None:
    """The role that Terraform makes allows what CloudFormation's does: the same golden file is for both."""
    golden = json.loads((GOLDEN / f"role-{function}.json").read_text())

    assert _allows(terraform, function) == golden["allows"]


def test_a_sinks_tables_are_opened_as_the_golden_files_say(
    west: Package, terraform: list[Made], tmp_path: Path
) -> None:
    """With a sink named, who sends may write there, and nobody else."""
    sink = {
        "tables_arn": SINK["SinkTablesArn"],
        "bucket_arn": SINK["SinkBucketArn"],
        "key_arn": SINK["SinkKeyArn"],
    }
    with_sink = applied(tmp_path, west, sink=sink)
    for function in FUNCTIONS.values():
        golden = json.loads((GOLDEN / f"role-{function}.json").read_text())
        before, after = _allows(terraform, function), _allows(with_sink, function)
        more = {
            action: [one for one in where if one not in before.get(action, [])]
            for action, where in after.items()
        }
        assert {a: w for a, w in more.items() if w} == golden.get("and over a sink's tables", {})


def _allows(terraform: list[Made], function: str) -> Says:
    (policy,) = [
        json.loads(one.values["policy"])
        for one in terraform
        if one.kind == "aws_iam_role_policy" and one.key == function
    ]
    return says(statements([policy]))


def test_only_lambda_takes_a_functions_role(made: Made_of) -> None:
    """The trust of each role."""
    trusts = [json.loads(one["assume_role_policy"])["Statement"] for one in made("aws_iam_role")]
    services = [statement["Principal"]["Service"] for (statement,) in trusts]

    assert sorted(services) == ["apigateway.amazonaws.com"] + ["lambda.amazonaws.com"] * len(FUNCTIONS)


def test_tables_are_the_same(made: Made_of, templated: Find) -> None:
    """Names, keys, encryption, recovery, protection."""
    theirs = {}
    for one in templated("AWS::DynamoDB::Table").values():
        keys = {key["KeyType"]: key["AttributeName"] for key in one["KeySchema"]}
        theirs[one["TableName"]] = (
            one["BillingMode"],
            keys["HASH"],
            keys["RANGE"],
            {(a["AttributeName"], a["AttributeType"]) for a in one["AttributeDefinitions"]},
            one["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"],
            one["SSESpecification"]["KMSMasterKeyId"],
            one["DeletionProtectionEnabled"],
        )
    ours = {
        one["name"]: (
            one["billing_mode"],
            one["hash_key"],
            one["range_key"],
            {(a["name"], a["type"]) for a in one["attribute"]},
            one["point_in_time_recovery"][0]["enabled"],
            one["server_side_encryption"][0]["kms_key_arn"],
            one["deletion_protection_enabled"],
        )
        for one in made("aws_dynamodb_table")
    }

    assert ours == theirs


def test_queues_are_the_same(made: Made_of, templated: Find) -> None:
    """Times, tries, dead-letter queues, encryption, and who may send."""
    theirs = {
        one["QueueName"]: (
            one.get("VisibilityTimeout", 30),
            one["MessageRetentionPeriod"],
            one.get("RedrivePolicy"),
            one.get("RedriveAllowPolicy"),
            one["SqsManagedSseEnabled"],
        )
        for one in templated("AWS::SQS::Queue").values()
    }
    ours = {
        one["name"]: (
            one["visibility_timeout_seconds"] or 30,
            one["message_retention_seconds"],
            _json(one["redrive_policy"]),
            _json(one["redrive_allow_policy"]),
            one["sqs_managed_sse_enabled"],
        )
        for one in made("aws_sqs_queue")
    }

    assert ours == theirs
    policies = [one["PolicyDocument"]["Statement"] for one in templated("AWS::SQS::QueuePolicy").values()]
    assert _sorted(_json(one["policy"])["Statement"] for one in made("aws_sqs_queue_policy")) == _sorted(
        policies
    )


def test_buckets_are_the_same(made: Made_of, templated: Find) -> None:
    """Name, closed to the public, owner, encryption, notification, policy."""
    (bucket,) = templated("AWS::S3::Bucket").values()
    (policy,) = templated("AWS::S3::BucketPolicy").values()
    (notification,) = bucket["NotificationConfiguration"]["QueueConfigurations"]
    (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    (public,) = made("aws_s3_bucket_public_access_block")
    (rule,) = made("aws_s3_bucket_server_side_encryption_configuration")[0]["rule"]
    (queue,) = made("aws_s3_bucket_notification")[0]["queue"]
    (kept,) = made("aws_s3_bucket_lifecycle_configuration")[0]["rule"]

    assert [one["bucket"] for one in made("aws_s3_bucket")] == [bucket["BucketName"]]
    assert [public[key] for key in public if key.startswith(("block_", "ignore_", "restrict_"))] == [True] * 4
    assert made("aws_s3_bucket_ownership_controls")[0]["rule"] == [
        {"object_ownership": "BucketOwnerEnforced"}
    ]
    assert rule["bucket_key_enabled"] is encryption["BucketKeyEnabled"] is True
    (by,) = rule["apply_server_side_encryption_by_default"]
    assert by["kms_master_key_id"] == encryption["ServerSideEncryptionByDefault"]["KMSMasterKeyID"]
    assert (queue["queue_arn"], queue["events"]) == (notification["Queue"], [notification["Event"]])
    assert [{"Name": "prefix", "Value": queue["filter_prefix"]}] == notification["Filter"]["S3Key"]["Rules"]
    (theirs,) = bucket["LifecycleConfiguration"]["Rules"]
    days = theirs["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
    assert kept["abort_incomplete_multipart_upload"] == [{"days_after_initiation": days}]
    assert made("aws_s3_bucket_versioning") == []
    ours = _json(made("aws_s3_bucket_policy")[0]["policy"])
    assert _sorted(ours["Statement"]) == _sorted(policy["PolicyDocument"]["Statement"])


def test_the_key_is_the_same(made: Made_of, templated: Find) -> None:
    """Policy, rotation, alias."""
    (theirs,) = templated("AWS::KMS::Key").values()
    (ours,) = made("aws_kms_key")
    (alias,) = templated("AWS::KMS::Alias").values()

    assert _json(ours["policy"]) == theirs["KeyPolicy"]
    assert (ours["enable_key_rotation"], ours["deletion_window_in_days"]) == (
        theirs["EnableKeyRotation"],
        theirs["PendingWindowInDays"],
    )
    assert [one["name"] for one in made("aws_kms_alias")] == [alias["AliasName"]]


def _json(text: str | None) -> Any:
    return json.loads(text) if text else None


def _sorted(statements: Any) -> list[str]:
    return sorted(json.dumps(one, sort_keys=True) for one in statements)
