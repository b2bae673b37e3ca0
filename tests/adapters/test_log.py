"""The log and the clock of a real process."""

import io
import json
import os
import time
from pathlib import Path

import pytest

from chalicelib.adapters.system import (
    FileLocks,
    JsonLog,
    NullLog,
    SystemClock,
)
from tests.conformance.system import (
    SOON,
)

ROOT = Path(__file__).parent.parent.parent
HASTY_MS = 100
HOLDER = """
import sys
from pathlib import Path
from chalicelib.adapters.system import FileLocks, SystemClock
with FileLocks(Path(sys.argv[1]), SystemClock()).hold("name"):
    print("held", flush=True)
    sys.stdin.read()
"""


class TestJsonLog:
    """One line per event."""

    @pytest.fixture
    def stream(self):
        return io.StringIO()

    @pytest.fixture
    def log(self, stream):
        class At:
            def now_ms(self):
                return 1_700_000_000_123

        return JsonLog(stream, At())

    def test_a_line(self, log, stream):
        """Time, level and event first, then the fields."""
        log.event("put_done", size=5, key="a\nb", took_ms=1.5, ok=True, none=None)

        assert stream.getvalue() == (
            '{"ts": "2023-11-14T22:13:20.123Z", "level": "info", "event": "put_done", "size": 5, '
            '"key": "a\\nb", "took_ms": 1.5, "ok": true, "none": null}\n'
        )

    def test_a_level(self, log, stream):
        """`level` is a field with a place of its own."""
        log.event("stopped", level="error")

        assert "error" == json.loads(stream.getvalue())["level"]

    @pytest.mark.parametrize(
        "name", ["secret", "secret_key", "Password", "sessionToken", "x_amz_signature", "AUTHORIZATION"]
    )
    def test_secrets_are_blacked_out(self, log, stream, name):
        """By the field's name, at any depth."""
        log.event("seen", **{name: "s3cr3t", "headers": {name: "s3cr3t", "list": [{name: "s3cr3t"}]}})

        assert "s3cr3t" not in stream.getvalue()
        assert "…" == json.loads(stream.getvalue())[name]

    def test_secrets_within_texts(self, log, stream):
        """A presigned URL or a header loses its signature."""
        log.event("seen", url="/b/k?X-Amz-Signature=abcdef&x=1", error="Authorization: s3cr3t rest")

        line = json.loads(stream.getvalue())
        assert ("/b/k?X-Amz-Signature=…&x=1", "Authorization: … rest") == (line["url"], line["error"])

    def test_anything_can_be_logged(self, log, stream):
        """Bytes, errors, deep and broken values: one line each."""
        deep = {"a": {"b": {"c": {"d": {"e": "f"}}}}}
        for value in (b"\x00\xff", KeyError("x"), deep, {1, 2}, "\ud800", "x" * 9999, Path("p")):
            log.event("seen", value=value)

        lines = stream.getvalue().split("\n")
        assert 8 == len(lines)
        assert "00ff" == json.loads(lines[0])["value"]
        assert all(len(line) < 2_200 for line in lines)

    def test_a_closed_stream_stops_nobody(self, log, stream):
        """The request goes on without its log line."""
        stream.close()

        log.event("seen")

    def test_null_log(self):
        """Takes the same and says nothing."""
        NullLog().event("seen", a=1)


def test_the_clock():
    """Milliseconds since 1970, and sleep gives way for about as long as asked."""
    clock = SystemClock()

    before = clock.now_ms()
    clock.sleep_ms(20)
    after = clock.now_ms()

    assert abs(before / 1000 - time.time()) < SOON
    assert 15 <= after - before < SOON * 1000


def test_nothing_is_left_open(tmp_path):
    """A hundred locks and blocks of work leave no descriptor behind."""
    locks = FileLocks(tmp_path, SystemClock())
    before = len(os.listdir("/proc/self/fd"))

    for number in range(100):
        with locks.hold(str(number)):
            pass

    assert before == len(os.listdir("/proc/self/fd"))
