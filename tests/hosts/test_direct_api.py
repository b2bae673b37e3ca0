"""The direct API through a function's front, over real MinIO and DynamoDB Local: what it does and refuses."""

import hashlib
import json
import os
import secrets
from base64 import b64encode
from types import SimpleNamespace

import pytest
import urllib3
from botocore.exceptions import ClientError

from chalicelib.hosts.direct_api import BODY_BYTES_MAX
from chalicelib.hosts.lambda_http import BODY_BYTES_MAX as PAYLOAD
from chalicelib.objects import direct_put
from chalicelib.replication.setup import secret_of
from chalicelib.s3.canonical import Credentials, sign
from tests.hosts.fronts import FunctionUrl, RestApi, body_of, through
from tests.hosts.functions_site import on_services

MIB = 1 << 20
BLOCK = 4 * MIB
BODY = os.urandom(10 * BLOCK + 12345)  # 40 MiB and some
VERBS = ["begin", "urls", "verify", "commit", "abort", "read"]
FRONTS = {"custom domain": RestApi(), "stage": RestApi("s3"), "function url": FunctionUrl()}
PIECE = {"size": 1, "sha256": hashlib.sha256(b"x").hexdigest()}


@pytest.fixture(scope="module")
def site(minio, dynamodb):
    """One site for all tests of this module; each takes a bucket of its own."""
    with on_services("west", minio, dynamodb) as site:
        yield site


@pytest.fixture(scope="module")
def bob(site):
    """Another user, no administrator."""
    user = site.node.names.decide("create_user", {"name": "Bob"})
    return user.access_key, secret_of(site.node.site, user)


def ask(site, verb, fields, *, keys=None, front=FRONTS["function url"], payload=None, method="POST"):
    """(status, answer) of one signed call; `payload` is what x-amz-content-sha256 says."""
    body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    url = f"{front.endpoint}/causeway/direct/{verb}"
    host, path = url.split("/", 3)[2], "/" + url.split("/", 3)[3]
    headers = sign(
        method,
        path.encode(),
        (),
        (("host", host),),
        credentials=Credentials(*(keys or site.keys), site.region),
        now_ms=site.node.site.clock.now_ms(),
        payload=payload or hashlib.sha256(body).hexdigest(),
    )
    call = site.url if isinstance(front, FunctionUrl) else site.call
    answer = call(front.event(method, url, dict(headers), body))
    return answer["statusCode"], json.loads(body_of(answer))


def s3_of(site, keys=None, front=FRONTS["function url"]):
    """boto3 before the same front."""
    call = site.url if isinstance(front, FunctionUrl) else site.call
    return through(front, call, *(keys or site.keys), site.region)


@pytest.fixture
def s3(site):
    return s3_of(site)


@pytest.fixture
def bucket(site, s3):
    name = f"b-{secrets.token_hex(6)}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": site.region})
    return name


def described(body):
    """Parts of one block, as a client names them."""
    pieces = [body[at : at + BLOCK] for at in range(0, len(body), BLOCK)]
    parts = [
        {"number": n, "blocks": [{"size": len(piece), "sha256": hashlib.sha256(piece).hexdigest()}]}
        for n, piece in enumerate(pieces, 1)
    ]
    return pieces, parts


def put(signed, body):
    """What a client does with a URL."""
    return urllib3.request("PUT", signed["url"], body=body, headers=signed["headers"], retries=False).status


def upload(site, where, body, **options):
    """A whole direct upload up to the commit; what to commit, and the URLs that were used."""
    status, begun = ask(site, "begin", {**where, "size": len(body)}, **options)
    assert (200, BLOCK, 1) == (status, begun["block_size"], begun["part_blocks"])
    at = {**where, "upload": begun["upload"]}
    pieces, parts = described(body)
    _, given = ask(site, "urls", {**at, "parts": parts}, **options)
    signed = [one["urls"][0] for one in given["parts"]]
    assert [200] * len(pieces) == [put(one, piece) for one, piece in zip(signed, pieces, strict=True)]
    _, seen = ask(site, "verify", {**at, "parts": parts}, **options)
    return SimpleNamespace(at=at, parts=parts, named=seen["parts"], signed=signed, pieces=pieces)


