"""The shared moto server does what tests of functions use it for."""

import json
import secrets

import boto3
import pytest


def test_sqs_gives_a_message_again(moto):
    """Unless it is deleted, a message comes back after its visibility time-out, counted."""
    sqs = boto3.client("sqs", **moto.boto3_arguments())
    url = sqs.create_queue(QueueName=f"q-{secrets.token_hex(6)}", Attributes={"VisibilityTimeout": "0"})[
        "QueueUrl"
    ]
    sqs.send_message(QueueUrl=url, MessageBody="m")
    counts = []
    for _ in range(2):
        (got,) = sqs.receive_message(QueueUrl=url, AttributeNames=["All"])["Messages"]
        counts.append(got["Attributes"]["ApproximateReceiveCount"])

    assert counts == ["1", "2"]


def test_kms_binds_a_key_to_its_context(moto):
    """A data key opens with the encryption context it was made with, and with no other."""
    kms = boto3.client("kms", **moto.boto3_arguments())
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    made = kms.generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext={"causeway:site": "west"})
    sealed = {"CiphertextBlob": made["CiphertextBlob"], "KeyId": key}

    opened = kms.decrypt(**sealed, EncryptionContext={"causeway:site": "west"})
    assert opened["Plaintext"] == made["Plaintext"]
    with pytest.raises(kms.exceptions.InvalidCiphertextException):
        kms.decrypt(**sealed, EncryptionContext={"causeway:site": "east"})


def test_cloudformation_makes_what_a_template_says(moto):
    """A stack of one queue."""
    name = f"s-{secrets.token_hex(6)}"
    template = {"Resources": {"Q": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": name}}}}
    cloudformation = boto3.client("cloudformation", **moto.boto3_arguments())
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))

    assert cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
    assert boto3.client("sqs", **moto.boto3_arguments()).get_queue_url(QueueName=name)
