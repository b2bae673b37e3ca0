"""A REST API of API Gateway before a function (AWS_PROXY), as the packaged template describes it.

    RestApi(api, functions, stage=True).answer(request)      …/stage/bucket/key
    RestApi(api, functions, stage=False)                     a custom domain: no stage in the path
    RestApi(api, functions, drops_signatures=True)           Authorization with a Signature V4 is left out

Routes  resources and methods of the template; anything else is 403 Missing Authentication Token
Event   payload 1.0: `path` as sent without the stage, query decoded, the headers of DROPPED left out
Answer  the headers of REMAPPED become x-amzn-Remapped-…; Content-Length is counted anew, so that of HEAD is 0
Limits  10 MB of body and 6 MB of event → 413, 29 s → 504, an error or a malformed answer → 502, unless the
        template's GatewayResponses say otherwise
Source  API Gateway developer guide: "Amazon API Gateway important notes", "Lambda proxy integrations in API
        Gateway", "Quotas for configuring and running a REST API", "Gateway response types". What is not
        documented: localstack's `next_gen` (its tests ran against AWS) for header names, Architect's sandbox
        ("actually observed") for REMAPPED, clients' bug reports for the texts of 413.
Unsure  whether real routing counts empty segments (`/b//k`, `/b/k/`): here they are passed over; whether
        requestContext.path of `/stage` is `/stage` or `/stage/`: here it is as sent; whether Authorization
        arrives where methods ask for none: AWS's notes, as remembered, say it is dropped with a
        Signature Version 4 in it, localstack's tests saw any other value arrive. So there is one of each
"""

import base64
import fnmatch
import re
import time
import uuid
from typing import Any
from urllib.parse import unquote

from tests.lambda_host.front import (
    JSON,
    TRACE,
    Malformed,
    body_of,
    forwarded,
    invoke_within,
    json_answer,
    now,
    query_pairs,
    trace_id,
)
from tests.lambda_host.function import Function, PayloadTooLarge, Throttled
from tests.lambda_host.gateway_responses import GatewayResponses
from tests.lambda_host.template import ACCOUNT, Api, Route
from tests.lambda_host.wire import Answer, Request

BODY_BYTES_MAX = 10_485_760
DROPPED = {
    "connection", "content-length", "content-md5", "expect", "max-forwards", "proxy-authenticate", "server",
    "te", "transfer-encoding", "trailer", "upgrade", "www-authenticate",
}  # fmt: skip
REMAPPED = {
    "authorization", "connection", "content-length", "content-md5", "date", "expect", "host", "max-forwards",
    "proxy-authenticate", "server", "trailer", "upgrade", "user-agent", "www-authenticate",
    "x-amzn-requestid", "x-amzn-trace-id",
}  # fmt: skip
NOT_SENT = {"transfer-encoding", "te"}
CAPITALISED = {"authorization": "Authorization", "user-agent": "User-Agent", "host": "Host"}


