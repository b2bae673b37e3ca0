"""What API Gateway answers by itself, as the template's GatewayResponses word it.

    GatewayResponses(declared).answer("INTEGRATION_TIMEOUT", request)

Source  API Gateway developer guide, "Gateway response types", "Gateway responses in API Gateway"; "Important
        notes": "Customizing the default gateway response for 413 REQUEST_TOO_LARGE isn't currently supported"
Unsure  how one of several templates is chosen: here by Accept, else the first
"""

import fnmatch
import json
import uuid
from dataclasses import dataclass
from typing import Any

from tests.lambda_host.front import JSON, now
from tests.lambda_host.wire import Answer, Request


@dataclass(frozen=True)
class Default:
    """What is said when the template says nothing."""

    status: int
    message: str
    kind: str
    content_type: str = JSON


DEFAULTS = {
    "REQUEST_TOO_LARGE": Default(
        413, "HTTP content length exceeded 10485760 bytes.", "RequestTooLargeException", "text/plain"
    ),
    "REQUEST_TOO_LONG": Default(413, "Request Too Long", "RequestTooLargeException"),  # for the function
    "MISSING_AUTHENTICATION_TOKEN": Default(
        403, "Missing Authentication Token", "MissingAuthenticationTokenException"
    ),
    "INTEGRATION_TIMEOUT": Default(504, "Endpoint request timed out", "InternalServerErrorException"),
    "MALFORMED": Default(502, "Internal server error", "InternalServerErrorException"),
    "THROTTLED": Default(429, "Too Many Requests", "TooManyRequestsException"),
    "INTEGRATION_FAILURE": Default(500, "Internal server error", "InternalServerErrorException"),
}
FIXED = {"REQUEST_TOO_LARGE", "REQUEST_TOO_LONG"}
# Two of these are one type, and one has none but the default.
NAMED = {"REQUEST_TOO_LONG": "REQUEST_TOO_LARGE", "MALFORMED": "DEFAULT_5XX"}


class GatewayResponses:
    """`declared` is the property of AWS::Serverless::Api."""

    def __init__(self, declared: dict[str, Any]) -> None:
        self._declared = declared

    def answer(self, name: str, request: Request, message: str = "") -> Answer:
        """The answer of one type; `message` replaces AWS's own."""
        default = DEFAULTS[name]
        said = message or default.message
        kind = NAMED.get(name, name)
        declared = {} if name in FIXED else self._declared
        chosen = declared.get(kind) or declared.get(f"DEFAULT_{default.status // 100}XX") or {}
        status = int(chosen.get("StatusCode") or default.status)
        content_type, body = self._body(chosen.get("ResponseTemplates") or {}, request, kind, said)
        headers = [("Date", now()), ("x-amzn-ErrorType", default.kind)]
        if not body:
            content_type = default.content_type
            body = said if content_type == "text/plain" else json.dumps({"message": said})
        headers.append(("Content-Type", content_type))
        return Answer(status, tuple(headers), body.encode(), close=request.length > len(request.body))

    @staticmethod
    def _body(templates: dict[str, str], request: Request, kind: str, said: str) -> tuple[str, str]:
        if not templates:
            return "", ""
        accepted = [each.partition(";")[0].strip() for each in request.header("accept", "*/*").split(",")]
        fitting = [t for t in templates if any(fnmatch.fnmatch(t, pattern) for pattern in accepted)]
        content_type = (fitting or list(templates))[0]
        values = {
            "$context.error.messageString": json.dumps(said),
            "$context.error.message": said,
            "$context.error.responseType": kind,
            "$context.requestId": str(uuid.uuid4()),
        }
        text = templates[content_type]
        for name, value in values.items():
            text = text.replace(name, value)
        return content_type, text