def code(call, **arguments):
    """What S3 refuses it with."""
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return refused.value.response["Error"]["Code"]


# ------------------------------------------------------------------------------------ there and back


@pytest.mark.parametrize("front", FRONTS)
def test_there_and_back(site, bucket, front):
    """40 MiB that no function ever carried; S3 shows an ordinary multipart object of them."""
    front, where = FRONTS[front], {"bucket": bucket, "key": "dir/ü x"}
    s3 = s3_of(site, front=front)
    made = upload(site, where, BODY, front=front)
    shown = s3.list_parts(Bucket=bucket, Key="dir/ü x", UploadId=made.at["upload"], MaxParts=1000)["Parts"]
    assert [len(piece) for piece in made.pieces] == [part["Size"] for part in shown]

    status, done = ask(site, "commit", {**made.at, "parts": made.named}, front=front)

    assert (200, len(BODY)) == (status, done["size"])
    head = s3.head_object(Bucket=bucket, Key="dir/ü x", ChecksumMode="ENABLED")
    assert f'"{done["etag"]}"' == head["ETag"]
    assert done["checksum_sha256"] == head["ChecksumSHA256"] == composite(made.pieces)
    third = s3.get_object(Bucket=bucket, Key="dir/ü x", PartNumber=3)
    assert (11, made.pieces[2]) == (third["PartsCount"], third["Body"].read())
    assert BODY[BLOCK - 5 : BLOCK + 5] == ranged(s3, bucket, "dir/ü x", BLOCK - 5, BLOCK + 5)
    assert BODY == read(site, where, front=front)
    assert "EntityTooLarge" == code(s3.get_object, Bucket=bucket, Key="dir/ü x")


def composite(pieces):
    """As S3 documents it."""
    joined = b"".join(hashlib.sha256(piece).digest() for piece in pieces)
    return f"{b64encode(hashlib.sha256(joined).digest()).decode()}-{len(pieces)}"


def ranged(s3, bucket, key, start, end):
    """By the function itself."""
    return s3.get_object(Bucket=bucket, Key=key, Range=f"bytes={start}-{end - 1}")["Body"].read()


def read(site, where, **options):
    """Every byte by URL, each block held against its hash."""
    found, at = b"", 0
    while at is not None:
        status, page = ask(site, "read", {**where, "start": at}, **options)
        assert 200 == status
        for block in page["blocks"]:
            body = urllib3.request("GET", block["url"], retries=False).data
            assert (block["size"], block["hash"]) == (len(body), hashlib.sha256(body).hexdigest())
            assert block["offset"] == len(found)
            found += body[block["start"] : block["end"]]
        at = page["next"]
    return found


def test_reading_a_range(site, bucket, s3):
    """Of an object that came the ordinary way: BLAKE3, the blocks that are touched, and no others."""
    where = {"bucket": bucket, "key": "k"}
    s3.put_object(Bucket=bucket, Key="k", Body=BODY[: 4 * MIB + 7])
    s3.put_object(Bucket=bucket, Key="small", Body=b"small")

    _, page = ask(site, "read", {**where, "start": 4 * MIB + 1, "end": 4 * MIB + 3})
    _, small = ask(site, "read", {"bucket": bucket, "key": "small", "start": 1})

    (block,) = page["blocks"]
    assert (4 * MIB + 1, 1, 3, 7, "BLAKE3") == tuple(
        block[name] for name in ("offset", "start", "end", "size", "algorithm")
    )
    assert (page["size"], page["inline"], page["next"]) == (4 * MIB + 7, None, None)
    assert (b64encode(b"mall").decode(), []) == (small["inline"], small["blocks"])


