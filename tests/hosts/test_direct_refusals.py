"""The direct API through a function's front: whom and what it refuses, over real MinIO and DynamoDB Local."""

import hashlib
import json
import os
import secrets

import pytest

from chalicelib.hosts.direct_api import BODY_BYTES_MAX
from chalicelib.hosts.lambda_http import BODY_BYTES_MAX as PAYLOAD
from chalicelib.objects import direct_put
from chalicelib.replication.setup import secret_of
from tests.hosts.direct_calls import BLOCK, ask, described, put, read, refused, s3_of, upload
from tests.hosts.direct_calls import bob as bob
from tests.hosts.direct_calls import bucket as bucket
from tests.hosts.direct_calls import s3 as s3
from tests.hosts.direct_calls import site as site
from tests.hosts.functions_site import on_services
from tests.services.run import minio_root

BODY = os.urandom(BLOCK + 1)
VERBS = ["begin", "urls", "verify", "commit", "abort", "read"]
PIECE = {"size": 1, "sha256": hashlib.sha256(b"x").hexdigest()}

# ----------------------------------------------------------------------------------- who may not


@pytest.mark.parametrize("verb", VERBS)
def test_somebody_elses_bucket(site, bucket, bob, verb):
    """Is refused whatever is asked of it, as by S3 itself; a bucket that is not there is 404."""
    asked = {"bucket": bucket, "key": "k", "upload": "u", "parts": []}

    assert (403, "AccessDenied") == refused(site, verb, asked, keys=bob)
    assert (404, "NoSuchBucket") == refused(site, verb, {**asked, "bucket": "not-there"}, keys=bob)


def test_somebody_elses_upload(site, bucket, bob):
    """Its id opens nothing from a bucket of one's own, or by another key."""
    own = f"bob-{secrets.token_hex(4)}"
    place = {"LocationConstraint": site.region}
    s3_of(site, bob).create_bucket(Bucket=own, CreateBucketConfiguration=place)
    made = upload(site, {"bucket": bucket, "key": "k"}, b"x")

    for verb in ("urls", "verify", "commit", "abort"):
        asked = {**made.at, "bucket": own, "parts": made.parts if verb != "commit" else made.named}
        assert (404, "NoSuchUpload") == refused(site, verb, asked, keys=bob)
        assert (404, "NoSuchUpload") == refused(site, verb, {**asked, "bucket": bucket, "key": "other"})
    assert 200 == ask(site, "commit", {**made.at, "parts": made.named})[0]


@pytest.mark.parametrize("verb", VERBS)
def test_who_is_nobody(site, bucket, verb):
    """No such key, a wrong secret, a body that was not signed: 403 before anything is looked at."""
    asked = {"bucket": bucket, "key": "k", "upload": "u", "parts": []}

    assert (403, "InvalidAccessKeyId") == refused(site, verb, asked, keys=("nobody", "x"))
    assert (403, "SignatureDoesNotMatch") == refused(site, verb, asked, keys=(site.keys[0], "x"))
    assert (403, "AccessDenied") == refused(site, verb, asked, payload="UNSIGNED-PAYLOAD")
    assert 400 == ask(site, verb, asked, payload="0" * 64)[0]


def test_a_disabled_user(site, bob, bucket):
    """Gets no more URLs."""
    user = site.node.names.decide("create_user", {"name": "Eve"})
    eve = user.access_key, secret_of(site.node.site, user)
    site.node.names.decide("update_user", {"access_key": eve[0], "enabled": False})

    assert (403, "AccessDenied") == refused(site, "begin", {"bucket": bucket, "key": "k"}, keys=eve)


# ---------------------------------------------------------------------------------- what may not be


def test_a_url_after_the_commit(site, bucket, s3):
    """Still good, it changes nothing: neither with the same bytes nor with others."""
    where = {"bucket": bucket, "key": "k"}
    made = upload(site, where, BODY)
    ask(site, "commit", {**made.at, "parts": made.named})

    assert 412 == put(made.signed[0], made.pieces[0])
    assert put(made.signed[1], b"!") in (400, 403, 412)
    assert (404, "NoSuchUpload") == refused(site, "urls", {**made.at, "parts": made.parts})
    assert BODY == read(site, where)


def test_what_the_store_does_not_vouch_for(site, bucket):
    """Is not recorded and not committed, whatever the client says of it."""
    where = {"bucket": bucket, "key": "k"}
    _, begun = ask(site, "begin", where)
    at = {**where, "upload": begun["upload"]}
    _, parts = described(b"never sent")

    assert (400, "InvalidPart") == refused(site, "verify", {**at, "parts": parts})
    claimed = [{"number": 1, "etag": "0" * 32}]
    assert (400, "InvalidPart") == refused(site, "commit", {**at, "parts": claimed})


