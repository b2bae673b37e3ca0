"""The site behind both fronts of AWS: boto3 signs, a front makes the event, the real Chalice app answers."""

import base64
import hashlib
import json
from dataclasses import replace
from urllib.parse import urlsplit
from xml.etree import ElementTree

import chalice.deploy.validate
import chalice.local
import pytest
from botocore.exceptions import ClientError

import app as functions_app
from chalicelib.domain import wire
from chalicelib.hosts.lambda_http import BODY_BYTES_MAX, PAYLOAD_BYTES_MAX, is_http, request_of
from chalicelib.objects import accounts
from chalicelib.s3.canonical import Credentials, sign
from chalicelib.s3.request import parse_query
from tests.builders import inner_blocks, put
from tests.hosts.fronts import FunctionUrl, RestApi, body_of, through
from tests.hosts.functions_site import on_moto, on_services, stage

FRONTS = {"custom domain": RestApi(), "stage": RestApi("s3"), "function url": FunctionUrl()}
HOSTILE = [
    "plain", "a/b/c", "a//b", "/lead", "dir/", "x+y z", "é/ü", "a%2Fb", "q?x=1", "h#1", ";", "..a/./b",
    "../up", "emoji \N{GRINNING FACE}", "new\nline", "a&b=c", "%", "100%25", "'\"<>", "~*'()!",
    "\\", "k" * 1024,
]  # fmt: skip


@pytest.fixture(scope="module")
def site():
    """One site for all tests of this module; each takes a bucket of its own."""
    with on_moto() as site:
        yield site


@pytest.fixture(params=FRONTS)
def front(request):
    return FRONTS[request.param]


def call_of(site, front):
    """How events of a front reach the app."""
    return site.url if isinstance(front, FunctionUrl) else site.call


@pytest.fixture
def s3(site, front):
    """boto3 before a front."""
    return through(front, call_of(site, front), *site.keys, site.region)


@pytest.fixture
def bucket(s3, request):
    """A new bucket."""
    name = "b" + hashlib.md5(request.node.nodeid.encode()).hexdigest()
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    return name


# ------------------------------------------------------------------------------- what clients do


@pytest.mark.parametrize("key", HOSTILE, ids=ascii)
def test_keys_are_opaque(s3, bucket, key):
    """Stored, listed, read and deleted unchanged, whatever is in them."""
    s3.put_object(Bucket=bucket, Key=key, Body=b"body of " + key.encode(), Metadata={"m": "v"})

    listed = s3.list_objects_v2(Bucket=bucket, Prefix=key[:5])
    found = s3.get_object(Bucket=bucket, Key=key)
    s3.delete_object(Bucket=bucket, Key=key)

    assert [key] == [entry["Key"] for entry in listed["Contents"]]
    assert (b"body of " + key.encode(), {"m": "v"}) == (found["Body"].read(), found["Metadata"])
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket=bucket, Key=key)


def test_binary_bodies(s3, bucket):
    """Every byte value both ways, in the clear only as base64; an empty object too."""
    body = bytes(range(256)) * 1000
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    s3.put_object(Bucket=bucket, Key="empty", Body=b"")

    assert body == s3.get_object(Bucket=bucket, Key="k")["Body"].read()
    assert b"" == s3.get_object(Bucket=bucket, Key="empty")["Body"].read()
    ranged = s3.get_object(Bucket=bucket, Key="k", Range="bytes=10-19")
    assert (206, bytes(range(10, 20))) == (
        ranged["ResponseMetadata"]["HTTPStatusCode"],
        ranged["Body"].read(),
    )


def test_buckets_and_listings(s3, bucket):
    """Queries with repeated, empty and encoded values verify and mean what they say."""
    for key in ("a/1", "a/2", "b c/1", "d+e/1", "top"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")

    page = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    more = s3.list_objects_v2(Bucket=bucket, Prefix="d+e/", StartAfter="", FetchOwner=True)

    assert ["a/", "b c/", "d+e/"] == [p["Prefix"] for p in page["CommonPrefixes"]]
    assert ["top"] == [c["Key"] for c in page["Contents"]]
    assert ["d+e/1"] == [c["Key"] for c in more["Contents"]]
    assert bucket in [b["Name"] for b in s3.list_buckets()["Buckets"]]
    assert "us-west-2" == s3.get_bucket_location(Bucket=bucket)["LocationConstraint"]


def test_delete_many(s3, bucket):
    """A POST whose digest the gateway may drop."""
    for key in ("1", "2"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")

    gone = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "1"}, {"Key": "2"}]})

    assert ["1", "2"] == [entry["Key"] for entry in gone["Deleted"]]
    assert 0 == s3.list_objects_v2(Bucket=bucket)["KeyCount"]


