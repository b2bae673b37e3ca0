"""Both stages as `chalice package` makes them, once for the run; a moto to deploy them to."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from chalicelib.cli import deploy_stack
from tests.infra.deploying import REGION, ask, client
from tests.infra.in_moto import makeable, stores
from tests.infra.translated import ZIPS_BUCKET, translated
from tests.lambda_host.packaging import Package, packaged
from tests.services.run import Service, moto_server

STAGES = ("west", "east")


@pytest.fixture(scope="session", params=STAGES)
def package(request: pytest.FixtureRequest) -> Package:
    """Each stage in turn."""
    return packaged(request.param)


@pytest.fixture(scope="session")
def west() -> Package:
    """One stage."""
    return packaged("west")


@pytest.fixture(scope="module")
def server() -> Iterator[Service]:
    """moto, for these tests alone: stacks have fixed names."""
    with moto_server() as service:
        yield service


@pytest.fixture
def aws(server: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    """An account in which nothing is."""
    monkeypatch.setattr(deploy_stack, "LOOK_S", 0.01)
    ask(server, "reset")
    return server


@pytest.fixture
def built(west: Package, tmp_path: Path) -> Path:
    """What `causeway deploy package` leaves, of it what moto can change as well as make."""
    (tmp_path / "sam.json").write_text(json.dumps(stores(translated(west))))
    return tmp_path


@pytest.fixture
def whole(west: Package, tmp_path: Path, aws: Service) -> Path:
    """All that moto can make."""
    s3 = client(aws, "s3")
    s3.create_bucket(Bucket=ZIPS_BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    for name in west.zips:
        s3.upload_file(str(west.directory / name), ZIPS_BUCKET, name)
    (tmp_path / "sam.json").write_text(json.dumps(makeable(translated(west))))
    return tmp_path
