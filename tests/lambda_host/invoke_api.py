"""Lambda's own Invoke over HTTP, for who calls functions by an SDK: boto3.client("lambda", endpoint_url=…).

    InvokeApi(functions).answer(request)     functions by function name, ARN or logical id

Signatures are not looked at: IAM is no part of this host.
Source  AWS Lambda API reference, "Invoke"
"""

import base64
import json
import re
from urllib.parse import unquote

from tests.lambda_host.function import Function, PayloadTooLarge, Throttled
from tests.lambda_host.wire import Answer, Request

PATH = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")
LOG_BYTES_MAX = 4096
JSON = ("Content-Type", "application/json")


class InvokeApi:
    """One region of one account."""

    def __init__(self, functions: dict[str, Function]) -> None:
        self._functions = functions

    def answer(self, request: Request) -> Answer:
        """One request."""
        found = PATH.fullmatch(request.path)
        function = self._named(unquote(found[1])) if found and request.method == "POST" else None
        if function is None:
            return _refused(404, "ResourceNotFoundException", f"Function not found: {request.path}")
        kind = request.header("x-amz-invocation-type", "RequestResponse")
        event = request.body or b"{}"
        try:
            if kind == "DryRun":
                return Answer(204)
            if kind == "Event":
                function.invoke_async(event)
                return Answer(202, (JSON,))
            result = function.invoke(event)
        except PayloadTooLarge as problem:
            return _refused(413, "RequestTooLargeException", str(problem))
        except Throttled as problem:
            return _refused(429, "TooManyRequestsException", str(problem))
        headers = [JSON, ("x-amzn-RequestId", result.request_id), ("X-Amz-Executed-Version", "$LATEST")]
        if result.error:
            headers.append(("X-Amz-Function-Error", "Unhandled"))
        if request.header("x-amz-log-type") == "Tail":
            tail = "\n".join(result.sandbox.lines).encode()[-LOG_BYTES_MAX:]
            headers.append(("X-Amz-Log-Result", base64.b64encode(tail).decode()))
        return Answer(200, tuple(headers), result.payload)

    def _named(self, name: str) -> Function | None:
        for logical_id, function in self._functions.items():
            if name in (logical_id, function.spec.function_name, function.spec.arn):
                return function
        return None


def _refused(status: int, kind: str, message: str) -> Answer:
    body = json.dumps({"Type": "User", "Message": message}).encode()
    return Answer(status, (JSON, ("x-amzn-ErrorType", kind)), body)
