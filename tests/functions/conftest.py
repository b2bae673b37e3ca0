"""One deployed site a pytest worker, and its fronts: a REST API below its stage, and a Function URL."""

from collections.abc import Iterator

import pytest

from tests.clients.conftest import bucket, s3
from tests.lambda_host.deployed import DeployedSite, FrontSite, deployed

__all__ = ["bucket", "s3"]

FRONTS = ("rest", "url")  # "domain" is the first without a stage: tests of paths and signatures take it too


@pytest.fixture(scope="session", autouse=True)
def _runtime(lambda_runtime):
    """Skips, or fails in CI, where awslambdaric cannot be had."""


@pytest.fixture(scope="session")
def functions(request: pytest.FixtureRequest) -> Iterator[DeployedSite]:
    """The site behind all fronts."""
    minio, dynamodb, moto = (request.getfixturevalue(name) for name in ("minio", "dynamodb", "moto"))
    with deployed("west", minio, dynamodb, moto) as site:
        yield site


@pytest.fixture(params=FRONTS)
def site(request: pytest.FixtureRequest, functions: DeployedSite) -> FrontSite:
    """The site through one of its fronts."""
    return functions.front(request.param)
