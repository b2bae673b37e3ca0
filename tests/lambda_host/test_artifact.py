"""The artifact: what `chalice package` makes runs by itself, with awslambdaric and nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.lambda_host import LambdaSite, packaged

ZIPPED_BYTES_MAX = 50 * 1024 * 1024  # AWS, "Lambda quotas": a deployment package, zipped, uploaded directly
STAGES = ("west", "east")
PROBE = '''
import importlib


def handler(event, context):
    """Where a module comes from, None when there is no such module."""
    try:
        found = importlib.import_module(event)
    except ModuleNotFoundError as problem:
        if problem.name != event.partition(".")[0]:
            raise
        return None
    return found.__file__
'''


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    """Asks a real sandbox where it finds a module; the probe stands behind everything else on its path."""
    place = tmp_path_factory.mktemp("probe")
    (place / "probe.py").write_text(PROBE)
    package = packaged("west")
    properties = package.template["Resources"]["Gateway"]["Properties"]
    function = {"Handler": "probe.handler", "Timeout": properties["Timeout"]}
    template = {"Resources": {"Probe": {"Type": "AWS::Serverless::Function", "Properties": function}}}
    package = replace(package, template=template, layers=(*package.layers, place))
    with LambdaSite(package, concurrency=1) as site:
        yield lambda name: site.invoke("Probe", name)


@pytest.mark.parametrize("name", ["app", "chalicelib", "chalicelib.hosts.functions", "chalice"])
def test_our_code_comes_from_the_zip(probe, name):
    """app.py, chalicelib and chalice's runtime lie in the unzipped deployment package."""
    assert Path(probe(name)).is_relative_to(packaged("west").root)


@pytest.mark.parametrize(
    "name", ["boto3", "blake3", "cryptography", "aws_lambda_powertools", "awscrt", "xxhash"]
)
def test_libraries_come_from_the_layer(probe, name):
    """What requirements.txt names."""
    assert Path(probe(name)).is_relative_to(packaged("west").directory.resolve() / "layer") or any(
        Path(probe(name)).is_relative_to(place) for place in packaged("west").layers
    )


@pytest.mark.parametrize("name", ["pytest", "typer", "apsw", "httptools", "rich", "minio", "moto", "tests"])
def test_nothing_else_is_there(probe, name):
    """Not what tests, the server or the command need, nor this checkout."""
    assert probe(name) is None


def test_awslambdaric_is_there(probe):
    """The one thing beside the zips, as in AWS's own runtime: in the interpreter, not in the package."""
    assert not Path(probe("awslambdaric")).is_relative_to(packaged("west").root)


def test_the_size():
    """Each zip may be uploaded."""
    for stage in STAGES:
        for name, size in packaged(stage).zips.items():
            assert size < ZIPPED_BYTES_MAX, name


def test_both_sites_run_the_same_code():
    """The zips of two stages are the same bytes; what differs stands in the templates."""
    west, east = (packaged(stage).directory for stage in STAGES)

    for name in ("deployment.zip", "layer-deployment.zip"):
        assert (west / name).read_bytes() == (east / name).read_bytes()