def test_attributes(site, bucket, s3):
    """What a PUT's headers would say is stored, what it would refuse is refused."""
    where = {"bucket": bucket, "key": "k"}
    headers = {"Content-Type": "text/plain", "x-amz-meta-who": "ann", "Cache-Control": "no-store"}
    made = upload(site, {**where, "headers": headers}, b"x")
    ask(site, "commit", {**where, "upload": made.at["upload"], "parts": made.named})

    head = s3.head_object(Bucket=bucket, Key="k")
    assert ("text/plain", {"who": "ann"}, "no-store") == (
        head["ContentType"],
        head["Metadata"],
        head["CacheControl"],
    )
    for bad in (
        {"content-type": "a\r\nb: c"},
        {"x-amz-acl": "public-read"},
        {"x-amz-meta-a": "x" * 3000},
        {"x-amz-server-side-encryption": "AES256"},
        {"content-type": 7},
        [],
    ):
        assert 400 <= ask(site, "begin", {**where, "headers": bad})[0] < 502


def test_conditions(site, bucket, s3):
    """If-None-Match and If-Match, as for a PUT, judged in the commit."""
    where = {"bucket": bucket, "key": "k"}
    made = upload(site, {**where, "if_none_match": "*"}, b"x")
    s3.put_object(Bucket=bucket, Key="k", Body=b"first")
    etag = s3.head_object(Bucket=bucket, Key="k")["ETag"]
    commit = {**where, "upload": made.at["upload"], "parts": made.named}

    assert 412 == ask(site, "commit", {**commit, "if_none_match": "*"})[0]
    assert 412 == ask(site, "begin", {**where, "if_none_match": "*"})[0]
    assert 412 == ask(site, "commit", {**commit, "if_match": "0" * 32})[0]
    assert 200 == ask(site, "commit", {**commit, "if_match": etag})[0]
    assert b"x" == s3.get_object(Bucket=bucket, Key="k")["Body"].read()


# ----------------------------------------------------------------------------------- who may not


@pytest.mark.parametrize("verb", VERBS)
def test_somebody_elses_bucket(site, bucket, bob, verb):
    """Is refused whatever is asked of it, as by S3 itself; a bucket that is not there is 404."""
    asked = {"bucket": bucket, "key": "k", "upload": "u", "parts": []}

    assert (403, "AccessDenied") == _refused(site, verb, asked, keys=bob)
    assert (404, "NoSuchBucket") == _refused(site, verb, {**asked, "bucket": "not-there"}, keys=bob)


def _refused(site, verb, fields, **options):
    status, said = ask(site, verb, fields, **options)
    return status, said["error"]


def test_somebody_elses_upload(site, bucket, bob):
    """Its id opens nothing from a bucket of one's own, or by another key."""
    own = f"bob-{secrets.token_hex(4)}"
    place = {"LocationConstraint": site.region}
    s3_of(site, bob).create_bucket(Bucket=own, CreateBucketConfiguration=place)
    made = upload(site, {"bucket": bucket, "key": "k"}, b"x")

    for verb in ("urls", "verify", "commit", "abort"):
        asked = {**made.at, "bucket": own, "parts": made.parts if verb != "commit" else made.named}
        assert (404, "NoSuchUpload") == _refused(site, verb, asked, keys=bob)
        assert (404, "NoSuchUpload") == _refused(site, verb, {**asked, "bucket": bucket, "key": "other"})
    assert 200 == ask(site, "commit", {**made.at, "parts": made.named})[0]


@pytest.mark.parametrize("verb", VERBS)
def test_who_is_nobody(site, bucket, verb):
    """No such key, a wrong secret, a body that was not signed: 403 before anything is looked at."""
    asked = {"bucket": bucket, "key": "k", "upload": "u", "parts": []}

    assert (403, "InvalidAccessKeyId") == _refused(site, verb, asked, keys=("nobody", "x"))
    assert (403, "SignatureDoesNotMatch") == _refused(site, verb, asked, keys=(site.keys[0], "x"))
    assert (403, "AccessDenied") == _refused(site, verb, asked, payload="UNSIGNED-PAYLOAD")
    assert 400 == ask(site, verb, asked, payload="0" * 64)[0]


