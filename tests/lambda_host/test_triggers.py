"""Queues and schedules: "Using Lambda with Amazon SQS" and "Scheduled rule events" of AWS's guides."""

import secrets

import boto3
import pytest

from tests.lambda_host import LambdaSite
from tests.lambda_host.resources import made_queues
from tests.lambda_host.toy import toy
from tests.lambda_host.triggers import WrongMapping

REGION = "us-east-1"
REPORTS = ["ReportBatchItemFailures"]


def package_of(directory, visibility=60, **mapping):
    """A toy behind a queue with a dead-letter queue after two tries, and with a schedule."""
    source = {"Queue": {"Fn::GetAtt": ["Queue", "Arn"]}, "BatchSize": 5, **mapping}
    events = {
        "FromQueue": {"Type": "SQS", "Properties": source},
        "Rule": {"Type": "Schedule", "Properties": {"Schedule": "rate(1 minute)"}},
    }
    package = toy(directory, Events=events)
    redrive = {"deadLetterTargetArn": {"Fn::GetAtt": ["Dead", "Arn"]}, "maxReceiveCount": 2}
    package.template["Resources"] |= {
        "Dead": {"Type": "AWS::SQS::Queue"},
        "Queue": {
            "Type": "AWS::SQS::Queue",
            "Properties": {"VisibilityTimeout": visibility, "RedrivePolicy": redrive},
        },
    }
    return package


@pytest.fixture
def world(tmp_path, moto):
    """site_of(**mapping) → (site, send, left): a running site, a sender, and what a queue still holds."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        sqs = boto3.client("sqs", **moto.boto3_arguments())

        def site_of(**options):
            package = package_of(tmp_path, **options)
            run = f"t-{secrets.token_hex(4)}"
            resources = stack.enter_context(made_queues(package.template, moto, run, REGION))
            site = stack.enter_context(LambdaSite(package, resources=resources, queues=moto))

            def send(*bodies):
                for body in bodies:
                    sqs.send_message(QueueUrl=resources["Queue"], MessageBody=body)

            def left(name):
                got = sqs.receive_message(
                    QueueUrl=resources[name], MaxNumberOfMessages=10, VisibilityTimeout=0
                )
                return sorted(each["Body"] for each in got.get("Messages", []))

            return site, send, left

        yield site_of


def test_a_batch_that_succeeds_is_deleted(world):
    """Batches of at most BatchSize; nothing is left."""
    site, send, left = world(FunctionResponseTypes=REPORTS)
    send(*"abcdefg")

    polled = [site.poll("Toy") for _ in range(3)]
    assert sorted(each.messages for each in polled) == [0, 2, 5]
    assert left("Queue") == []


def test_only_what_failed_comes_again(world):
    """With ReportBatchItemFailures; after maxReceiveCount it is among the dead."""
    site, send, left = world(FunctionResponseTypes=REPORTS)
    send("good", "bad")

    assert (site.poll("Toy").failed, site.poll("Toy").failed) == (1, 1)
    assert site.poll("Toy").messages == 0
    assert (left("Queue"), left("Dead")) == ([], ["bad"])


def test_without_reports_what_is_named_is_deleted_too(world):
    """The mapping does not look at an answer it was not told to look at."""
    site, send, left = world()
    send("bad")

    assert site.poll("Toy").failed == 0
    assert left("Queue") == []


@pytest.mark.parametrize("body", ["crash", "nonsense"])
def test_a_batch_that_fails_comes_again_whole(world, body):
    """An error of the function, or an answer that names no message of the batch."""
    site, send, left = world(FunctionResponseTypes=REPORTS)
    send("good", body)

    assert site.poll("Toy").failed == 2
    assert left("Queue") == sorted(["good", body])


def test_without_hurry_the_visibility_time_out_is_kept(world):
    """What failed is not seen before its time."""
    site, send, _ = world(FunctionResponseTypes=REPORTS)
    send("bad")

    assert site.poll("Toy", hurry=False).failed == 1
    assert site.poll("Toy").messages == 0


def test_a_queue_that_is_seen_again_too_soon(world):
    """AWS refuses a mapping whose queue shows messages again while the function may still run."""
    site, _, _ = world(visibility=5)

    with pytest.raises(WrongMapping, match="5 seconds is less than Function timeout: 10 seconds"):
        site.poll("Toy")


def test_records_look_as_aws_makes_them(world):
    """Names in camel case, the count of receives, the queue's ARN."""
    site, send, _ = world()
    send("x")
    polled = site.poll("Toy")

    assert polled.messages == 1 and not polled.result.error


def test_a_tick(world):
    """A scheduled event, invoked once."""
    site, _, _ = world()
    event = site.tick("Toy")["event"]

    assert (event["detail-type"], event["source"], event["region"]) == (
        "Scheduled Event",
        "aws.events",
        REGION,
    )
