"""A REST API that lets no signed Authorization header through, as AWS's notes have it.

Presigned URLs work, for their signature stands in the query. Everybody else is shown to the Function URL.
"""

import pytest

from tests.clients.conftest import new_bucket
from tests.functions.test_limits import refusal
from tests.lambda_host.toy import ask


@pytest.fixture
def site(functions):
    """The site through that REST API."""
    return functions.front("strict")


def presigned(s3, operation, body=None, headers=None, **parameters):
    """Signed by boto3, sent by a program that knows nothing of signatures."""
    method = {"put": "PUT", "delete": "DELETE", "head": "HEAD"}.get(operation.partition("_")[0], "GET")
    url = s3.generate_presigned_url(operation, Params=parameters)
    start, _, path = url.partition("/s3/")
    return ask(start, method, f"/s3/{path}", headers or {}, body)


def test_a_signature_in_a_header_is_gone(functions, site):
    """The request is refused in words that lead on, and nothing is stored."""
    s3 = functions.front("url").boto3()
    bucket = new_bucket(s3)
    code, status, message = refusal(site.boto3().put_object, Bucket=bucket, Key="k", Body=b"x")

    assert (code, status) == ("AccessDenied", 403)
    assert "Function URL" in message and "presigned" in message
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_presigned_urls_pass(functions, site):
    """Writing, reading, listing, deleting; with metadata, and keys that need encoding."""
    bucket = new_bucket(functions.front("url").boto3())
    s3 = site.boto3(signature_version="s3v4")
    at = {"Bucket": bucket, "Key": "a/b c+é"}
    signed = {"Metadata": {"colour": "blue"}, "ContentType": "text/x-causeway"}
    sent = {"x-amz-meta-colour": "blue", "Content-Type": "text/x-causeway"}

    put = presigned(s3, "put_object", b"hello", sent, **at, **signed)
    got = presigned(s3, "get_object", **at)
    listed = presigned(s3, "list_objects_v2", Bucket=bucket, Prefix="a/")
    gone = presigned(s3, "delete_object", **at)

    assert [each.status for each in (put, got, listed, gone)] == [200, 200, 200, 204]
    assert got.body == b"hello" and got.headers["x-amz-meta-colour"] == "blue"
    assert b"<KeyCount>1</KeyCount>" in listed.body
    assert presigned(s3, "get_object", **at).status == 404