def test_a_disabled_user(site, bob, bucket):
    """Gets no more URLs."""
    user = site.node.names.decide("create_user", {"name": "Eve"})
    eve = user.access_key, secret_of(site.node.site, user)
    site.node.names.decide("update_user", {"access_key": eve[0], "enabled": False})

    assert (403, "AccessDenied") == _refused(site, "begin", {"bucket": bucket, "key": "k"}, keys=eve)


# ---------------------------------------------------------------------------------- what may not be


def test_a_url_after_the_commit(site, bucket, s3):
    """Still good, it changes nothing: neither with the same bytes nor with others."""
    where = {"bucket": bucket, "key": "k"}
    made = upload(site, where, BODY[: BLOCK + 1])
    ask(site, "commit", {**made.at, "parts": made.named})

    assert 412 == put(made.signed[0], made.pieces[0])
    assert put(made.signed[1], b"!") in (400, 403, 412)
    assert (404, "NoSuchUpload") == _refused(site, "urls", {**made.at, "parts": made.parts})
    assert BODY[: BLOCK + 1] == read(site, where)


def test_what_the_store_does_not_vouch_for(site, bucket):
    """Is not recorded and not committed, whatever the client says of it."""
    where = {"bucket": bucket, "key": "k"}
    _, begun = ask(site, "begin", where)
    at = {**where, "upload": begun["upload"]}
    _, parts = described(b"never sent")

    assert (400, "InvalidPart") == _refused(site, "verify", {**at, "parts": parts})
    claimed = [{"number": 1, "etag": "0" * 32}]
    assert (400, "InvalidPart") == _refused(site, "commit", {**at, "parts": claimed})


def test_after_an_abort(site, bucket):
    """By this API or by S3's: nothing more is given or taken."""
    where = {"bucket": bucket, "key": "k"}
    made, other = upload(site, where, b"x"), upload(site, where, b"y")
    assert 200 == ask(site, "abort", made.at)[0]
    s3_of(site).abort_multipart_upload(Bucket=bucket, Key="k", UploadId=other.at["upload"])

    for one in (made, other):
        for verb in ("urls", "verify", "abort"):
            assert (404, "NoSuchUpload") == _refused(site, verb, {**one.at, "parts": one.parts})
        assert (404, "NoSuchUpload") == _refused(site, "commit", {**one.at, "parts": one.named})


BAD_FIELDS = [
    b"",
    b"[]",
    b"{",
    b"[" * 100_000,
    {},
    {"bucket": None},
    {"bucket": "b", "key": 7},
    {"bucket": "../causeway-west-blocks", "key": "k"},
    {"bucket": "b\ud800", "key": "k"},
]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("fields", BAD_FIELDS, ids=range(len(BAD_FIELDS)))
def test_what_is_no_question(site, verb, fields):
    """Is 400, and says so."""
    assert 400 == ask(site, verb, fields)[0]


@pytest.mark.parametrize(
    "changed",
    [
        {"parts": None},
        {"parts": []},
        {"parts": [7]},
        {"parts": [{"number": 1}]},
        {"parts": [{"number": 1, "blocks": []}]},
        {"parts": [{"number": 0, "blocks": [PIECE]}]},
        {"parts": [{"number": 10_001, "blocks": [PIECE]}]},
        {"parts": [{"number": -1, "blocks": [PIECE]}]},
        {"parts": [{"number": True, "blocks": [PIECE]}]},
        {"parts": [{"number": "../1", "blocks": [PIECE]}]},
        {"parts": [{"number": 1, "blocks": [PIECE, PIECE]}]},
        {"parts": [{"number": 1, "blocks": [{**PIECE, "size": BLOCK + 1}]}]},
        {"parts": [{"number": 1, "blocks": [{**PIECE, "size": 0}]}]},
        {"parts": [{"number": 1, "blocks": [{**PIECE, "size": 1.5}]}]},
        {"parts": [{"number": 1, "blocks": [{**PIECE, "sha256": "../" * 21 + "x"}]}]},
        {"parts": [{"number": 1, "blocks": [{**PIECE, "sha256": "0" * 63}]}]},
        {"parts": [{"number": 1, "blocks": [PIECE]}] * 2},
        {"parts": [{"number": n + 1, "blocks": [PIECE]} for n in range(direct_put.BLOCKS_MAX + 1)]},
    ],
)
def test_lists_that_are_none(site, bucket, changed):
    """Out of range, of the wrong kind, too long: refused before a URL is made or the store asked."""
    where = {"bucket": bucket, "key": "k"}
    _, begun = ask(site, "begin", where)

    for verb in ("urls", "verify"):
        assert (400, "InvalidRequest") == _refused(site, verb, {**where, **begun, **changed})