def test_multipart_with_one_small_part(s3, bucket):
    """The last part may be small, so one part may; larger ones do not fit through a function."""
    begun = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="k", UploadId=begun, PartNumber=1, Body=b"part")
    named = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}

    done = s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=begun, MultipartUpload=named)

    assert done["ETag"].endswith('-1"')
    assert b"part" == s3.get_object(Bucket=bucket, Key="k")["Body"].read()


def test_not_modified(s3, bucket):
    """304 has no body and keeps its ETag."""
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]

    with pytest.raises(ClientError) as problem:
        s3.get_object(Bucket=bucket, Key="k", IfNoneMatch=etag)

    assert 304 == problem.value.response["ResponseMetadata"]["HTTPStatusCode"]


def test_presigned(site, front, s3, bucket):
    """A URL alone reads an object."""
    s3.put_object(Bucket=bucket, Key="a b/ü", Body=b"x")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a b/ü"})

    answer = call_of(site, front)(front.event("GET", url, {}, b""))

    assert (200, b"x") == (answer["statusCode"], body_of(answer))


# ------------------------------------------------------------------- what gateways do to requests


def signed_event(site, front, method, path, *, headers=(), body=b"", payload=None):
    """An event signed over any headers, before the front drops what it drops."""
    parts = urlsplit(front.endpoint)
    pairs = [("host", parts.netloc), *headers]
    whole = (parts.path + path).encode()
    raw_path, _, query = whole.partition(b"?")
    added = sign(
        method,
        raw_path,
        parse_query(query.decode()),
        pairs,
        credentials=Credentials(*site.keys, site.region),
        now_ms=site.node.site.clock.now_ms(),
        payload=payload or hashlib.sha256(body).hexdigest(),
    )
    sent = {name: value for name, value in (*headers, *added)}
    return front.event(method, f"https://{parts.netloc}{whole.decode()}", sent, body)


def test_dropped_headers_that_were_signed(site, front, bucket):
    """content-length, content-md5 and expect are put back from the body: the signature still holds."""
    digest = base64.b64encode(hashlib.md5(b"body").digest()).decode()
    headers = [("content-length", "4"), ("content-md5", digest), ("expect", "100-continue")]
    event = signed_event(site, front, "PUT", f"/{bucket}/k", headers=headers, body=b"body")
    tampered = signed_event(
        site, front, "PUT", f"/{bucket}/k", headers=headers, body=b"body", payload="UNSIGNED-PAYLOAD"
    )
    tampered["body"] = base64.b64encode(b"bodY").decode()

    answers = [call_of(site, front)(one) for one in (event, tampered)]

    assert [200, 400 if isinstance(front, FunctionUrl) else 403] == [a["statusCode"] for a in answers]


def test_a_body_as_text(site, front, bucket):
    """A front may hand over what it takes for text as it is."""
    event = signed_event(site, front, "PUT", f"/{bucket}/k", body="tëxt".encode())
    event |= {"body": "tëxt", "isBase64Encoded": False}

    assert 200 == call_of(site, front)(event)["statusCode"]


def test_a_body_that_is_not_base64(site, front, bucket):
    """400, not a crash."""
    event = signed_event(site, front, "PUT", f"/{bucket}/k", body=b"x") | {"body": "***"}

    answer = call_of(site, front)(event)

    assert (400, b"InvalidRequest") == (answer["statusCode"], code_of(answer))


def code_of(answer):
    """The code of an S3 error."""
    return (ElementTree.fromstring(body_of(answer)).findtext("Code") or "").encode()


@pytest.mark.parametrize("path", ["/a%FFb/k", "/b/%", "/b/%zz"])
def test_a_path_that_is_none(site, front, path):
    """A client's mistake is told as one."""
    answer = call_of(site, front)(front.event("GET", f"https://x.test{path}", {}, b""))

    assert answer["statusCode"] in (400, 403)


