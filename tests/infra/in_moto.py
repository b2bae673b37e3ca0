"""What of the translated template moto's CloudFormation can make.

makeable(template)    without what stops moto, and what refers to it
IGNORED               types that moto leaves out without a word
"""

import json
from typing import Any

# moto reads no swagger, so its REST API has no methods to deploy; a Function URL has no class there at all.
STOPS_MOTO = {"AWS::ApiGateway::Deployment", "AWS::ApiGateway::Stage", "AWS::Lambda::Url"}
STORES = {
    "AWS::DynamoDB::Table",
    "AWS::KMS::Alias",
    "AWS::KMS::Key",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::SQS::Queue",
}
IGNORED = {
    "AWS::CloudWatch::Alarm",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::S3::BucketPolicy",
    "AWS::SQS::QueuePolicy",
}


def makeable(template: dict[str, Any]) -> dict[str, Any]:
    """A copy that moto takes."""
    return _without(template, {n for n, each in template["Resources"].items() if each["Type"] in STOPS_MOTO})


def stores(template: dict[str, Any]) -> dict[str, Any]:
    """A copy with what is kept, and nothing that runs."""
    return _without(template, {n for n, each in template["Resources"].items() if each["Type"] not in STORES})


def _without(template: dict[str, Any], gone: set[str]) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(template))
    copy["Resources"] = {name: each for name, each in copy["Resources"].items() if name not in gone}
    for each in copy["Resources"].values():
        each.pop("DependsOn", None)
    copy["Outputs"] = {
        name: each for name, each in copy["Outputs"].items() if not any(one in str(each) for one in gone)
    }
    return copy


def without_condition(template: dict[str, Any]) -> dict[str, str]:
    """Logical id → type of what is made with no parameter given."""
    return {name: each["Type"] for name, each in template["Resources"].items() if "Condition" not in each}
