"""Tests of the Lambda host need awslambdaric."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def _runtime(lambda_runtime):
    """Skips, or fails in CI, where it cannot be had."""
