"""Objects as boto3 puts, reads, copies and deletes them."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from tests.clients.conftest import code_of, new_bucket, refused

LARGE = os.urandom(9 * 1024 * 1024 + 13)  # three blocks, the last one short
SIZES = [0, 1, 8 * 1024, 8 * 1024 + 1, 32 * 1024, 32 * 1024 + 1, 4 << 20, (4 << 20) + 1]
HEADERS = {
    "ContentType": "text/plain; charset=utf-8",
    "CacheControl": "max-age=60",
    "ContentDisposition": 'attachment; filename="a b.txt"',
    "ContentEncoding": "gzip",
    "ContentLanguage": "de, en",
    "Expires": datetime(2033, 5, 18, 3, 33, 20, tzinfo=UTC),
}
NEVER = datetime(2001, 1, 1, tzinfo=UTC)


def body_of(s3, bucket, key, **options):
    return s3.get_object(Bucket=bucket, Key=key, **options)["Body"].read()


def md5_of(body):
    return f'"{hashlib.md5(body).hexdigest()}"'


@pytest.fixture
def large(s3, bucket):
    """(bucket, ETag) of LARGE under `k`."""
    return bucket, s3.put_object(Bucket=bucket, Key="k", Body=LARGE)["ETag"]


# ---------------------------------------------------------------------- put and read


@pytest.mark.parametrize("size", SIZES)
def test_bytes_come_back(s3, bucket, size):
    """Whatever the size, inline or in blocks: the bytes, the length and the MD5 as ETag."""
    body = LARGE[:size]
    assert s3.put_object(Bucket=bucket, Key="k", Body=body)["ETag"] == md5_of(body)

    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == body
    head = s3.head_object(Bucket=bucket, Key="k")
    assert (got["ContentLength"], got["ETag"]) == (head["ContentLength"], head["ETag"])
    assert (head["ContentLength"], head["ETag"]) == (size, md5_of(body))
    assert got["LastModified"] == head["LastModified"]
    assert (head["AcceptRanges"], head["ContentType"]) == ("bytes", "binary/octet-stream")


def test_headers_and_metadata_come_back(s3, bucket):
    """Standard headers and user metadata are kept as sent, and shown by GET and HEAD alike."""
    kept = HEADERS | {"Metadata": {"plain": "a  b", "empty": "", "case-KEY": "V"}}
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **kept)

    for answer in (s3.get_object(Bucket=bucket, Key="k"), s3.head_object(Bucket=bucket, Key="k")):
        shown = {name: answer[name] for name in HEADERS}
        assert shown == {name: kept[name] for name in HEADERS}
        assert answer["Metadata"] == {"plain": "a  b", "empty": "", "case-key": "V"}


def test_too_much_metadata_is_refused(s3, bucket):
    """2,048 bytes of user metadata pass, one more does not."""
    s3.put_object(Bucket=bucket, Key="k", Metadata={"n": "v" * 2047})
    assert refused(s3.put_object, Bucket=bucket, Key="k", Metadata={"n": "v" * 2048})[0] == "MetadataTooLarge"


def test_a_put_replaces_and_a_delete_removes(s3, bucket):
    """A later PUT replaces body, headers and metadata whole; a DELETE answers 204, there or not."""
    s3.put_object(Bucket=bucket, Key="k", Body=LARGE, Metadata={"a": "1"}, CacheControl="no-store")
    s3.put_object(Bucket=bucket, Key="k", Body=b"new")
    got = s3.get_object(Bucket=bucket, Key="k")
    assert (got["Body"].read(), got["Metadata"], got.get("CacheControl")) == (b"new", {}, None)

    for _ in range(2):
        assert s3.delete_object(Bucket=bucket, Key="k")["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refused(s3.get_object, Bucket=bucket, Key="k") == ("NoSuchKey", 404)
    assert refused(s3.head_object, Bucket=bucket, Key="k") == ("404", 404)


def test_response_overrides(s3, bucket):
    """response-* parameters replace the stored headers of one answer."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **(HEADERS | {"ContentType": "text/plain"}))
    got = s3.get_object(
        Bucket=bucket,
        Key="k",
        ResponseContentType="text/html",
        ResponseCacheControl="no-cache",
        ResponseContentDisposition="inline",
        ResponseContentEncoding="identity",
        ResponseContentLanguage="fr",
        ResponseExpires=NEVER,
    )
    assert (got["ContentType"], got["CacheControl"], got["ContentDisposition"]) == (
        "text/html",
        "no-cache",
        "inline",
    )
    assert (got["ContentEncoding"], got["ContentLanguage"], got["Expires"]) == ("identity", "fr", NEVER)
    assert s3.get_object(Bucket=bucket, Key="k")["ContentType"] == "text/plain"


RANGES = {
    "bytes=0-0": (0, 1),
    "bytes=5-9": (5, 10),
    "bytes=4194303-4194304": (4194303, 4194305),  # across two blocks
    "bytes=4194304-": (4194304, len(LARGE)),
    "bytes=-7": (len(LARGE) - 7, len(LARGE)),
    "bytes=9000000-99999999999": (9000000, len(LARGE)),
    "bytes=-99999999999": (0, len(LARGE)),
}


