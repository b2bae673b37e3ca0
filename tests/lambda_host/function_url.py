"""A Function URL (AuthType NONE, BUFFERED) before its function.

    FunctionUrl(function).answer(request)

Event   payload 2.0: path and query as sent, header names in lower case and repeated ones joined by commas,
        cookies apart; the body as text if its type is text, JSON or XML and it is ASCII, else in base64
Answer  as the function says; what has no statusCode is JSON of its own. HEAD keeps the Content-Length
Limits  6 MB of event → 413; the function's own time; an error → 502
Source  Lambda developer guide: "Invoking Lambda function URLs", "Lambda quotas"; localstack's urlrouter.py
        for what is text and for 502; clients' bug reports for the text of 413
Unsure  what a HEAD's Content-Length becomes on AWS: nobody documents it
"""

import base64
import json
import time
import uuid
from typing import Any

from tests.lambda_host.front import (
    JSON,
    TRACE,
    Malformed,
    body_of,
    forwarded,
    json_answer,
    now,
    query_pairs,
    trace_id,
)
from tests.lambda_host.function import Function, PayloadTooLarge, Throttled
from tests.lambda_host.wire import Answer, Request

TEXT = ("text", "json", "xml")
ENDS_HERE = {"connection", "expect", "transfer-encoding", "cookie"}  # between the client and the front only
NOT_SENT = {"connection", "transfer-encoding", "content-length", "keep-alive"}


class FunctionUrl:
    """One function's."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self._id = "abcdefghijklmnopqrstuvwxyz0123"

    def answer(self, request: Request) -> Answer:
        """One request."""
        try:
            result = self._function.invoke(self.event(request))
        except PayloadTooLarge as problem:
            return json_answer(413, {"Message": str(problem)})
        except Throttled as problem:
            return json_answer(429, {"Message": str(problem)})
        try:
            if result.error:
                raise Malformed(result.payload.decode(errors="replace"))
            return _answer(result.payload, request.method, result.request_id)
        except (Malformed, ValueError):
            headers = (("Date", now()), ("Content-Type", JSON), ("x-amzn-RequestId", result.request_id))
            return Answer(502, headers, b"Internal Server Error")

    def event(self, request: Request) -> dict[str, Any]:
        """Payload 2.0."""
        event: dict[str, Any] = {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": request.path,
            "rawQueryString": request.query,
            "headers": _headers(request),
            "requestContext": self._context(request),
            "isBase64Encoded": False,
        }
        cookies = [value for name, value in request.headers if name.lower() == "cookie"]
        if cookies:
            event["cookies"] = [each.strip() for value in cookies for each in value.split(";")]
        queries: dict[str, str] = {}
        for name, value in query_pairs(request):
            queries[name] = f"{queries[name]},{value}" if name in queries else value
        if queries:
            event["queryStringParameters"] = queries
        if request.body:
            kind = request.header("content-type").lower()
            text = request.body.isascii() and any(each in kind for each in TEXT)
            event["body"] = request.body.decode() if text else base64.b64encode(request.body).decode()
            event["isBase64Encoded"] = not text
        return event

    def _context(self, request: Request) -> dict[str, Any]:
        return {
            "accountId": "anonymous",
            "apiId": self._id,
            "domainName": request.header("host"),
            "domainPrefix": self._id,
            "http": {
                "method": request.method,
                "path": request.path,
                "protocol": "HTTP/1.1",
                "sourceIp": request.peer,
                "userAgent": request.header("user-agent"),
            },
            "requestId": str(uuid.uuid4()),
            "routeKey": "$default",
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
            "timeEpoch": int(time.time() * 1000),
        }


def _headers(request: Request) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in [*request.headers, *forwarded(request), (TRACE, trace_id())]:
        lower = name.lower()
        if lower not in ENDS_HERE:
            joined[lower] = f"{joined[lower]},{value}" if lower in joined else value
    return joined


def _answer(payload: bytes, method: str, request_id: str) -> Answer:
    value = json.loads(payload)
    whole = isinstance(value, dict) and "statusCode" in value
    if not whole:  # "Lambda infers the response format for you"
        value = {"statusCode": 200, "body": payload.decode()}
    said = {name.lower(): str(each) for name, each in (value.get("headers") or {}).items()}
    headers = [(name, each) for name, each in said.items() if name not in NOT_SENT]
    if "date" not in said:
        headers.append(("Date", now()))
    if "content-type" not in said:
        headers.append(("Content-Type", JSON))
    headers += [("Set-Cookie", each) for each in value.get("cookies", [])]
    headers += [("x-amzn-RequestId", request_id), (TRACE, trace_id())]
    body = body_of(value, bool(value.get("isBase64Encoded")))
    if method == "HEAD" and "content-length" in said:
        headers.append(("Content-Length", said["content-length"]))
    return Answer(int(value["statusCode"]), tuple(headers), body)
