"""The packaged template as CloudFormation gets it after AWS's own SAM transform, carried out here.

    translated(package)          plain CloudFormation: no AWS::Serverless left, zips in an invented bucket
    resolved(package, "AWS::…")  its resources of one type, references filled in
Source  aws-sam-translator, the library that AWS runs for `Transform: AWS::Serverless-2016-10-31`.
"""

import os
from typing import Any
from unittest import mock

from samtranslator.public.translator import ManagedPolicyLoader
from samtranslator.translator.transform import transform

from chalicelib.cli.deploy_package import with_zips, zip_places
from tests.infra.roles import opened
from tests.lambda_host.packaging import Package
from tests.lambda_host.template import Template, Unresolved

ZIPS_BUCKET = "causeway-artifacts"


class _NoManagedPolicies(ManagedPolicyLoader):
    """Every role is our own: SAM has no policy to look up."""

    def __init__(self) -> None:
        super().__init__(iam_client=None)

    def load(self) -> dict[str, str]:
        return {}


def _transformed(package: Package) -> dict[str, Any]:
    zips = {name for _, name in zip_places(package.template)}
    uris = {name.removeprefix("./"): f"s3://{ZIPS_BUCKET}/{name.removeprefix('./')}" for name in zips}
    body = with_zips(package.template, uris)
    region = package.variables["CAUSEWAY_REGION"]
    with mock.patch.dict(os.environ, {"AWS_DEFAULT_REGION": region}):  # names of Lambda's partitions
        result: dict[str, Any] = transform(body, {}, _NoManagedPolicies())
    return result


def resolved(package: Package, kind: str, **parameters: str) -> dict[str, Any]:
    """Logical id → properties of each resource of a type, references filled in, without what is not."""
    resources = translated(package)["Resources"]
    names = resources.keys() - {"Site"}
    given = {f"{name}.Arn": name for name in names} | {name: name for name in names}
    mine = opened(package, **parameters)
    whole = opened(package, **{k: v for k, v in given.items() if not _resolves(mine, k)}, **parameters)
    return {
        name: _without_none(whole.resolve(one.get("Properties", {})))
        for name, one in resources.items()
        if one["Type"] == kind
    }


def _resolves(template: Template, name: str) -> bool:
    logical, _, attribute = name.partition(".")
    try:
        template.resolve({"Fn::GetAtt": [logical, attribute]} if attribute else {"Ref": logical})
    except Unresolved:
        return False
    return True


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_none(each) for each in value if each is not None]
    return value


def translated(package: Package) -> dict[str, Any]:
    """The template after the transform."""
    return _transformed(package)