def test_nobody(site, front, bucket):
    """Unsigned and wrongly signed: 403 and XML; HEAD without a body; another method: 405."""
    call = call_of(site, front)
    url = f"{front.endpoint}/{bucket}/k"
    wrong = signed_event(site, front, "GET", f"/{bucket}/k")
    wrong["path" if "path" in wrong else "rawPath"] += "2"

    unsigned, mistaken = call(front.event("GET", url, {}, b"")), call(wrong)
    head = call(front.event("HEAD", url, {}, b""))

    assert (403, b"AccessDenied") == (unsigned["statusCode"], code_of(unsigned))
    assert (403, b"SignatureDoesNotMatch") == (mistaken["statusCode"], code_of(mistaken))
    assert (403, b"") == (head["statusCode"], body_of(head))
    assert 405 == call(signed_event(site, front, "PATCH", f"/{bucket}/k"))["statusCode"]


def test_events_as_others_send_them(site):
    """`chalice local` gives no path beside the context's; what is no HTTP event is none."""
    event = RestApi("s3").event("GET", "https://x.test/s3/b/k", {}, b"")
    del event["path"], event["multiValueHeaders"], event["multiValueQueryStringParameters"]
    event["queryStringParameters"] = {"prefix": "a b"}

    request = request_of(event)

    assert (b"/s3/b/k", b"") == (request.raw_path, request.signed_path)
    assert ("x.test", (("prefix", "a b"),)) == (request.headers.get("host"), request.query)
    assert not any(is_http(other) for other in ({}, {"Records": []}, {"requestContext": {}}, [], None, "x"))


def test_a_stage_is_part_of_what_was_signed():
    """And only where the gateway cut it off: a bucket may be called as the stage is."""
    below = request_of(RestApi("s3").event("GET", "https://x.test/s3/s3/k", {}, b""))
    custom = request_of(RestApi().event("GET", "https://x.test/s3/k", {}, b""))

    assert (b"/s3/k", b"/s3/s3/k") == (below.raw_path, below.signed_path)
    assert (b"/s3/k", b"") == (custom.raw_path, custom.signed_path)


# ------------------------------------------------------------------------------------ its limits


def test_a_body_too_large(site, front, s3, bucket):
    """EntityTooLarge before anything is read, naming the limit and the way out."""
    with pytest.raises(ClientError, match=r"EntityTooLarge.*causeway serve") as problem:
        s3.put_object(Bucket=bucket, Key="k", Body=bytes(BODY_BYTES_MAX + 1))

    assert str(BODY_BYTES_MAX) == problem.value.response["Error"]["MaxSizeAllowed"]


def test_what_fits_fits(s3, site, front, bucket):
    """The largest body makes an answer Lambda carries."""
    event = signed_event(site, front, "PUT", f"/{bucket}/k", body=bytes(BODY_BYTES_MAX))
    assert 200 == call_of(site, front)(event)["statusCode"]
    assert PAYLOAD_BYTES_MAX >= len(json.dumps(event))
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})

    answer = call_of(site, front)(front.event("GET", url, {}, b""))

    assert BODY_BYTES_MAX == len(body_of(answer))
    assert PAYLOAD_BYTES_MAX >= len(json.dumps(answer))


@pytest.fixture
def large(site, bucket):
    """An object no function can answer whole, of three blocks; its record."""
    into = accounts.require_bucket(site.node.site, bucket)
    return put(site.node.site, into, "large", bytes(BODY_BYTES_MAX + 5_000_000))


def test_an_object_too_large(s3, bucket, large):
    """GET is refused with 400, which no SDK tries again; never a 206 nobody asked for, never a part."""
    for asked in ({}, {"Range": f"bytes=1-{BODY_BYTES_MAX + 1}"}):
        with pytest.raises(ClientError, match=r"EntityTooLarge.*Range: bytes=0-") as problem:
            s3.get_object(Bucket=bucket, Key="large", **asked)
        assert 400 == problem.value.response["ResponseMetadata"]["HTTPStatusCode"]

    assert large.size == s3.head_object(Bucket=bucket, Key="large")["ContentLength"]
    ranges = [f"bytes={at}-{at + BODY_BYTES_MAX - 1}" for at in range(0, large.size, BODY_BYTES_MAX)]
    pieces = [s3.get_object(Bucket=bucket, Key="large", Range=one)["Body"].read() for one in ranges]
    assert bytes(large.size) == b"".join(pieces)