def test_ranges(s3, large):
    """Every form of one range gives its bytes, 206 and Content-Range, for GET and HEAD alike."""
    bucket, _ = large
    for text, (start, end) in RANGES.items():
        got = s3.get_object(Bucket=bucket, Key="k", Range=text)
        assert got["Body"].read() == LARGE[start:end], text
        assert got["ContentRange"] == f"bytes {start}-{end - 1}/{len(LARGE)}"
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert s3.head_object(Bucket=bucket, Key="k", Range=text)["ContentLength"] == end - start


@pytest.mark.parametrize("text", ["bytes=5-4", "bytes=a-b", "lines=1-2", "bytes=0-0,2-2"])
def test_what_is_no_range_gets_the_whole(s3, bucket, text):
    """An ill-formed or multiple range is ignored, as HTTP says."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"whole")
    assert body_of(s3, bucket, "k", Range=text) == b"whole"


@pytest.mark.parametrize("text", ["bytes=5-", "bytes=5-6", "bytes=-0"])
def test_a_range_behind_the_end_is_refused(s3, bucket, text):
    """InvalidRange with the size in Content-Range."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"whole")
    with pytest.raises(ClientError) as no:
        s3.get_object(Bucket=bucket, Key="k", Range=text)
    assert code_of(no.value) == "InvalidRange"
    assert no.value.response["ResponseMetadata"]["HTTPHeaders"]["content-range"] == "bytes */5"


# ------------------------------------------------------------------------ conditions


def test_conditional_reads(s3, bucket):
    """The four conditions of GET and HEAD, and which of two decides."""
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    passing = [
        {"IfMatch": etag},
        {"IfMatch": "*"},
        {"IfNoneMatch": '"other"'},
        {"IfModifiedSince": NEVER},
        {"IfMatch": etag, "IfUnmodifiedSince": NEVER},
        {"IfNoneMatch": '"other"', "IfModifiedSince": datetime.now(UTC)},
    ]
    for conditions in passing:
        assert body_of(s3, bucket, "k", **conditions) == b"x", conditions
        s3.head_object(Bucket=bucket, Key="k", **conditions)
    for conditions, status in [
        ({"IfMatch": '"other"'}, 412),
        ({"IfUnmodifiedSince": NEVER}, 412),
        ({"IfNoneMatch": etag}, 304),
        ({"IfNoneMatch": "*"}, 304),
        ({"IfModifiedSince": datetime.now(UTC) + timedelta(seconds=2)}, 304),
    ]:
        assert refused(s3.get_object, Bucket=bucket, Key="k", **conditions)[1] == status, conditions
        assert refused(s3.head_object, Bucket=bucket, Key="k", **conditions)[1] == status, conditions


def test_conditional_writes(s3, bucket):
    """If-None-Match: * and If-Match on PUT and DELETE; what they refuse leaves the object as it was."""
    put = {"Bucket": bucket, "Key": "k"}
    assert refused(s3.put_object, **put, Body=b"0", IfMatch='"any"') == ("NoSuchKey", 404)
    first = s3.put_object(**put, Body=b"1", IfNoneMatch="*")["ETag"]
    assert refused(s3.put_object, **put, Body=LARGE, IfNoneMatch="*") == ("PreconditionFailed", 412)
    assert refused(s3.put_object, **put, Body=b"2", IfMatch='"other"') == ("PreconditionFailed", 412)
    assert body_of(s3, bucket, "k") == b"1"
    second = s3.put_object(**put, Body=b"2", IfMatch=first)["ETag"]
    assert refused(s3.delete_object, **put, IfMatch=first) == ("PreconditionFailed", 412)
    s3.delete_object(**put, IfMatch=second)
    s3.put_object(**put, Body=b"3", IfNoneMatch="*")  # a tombstone is not an object


@pytest.mark.parametrize("size", [1, 10_000])
def test_of_concurrent_conditional_puts_one_wins(s3, bucket, size):
    """16 writers with If-None-Match: *, then with one If-Match: one 200, and the winner's bytes."""

    def put(body: bytes, condition: dict[str, str]) -> str:
        try:
            s3.put_object(Bucket=bucket, Key="k", Body=body, **condition)
        except ClientError as no:
            return code_of(no)
        return "won"

    for name in ("IfNoneMatch", "IfMatch"):
        value = "*" if name == "IfNoneMatch" else s3.head_object(Bucket=bucket, Key="k")["ETag"]
        bodies = [f"{name}{n:02d}".encode() * size for n in range(16)]
        with ThreadPoolExecutor(16) as pool:
            told = list(pool.map(put, bodies, [{name: value}] * 16))
        assert told.count("won") == 1, told
        # S3 answers 409 where it cannot tell in time who won; nobody else may have been stored.
        assert set(told) <= {"won", "PreconditionFailed", "ConditionalRequestConflict"}, told
        assert body_of(s3, bucket, "k") == bodies[told.index("won")]


