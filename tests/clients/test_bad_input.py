"""Bad input over real sockets: the right refusal, nothing stored, the old object intact, never a 500."""

import os
import random
import socket
from pathlib import Path

import pytest

from chalicelib.s3.canonical import Credentials
from tests.clients import bad_requests
from tests.clients.conftest import new_bucket, refused
from tests.clients.raw import exchange, presigned, send, signed
from tests.site_process import REGION

OLD = b"old object " * 30_000
CASES = bad_requests.SIGNATURES | bad_requests.BODIES | bad_requests.CHUNKED


@pytest.fixture
def old(site, s3):
    """A bucket with OLD under `k`, which every test here leaves as it found it."""
    bucket = new_bucket(s3)
    s3.put_object(Bucket=bucket, Key="k", Body=OLD)
    blocks = site.blocks.names()
    failed = len(site.events("request_failed"))
    yield bucket
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["k"]
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == OLD
    assert site.blocks.names() == blocks
    assert len(site.events("request_failed")) == failed  # what nobody foresaw is a 500


@pytest.mark.parametrize("what", CASES)
def test_a_bad_put_is_refused(site, old, what):
    """Signatures, clocks, URLs, digests and chunks that are wrong: status and S3 code."""
    make, status, code = CASES[what]
    told = exchange(site, make(site, f"/{old}/k"), half_close=True)

    assert (told.status, told.code) == (status, code), told.body


def test_the_same_put_unaltered_is_taken(site, s3):
    """The requests that the bad ones were made from are good ones."""
    bucket = new_bucket(s3)
    make = [bad_requests.put, bad_requests.by_url(), bad_requests.chunks()]
    assert [exchange(site, one(site, f"/{bucket}/k")).status for one in make] == [200, 200, 200]


@pytest.mark.parametrize("sent", [0, 1, 100_000, len(bad_requests.BODY) - 1])
@pytest.mark.parametrize("chunked", [False, True], ids=["plain", "aws-chunked"])
def test_a_truncated_body_stores_nothing(site, old, sent, chunked):
    """A client that ends its side early gets IncompleteBody; one that vanishes leaves nothing behind."""
    make = bad_requests.chunks() if chunked else bad_requests.put
    request = make(site, f"/{old}/k")
    request.body = request.body[:sent]
    told = exchange(site, request, half_close=True)
    assert (told.status, told.code) == (400, "IncompleteBody")

    with socket.create_connection(site.address, 10) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # closes with a reset
        client.sendall(request.head + request.body)


def test_a_disabled_user_is_refused_at_once(site, old):
    """The very next request after `enabled: false`, by header and by URL; enabled again they are let in."""
    keys = site.user()
    who = {"credentials": Credentials(*keys, REGION)}
    url = presigned(site, "GET", "/", **who)
    assert send(site, "GET", "/", **who).status == 200
    site.admin("POST", f"users/{keys[0]}", enabled=False)
    assert (send(site, "GET", "/", **who).status, exchange(site, url).status) == (403, 403)
    site.admin("POST", f"users/{keys[0]}", enabled=True)
    assert send(site, "GET", "/", **who).status == 200


# ------------------------------------------------------------------------------- XML

LAUGHS = b"".join([b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 10)])
XML = {
    "empty": b"",
    "no XML": b"hello",
    "cut short": b"<Delete><Object><Key>k</Key>",
    "DTD": b"<!DOCTYPE Delete><Delete><Object><Key>k</Key></Object></Delete>",
    "external entity": b'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&x;</Key>'
    b"</Object></Delete>",
    "billion laughs": b'<!DOCTYPE d [<!ENTITY l0 "lol">'
    + LAUGHS
    + b"]><Delete><Object><Key>&l9;</Key></Object></Delete>",
    "unknown entity": b"<Delete><Object><Key>&x;</Key></Object></Delete>",
    "nested": b"<Delete>" + b"<Object>" * 100_000,
    "UTF-16": "<Delete><Object><Key>k</Key></Object></Delete>".encode("utf-16"),
    "bad UTF-8": b"<Delete><Object><Key>\xff</Key></Object></Delete>",
    "another root": b"<Remove><Object><Key>k</Key></Object></Remove>",
    "another namespace": b'<Delete xmlns="urn:x"><Object><Key>k</Key></Object></Delete>',
    "no key": b"<Delete><Object><VersionId>null</VersionId></Object></Delete>",
    "two keys": b"<Delete><Object><Key>k</Key><Key>j</Key></Object></Delete>",
    "too many": b"<Delete>" + b"<Object><Key>k</Key></Object>" * 1001 + b"</Delete>",
    "long key": b"<Delete><Object><Key>" + b"k" * 1025 + b"</Key></Object></Delete>",
}


