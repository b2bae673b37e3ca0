"""Makes in moto what a template declares and functions must find: queues with their redrive policies.

    with made_queues(template, moto, run, region) as resources:      {"FullsyncQueue": url, …}

Every name begins with `run`, so that tests do not meet in a shared moto.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3

from tests.services.run import Service

NUMBERS = ("VisibilityTimeout", "MessageRetentionPeriod", "DelaySeconds", "ReceiveMessageWaitTimeSeconds")


@contextmanager
def made_queues(template: dict[str, Any], moto: Service, run: str, region: str) -> Iterator[dict[str, str]]:
    """What Ref and GetAtt give for every queue."""
    sqs = boto3.client("sqs", **(moto.boto3_arguments() | {"region_name": region}))
    declared = {
        name: each.get("Properties", {})
        for name, each in template["Resources"].items()
        if each["Type"] == "AWS::SQS::Queue"
    }
    resources: dict[str, str] = {}
    for name, properties in declared.items():
        attributes = {key: str(properties[key]) for key in NUMBERS if key in properties}
        url = sqs.create_queue(QueueName=f"{run}-{name}", Attributes=attributes)["QueueUrl"]
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
        resources |= {
            name: url,
            f"{name}.Arn": found["QueueArn"],
            f"{name}.QueueName": f"{run}-{name}",
            f"{name}.QueueUrl": url,
        }
    for name, properties in declared.items():
        redrive = properties.get("RedrivePolicy")
        if redrive:
            (dead,) = redrive["deadLetterTargetArn"].values()
            dead_name = dead[0] if isinstance(dead, list) else dead.strip("${}").partition(".")[0]
            policy = {
                "deadLetterTargetArn": resources[f"{dead_name}.Arn"],
                "maxReceiveCount": int(redrive["maxReceiveCount"]),
            }
            sqs.set_queue_attributes(
                QueueUrl=resources[name], Attributes={"RedrivePolicy": json.dumps(policy)}
            )
    try:
        yield resources
    finally:
        for name in declared:
            sqs.delete_queue(QueueUrl=resources[name])


def made_key(moto: Service, run: str, region: str) -> str:
    """A KMS key; its alias. Keys cost nothing in moto and end with it."""
    kms = boto3.client("kms", **(moto.boto3_arguments() | {"region_name": region}))
    alias = f"alias/{run}"
    kms.create_alias(AliasName=alias, TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
    return alias