# ------------------------------------------------------------------- delete and copy


def test_delete_objects(s3, bucket):
    """Many keys at once, there or not, quietly or not, with a wrong ETag refused on its own."""
    for n in range(20):
        s3.put_object(Bucket=bucket, Key=f"k{n}", Body=b"x")
    some = [{"Key": f"k{n}"} for n in range(10)] + [{"Key": "never there"}]
    told = s3.delete_objects(Bucket=bucket, Delete={"Objects": some})
    assert [each["Key"] for each in told["Deleted"]] == [each["Key"] for each in some]

    rest = [{"Key": f"k{n}"} for n in range(10, 19)] + [{"Key": "k19", "ETag": '"other"'}]
    told = s3.delete_objects(Bucket=bucket, Delete={"Objects": rest, "Quiet": True})
    assert "Deleted" not in told
    assert [(no["Key"], no["Code"]) for no in told["Errors"]] == [("k19", "PreconditionFailed")]
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["k19"]


@pytest.mark.parametrize("body", [b"small", LARGE], ids=["inline", "blocks"])
def test_copies(s3, bucket, body):
    """COPY keeps headers and metadata, REPLACE takes new ones; the copy outlives its source."""
    source = {"Bucket": bucket, "Key": "from/ä +%.txt"}
    elsewhere = new_bucket(s3)
    s3.put_object(**source, Body=body, Metadata={"a": "1"}, CacheControl="no-store")
    told = s3.copy_object(Bucket=elsewhere, Key="copy", CopySource=source)
    assert told["CopyObjectResult"]["ETag"] == md5_of(body)
    s3.copy_object(
        Bucket=bucket,
        Key="replaced",
        CopySource=source,
        MetadataDirective="REPLACE",
        Metadata={"b": "2"},
        ContentType="text/plain",
    )
    s3.delete_object(**source)

    copy = s3.get_object(Bucket=elsewhere, Key="copy")
    assert copy["Body"].read() == body
    assert (copy["Metadata"], copy["CacheControl"], copy["ETag"]) == ({"a": "1"}, "no-store", md5_of(body))
    other = s3.get_object(Bucket=bucket, Key="replaced")
    assert other["Body"].read() == body
    assert (other["Metadata"], other.get("CacheControl"), other["ContentType"]) == (
        {"b": "2"},
        None,
        "text/plain",
    )


@pytest.mark.parametrize("body", [b"small", LARGE], ids=["inline", "blocks"])
def test_a_copy_onto_itself_changes_what_is_said_about_it(s3, bucket, body):
    """Refused without REPLACE; with it the metadata changes and the bytes stay, twice over."""
    at = {"Bucket": bucket, "Key": "k"}
    s3.put_object(**at, Body=body, Metadata={"a": "1"})
    assert refused(s3.copy_object, **at, CopySource=at) == ("InvalidRequest", 400)
    for n in range(2):
        s3.copy_object(**at, CopySource=at, MetadataDirective="REPLACE", Metadata={"n": str(n)})
        got = s3.get_object(**at)
        assert (got["Body"].read(), got["Metadata"]) == (body, {"n": str(n)})


def test_copy_conditions(s3, bucket):
    """The four conditions on the source, and those on the target."""
    source = {"Bucket": bucket, "Key": "source"}
    etag = s3.put_object(**source, Body=b"x")["ETag"]
    copy = {"Bucket": bucket, "Key": "copy", "CopySource": source}
    for conditions in (
        {"CopySourceIfMatch": '"other"'},
        {"CopySourceIfNoneMatch": etag},
        {"CopySourceIfUnmodifiedSince": NEVER},
        {"CopySourceIfModifiedSince": datetime.now(UTC) + timedelta(seconds=2)},
    ):
        assert refused(s3.copy_object, **copy, **conditions) == ("PreconditionFailed", 412), conditions
    s3.copy_object(**copy, CopySourceIfMatch=etag, IfNoneMatch="*")
    assert refused(s3.copy_object, **copy, IfNoneMatch="*") == ("PreconditionFailed", 412)
    missing = copy | {"CopySource": {"Bucket": bucket, "Key": "missing"}}
    assert refused(s3.copy_object, **missing) == ("NoSuchKey", 404)


def test_nobody_copies_what_they_may_not_read(site, s3, bucket):
    """Another user's object is no copy source, for objects and parts."""
    s3.put_object(Bucket=bucket, Key="secret", Body=b"x")
    other = site.boto3(site.user())
    own = new_bucket(other)
    source = {"Bucket": bucket, "Key": "secret"}
    assert refused(other.copy_object, Bucket=own, Key="k", CopySource=source) == ("AccessDenied", 403)
    upload = other.create_multipart_upload(Bucket=own, Key="k")["UploadId"]
    at = {"Bucket": own, "Key": "k", "UploadId": upload, "PartNumber": 1}
    assert refused(other.upload_part_copy, **at, CopySource=source) == ("AccessDenied", 403)