@pytest.mark.parametrize("what", XML)
def test_bad_xml_is_refused(site, s3, old, what):
    """On every operation with an XML body: 400, quickly, nothing deleted, made or completed."""
    upload = s3.create_multipart_upload(Bucket=old, Key="k")["UploadId"]
    deleting = send(site, "POST", f"/{old}", "delete=", body=XML[what])
    assert deleting.status == 400, deleting.body
    assert deleting.code in ("MalformedXML", "MissingRequestBodyError", "KeyTooLongError")
    completing = send(site, "POST", f"/{old}/k", f"uploadId={upload}", body=XML[what])
    assert completing.status == 400, completing.body
    if what != "empty":  # CreateBucket may have none
        assert send(site, "PUT", f"/{old}-new", body=XML[what]).code == "MalformedXML"
    s3.abort_multipart_upload(Bucket=old, Key="k", UploadId=upload)


def test_a_huge_xml_body_is_refused_before_it_is_read(site, old):
    """Its announced length is enough."""
    request = signed(
        site,
        "POST",
        f"/{old}",
        "delete=",
        headers={"content-length": str(1 << 30)},
        payload="UNSIGNED-PAYLOAD",
    )
    assert exchange(site, request).code == "EntityTooLarge"
    request = signed(
        site, "PUT", f"/{old}/k", headers={"content-length": str((5 << 30) + 1)}, payload="UNSIGNED-PAYLOAD"
    )
    assert exchange(site, request).code == "EntityTooLarge"


# ----------------------------------------------------------------- names and numbers

NAMES = (
    "ab a-" + "b" * 62 + " UPPER 192.168.0.1 xn--b -b b- a..b a.-b a_b a%20b a%2fb %2e%2e ... health metrics "
    "causeway %00 b%FF"
).split()


@pytest.mark.parametrize("name", NAMES)
def test_bad_bucket_names(site, old, name):
    """Refused on creation, and no road to anything else."""
    for method, path in (("PUT", f"/{name}"), ("GET", f"/{name}/k")):
        told = exchange(site, unescaped(site, method, path)) if "FF" in name else send(site, method, path)
        assert told.status in (400, 404, 405), told.body
        assert told.code in NAME_CODES or not told.headers["content-type"].endswith("xml")


NAME_CODES = ("InvalidBucketName", "InvalidURI", "NoSuchBucket", "MethodNotAllowed")


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics"])
def test_nothing_is_written_to_our_own_paths(site, path):
    """Health and metrics answer GET, and say 405 to everything that writes."""
    assert send(site, "GET", path).status == 200
    for method in ("PUT", "POST", "DELETE"):
        assert send(site, method, path).status == 405


@pytest.mark.parametrize("method", ["PUT", "GET", "HEAD", "DELETE"])
def test_keys_that_are_none(site, old, method):
    """1,025 bytes are KeyTooLongError, what is not UTF-8 or not percent-encoded InvalidURI."""
    long = send(site, method, f"/{old}/" + "k" * 1025)
    assert (long.status, long.code) == (400, "KeyTooLongError" if method != "HEAD" else "")
    for text in ("%FF", "a%C3", "%ED%A0%80", "%C0%AE%C0%AE"):
        told = exchange(site, unescaped(site, method, f"/{old}/{text}"))
        assert (told.status, told.code) == (400, "InvalidURI" if method != "HEAD" else ""), text
    for text in ("%", "%zz", "%2"):
        assert exchange(site, unescaped(site, method, f"/{old}/{text}")).status == 400
    assert send(site, "GET", f"/{old}", "list-type=2").status == 200


def unescaped(site, method, path):
    """A request signed for a path no signer of ours can make."""
    request = signed(site, method, "/x/k")
    request.path = path
    return request


