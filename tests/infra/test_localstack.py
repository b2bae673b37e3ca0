"""The deployment against LocalStack, where one is given: CAUSEWAY_TEST_LOCALSTACK=http://127.0.0.1:4566.

    CAUSEWAY_TEST_LOCALSTACK=http://127.0.0.1:4566 .venv/bin/pytest tests/infra/test_localstack.py

LocalStack carries out the SAM transform, so here it is the packaged template itself that is applied. Nothing
of this runs by itself: LocalStack needs a container engine for functions, and is no part of the project.
"""

import json
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from localstack_client.session import Session

from chalicelib.ports.metadata import Table
from tests.command import OK
from tests.infra.deploying import run
from tests.lambda_host.packaging import ROOT, Package

VARIABLE = "CAUSEWAY_TEST_LOCALSTACK"
ENDPOINT = os.environ.get(VARIABLE, "")
pytestmark = [
    pytest.mark.skipif(not ENDPOINT, reason=f"LocalStack: {VARIABLE} names no endpoint"),
    pytest.mark.timeout(600),
]


class Profile:
    """One site as LocalStack has it."""

    def __init__(self, package: Package) -> None:
        self.site, self.region = package.variables["CAUSEWAY_SITE"], package.variables["CAUSEWAY_REGION"]
        self.name = f"causeway-{self.site}"
        self._package = package
        self._session = Session(region_name=self.region, localstack_host=urlsplit(ENDPOINT).netloc)

    def client(self, service: str) -> Any:
        """In the site's region."""
        return self._session.client(service)

    def deploy(self, verb: str) -> Any:
        """`causeway deploy …` of what the tests packaged; its JSON."""
        where = ("--stage", self._package.stage, "--project", ROOT, "--aws-endpoint-url", ENDPOINT)
        ran = run(verb, *where, "--built", "--out", self._package.directory, "--json")
        assert ran.exit == OK, ran.out
        return ran.json

    def clear(self) -> None:
        """Remove the stack, and the tables and the bucket that it keeps."""
        cloudformation, dynamodb = self.client("cloudformation"), self.client("dynamodb")
        cloudformation.delete_stack(StackName=self.name)
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=self.name)
        for table in set(dynamodb.list_tables()["TableNames"]) & {f"{self.name}-{table}" for table in Table}:
            dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
            dynamodb.delete_table(TableName=table)
        s3 = self.client("s3")
        if f"{self.name}-blocks" in {one["Name"] for one in s3.list_buckets()["Buckets"]}:
            for one in s3.list_objects_v2(Bucket=f"{self.name}-blocks").get("Contents", []):
                s3.delete_object(Bucket=f"{self.name}-blocks", Key=one["Key"])
            s3.delete_bucket(Bucket=f"{self.name}-blocks")


@pytest.fixture(scope="module")
def profile(package: Package) -> Iterator[Profile]:
    """Each stage in turn, applied and cleared away."""
    profile = Profile(package)
    profile.deploy("apply")
    try:
        yield profile
    finally:
        profile.clear()


def test_tables_and_bucket_are_there(profile: Profile) -> None:
    """By the names that the functions are told."""
    assert {f"{profile.name}-{table}" for table in Table} <= set(
        profile.client("dynamodb").list_tables()["TableNames"]
    )
    profile.client("s3").head_bucket(Bucket=f"{profile.name}-blocks")


def test_a_document_wakes_the_queue(profile: Profile) -> None:
    """The bucket tells the queue of documents, which gives up after five tries."""
    s3, sqs = profile.client("s3"), profile.client("sqs")
    bucket = f"{profile.name}-blocks"
    found = s3.get_bucket_notification_configuration(Bucket=bucket)["QueueConfigurations"]
    queue = sqs.get_queue_url(QueueName=f"{profile.name}-documents")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn", "RedrivePolicy"])[
        "Attributes"
    ]

    assert [one["QueueArn"] for one in found] == [attributes["QueueArn"]]
    assert json.loads(attributes["RedrivePolicy"])["maxReceiveCount"] == 5


def test_functions_are_bound(profile: Profile) -> None:
    """Eight functions, their queues and schedules."""
    functions = profile.client("lambda").list_functions()["Functions"]
    rules = profile.client("events").list_rules()["Rules"]

    assert len([one for one in functions if one["FunctionName"].startswith(f"{profile.name}-")]) == 8
    assert len([one for one in rules if "rate(" in one.get("ScheduleExpression", "")]) >= 3


def test_a_second_look_finds_nothing_to_change(profile: Profile) -> None:
    """What was applied is what is planned."""
    assert profile.deploy("plan")["changes"] == []
