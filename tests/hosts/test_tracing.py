"""Traces: none unless they were asked for and can be made; then a segment for each event, without answers."""

import json
import os
import socket
import subprocess
import sys
from contextlib import closing

import pytest

from chalicelib.hosts import tracing
from tests.hosts.running import ROOT

# A handler in a process that looks to X-Ray's SDK as Lambda does.
HANDLER = """
import sys
from chalice.local import LambdaContext
from chalicelib.hosts import tracing
def work(event, context):
    return {"secret_key": "never to be told"}
traced = tracing.traced(work)
assert traced({}, LambdaContext("administrator", 128)) == {"secret_key": "never to be told"}
print(traced is work, "aws_xray_sdk" in sys.modules)
"""


def handled(daemon, **variables):
    """What the process prints, and what the daemon of X-Ray is told."""
    told = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "AWS_XRAY_DAEMON_ADDRESS": "{}:{}".format(*daemon.getsockname()),
        "LAMBDA_TASK_ROOT": str(ROOT),
        "_X_AMZN_TRACE_ID": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
        **variables,
    }
    ran = subprocess.run(
        [sys.executable, "-c", HANDLER], env=told, capture_output=True, text=True, check=True
    )
    packets = []
    daemon.setblocking(False)
    while True:
        try:
            packets.append(daemon.recv(1 << 16).decode())
        except BlockingIOError:
            return ran.stdout.split(), packets


@pytest.fixture
def daemon():
    """Where X-Ray's daemon would listen."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as daemon:
        daemon.bind(("127.0.0.1", 0))
        yield daemon


def test_asked_for(daemon):
    """A segment named as the handler, and nothing of what it answered."""
    printed, packets = handled(daemon, POWERTOOLS_TRACE_DISABLED="false")

    assert ["False", "True"] == printed
    segments = [json.loads(packet.partition("\n")[2]) for packet in packets]
    assert ["## work"] == [segment["name"] for segment in segments]
    assert segments[0]["trace_id"] == "1-5759e988-bd862e3fe1be46a994272793"
    assert "never to be told" not in "".join(packets)


@pytest.mark.parametrize("value", ["", "true", "1"])
def test_not_asked_for(daemon, value):
    """The handler itself, and the SDK is not even imported."""
    variables = {"POWERTOOLS_TRACE_DISABLED": value} if value else {}

    assert (["True", "False"], []) == handled(daemon, **variables)


def test_without_the_extra(monkeypatch):
    """Asked for where nothing can be traced: the handler itself."""
    monkeypatch.setenv("POWERTOOLS_TRACE_DISABLED", "false")
    monkeypatch.setattr(tracing, "find_spec", lambda name: None)
    tracing._tracer.cache_clear()

    try:
        assert tracing.traced(print) is print
    finally:
        tracing._tracer.cache_clear()
