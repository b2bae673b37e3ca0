"""The Function URL as "Invoking Lambda function URLs" and "Lambda quotas" of Lambda's guide say it."""

import base64

import pytest

from tests.lambda_host import LambdaSite
from tests.lambda_host.toy import answering, ask, toy


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with LambdaSite(toy(tmp_path_factory.mktemp("toy"), Timeout=20)) as site:
        yield site


def event_of(site, method, path, **more):
    told = ask(site.function_url, method, path, **more)
    assert told.status == 200, told
    return told.json()


@pytest.mark.parametrize(
    "path", ["/", "/b//k", "//b", "/b/k/", "/b/a%2Fb", "/b/%C3%BC/x+y", "/b/..a/./b", "/b/q%3Fx"]
)
def test_paths_and_queries_come_raw(site, path):
    """`rawPath` and `rawQueryString` as sent."""
    event = event_of(site, "GET", f"{path}?x=1&x=2&y=a%2Fb+c&z")

    assert (event["rawPath"], event["requestContext"]["http"]["path"]) == (path, path)
    assert event["rawQueryString"] == "x=1&x=2&y=a%2Fb+c&z"
    assert event["queryStringParameters"] == {"x": "1,2", "y": "a/b c", "z": ""}


def test_headers(site):
    """Names in lower case, repeated ones joined, cookies apart."""
    event = event_of(site, "GET", "/b", headers={"X-CaSe": "1", "Cookie": "a=1; b=2"})

    assert event["headers"]["x-case"] == "1"
    assert event["cookies"] == ["a=1", "b=2"] and "cookie" not in event["headers"]
    assert event["headers"]["x-forwarded-proto"] == "https"
    assert (event["version"], event["requestContext"]["stage"]) == ("2.0", "$default")


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [("text/plain", b"abc", True), ("application/xml", b"<a/>", True), ("application/json", b"{}", True),
     ("text/plain", b"\xc3\xbc", False), ("application/octet-stream", b"abc", False), ("", b"abc", False)],
)  # fmt: skip
def test_bodies(site, kind, body, text):
    """Text stays text where its type says so, anything else is base64."""
    event = event_of(site, "PUT", "/b/k", body=body, headers={"Content-Type": kind} if kind else {})

    assert event["isBase64Encoded"] is not text
    assert (event["body"].encode() if text else base64.b64decode(event["body"])) == body


def test_no_body(site):
    """No key for a body that is not there."""
    event = event_of(site, "GET", "/b")

    assert "body" not in event and event["isBase64Encoded"] is False


def test_answers(site):
    """Status, headers, cookies, base64; HEAD keeps the length it is told."""
    value = {
        "statusCode": 201,
        "headers": {"X-One": "1", "Content-Length": "2"},
        "cookies": ["c=1"],
        "body": base64.b64encode(b"\x00\xff").decode(),
        "isBase64Encoded": True,
    }
    told = ask(site.function_url, "GET", "/b/k", answering(value))
    assert (told.status, told.body, told.headers["x-one"]) == (201, b"\x00\xff", "1")
    assert (told.headers["set-cookie"], told.headers["content-length"]) == ("c=1", "2")

    value = {"statusCode": 200, "headers": {"Content-Length": "1234"}, "body": ""}
    assert ask(site.function_url, "HEAD", "/b/k", answering(value)).headers["content-length"] == "1234"


@pytest.mark.parametrize("value", ["text", {"message": "x"}, [1, 2]])
def test_what_has_no_status_is_json(site, value):
    """ "Lambda infers the response format for you": 200, application/json, the value itself."""
    told = ask(site.function_url, "GET", "/b/k", answering(value))

    assert (told.status, told.headers["content-type"], told.json()) == (200, "application/json", value)


def test_limits(site):
    """Beyond 6 MB of event 413 that says so, beyond 6 MB of answer 502."""
    told = ask(site.function_url, "PUT", "/b/k", body=b"x" * 4_800_000)
    assert told.status == 413
    assert told.json() == {
        "Message": "Request must be smaller than 6291456 bytes for the InvokeFunction operation"
    }
    assert ask(site.function_url, "GET", "/b/k", {"x-large": str((6 << 20) + 100)}).status == 502


def test_errors(site):
    """502 without a word of what was raised; every method is passed on."""
    told = ask(site.function_url, "GET", "/b/k", {"x-raise": "1"})
    assert (told.status, told.body) == (502, b"Internal Server Error")
    assert event_of(site, "PATCH", "/b")["requestContext"]["http"]["method"] == "PATCH"


def test_the_functions_own_time(tmp_path):
    """A Function URL waits as long as the function may run."""
    with LambdaSite(toy(tmp_path, Timeout=1)) as site:
        assert ask(site.function_url, "GET", "/b/k", {"x-sleep": "20"}).status == 502
