"""moto's CloudFormation makes both sites, as far as it can; what it cannot is listed by name."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from chalicelib.cli.deploy_template import FUNCTIONS
from chalicelib.ports.metadata import Table
from tests.infra.in_moto import IGNORED, STOPS_MOTO, makeable, without_condition
from tests.infra.translated import ZIPS_BUCKET, translated
from tests.lambda_host.packaging import Package

KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}


class Made:
    """A stack that moto made."""

    def __init__(self, package: Package) -> None:
        self.region = package.variables["CAUSEWAY_REGION"]
        self.site = package.variables["CAUSEWAY_SITE"]
        self.name = f"causeway-{self.site}"
        self.template = makeable(translated(package))
        self._upload(package)
        cloudformation = self.client("cloudformation")
        cloudformation.create_stack(StackName=self.name, TemplateBody=json.dumps(self.template))
        (stack,) = cloudformation.describe_stacks(StackName=self.name)["Stacks"]
        self.status = stack["StackStatus"]
        self.outputs = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
        pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=self.name)
        found = [one for page in pages for one in page["StackResourceSummaries"]]
        # moto lists what it left out as well, without a type.
        self.made = {one["LogicalResourceId"] for one in found if one.get("ResourceType")}

    def client(self, service: str) -> Any:
        """In the site's region."""
        return boto3.client(service, self.region, **KEYS)

    def _upload(self, package: Package) -> None:
        s3 = self.client("s3")
        place = {} if self.region == "us-east-1" else {"LocationConstraint": self.region}
        s3.create_bucket(Bucket=ZIPS_BUCKET, **({"CreateBucketConfiguration": place} if place else {}))
        for name in package.zips:
            s3.upload_file(str(package.directory / name), ZIPS_BUCKET, name)


@pytest.fixture(scope="module")
def made(package: Package) -> Iterator[Made]:
    """Each site in a moto of its own."""
    with mock_aws():
        yield Made(package)


def test_everything_is_made_but_what_moto_cannot(made: Made, package: Package) -> None:
    """Each resource that no parameter switches on, minus the types named in in_moto.py."""
    wanted = without_condition(translated(package))
    unable = IGNORED | STOPS_MOTO

    assert made.status == "CREATE_COMPLETE"
    assert made.made == {name for name, kind in wanted.items() if kind not in unable}
    assert unable <= set(wanted.values())


def test_the_tables_are_as_the_adapter_needs_them(made: Made) -> None:
    """Nine, with our keys and protected. (moto's CloudFormation sets neither encryption nor recovery.)"""
    dynamodb = made.client("dynamodb")
    assert set(dynamodb.list_tables()["TableNames"]) == {f"{made.name}-{table}" for table in Table}
    for table in Table:
        found = dynamodb.describe_table(TableName=f"{made.name}-{table}")["Table"]
        assert [(one["AttributeName"], one["KeyType"]) for one in found["KeySchema"]] == [
            ("pk", "HASH"),
            ("sk", "RANGE"),
        ]
        assert found["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
        assert found["DeletionProtectionEnabled"]


def test_the_bucket_is_encrypted_and_unversioned(made: Made) -> None:
    """The site's key by default, no versions. (moto's CloudFormation sets no public access block.)"""
    s3, bucket = made.client("s3"), {"Bucket": f"{made.name}-blocks"}
    (rule,) = s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"]

    assert rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == made.outputs["SiteKeyArn"]
    assert "Status" not in s3.get_bucket_versioning(**bucket)


def test_the_queues_hand_on_to_their_dead_letter_queues(made: Made) -> None:
    """Each has a dead-letter queue that takes from it alone."""
    sqs = made.client("sqs")
    for queue, seconds in (("Documents", 360), ("Fullsync", 1800)):
        url, dead = made.outputs[f"{queue}QueueUrl"], made.outputs[f"{queue}DeadQueueUrl"]
        of_url = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        of_dead = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["All"])["Attributes"]
        redrive = json.loads(of_url["RedrivePolicy"])
        assert (redrive["deadLetterTargetArn"], redrive["maxReceiveCount"]) == (of_dead["QueueArn"], 5)
        assert int(of_url["VisibilityTimeout"]) == seconds


def test_functions_run_under_their_own_roles(made: Made, package: Package) -> None:
    """Each function has its role, its time, and an environment that names what was made."""
    aws_lambda = made.client("lambda")
    roles = set()
    for logical_id, name in FUNCTIONS.items():
        found = aws_lambda.get_function_configuration(FunctionName=f"{made.name}-{name}")
        variables = found["Environment"]["Variables"]
        roles.add(found["Role"])
        assert found["Timeout"] == package.template["Resources"][logical_id]["Properties"]["Timeout"]
        assert variables["CAUSEWAY_FULLSYNC_QUEUE"] == made.outputs["FullsyncQueueUrl"]
        assert variables["CAUSEWAY_BLOCKS_BUCKET"] == f"{made.name}-blocks"
    assert len(roles) == len(FUNCTIONS)


def test_queues_and_schedules_call_them(made: Made) -> None:
    """Two event sources that report partial failures, three rules."""
    sources = made.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    rules = made.client("events").list_rules()["Rules"]

    called = {
        (one["EventSourceArn"].rpartition(":")[2], one["FunctionArn"].rpartition(":")[2]) for one in sources
    }
    assert called == {
        (f"{made.name}-documents", f"{made.name}-on_documents"),
        (f"{made.name}-fullsync", f"{made.name}-fullsync_step"),
    }
    assert sorted(rule["ScheduleExpression"] for rule in rules) == [
        "rate(1 hour)",
        "rate(1 minute)",
        "rate(1 minute)",
    ]


def test_the_key_turns_and_has_its_alias(made: Made) -> None:
    """The alias that functions use is the key that tables and bucket use."""
    kms = made.client("kms")
    aliases = {one["AliasName"]: one.get("TargetKeyId") for one in kms.list_aliases()["Aliases"]}

    assert made.outputs["SiteKeyArn"].endswith(aliases[f"alias/{made.name}"])
    assert kms.get_key_rotation_status(KeyId=made.outputs["SiteKeyArn"])["KeyRotationEnabled"]


def test_logs_end(made: Made) -> None:
    """Every function's log group keeps its lines for the days of the parameter."""
    groups = made.client("logs").describe_log_groups()["logGroups"]

    assert {one["logGroupName"]: one.get("retentionInDays") for one in groups} == {
        f"/aws/lambda/{made.name}-{name}": 30 for name in FUNCTIONS.values()
    }
