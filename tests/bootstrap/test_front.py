"""What a site answers before anybody has signed anything."""

from chalicelib.bootstrap.front import ready
from chalicelib.domain.errors import StoreDown
from chalicelib.s3.request import BytesBody, Headers, Request


class Down:
    """Tables that AWS refuses."""

    def get(self, rows):
        raise StoreDown("User: arn:aws:sts::123456789012:assumed-role/x is not authorized")


class Told:
    """A log."""

    def __init__(self):
        self.lines = []

    def event(self, name, level="info", **fields):
        self.lines.append((name, fields))


def test_not_ready_says_no_more():
    """Anybody may ask for /health/ready: why it is not is for the log."""
    log = Told()
    request = Request("GET", b"/health/ready", (), Headers(), BytesBody(), True, "192.0.2.1")

    answer = ready(Down(), log)(request)

    assert 503 == answer.status
    assert b"arn" not in answer.body and b"the log says why" in answer.body
    assert ["not_ready"] == [name for name, _ in log.lines]
    assert "assumed-role" in log.lines[0][1]["problem"]
