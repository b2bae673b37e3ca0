"""What both fronts share: an HTTP request becomes an event, a function's answer an HTTP answer.

A front's `answer(request)` is the whole of it; `tests.lambda_host.wire.Server` puts it behind a socket.
"""

import base64
import binascii
import json
import threading
import time
import uuid
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl

from tests.lambda_host.function import Function, Result
from tests.lambda_host.wire import Answer, Request

JSON = "application/json"
TRACE = "X-Amzn-Trace-Id"


class Malformed(Exception):
    """The function returned what its front cannot make an answer of."""


def json_answer(status: int, body: Any, *headers: tuple[str, str]) -> Answer:
    """One of a front's own."""
    return Answer(status, (("Date", now()), ("Content-Type", JSON), *headers), json.dumps(body).encode())


def now() -> str:
    """For Date."""
    return formatdate(usegmt=True)


def trace_id() -> str:
    """A new one."""
    return f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]}"


def forwarded(request: Request) -> list[tuple[str, str]]:
    """What fronts add: TLS ended with them."""
    return [
        ("X-Forwarded-For", request.peer),
        ("X-Forwarded-Port", "443"),
        ("X-Forwarded-Proto", "https"),
    ]


def query_pairs(request: Request) -> list[tuple[str, str]]:
    """Decoded, in order, empty values kept."""
    return parse_qsl(request.query, keep_blank_values=True, errors="replace")


def body_of(answer: dict[str, Any], decode: bool) -> bytes:
    """The bytes of an answer event."""
    body = answer.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise Malformed("body is no string")
    if not decode:
        return body.encode()
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("body is not base64") from None


def invoke_within(function: Function, event: dict[str, Any], seconds: float) -> Result | None:
    """The result, or None when it did not come in time; the function goes on by itself then."""
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(function.invoke(event))
        except Exception as problem:
            future.set_exception(problem)

    threading.Thread(target=run, daemon=True).start()
    try:
        return future.result(seconds)
    except TooLate:
        return None
