"""What stands before a function: HTTP requests become events as AWS's fronts make them, answers come back.

    REST API      payload 1.0: path raw and without the stage, query decoded, some headers dropped
    Function URL  payload 2.0: path and query raw, header names in lower case, repeated ones joined

    through(front, call)   a boto3 client whose requests go to `call(event) → answer`, never to a socket

Source  AWS "Set up Lambda proxy integrations", "Function URL payloads", "API Gateway important notes".
"""

import base64
import io
from urllib.parse import parse_qsl, urlsplit

import boto3
from botocore.awsrequest import AWSResponse, HeadersDict
from botocore.config import Config

# "API Gateway important notes": dropped on the way to an integration.
DROPPED = {
    "connection", "content-length", "content-md5", "expect", "max-forwards", "proxy-authenticate", "server",
    "te", "transfer-encoding", "trailer", "upgrade", "www-authenticate",
}  # fmt: skip
NO_RETRY = {"total_max_attempts": 1, "mode": "standard"}


class RestApi:
    """An API gateway's REST API, below a stage or behind a custom domain."""

    def __init__(self, stage=""):
        self.endpoint = f"https://api.example.test{stage and '/'}{stage}"
        self._stage = stage

    def event(self, method, url, headers, body):
        """Payload 1.0."""
        parts = urlsplit(url)
        path = parts.path or "/"
        below = (path[len(self._stage) + 1 :] or "/") if self._stage else path
        sent = {"Host": parts.netloc, **{n: v for n, v in headers.items() if n.lower() != "host"}}
        kept = {name: value for name, value in sent.items() if name.lower() not in DROPPED}
        query = {}
        for name, value in parse_qsl(parts.query, keep_blank_values=True):
            query.setdefault(name, []).append(value)
        return {
            "resource": "/{bucket}/{key+}",
            "path": below,
            "httpMethod": method,
            "headers": kept,
            "multiValueHeaders": {name: [value] for name, value in kept.items()},
            "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
            "multiValueQueryStringParameters": query or None,
            "pathParameters": None,
            "stageVariables": None,
            "requestContext": {
                "resourcePath": "/{bucket}/{key+}",
                "httpMethod": method,
                "path": path,
                "stage": self._stage or "s3",
                "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
                "identity": {"sourceIp": "192.0.2.7", "userAgent": "test"},
            },
            "body": base64.b64encode(body).decode() if body else None,
            "isBase64Encoded": bool(body),
        }


class FunctionUrl:
    """A Function URL."""

    endpoint = "https://abcdefg.lambda-url.example.test"

    def event(self, method, url, headers, body):
        """Payload 2.0."""
        parts = urlsplit(url)
        return {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": parts.path or "/",
            "rawQueryString": parts.query,
            "headers": {"host": parts.netloc, **{name.lower(): value for name, value in headers.items()}},
            "requestContext": {
                "accountId": "anonymous",
                "apiId": "abcdefg",
                "domainName": parts.netloc,
                "http": {
                    "method": method,
                    "path": parts.path or "/",
                    "protocol": "HTTP/1.1",
                    "sourceIp": "192.0.2.7",
                    "userAgent": "test",
                },
                "requestId": "e1506fd5-9e7b-434f-bd42-4f8fa224b599",
                "routeKey": "$default",
                "stage": "$default",
            },
            **({"body": base64.b64encode(body).decode(), "isBase64Encoded": True} if body else {}),
        }


class _Raw(io.BytesIO):
    def stream(self, **_):
        """All at once."""
        yield self.read()


def body_of(answer):
    """The bytes of an answer."""
    if answer.get("isBase64Encoded"):
        return base64.b64decode(answer["body"], validate=True)
    return (answer.get("body") or "").encode()


def headers_of(answer):
    """name (lower case) → value."""
    several = {**{n: [v] for n, v in answer["headers"].items()}, **answer.get("multiValueHeaders", {})}
    return {name.lower(): ",".join(values) for name, values in several.items()}


def through(front, call, access_key, secret, region):
    """A boto3 client of S3 before a front."""
    client = boto3.client(
        "s3",
        endpoint_url=front.endpoint,
        region_name=region,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries=NO_RETRY),
    )

    def send(request, **_):
        body = request.body or b""
        body = body if isinstance(body, bytes) else body.read()
        headers = {name: _text(value) for name, value in request.headers.items()}
        answer = call(front.event(request.method, request.url, headers, body))
        return AWSResponse(
            request.url, answer["statusCode"], HeadersDict(headers_of(answer)), _Raw(body_of(answer))
        )

    client.meta.events.register_first("before-send.s3", send)
    return client


def _text(value):
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
