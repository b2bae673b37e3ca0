"""The REST API as the API Gateway developer guide documents it; each test names its page."""

import base64
import json

import pytest

from tests.lambda_host import LambdaSite
from tests.lambda_host.rest_api import BODY_BYTES_MAX
from tests.lambda_host.toy import answering, ask, toy

HEADERS = {"X-CaSe": "1", "authorization": "AWS4-HMAC-SHA256 Credential=x", "Expect": "100-continue"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with LambdaSite(toy(tmp_path_factory.mktemp("toy"), Timeout=20)) as site:
        yield site


def event_of(url, method, path, **more):
    told = ask(url, method, path, **more)
    assert told.status == 200, told
    return told.json()


@pytest.mark.parametrize(
    "path", ["/", "/b", "/b/", "/b/k", "/b//k", "/b/k/", "/b/a%2Fb", "/b/%C3%BC/x+y", "/b/..a/./b"]
)
def test_paths_come_raw_and_without_the_stage(site, path):
    """ "Lambda proxy integrations", input format: `path` below the stage, `requestContext.path` with it."""
    event = event_of(site.rest_url, "GET", path)
    assert (event["path"], event["requestContext"]["path"]) == (path, f"/s3{path}")
    assert event["requestContext"]["stage"] == "s3"

    event = event_of(site.domain_url, "GET", path)
    assert (event["path"], event["requestContext"]["path"]) == (path, path)


def test_resources(site):
    """ "Lambda proxy integrations": the resource that was matched, its parameters decoded."""
    event = event_of(site.rest_url, "GET", "/b%20c/k/a%2Fb/")

    assert event["resource"] == event["requestContext"]["resourcePath"] == "/{bucket}/{key+}"
    assert event["pathParameters"] == {"bucket": "b c", "key": "k/a/b"}
    assert event_of(site.rest_url, "GET", "/b/")["resource"] == "/{bucket}"
    assert event_of(site.rest_url, "GET", "/")["pathParameters"] is None


def test_queries_come_decoded(site):
    """ "Support for multi-value headers and query string parameters": all values, the last one apart."""
    event = event_of(site.rest_url, "GET", "/b?list-type=2&prefix=a%2Fb%20c&x=1&x=2&empty&also=")

    assert event["multiValueQueryStringParameters"] == {
        "list-type": ["2"], "prefix": ["a/b c"], "x": ["1", "2"], "empty": [""], "also": [""],
    }  # fmt: skip
    assert event["queryStringParameters"]["x"] == "2"
    assert event_of(site.rest_url, "GET", "/b")["multiValueQueryStringParameters"] is None


def test_headers_that_are_dropped(site):
    """ "Important notes": headers that never reach the integration; the others keep their case."""
    event = event_of(
        site.rest_url, "PUT", "/b/k", headers={**HEADERS, "Content-MD5": "x", "TE": "t"}, body=b"x"
    )

    assert event["headers"]["X-CaSe"] == "1"
    assert event["headers"]["Authorization"] == HEADERS["authorization"]
    assert event["multiValueHeaders"]["X-CaSe"] == ["1"]
    lower = {name.lower() for name in event["headers"]}
    assert not lower & {"content-length", "content-md5", "expect", "te", "connection", "transfer-encoding"}
    assert {"host", "x-forwarded-for", "x-forwarded-proto", "x-amzn-trace-id"} <= lower


def test_signatures_may_be_dropped(site):
    """ "Important notes", as remembered: Authorization is dropped if it holds a Signature Version 4."""
    signed = event_of(site.strict_url, "GET", "/b/k", headers=HEADERS)
    basic = event_of(site.strict_url, "GET", "/b/k", headers={"Authorization": "Basic Zm9v"})

    assert "Authorization" not in {*signed["headers"], *signed["multiValueHeaders"]}
    assert basic["headers"]["Authorization"] == "Basic Zm9v"


def test_bodies_are_base64(site):
    """ "Working with binary media types": */* makes every body binary, and an empty one null."""
    event = event_of(site.rest_url, "PUT", "/b/k", body=b"text", headers={"Content-Type": "text/plain"})
    assert (base64.b64decode(event["body"]), event["isBase64Encoded"]) == (b"text", True)
    event = event_of(site.rest_url, "PUT", "/b/k")
    assert (event["body"], event["isBase64Encoded"]) == (None, False)


def test_without_binary_types_bodies_are_text(tmp_path):
    """The same page: what is not listed comes as text."""
    package = toy(tmp_path)
    definition = package.template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]
    definition["x-amazon-apigateway-binary-media-types"] = ["image/*"]
    with LambdaSite(package) as site:
        event = event_of(site.rest_url, "PUT", "/b/k", body=b"text", headers={"Content-Type": "text/plain"})
        assert (event["body"], event["isBase64Encoded"]) == ("text", False)
        event = event_of(site.rest_url, "PUT", "/b/k", body=b"\xff", headers={"Content-Type": "image/png"})
        assert (event["body"], event["isBase64Encoded"]) == ("/w==", True)