@pytest.mark.parametrize("bad", ["../../x", "a/b", "x" * 200, "%2e%2e", "\0"])
def test_upload_ids_that_are_none(site, bucket, bad):
    """Name nothing, and no path is made of them."""
    asked = {"bucket": bucket, "key": "k", "upload": bad, "parts": [{"number": 1, "blocks": [PIECE]}]}

    for verb in ("urls", "verify", "commit", "abort"):
        assert (404, "NoSuchUpload") == _refused(site, verb, {**asked, "parts": [{"number": 1, "etag": "0"}]}
                                                 if verb == "commit" else asked)  # fmt: skip


def test_limits(site, bucket):
    """Of a body, of an object; and the longest answer still fits a function."""
    where = {"bucket": bucket, "key": "k"}
    assert (400, "EntityTooLarge") == _refused(site, "begin", b" " * (BODY_BYTES_MAX + 1))
    assert (400, "EntityTooLarge") == _refused(site, "begin", {**where, "size": 5 * 1024**4 + 1})
    assert 132 == ask(site, "begin", {**where, "size": 5 * 1024**4})[1]["part_blocks"]
    _, begun = ask(site, "begin", where)
    block = {**PIECE, "size": BLOCK}
    parts = [{"number": n + 1, "blocks": [block]} for n in range(direct_put.BLOCKS_MAX)]

    status, given = ask(site, "urls", {**where, "upload": begun["upload"], "parts": parts})

    assert (200, direct_put.BLOCKS_MAX) == (status, len(given["parts"]))
    assert len(json.dumps(given)) < PAYLOAD / 3  # a role's session token makes URLs longer


def test_methods_and_paths(site, bucket):
    """Nothing else is there."""
    where = {"bucket": bucket, "key": "k"}
    for verb, method in (("begin", "PUT"), ("begin", "DELETE"), ("", "POST"), ("begin/", "POST")):
        assert (405, "MethodNotAllowed") == _refused(site, verb, where, method=method)
    assert (404, "NoSuchKey") == _refused(site, "read", where)


def test_another_version(site, bucket, s3):
    """Pages of two objects are never mixed."""
    where = {"bucket": bucket, "key": "k"}
    s3.put_object(Bucket=bucket, Key="k", Body=BODY[:BLOCK])
    _, page = ask(site, "read", where)
    s3.put_object(Bucket=bucket, Key="k", Body=BODY[1 : BLOCK + 1])

    assert (412, "PreconditionFailed") == _refused(site, "read", {**where, "version": page["version"]})


def test_a_site_that_only_reads(minio, dynamodb):
    """Gives URLs to read, and none to write."""
    with on_services("east", minio, dynamodb, CAUSEWAY_READ_ONLY="true", CAUSEWAY_PRIMARY="") as site:
        for verb in VERBS[:-1]:
            asked = {"bucket": "b", "key": "k", "upload": "u", "parts": []}
            assert (403, "AccessDenied") == _refused(site, verb, asked)
        assert (404, "NoSuchBucket") == _refused(site, "read", {"bucket": "bbb", "key": "k"})


def test_no_url_is_told(site, bucket, capfd, caplog):
    """What a function writes to its log opens nothing."""
    where = {"bucket": bucket, "key": "k"}
    made = upload(site, where, b"x")
    ask(site, "commit", {**made.at, "parts": made.named})
    ask(site, "verify", {**made.at, "parts": made.parts})
    read(site, where)

    told = "".join(capfd.readouterr()) + " ".join(str(vars(record)) for record in caplog.records)
    assert "requests" in told
    assert "X-Amz-" not in told
