"""JSON over HTTP, as the admin API and the direct API speak it.

fields_of(body)           the JSON object a body holds; InvalidRequest if it holds none
answer(status, value)     a value as an answer that nobody keeps: it may hold secrets, or URLs
"""

from __future__ import annotations

import json
from typing import Any

from chalicelib.objects.errors import InvalidRequest
from chalicelib.s3.request import Response

Fields = dict[str, Any]


def fields_of(body: bytes) -> Fields:
    """What was asked."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise InvalidRequest("send a JSON object")
    return fields


def answer(status: int, value: Any) -> Response:
    """What is answered."""
    body = json.dumps(value).encode()
    headers = [
        ("Content-Type", "application/json"),
        ("Cache-Control", "no-store"),
        ("Content-Length", str(len(body))),
    ]
    return Response(status, headers, body)