def test_chunked_bodies(site):
    """HTTP/1.1: a chunked body is put together before the function sees it."""
    headers = {"Transfer-Encoding": "chunked", "Content-Type": "x/y"}
    event = event_of(site.rest_url, "PUT", "/b/k", body=iter([b"abc", b"def"]), chunked=True, headers=headers)

    assert base64.b64decode(event["body"]) == b"abcdef"


# ----------------------------------------------------------------------------------- answers


def test_answers(site):
    """ "Lambda proxy integrations", output format: both kinds of headers, base64 decoded."""
    value = {
        "statusCode": 201,
        "headers": {"X-One": "1"},
        "multiValueHeaders": {"X-Two": ["a", "b"]},
        "body": base64.b64encode(b"\x00\xff").decode(),
        "isBase64Encoded": True,
    }
    told = ask(site.rest_url, "GET", "/b/k", answering(value))

    assert (told.status, told.body, told.headers["x-one"]) == (201, b"\x00\xff", "1")
    assert told.headers["content-type"] == "application/json"
    assert told.headers["content-length"] == "2"


def test_headers_that_are_remapped(site):
    """ "Important notes": what the gateway answers for itself comes back as x-amzn-Remapped-…"""
    headers = {"Content-Length": "99", "Date": "then", "Server": "me", "WWW-Authenticate": "x", "ETag": '"e"'}
    told = ask(
        site.rest_url, "GET", "/b/k", answering({"statusCode": 200, "headers": headers, "body": "hello"})
    )

    assert told.headers["content-length"] == "5"
    assert told.headers["x-amzn-remapped-content-length"] == "99"
    assert told.headers["x-amzn-remapped-date"] == "then" != told.headers["date"]
    assert "server" not in told.headers and told.headers["x-amzn-remapped-server"] == "me"
    assert told.headers["x-amzn-remapped-www-authenticate"] == "x"
    assert told.headers["etag"] == '"e"'


def test_head_loses_its_length(site):
    """The same page: Content-Length is the gateway's own, and a HEAD's body has none."""
    value = {"statusCode": 200, "headers": {"Content-Length": "1234"}, "body": ""}
    told = ask(site.rest_url, "HEAD", "/b/k", answering(value))

    assert (told.headers["content-length"], told.headers["x-amzn-remapped-content-length"]) == ("0", "1234")


@pytest.mark.parametrize(
    "value", ["text", None, [1], {"statusCode": "x"}, {"statusCode": 200, "body": {}},
              {"statusCode": 200, "body": "?", "isBase64Encoded": True}]
)  # fmt: skip
def test_malformed_answers(site, value):
    """ "Lambda proxy integrations": anything else is 502 Internal server error."""
    told = ask(site.rest_url, "GET", "/b/k", answering(value))

    assert (told.status, told.json()) == (502, {"message": "Internal server error"})


