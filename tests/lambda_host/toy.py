"""A package of one small function that does what its event says, to look at the host itself.

with LambdaSite(toy(tmp_path), url_of="Toy") as site: site.invoke("Toy", {"do": "sleep", "seconds": 1})
told = ask(site.rest_url, "GET", "/b/k")          Told; over HTTP it answers with the event it was given,
                                                  or with what the x-answer header holds
"""

import json
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.lambda_host.packaging import Package

CODE = """
import json
import os
import sys
import time

print("imported")


def handler(event, context):
    if isinstance(event, dict) and "requestContext" in event:
        return over_http(event)
    what = event.get("do") if isinstance(event, dict) else None
    if what == "sleep":
        print("sleeping", flush=True)
        time.sleep(event["seconds"])
    if what == "raise":
        raise KeyError("as I was told")
    if what == "exit":
        os._exit(event["status"])
    if what == "large":
        return "x" * (event["bytes"] - 2)
    if what == "environment":
        return dict(os.environ)
    if what == "modules":
        return sys.path
    if what == "fail_until":
        with open(event["file"], "a") as file:
            file.write(context.aws_request_id + "\\n")
        with open(event["file"]) as file:
            tries = len(file.readlines())
        if tries < event["tries"]:
            raise ValueError(f"try {tries}")
    if "Records" in event:
        bad = [r["messageId"] for r in event["Records"] if "bad" in r["body"]]
        if any("crash" in r["body"] for r in event["Records"]):
            raise ValueError("crashed")
        if any("nonsense" in r["body"] for r in event["Records"]):
            return {"batchItemFailures": [{"itemIdentifier": ""}]}
        return {"batchItemFailures": [{"itemIdentifier": each} for each in bad]}
    return {
        "event": event,
        "pid": os.getpid(),
        "request_id": context.aws_request_id,
        "remaining_ms": context.get_remaining_time_in_millis(),
        "arn": context.invoked_function_arn,
    }


def over_http(event):
    headers = {name.lower(): value for name, value in event["headers"].items()}
    if "x-answer" in headers:
        return json.loads(headers["x-answer"])
    if "x-sleep" in headers:
        time.sleep(float(headers["x-sleep"]))
    if "x-raise" in headers:
        raise KeyError("as I was told")
    if "x-large" in headers:
        return {"statusCode": 200, "body": "x" * int(headers["x-large"])}
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": json.dumps(event)}
"""
PATHS = ("/", "/{bucket}", "/{bucket}/{key+}")


def toy(
    directory: Path,
    code: str = CODE,
    methods: tuple[str, ...] = ("get", "head", "put", "post", "delete"),
    api: dict[str, Any] | None = None,
    integration: dict[str, Any] | None = None,
    **properties: Any,
) -> Package:
    """The package; `properties` are those of the function, `api` those of the API."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "toy.py").write_text(code)
    uri = {
        "Fn::Sub": "arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${Toy.Arn}/invocations"
    }
    operation = {"x-amazon-apigateway-integration": {"type": "aws_proxy", "uri": uri, **(integration or {})}}
    definition = {
        "paths": {path: {method: operation for method in methods} for path in PATHS},
        "x-amazon-apigateway-binary-media-types": ["*/*"],
    }
    own = {"Handler": "toy.handler", "Timeout": 10, "FunctionUrlConfig": {"AuthType": "NONE"}, **properties}
    template = {
        "Resources": {
            "Toy": {"Type": "AWS::Serverless::Function", "Properties": own},
            "RestAPI": {
                "Type": "AWS::Serverless::Api",
                "Properties": {"StageName": "s3", "DefinitionBody": definition, **(api or {})},
            },
        }
    }
    return Package("toy", directory, template, directory, (), {})


@dataclass(frozen=True)
class Told:
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Its body."""
        return json.loads(self.body)


def ask(  # noqa: PLR0913 - what a request consists of
    url: str,
    method: str,
    path: str,
    headers: dict[str, str] | None = None,
    body: bytes | Any = None,
    chunked: bool = False,
) -> Told:
    """One request; the path goes out as it is given, below the URL's own."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=30)
    try:
        target = parts.path + path
        connection.request(method, target, body, headers or {}, encode_chunked=chunked)
        answer = connection.getresponse()
        named = {name.lower(): value for name, value in answer.getheaders()}
        return Told(answer.status, named, answer.read())
    finally:
        connection.close()


def answering(value: Any) -> dict[str, str]:
    """The header that makes the function answer so."""
    return {"x-answer": json.dumps(value)}
