"""The packaged template as CloudFormation gets it after AWS's own SAM transform, carried out here.

    translated(package)    plain CloudFormation: no AWS::Serverless left, zips in an invented bucket
Source  aws-sam-translator, the library that AWS runs for `Transform: AWS::Serverless-2016-10-31`.
"""

import os
from typing import Any
from unittest import mock

from samtranslator.public.translator import ManagedPolicyLoader
from samtranslator.translator.transform import transform

from chalicelib.cli.deploy_package import with_zips, zip_places
from tests.lambda_host.packaging import Package

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


def translated(package: Package) -> dict[str, Any]:
    """The template after the transform."""
    return _transformed(package)