@pytest.mark.parametrize("number", ["0", "10001", "-1", "1.5", "abc", "", "٣", "99999999999999999999"])
def test_part_numbers_that_are_none(site, s3, old, number):
    """InvalidArgument for uploads, copies and reads."""
    at = {"Bucket": old, "Key": "k"}
    upload = s3.create_multipart_upload(**at)["UploadId"]
    query = f"partNumber={number}&uploadId={upload}".encode().decode("latin-1")
    told = send(site, "PUT", f"/{old}/k", query, body=b"x") if number.isascii() else None
    if told is not None:
        assert (told.status, told.code) == (400, "InvalidArgument"), told.body
        assert send(site, "GET", f"/{old}/k", f"partNumber={number}").status == 400
    copy = {"x-amz-copy-source": f"/{old}/k"}
    if number.isascii():
        assert send(site, "PUT", f"/{old}/k", query, headers=copy).code == "InvalidArgument"
    assert "Parts" not in s3.list_parts(**at, UploadId=upload)
    s3.abort_multipart_upload(**at, UploadId=upload)


QUERIES = {
    "list-type=2&max-keys=-1": 400,
    "list-type=2&max-keys=abc": 400,
    "list-type=2&max-keys=99999999999": 400,
    "list-type=3": 400,
    "list-type=2&continuation-token=xyz": 400,
    "list-type=2&encoding-type=x": 400,
    "prefix=a&prefix=b": 400,
    "uploads=&location=": 400,
    "nonsense=1": 501,
    "analytics=": 501,
}


@pytest.mark.parametrize("query", QUERIES)
def test_bad_queries(site, old, query):
    """Parameters nobody knows, said twice or out of range are refused, never passed over."""
    assert send(site, "GET", f"/{old}", query).status == QUERIES[query]


def test_reads_that_ask_for_nonsense(site, old):
    """Ranges behind the end, headers smuggled through response-*, unknown verbs: a 4xx or 501 each."""
    assert send(site, "GET", f"/{old}/k", headers={"range": f"bytes={len(OLD)}-"}).code == "InvalidRange"
    assert send(site, "HEAD", f"/{old}/k", headers={"range": f"bytes={len(OLD)}-"}).body == b""
    for smuggled in ("a%0d%0aX-Evil:%201", "a%0aX-Evil:1", "a%00"):
        told = send(site, "GET", f"/{old}/k", f"response-content-type={smuggled}")
        assert told.status == 400
        assert "x-evil" not in told.headers
    for method, path, query in (
        ("POST", f"/{old}/k", ""),
        ("PATCH", f"/{old}/k", ""),
        ("PUT", f"/{old}/k", "acl="),
        ("DELETE", "/", ""),
        ("POST", "/", ""),
        ("PUT", f"/{old}", "policy="),
        ("DELETE", f"/{old}/k", "versionId=abc"),
        ("GET", f"/{old}/k", "torrent="),
    ):
        assert send(site, method, path, query).status in (400, 404, 405, 501), (method, path, query)


@pytest.mark.parametrize(
    "source", ["", "/", "x", "/x/", "%FF/k", "{bucket}/", "/{bucket}/missing", "{bucket}/k?versionId=9"]
)
def test_bad_copy_sources(site, old, source):
    """No source, half a source, no UTF-8, nothing there: refused, and nothing crashes."""
    headers = {"x-amz-copy-source": source.format(bucket=old)}
    assert send(site, "PUT", f"/{old}/copy", headers=headers).status in (400, 404)


def test_internal_headers_do_nothing(site, s3):
    """Headers of ours and of other stores' replication, signed and all, are stripped at the door."""
    bucket = new_bucket(s3)
    inside = {
        "x-causeway-stamp": "999999",
        "x-causeway-site": "elsewhere",
        "x-amz-replication-status": "REPLICA",
        "x-minio-source-mtime": "2001-01-01T00:00:00Z",
    }
    assert send(site, "PUT", f"/{bucket}/k", headers=inside, body=b"x").status == 200
    shown = send(site, "GET", f"/{bucket}/k").headers
    assert not set(shown) & set(inside)
    assert shown["last-modified"].endswith("GMT") and "2001" not in shown["last-modified"]


