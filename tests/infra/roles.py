"""What each function may do: its role, with everything the template refers to filled in.

    allowed(package, "Sweep")                      [Allowed(action, resource, condition), …]
    allowed(package, "Sweep", SinkTablesArn=…)     with parameters given
    says(allowances)                               the same as a golden file has it

Source  IAM "Policy evaluation logic": no role here denies, so what is listed is all there is.
"""

from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from tests.lambda_host.packaging import Package
from tests.lambda_host.template import ACCOUNT, Template

Says = dict[str, Any]
KEY = "00000000-0000-0000-0000-000000000000"


class Allowed(NamedTuple):
    """One action on one resource."""

    action: str
    resource: str
    condition: tuple[tuple[str, str, tuple[str, ...]], ...]

    def admits(self, action: str, resource: str) -> bool:
        """Whether a call is allowed, conditions aside."""
        return self.action == action and fnmatchcase(resource, self.resource)


def opened(package: Package, **parameters: str) -> Template:
    """The template of a stage with the ARNs that AWS would give."""
    region = package.variables["CAUSEWAY_REGION"]
    site = package.variables["CAUSEWAY_SITE"]
    template = Template(package.template, f"causeway-{site}", region, dict(parameters))
    given = {"SiteKey.Arn": f"arn:aws:kms:{region}:{ACCOUNT}:key/{KEY}"}
    for name, resource in package.template["Resources"].items():
        properties = resource.get("Properties", {})
        kind = resource["Type"]
        if kind == "AWS::DynamoDB::Table":
            table = template.resolve(properties["TableName"])
            given[name] = table
            given[f"{name}.Arn"] = f"arn:aws:dynamodb:{region}:{ACCOUNT}:table/{table}"
        elif kind == "AWS::SQS::Queue":
            queue = template.resolve(properties["QueueName"])
            given[f"{name}.Arn"] = f"arn:aws:sqs:{region}:{ACCOUNT}:{queue}"
            given[f"{name}.QueueName"] = queue
            given[name] = f"https://sqs.{region}.amazonaws.com/{ACCOUNT}/{queue}"
        elif kind == "AWS::S3::Bucket":
            given[name] = template.resolve(properties["BucketName"])
            given[f"{name}.Arn"] = f"arn:aws:s3:::{given[name]}"
        elif kind == "AWS::Logs::LogGroup":
            group = template.resolve(properties["LogGroupName"])
            given[f"{name}.Arn"] = f"arn:aws:logs:{region}:{ACCOUNT}:log-group:{group}:*"
        elif kind == "AWS::IAM::Role":
            given[f"{name}.Arn"] = f"arn:aws:iam::{ACCOUNT}:role/{name}"
        if kind != "AWS::Serverless::Function":
            given.setdefault(name, name)
    return Template(package.template, f"causeway-{site}", region, given | parameters)


def role_of(package: Package, function: str) -> Says:
    """The resource of a function's role."""
    ((_, (name, attribute)),) = package.template["Resources"][function]["Properties"]["Role"].items()
    assert attribute == "Arn"
    role: Says = package.template["Resources"][name]["Properties"]
    return role


def allowed(package: Package, function: str, **parameters: str) -> list[Allowed]:
    """Everything a function may do, sorted."""
    template = opened(package, **parameters)
    role = role_of(package, function)
    documents = [policy["PolicyDocument"] for policy in role["Policies"]]
    for policy in _present(template, role["ManagedPolicyArns"]):
        documents.append(package.template["Resources"][policy["Ref"]]["Properties"]["PolicyDocument"])
    return statements(template.resolve(documents))


def statements(documents: list[Says]) -> list[Allowed]:
    """Everything that these policy documents allow, sorted."""
    found = set()
    for statement in (one for document in documents for one in document["Statement"]):
        assert statement["Effect"] == "Allow" and statement.keys() <= {
            "Effect",
            "Action",
            "Resource",
            "Condition",
        }
        condition = _condition(statement.get("Condition", {}))
        for action in _many(statement["Action"]):
            # AWS::NoValue among resources is None here, and nothing there.
            resources = [one for one in _many(statement["Resource"]) if one]
            found |= {Allowed(action, resource, condition) for resource in resources}
    return sorted(found)


def says(allowances: list[Allowed]) -> dict[str, list[str]]:
    """Action → where, and under which condition."""
    said: dict[str, list[str]] = {}
    for action, resource, condition in allowances:
        told = [f"{operator} {key} {' or '.join(values)}" for operator, key, values in condition]
        said.setdefault(action, []).append(" if ".join([resource, *([" and ".join(told)] if told else [])]))
    return said


def _present(template: Template, policies: list[Any]) -> list[Any]:
    """Managed policies without those whose condition does not hold."""
    present = []
    for policy in policies:
        if "Fn::If" in policy:
            condition, yes, no = policy["Fn::If"]
            policy = yes if template._true(template.body["Conditions"][condition]) else no
        if policy != {"Ref": "AWS::NoValue"}:
            present.append(policy)
    return present


def _condition(given: Says) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    found = [(op, key, tuple(_many(value))) for op, keys in given.items() for key, value in keys.items()]
    return tuple(sorted(found))


def _many(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
