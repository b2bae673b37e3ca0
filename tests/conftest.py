"""Fixtures every test may use: real MinIO and DynamoDB Local, real clients, one per test run.

A service that cannot be had here skips its tests with the reason; with CI=true it fails them.
"""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.services.install import binary
from tests.services.needed import needed
from tests.services.run import Service
from tests.services.shared import SharedServices, shared_service

SERVICES = pytest.StashKey[SharedServices]()

# No test can reach a real account, whatever the developer is signed in to.
HARMLESS_AWS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}

settings.register_profile("causeway", deadline=None, print_blob=True)
settings.load_profile("causeway")


def pytest_configure(config: pytest.Config) -> None:
    """Opens the door to the shared services, in the process that starts the workers."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        os.environ.pop(name, None)
    os.environ.update(HARMLESS_AWS)
    if not hasattr(config, "workerinput"):
        services = SharedServices()
        services.start()
        config.stash[SERVICES] = services


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stops the shared services after the last worker has ended."""
    if SERVICES in config.stash:
        config.stash[SERVICES].stop()


@pytest.fixture(scope="session")
def minio() -> Service:
    """MinIO, shared by all tests of the run: take buckets of your own names."""
    return needed(lambda: shared_service("minio"))


@pytest.fixture(scope="session")
def dynamodb() -> Service:
    """DynamoDB Local, shared too; `dataclasses.replace(dynamodb, access_key=…)` is an empty one."""
    return needed(lambda: shared_service("dynamodb"))


@pytest.fixture(scope="session")
def moto() -> Service:
    """moto as a server: SQS, KMS, CloudFormation, … Shared by all tests: take names of your own."""
    return needed(lambda: shared_service("moto"))


@pytest.fixture(scope="session")
def mc() -> Path:
    """The path of MinIO's client."""
    return needed(lambda: binary("mc"))


@pytest.fixture(scope="session")
def rclone() -> Path:
    """The path of rclone."""
    return needed(lambda: binary("rclone"))


@pytest.fixture(scope="session")
def lambda_runtime() -> Path:
    """The interpreter of Lambda sandboxes, with awslambdaric."""
    from tests.lambda_host.environment import runtime_python

    return needed(runtime_python)
