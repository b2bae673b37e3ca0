"""What cold starts are compared with: a function that makes one DynamoDB and one S3 call by boto3.

It is run with the layer of our own package, behind a Function URL of the same host, with the same time of
everything; its clients are made at import, as AWS advises. It verifies no signature and decides nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.lambda_host import LambdaSite, Package

NAME = "Baseline"
CODE = """
import base64
import os

import boto3

dynamodb = boto3.client("dynamodb", endpoint_url=os.environ["DYNAMODB_ENDPOINT"])
s3 = boto3.client("s3", endpoint_url=os.environ["S3_ENDPOINT"])


def handler(event, context):
    dynamodb.get_item(TableName=os.environ["TABLE"], Key={"pk": {"S": "baseline"}, "sk": {"S": "baseline"}})
    body = s3.get_object(Bucket=os.environ["BUCKET"], Key="baseline")["Body"].read()
    return {
        "statusCode": 200,
        "headers": {"Content-Type": "application/octet-stream"},
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }
"""


@contextmanager
def baseline(package: Package, place: Path, environment: dict[str, str]) -> Iterator[LambdaSite]:
    """A site of that one function; compiled like ours: not at all before it starts."""
    place.mkdir(parents=True)
    (place / "baseline.py").write_text(CODE)
    gateway = package.template["Resources"]["Gateway"]["Properties"]
    properties = {
        "Handler": "baseline.handler",
        "Timeout": gateway["Timeout"],
        "MemorySize": gateway["MemorySize"],
        "FunctionUrlConfig": {"AuthType": "NONE"},
    }
    template = {"Resources": {NAME: {"Type": "AWS::Serverless::Function", "Properties": properties}}}
    with LambdaSite(
        replace(package, template=template, root=place), environment, concurrency=1, compiled=False
    ) as site:
        yield site
    shutil.rmtree(place)
