"""The artifact: what `chalice package` makes runs by itself, with awslambdaric and nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.lambda_host import LambdaSite, packaged
from tests.lambda_host.template import Template

ZIPPED_BYTES_MAX = 50 * 1024 * 1024  # AWS, "Lambda quotas": a deployment package, zipped, uploaded directly
STAGES = ("west", "east")
PROBE = '''
import importlib


def handler(event, context):
    """Where a module comes from, None when there is no such module; whether it has an attribute."""
    if isinstance(event, list):
        return callable(getattr(importlib.import_module(event[0]), event[1]))
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


@pytest.mark.parametrize("stage", STAGES)
def test_every_function_is_there(probe, stage):
    """The template names no handler that the code has not, and gives every variable a value."""
    package = packaged(stage)
    queues = {n for n, each in package.template["Resources"].items() if each["Type"] == "AWS::SQS::Queue"}
    resources = {name: f"https://sqs.example/{name}" for name in queues} | {"BlocksBucket": "blocks"}
    template = Template(package.template, f"causeway-{stage}", "us-west-2", resources)

    assert {"Gateway", "APIHandler", "Sweep", "Fullsync", "Collect", "OnDocuments"} <= set(
        template.functions()
    )
    for name, function in template.functions().items():
        assert probe(function.handler.split(".")), name
        assert function.environment({})["CAUSEWAY_SITE"] == stage


def test_the_size():
    """Code and layer together may be uploaded."""
    for stage in STAGES:
        assert sum(packaged(stage).zips.values()) < ZIPPED_BYTES_MAX


def test_both_sites_run_the_same_code():
    """The zips of two stages are the same bytes; what differs stands in the templates."""
    west, east = (packaged(stage).directory for stage in STAGES)

    for name in ("deployment.zip", "layer-deployment.zip"):
        assert (west / name).read_bytes() == (east / name).read_bytes()
