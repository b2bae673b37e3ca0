"""/metrics: open to this machine, unless a proxy on it asks for somebody else."""

import pytest

from chalicelib.hosts import faces
from chalicelib.s3.request import BytesBody, Headers, Request
from chalicelib.s3.service import S3Service
from tests.builders import Net


@pytest.mark.parametrize(
    ("remote", "headers", "status"),
    [
        ("127.0.0.1", [], 200),
        ("::1", [], 200),
        ("10.0.0.7", [], 403),
        ("127.0.0.1", [("X-Forwarded-For", "9.9.9.9")], 403),
        ("127.0.0.1", [("Forwarded", "for=9.9.9.9")], 403),
        ("127.0.0.1", [("X-Real-IP", "9.9.9.9")], 403),
    ],
)
def test_who_may_read_the_metrics(remote, headers, status):
    """Without a signature."""
    node = Net("a")["a"]
    metrics = faces._metrics(node, S3Service(node.site, node.names))
    asked = Request("GET", b"/metrics", (), Headers([("Host", "a"), *headers]), BytesBody(), False, remote)

    assert status == metrics(asked).status
