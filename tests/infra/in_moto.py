"""What of the translated template moto's CloudFormation can make.

makeable(template)    without what stops moto, and what refers to it
IGNORED               types that moto leaves out without a word
"""

import json
from typing import Any

# moto reads no swagger, so its REST API has no methods to deploy; a Function URL has no class there at all.
STOPS_MOTO = {"AWS::ApiGateway::Deployment", "AWS::ApiGateway::Stage", "AWS::Lambda::Url"}
IGNORED = {
    "AWS::CloudWatch::Alarm",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::S3::BucketPolicy",
    "AWS::SQS::QueuePolicy",
}


def makeable(template: dict[str, Any]) -> dict[str, Any]:
    """A copy that moto takes."""
    copy: dict[str, Any] = json.loads(json.dumps(template))
    gone = {name for name, each in copy["Resources"].items() if each["Type"] in STOPS_MOTO}
    copy["Resources"] = {name: each for name, each in copy["Resources"].items() if name not in gone}
    copy["Outputs"] = {
        name: each for name, each in copy["Outputs"].items() if not any(one in str(each) for one in gone)
    }
    return copy


def without_condition(template: dict[str, Any]) -> dict[str, str]:
    """Logical id → type of what is made with no parameter given."""
    return {name: each["Type"] for name, each in template["Resources"].items() if "Condition" not in each}