def test_a_block_lost_in_the_middle(site, s3, bucket):
    """Nothing has left yet, so it is a plain 503: no connection has to be cut."""
    into = accounts.require_bucket(site.node.site, bucket)
    rules = replace(site.node.site.rules, block_size=64 * 1024)
    record = put(replace(site.node.site, rules=rules), into, "k", bytes(300_000))
    blocks = inner_blocks(site.node.site)
    blocks.delete(max((one for one, _ in blocks.list_upload(record.upload)), key=str))

    with pytest.raises(ClientError, match="ServiceUnavailable") as problem:
        s3.get_object(Bucket=bucket, Key="k")

    assert 503 == problem.value.response["ResponseMetadata"]["HTTPStatusCode"]


# ----------------------------------------------------------------------------------- other doors


def test_health_and_administration(site, front):
    """Beside S3 stand the health checks and the signed admin API."""
    call = call_of(site, front)

    live = call(front.event("GET", f"{front.endpoint}/health/live", {}, b""))
    ready = call(front.event("GET", f"{front.endpoint}/health/ready", {}, b""))
    unsigned = call(front.event("GET", f"{front.endpoint}/causeway/admin/site", {}, b""))
    signed = call(signed_event(site, front, "GET", "/causeway/admin/site"))

    assert [200, 200, 403, 200] == [a["statusCode"] for a in (live, ready, unsigned, signed)]
    assert "west" == json.loads(body_of(signed))["site"]


def test_peers(site, front):
    """Who does not sign for a link gets a frame that says so, and nothing else."""
    answer = call_of(site, front)(front.event("POST", f"{front.endpoint}{wire.PATH}hello", {}, wire.pack({})))

    assert (403, "Refused") == (answer["statusCode"], wire.unpack(body_of(answer))[0]["error"])


class Greedy(chalice.local.RouteMatcher):
    """API Gateway has greedy path variables, `chalice local` has not."""

    def match_route(self, url):
        path, _, query = url.partition("?")
        depth = min(len(path.strip("/").split("/")), 2) if path != "/" else 0
        route = functions_app.PATHS[("service", "bucket", "object")[depth]]
        return chalice.local.MatchResult(route, {}, chalice.local.parse_qs(query, keep_blank_values=True))


def test_through_chalices_own_gateway(site, bucket, monkeypatch):
    """`chalice local` and its test client end in the same place, Accept header or not."""
    monkeypatch.setattr(chalice.local, "RouteMatcher", Greedy)
    front = RestApi()
    http = site.client.http
    for method, path in (("PUT", f"/{bucket}/a/b%20c"), ("GET", f"/{bucket}/a/b%20c"), ("GET", f"/{bucket}")):
        event = signed_event(site, front, method, path, body=b"x" if method == "PUT" else b"")
        answer = http.request(method, path, headers=event["headers"], body=b"x" if method == "PUT" else b"")
        assert 200 == answer.status_code
    assert 403 == http.get(f"/{bucket}/a").status_code
    assert b"a/b c" in answer.body


@pytest.mark.parametrize("name", ["west", "east"])
def test_the_configuration_is_valid(name):
    """As `chalice package` checks it before it builds anything; each stage is a site of its own."""
    config = stage(name)

    chalice.deploy.validate.validate_configuration(config)

    assert (name, "REGIONAL") == (
        config.environment_variables["CAUSEWAY_SITE"],
        config.api_gateway_endpoint_type,
    )
    assert not config.manage_iam_role  # infra/ makes one for each function


def test_on_real_services(minio, dynamodb):
    """The same app over DynamoDB Local and MinIO."""
    with on_services("west", minio, dynamodb) as site:
        for name, front in FRONTS.items():
            s3 = through(front, call_of(site, front), *site.keys, site.region)
            bucket = name.replace(" ", "-") + "-photos"
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
            for key in HOSTILE:
                s3.put_object(Bucket=bucket, Key=key, Body=key.encode() * 300)
            listed = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]]
            assert sorted(HOSTILE, key=str.encode) == listed
            for key in HOSTILE:
                assert key.encode() * 300 == s3.get_object(Bucket=bucket, Key=key)["Body"].read()