def test_errors_of_the_function(site):
    """The same: what it raised is not shown."""
    told = ask(site.rest_url, "GET", "/b/k", {"x-raise": "1"})

    assert (told.status, told.json()) == (502, {"message": "Internal server error"})


# ------------------------------------------------------------------------------------ limits


def test_what_is_not_routed(site):
    """ "Gateway response types": a method or resource that is not there is MISSING_AUTHENTICATION_TOKEN."""
    told = ask(site.rest_url, "PATCH", "/b/k")
    assert (told.status, told.json()) == (403, {"message": "Missing Authentication Token"})
    told = ask(site.rest_url, "PATCH", "/b/k", {"Authorization": "Basic Zm9v"})
    assert "not a valid key=value pair" in told.json()["message"]
    told = ask(site.domain_url + "/other", "GET", "/b/k")
    assert told.status == 200  # a custom domain has no stage
    told = ask(site.rest_url.replace("/s3", "/other"), "GET", "/b/k")
    assert (told.status, told.json()) == (403, {"message": "Forbidden"})


def test_ten_megabytes(site):
    """ "Quotas": a payload of 10 MB; beyond it 413, and 413 for an event of more than 6 MB."""
    told = ask(site.rest_url, "PUT", "/b/k", body=b"x" * (BODY_BYTES_MAX + 1))
    assert (told.status, told.body) == (413, b"HTTP content length exceeded 10485760 bytes.")
    told = ask(site.rest_url, "PUT", "/b/k", body=b"x" * 4_800_000)
    assert (told.status, told.json()) == (413, {"message": "Request Too Long"})
    assert len(event_of(site.rest_url, "PUT", "/b/k", body=b"x" * 3_000_000)["body"]) == 4_000_000


def test_six_megabytes_of_answer(site):
    """ "Lambda quotas": 6 MB; a larger answer is an error of the function, so 502."""
    assert ask(site.rest_url, "GET", "/b/k", {"x-large": str((6 << 20) + 100)}).status == 502
    assert len(ask(site.rest_url, "GET", "/b/k", {"x-large": str(5 << 20)}).body) == 5 << 20


def test_the_time_limit(tmp_path):
    """ "Quotas": an integration has 29 s, or less where the API says so; the function goes on by itself."""
    with LambdaSite(toy(tmp_path, integration={"timeoutInMillis": 300})) as site:
        assert ask(site.rest_url, "GET", "/b/k").status == 200  # warm
        told = ask(site.rest_url, "GET", "/b/k", {"x-sleep": "1"})
        assert (told.status, told.json()) == (504, {"message": "Endpoint request timed out"})
        assert site.sandboxes("Toy")
    assert LambdaSite(toy(tmp_path)).template.api().routes[0].timeout_s == 29


def test_gateway_responses_of_the_template(tmp_path):
    """ "Gateway responses": the template words what the gateway answers by itself, by type or by default."""
    xml = "<Error><Code>{}</Code><Message>$context.error.message</Message></Error>"
    own = {
        "MISSING_AUTHENTICATION_TOKEN": {
            "StatusCode": "405",
            "ResponseTemplates": {"application/xml": xml.format("MethodNotAllowed")},
        },
        "DEFAULT_5XX": {"ResponseTemplates": {"application/xml": xml.format("InternalError")}},
    }
    with LambdaSite(toy(tmp_path, api={"GatewayResponses": own})) as site:
        told = ask(site.rest_url, "PATCH", "/b/k")
        assert (told.status, told.headers["content-type"]) == (405, "application/xml")
        assert b"<Code>MethodNotAllowed</Code><Message>Missing Authentication Token</Message>" in told.body
        told = ask(site.rest_url, "GET", "/b/k", {"x-raise": "1"})
        assert (told.status, b"<Code>InternalError</Code>" in told.body) == (502, True)


def test_what_is_sent_is_json(site):
    """An event is JSON of strings, numbers, lists and null: nothing of this process."""
    assert json.dumps(event_of(site.rest_url, "GET", "/b/k"))