def test_errors_tell_nothing_of_the_inside(site, old):
    """No path, stack, secret or environment in an error; a HEAD's has no body."""
    access_key, secret = site.keys
    for told in (
        send(site, "GET", f"/{old}/missing"),
        send(site, "GET", "/no-such-bucket/k"),
        send(site, "PUT", f"/{old}/k", body=b"x", credentials=Credentials(access_key, "wrong")),
        send(site, "POST", f"/{old}", "delete=", body=b"<"),
    ):
        assert told.headers["content-type"] == "application/xml"
        assert b"<RequestId>" in told.body
        for inside in (b"Traceback", b"chalicelib", str(site.data).encode(), secret.encode(), b"/tmp"):
            assert inside not in told.body
    head = send(site, "HEAD", f"/{old}/missing")
    assert (head.status, head.body, head.headers.get("content-length", "0")) == (404, b"", "0")


# ------------------------------------------------------------------------ the directory

ESCAPES = [
    "../../escape",
    "../" * 30 + "tmp/escape",
    "..%2f..%2fescape",
    "%2e%2e/%2e%2e/escape",
    "/etc/escape",
    "..\\..\\escape",
    "a/../../../escape",
    "./escape",
    "escape%00.txt",
    "~/escape",
]


@pytest.mark.parametrize("key", ESCAPES)
@pytest.mark.parametrize("body", [b"small", OLD], ids=["inline", "blocks"])
def test_keys_never_become_paths(directory, key, body):
    """A key with `..` is stored under its own name, and no file outside or inside data/ is called by it."""
    s3 = directory.boto3()
    bucket = new_bucket(s3)
    beside = sorted(os.listdir(directory.directory))
    path = f"/{bucket}/{key.replace(chr(92), '%5C')}"
    told = send(directory, "PUT", path, body=body)
    assert told.status == 200, told.body

    assert send(directory, "GET", path).body == body
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1
    assert sorted(os.listdir(directory.directory)) == beside
    assert not [
        name for _, names, files in os.walk(directory.data) for name in names + files if "escape" in name
    ]
    for outside in (*directory.data.parents, Path("/tmp"), Path("/etc"), Path.home()):
        assert not list(outside.glob("*escape*"))


def test_mutated_requests_never_make_a_500(site, old):
    """300 good requests with a few bytes of their head changed, dropped or doubled: answered or refused."""
    chance = random.Random(7)
    good = [
        signed(site, "GET", f"/{old}/k", headers={"range": "bytes=0-9"}),
        signed(site, "GET", f"/{old}", "list-type=2&prefix=a&delimiter=%2F&max-keys=2"),
        signed(site, "POST", f"/{old}", "delete=", body=b"<Delete><Object><Key>x</Key></Object></Delete>"),
        presigned(site, "GET", f"/{old}/k", "response-content-type=text%2Fx"),
        signed(site, "HEAD", f"/{old}"),
        signed(site, "PUT", f"/{old}/k", headers={"if-match": '"never"'}, body=b"x"),
    ]
    for n in range(300):
        request = good[n % len(good)]
        head = bytearray(request.head)
        for _ in range(chance.randint(1, 3)):
            where = chance.randrange(len(head) - 4)
            change = chance.randrange(3)
            if change == 0:
                head[where] = chance.choice(b"\x00\xff%&=/+ ;,0aZ")
            elif change == 1:
                del head[where]
            else:
                head[where:where] = head[where : where + chance.randint(1, 9)]
        with socket.create_connection(site.address, 10) as client:
            client.sendall(bytes(head) + request.body)
            client.shutdown(socket.SHUT_WR)
            told = client.recv(40)
        assert not told.startswith((b"HTTP/1.1 500", b"HTTP/1.1 503")), bytes(head)


def test_a_wrong_endpoint_of_the_admin_api_tells_nothing(site, s3):
    """A user who is no administrator is refused alike on paths that exist and paths that do not."""
    keys = site.user()
    answers = {
        send(site, method, f"/causeway/admin/{path}", credentials=Credentials(*keys, REGION)).body
        for method, path in (("GET", "users"), ("GET", "no-such"), ("POST", "gc"), ("DELETE", "links/x"))
    }
    assert len(answers) == 1
    assert refused(site.boto3(("NOBODY", "s" * 40)).list_buckets) == ("InvalidAccessKeyId", 403)
