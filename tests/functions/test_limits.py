"""What is different before functions, front by front, and the way out that every refusal names."""

import os
import secrets

import pytest
from botocore.exceptions import ClientError

from chalicelib.hosts.lambda_http import BODY_BYTES_MAX
from tests.clients.conftest import refused
from tests.lambda_host.toy import ask
from tests.site_process import SiteProcess

LARGE = os.urandom(12 * 1024 * 1024 + 5)


def refusal(call, **arguments):
    """(code, status, message)."""
    with pytest.raises(ClientError) as no:
        call(**arguments)
    error = no.value.response["Error"]
    return error["Code"], no.value.response["ResponseMetadata"]["HTTPStatusCode"], error["Message"]


@pytest.fixture
def server(functions, tmp_path):
    """The streaming server over the same tables and bucket, at the same time."""
    site = SiteProcess(tmp_path, functions.settings())
    site.start()
    yield site.boto3(functions.keys)
    site.stop()


def test_the_length_of_head(site, s3, bucket):
    """A Function URL keeps it. The REST API renames it, so clients see the length of no body."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"hello")
    told = s3.head_object(Bucket=bucket, Key="k")
    headers = told["ResponseMetadata"]["HTTPHeaders"]

    if site.front == "rest":
        assert (told["ContentLength"], headers["x-amzn-remapped-content-length"]) == (0, "5")
    else:
        assert told["ContentLength"] == 5
    assert s3.get_object(Bucket=bucket, Key="k")["ContentLength"] == 5
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["Size"] == 5


def test_a_put_that_fits_and_one_that_does_not(s3, bucket):
    """BODY_BYTES_MAX bytes pass; one more is EntityTooLarge, with the limit and the ways round it."""
    at = {"Bucket": bucket, "Key": "k"}
    s3.put_object(**at, Body=LARGE[:BODY_BYTES_MAX])
    code, status, message = refusal(s3.put_object, **at, Body=LARGE[: BODY_BYTES_MAX + 1])

    assert (code, status) == ("EntityTooLarge", 400)
    assert str(BODY_BYTES_MAX) in message and "causeway serve" in message
    assert s3.get_object(**at)["Body"].read() == LARGE[:BODY_BYTES_MAX]


def test_a_put_that_never_reaches_the_function(s3, bucket):
    """More than 6 MB of event, or 10 MB of body: the front refuses by itself, and nothing is stored."""
    for size in (5_000_000, len(LARGE)):
        code, status, _ = refusal(s3.put_object, Bucket=bucket, Key="k", Body=LARGE[:size])
        assert (code, status) == ("413", 413)  # neither front lets anybody word it
    assert refused(s3.get_object, Bucket=bucket, Key="k") == ("NoSuchKey", 404)


def test_a_large_object_is_read_in_ranges(functions, server, s3, bucket):
    """What the streaming server stored is refused whole and read in the ranges that the refusal names."""
    at = {"Bucket": bucket, "Key": "k"}
    server.put_object(**at, Body=LARGE)
    code, status, message = refusal(s3.get_object, **at)
    assert (code, status) == ("EntityTooLarge", 400)
    assert f"bytes=0-{BODY_BYTES_MAX - 1}" in message

    starts = range(0, len(LARGE), BODY_BYTES_MAX)
    pieces = [s3.get_object(**at, Range=f"bytes={n}-{n + BODY_BYTES_MAX - 1}")["Body"].read() for n in starts]
    assert b"".join(pieces) == LARGE
    assert server.get_object(**at)["Body"].read() == LARGE


def test_a_part_does_not_fit(s3, bucket):
    """5 MiB, the least S3 allows of a part that is not the last, are more than a function is given."""
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    part = {"Bucket": bucket, "Key": "k", "UploadId": upload, "PartNumber": 1}

    assert refusal(s3.upload_part, **part, Body=LARGE[: 5 << 20])[1] in (400, 413)
    s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload)


def test_parts_may_be_copied(functions, server, s3, bucket):
    """No byte of a copy passes through the fronts, so large objects are copied whole and part by part."""
    source = {"Bucket": bucket, "Key": "source"}
    server.put_object(**source, Body=LARGE)
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=source)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    at = {"Bucket": bucket, "Key": "parts", "UploadId": upload, "CopySource": source}
    ranges = [f"bytes=0-{6 << 20}", f"bytes={(6 << 20) + 1}-{len(LARGE) - 1}"]
    told = [s3.upload_part_copy(**at, PartNumber=n, CopySourceRange=r) for n, r in enumerate(ranges, 1)]
    parts = [{"PartNumber": n, "ETag": t["CopyPartResult"]["ETag"]} for n, t in enumerate(told, 1)]
    s3.complete_multipart_upload(
        Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload={"Parts": parts}
    )

    for key in ("copy", "parts"):
        assert server.get_object(Bucket=bucket, Key=key)["Body"].read() == LARGE


def test_methods_nobody_routes(functions):
    """The REST API answers them by itself, the Function URL passes them on: an S3 error either way."""
    for front, status, code in (("rest", 405, b"MethodNotAllowed"), ("url", 403, b"AccessDenied")):
        told = ask(functions.front(front).endpoint, "PATCH", f"/{secrets.token_hex(4)}")
        assert (told.status, b"<Code>" + code + b"</Code>" in told.body) == (status, True), told


def test_logs_tell_requests_and_no_secrets(functions, s3, bucket):
    """Powertools: JSON with the request's id, EMF metrics in our namespace; keys stand nowhere."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    lines = "\n".join(functions.host.lines())
    requests = [each for each in functions.host.events() if each.get("message") == "request"]
    (first, *_) = functions.host.metrics()

    assert requests and all(each["function_request_id"] for each in requests)
    assert first["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Causeway"
    secret_settings = [functions.environment.get("CAUSEWAY_MASTER_KEY", ""), functions.keys[1]]
    for secret in filter(None, [*secret_settings, functions.environment["AWS_SECRET_ACCESS_KEY"]]):
        assert secret not in lines
