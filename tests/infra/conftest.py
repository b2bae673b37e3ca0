"""Both stages as `chalice package` makes them, once for the run."""

import pytest

from tests.lambda_host.packaging import Package, packaged

STAGES = ("west", "east")


@pytest.fixture(scope="session", params=STAGES)
def package(request: pytest.FixtureRequest) -> Package:
    """Each stage in turn."""
    return packaged(request.param)


@pytest.fixture(scope="session")
def west() -> Package:
    """One stage."""
    return packaged("west")