def test_after_an_abort(site, bucket):
    """By this API or by S3's: nothing more is given or taken."""
    where = {"bucket": bucket, "key": "k"}
    made, other = upload(site, where, b"x"), upload(site, where, b"y")
    assert 200 == ask(site, "abort", made.at)[0]
    s3_of(site).abort_multipart_upload(Bucket=bucket, Key="k", UploadId=other.at["upload"])

    for one in (made, other):
        for verb in ("urls", "verify", "abort"):
            assert (404, "NoSuchUpload") == refused(site, verb, {**one.at, "parts": one.parts})
        assert (404, "NoSuchUpload") == refused(site, "commit", {**one.at, "parts": one.named})


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
        {"parts": [{"number": 1, "blocks": [{**PIECE, "sha256": " " * 64}]}]},
        {"parts": [{"number": 1, "blocks": [{**PIECE, "sha256": "00 " * 21 + "0"}]}]},
        {"parts": [{"number": 1, "blocks": [{**PIECE, "sha256": "\u0660" * 64}]}]},
        {"parts": [{"number": 1, "blocks": [PIECE]}] * 2},
        {"parts": [{"number": n + 1, "blocks": [PIECE]} for n in range(direct_put.BLOCKS_MAX + 1)]},
    ],
)
def test_lists_that_are_none(site, bucket, changed):
    """Out of range, of the wrong kind, too long: refused before a URL is made or the store asked."""
    where = {"bucket": bucket, "key": "k"}
    _, begun = ask(site, "begin", where)

    for verb in ("urls", "verify"):
        assert (400, "InvalidRequest") == refused(site, verb, {**where, **begun, **changed})


@pytest.mark.parametrize("bad", ["../../x", "a/b", "x" * 200, "%2e%2e", "\0"])
def test_upload_ids_that_are_none(site, bucket, bad):
    """Name nothing, and no path is made of them."""
    asked = {"bucket": bucket, "key": "k", "upload": bad, "parts": [{"number": 1, "blocks": [PIECE]}]}

    for verb in ("urls", "verify", "commit", "abort"):
        assert (404, "NoSuchUpload") == refused(site, verb, {**asked, "parts": [{"number": 1, "etag": "0"}]}
                                                 if verb == "commit" else asked)  # fmt: skip


def test_limits(site, bucket):
    """Of a body, of an object; and the longest answer still fits a function."""
    where = {"bucket": bucket, "key": "k"}
    assert (400, "EntityTooLarge") == refused(site, "begin", b" " * (BODY_BYTES_MAX + 1))
    assert (400, "EntityTooLarge") == refused(site, "begin", {**where, "size": 5 * 1024**4 + 1})
    assert 132 == ask(site, "begin", {**where, "size": 5 * 1024**4})[1]["part_blocks"]
    for length in (66_000, 200_000):  # headers in a body are no longer than headers
        long = {**where, "headers": {"content-type": "a" * length}}
        assert (400, "RequestHeaderSectionTooLarge") == refused(site, "begin", long)
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
        assert (405, "MethodNotAllowed") == refused(site, verb, where, method=method)
    assert (404, "NoSuchKey") == refused(site, "read", where)


def test_another_version(site, bucket, s3):
    """Pages of two objects are never mixed."""
    where = {"bucket": bucket, "key": "k"}
    s3.put_object(Bucket=bucket, Key="k", Body=BODY[:BLOCK])
    _, page = ask(site, "read", where)
    s3.put_object(Bucket=bucket, Key="k", Body=BODY[1 : BLOCK + 1])

    assert (412, "PreconditionFailed") == refused(site, "read", {**where, "version": page["version"]})


def test_a_site_that_only_reads(minio, dynamodb):
    """Gives URLs to read, and none to write."""
    with on_services("east", minio, dynamodb, CAUSEWAY_READ_ONLY="true", CAUSEWAY_PRIMARY="") as site:
        for verb in VERBS[:-1]:
            asked = {"bucket": "b", "key": "k", "upload": "u", "parts": []}
            assert (403, "AccessDenied") == refused(site, verb, asked)
        assert (404, "NoSuchBucket") == refused(site, "read", {"bucket": "bbb", "key": "k"})


def test_a_store_that_takes_unsigned_writes(dynamodb, capfd):
    """MinIO by root: one URL would be a permission to write everything, so there is none; S3 goes on."""
    with minio_root() as root, on_services("west", root, dynamodb) as site:
        s3, bucket = s3_of(site), f"b-{secrets.token_hex(4)}"
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": site.region})
        s3.put_object(Bucket=bucket, Key="k", Body=BODY)
        for verb in ("begin", "read"):
            status, said = ask(site, verb, {"bucket": bucket, "key": "k"})
            assert (501, "NotImplemented") == (status, said["error"]) and "docs/direct.md" in said["message"]
        assert BODY[:9] == s3.get_object(Bucket=bucket, Key="k", Range="bytes=0-8")["Body"].read()
    assert "store_takes_unsigned_writes" in "".join(capfd.readouterr())


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