class RestApi:
    """One API; `functions` by logical id."""

    def __init__(
        self, api: Api, functions: dict[str, Function], stage: bool = True, drops_signatures: bool = False
    ) -> None:
        self._api, self._functions, self._drops_signatures = api, functions, drops_signatures
        self._prefix = f"/{api.stage}" if stage else ""
        self._own = GatewayResponses(api.gateway_responses)
        self._id = "abcdef1234"

    def answer(self, request: Request) -> Answer:
        """One request."""
        if self._prefix and request.path != self._prefix and not request.path.startswith(f"{self._prefix}/"):
            return json_answer(403, {"message": "Forbidden"}, ("x-amzn-ErrorType", "ForbiddenException"))
        if request.length > BODY_BYTES_MAX:
            return self._own.answer("REQUEST_TOO_LARGE", request)
        path = request.path.removeprefix(self._prefix) or "/"
        found = self._route(request.method, path)
        if found is None:
            return self._own.answer("MISSING_AUTHENTICATION_TOKEN", request, _not_routed(request))
        route, parameters = found
        event = self._event(request, path, route, parameters)
        try:
            result = invoke_within(self._functions[route.function], event, route.timeout_s)
        except PayloadTooLarge:
            return self._own.answer("REQUEST_TOO_LONG", request)
        except Throttled:
            return self._own.answer("INTEGRATION_FAILURE", request)
        if result is None:
            return self._own.answer("INTEGRATION_TIMEOUT", request)
        try:
            return self._answer(None if result.error else result.value(), event)
        except (Malformed, ValueError):
            return self._own.answer("MALFORMED", request)

    # ------------------------------------------------------------------------------- requests

    def _route(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        segments = [each for each in path.split("/") if each]
        for resource in sorted({route.resource for route in self._api.routes}, key=_generality):
            parameters = _match(resource, segments)
            if parameters is None:
                continue
            for route in self._api.routes:
                if route.resource == resource and route.method in (method, "ANY"):
                    return route, parameters
            return None
        return None

    def _event(self, request: Request, path: str, route: Route, parameters: dict[str, str]) -> dict[str, Any]:
        several = _headers(request)
        if self._drops_signatures and request.header("authorization").startswith("AWS4-"):
            several.pop("Authorization")
        queries: dict[str, list[str]] = {}
        for name, value in query_pairs(request):
            queries.setdefault(name, []).append(value)
        binary = self._is_binary(several)
        body = base64.b64encode(request.body).decode() if binary else request.body.decode("utf-8", "replace")
        return {
            "resource": route.resource,
            "path": path,
            "httpMethod": request.method,
            "headers": {name: values[-1] for name, values in several.items()},
            "multiValueHeaders": several,
            "queryStringParameters": {name: values[-1] for name, values in queries.items()} or None,
            "multiValueQueryStringParameters": queries or None,
            "pathParameters": parameters or None,
            "stageVariables": None,
            "requestContext": self._context(request, route),
            "body": body or None,
            "isBase64Encoded": bool(body) and binary,
        }

    def _context(self, request: Request, route: Route) -> dict[str, Any]:
        host = request.header("host")
        return {
            "resourceId": "123abc",
            "resourcePath": route.resource,
            "httpMethod": request.method,
            "extendedRequestId": uuid.uuid4().hex[:15] + "=",
            "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
            "path": request.path,
            "accountId": ACCOUNT,
            "protocol": "HTTP/1.1",
            "stage": self._api.stage,
            "domainPrefix": host.partition(".")[0],
            "requestTimeEpoch": int(time.time() * 1000),
            "requestId": str(uuid.uuid4()),
            "identity": {"sourceIp": request.peer, "userAgent": request.header("user-agent") or None},
            "domainName": host,
            "apiId": self._id,
        }

    def _is_binary(self, several: dict[str, list[str]]) -> bool:
        named = {name.lower(): values[-1] for name, values in several.items()}
        kind = named.get("content-type", JSON).partition(";")[0].strip()
        return any(fnmatch.fnmatch(kind, pattern) for pattern in self._api.binary_types)

    # -------------------------------------------------------------------------------- answers

    def _answer(self, value: Any, event: dict[str, Any]) -> Answer:
        if not isinstance(value, dict):
            raise Malformed("no answer event")
        status = int(value.get("statusCode") or 200)
        several = {name: [str(each)] for name, each in (value.get("headers") or {}).items()}
        lists = value.get("multiValueHeaders") or {}
        several |= {name: [str(each) for each in values] for name, values in lists.items()}
        headers = [("Date", now()), ("x-amzn-RequestId", event["requestContext"]["requestId"])]
        headers += [("x-amz-apigw-id", event["requestContext"]["extendedRequestId"]), (TRACE, trace_id())]
        for name, values in several.items():
            lower = name.lower()
            if lower not in NOT_SENT:
                sent = f"x-amzn-Remapped-{name}" if lower in REMAPPED else name
                headers += [(sent, each) for each in values]
        if not any(name.lower() == "content-type" for name in several):
            headers.append(("Content-Type", JSON))
        body = body_of(value, bool(value.get("isBase64Encoded")) and self._wants_binary(event))
        if event["httpMethod"] == "HEAD":
            body = b""
        return Answer(status, tuple(headers), body)

    def _wants_binary(self, event: dict[str, Any]) -> bool:
        """By the first media type of Accept."""
        named = {name.lower(): value for name, value in event["headers"].items()}
        first = named.get("accept", "*/*").split(",")[0].partition(";")[0].strip()
        return any(fnmatch.fnmatch(first, pattern) for pattern in self._api.binary_types)


def _headers(request: Request) -> dict[str, list[str]]:
    several: dict[str, list[str]] = {}
    for name, value in [*request.headers, *forwarded(request), (TRACE, trace_id())]:
        if name.lower() not in DROPPED:
            several.setdefault(CAPITALISED.get(name.lower(), name), []).append(value)
    return several


def _match(resource: str, segments: list[str]) -> dict[str, str] | None:
    """The path parameters, None when the resource does not fit."""
    wanted = [each for each in resource.split("/") if each]
    parameters = {}
    for at, each in enumerate(wanted):
        found = re.fullmatch(r"\{(\w+)(\+?)\}", each)
        if at >= len(segments):
            return None
        if found and found[2]:
            return parameters | {found[1]: unquote("/".join(segments[at:]))}
        if found:
            parameters[found[1]] = unquote(segments[at])
        elif each != segments[at]:
            return None
    return parameters if len(wanted) == len(segments) else None


def _generality(resource: str) -> tuple[int, ...]:
    """What is literal goes before what is a parameter, that before what is greedy."""
    return tuple(2 if "+}" in each else 1 if each.startswith("{") else 0 for each in resource.split("/"))


def _not_routed(request: Request) -> str:
    """What is said instead of "Missing Authentication Token" when there is one, but not one of AWS's."""
    authorization = request.header("authorization")
    if not authorization or "=" in authorization.partition(" ")[2]:
        return ""
    return (
        f"'{authorization.rpartition(' ')[2]}' not a valid key=value pair (missing equal-sign) in "
        f"Authorization header: '{authorization}'."
    )
