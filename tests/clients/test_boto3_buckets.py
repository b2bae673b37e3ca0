"""Buckets and listings as boto3 asks for them."""

import secrets
from urllib.parse import unquote_plus

import pytest
from botocore.exceptions import ClientError

from tests.clients.conftest import code_of, new_bucket, refused

# Opaque to us; each is hostile to some way of storing, joining or escaping names.
HOSTILE = sorted(
    [
        "../../escape",
        "..",
        ".",
        "/absolute",
        "//twice//",
        "a/../b",
        "back\\slash",
        "C:\\x",
        "ends/",
        "percent%2Fslash",
        "%",
        "100%",
        "a+b c",
        "a&b=c?d#e;f",
        "<tag> ]]> \"quoted\" 'single'",
        "emoji-\U0001f680-é-e\u0301",
        "line\nfeed\r\ttab",
        "control\x01\x1f\x7f",
        "\ufffd\ufffe",
        "trailing space ",
        "trailing dot.",
        "x" * 1024,
        "ü" * 512,
        ".minio.sys/x",
        "soap",
    ],
    key=str.encode,
)


def listed(s3, bucket, **options):
    """(keys, prefixes) of one page of version 2."""
    page = s3.list_objects_v2(Bucket=bucket, **options)
    keys = [entry["Key"] for entry in page.get("Contents", [])]
    return keys, [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]


def put_all(s3, bucket, *keys):
    """Objects that hold their own key."""
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())


# --------------------------------------------------------------------------- buckets


def test_a_bucket_is_made_seen_and_removed(s3):
    """Create, head, list, location and delete of one bucket agree."""
    name = f"b-{secrets.token_hex(6)}"
    assert s3.create_bucket(Bucket=name)["Location"] == f"/{name}"
    try:
        assert s3.head_bucket(Bucket=name)["ResponseMetadata"]["HTTPStatusCode"] == 200
        assert name in [each["Name"] for each in s3.list_buckets()["Buckets"]]
        assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] is None
    finally:
        s3.delete_bucket(Bucket=name)
    assert name not in [each["Name"] for each in s3.list_buckets()["Buckets"]]
    assert refused(s3.head_bucket, Bucket=name) == ("404", 404)


def test_a_bucket_remembers_its_location(s3):
    """A LocationConstraint is what get_bucket_location answers and head_bucket shows."""
    name = f"b-{secrets.token_hex(6)}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] == "eu-west-1"
    assert s3.head_bucket(Bucket=name)["BucketRegion"] == "eu-west-1"


def test_a_name_that_is_taken_says_by_whom(site, s3, bucket):
    """One's own bucket is BucketAlreadyOwnedByYou, another user's is BucketAlreadyExists and closed."""
    other = site.boto3(site.user())

    assert refused(s3.create_bucket, Bucket=bucket) == ("BucketAlreadyOwnedByYou", 409)
    assert refused(other.create_bucket, Bucket=bucket) == ("BucketAlreadyExists", 409)
    assert refused(other.list_objects_v2, Bucket=bucket) == ("AccessDenied", 403)
    assert refused(other.put_object, Bucket=bucket, Key="k", Body=b"") == ("AccessDenied", 403)
    assert bucket not in [each["Name"] for each in other.list_buckets()["Buckets"]]


def test_a_bucket_that_holds_something_stays(s3, bucket):
    """BucketNotEmpty while there is an object, gone once there is none, and nothing of it comes back."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert refused(s3.delete_bucket, Bucket=bucket) == ("BucketNotEmpty", 409)

    s3.delete_object(Bucket=bucket, Key="k")
    s3.delete_bucket(Bucket=bucket)
    assert refused(s3.get_object, Bucket=bucket, Key="k") == ("NoSuchBucket", 404)
    assert refused(s3.delete_bucket, Bucket=bucket) == ("NoSuchBucket", 404)

    s3.create_bucket(Bucket=bucket)
    assert listed(s3, bucket) == ([], [])


def test_list_buckets_comes_in_pages(site):
    """MaxBuckets, ContinuationToken and Prefix walk over a user's buckets, each once."""
    s3 = site.boto3(site.user())
    names = sorted(new_bucket(s3) for _ in range(5))
    pages = s3.get_paginator("list_buckets").paginate(PaginationConfig={"PageSize": 2})

    assert [each["Name"] for page in pages for each in page["Buckets"]] == names
    assert [each["Name"] for each in s3.list_buckets(Prefix=names[2])["Buckets"]] == [names[2]]


def test_settings_nobody_made_answer_as_on_aws(s3, bucket):
    """What SDKs and Terraform probe has S3's answer for a bucket without settings."""
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert s3.get_bucket_acl(Bucket=bucket)["Grants"][0]["Permission"] == "FULL_CONTROL"
    assert refused(s3.get_bucket_policy, Bucket=bucket)[0] == "NoSuchBucketPolicy"
    assert refused(s3.get_bucket_cors, Bucket=bucket)[0] == "NoSuchCORSConfiguration"
    assert refused(s3.get_bucket_tagging, Bucket=bucket)[0] == "NoSuchTagSet"
    assert refused(s3.put_bucket_policy, Bucket=bucket, Policy="{}")[1] in (400, 405, 501)


# ------------------------------------------------------------------------------ keys


def test_hostile_keys_are_stored_and_listed_unchanged(s3, bucket):
    """Keys are opaque: each reads back its own bytes, and both listings show it as it was."""
    put_all(s3, bucket, *HOSTILE)

    assert listed(s3, bucket) == (HOSTILE, [])
    assert [e["Key"] for e in s3.list_objects(Bucket=bucket)["Contents"]] == HOSTILE
    for key in HOSTILE:
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    page = s3.list_objects_v2(Bucket=bucket, EncodingType="url")
    assert [unquote_plus(entry["Key"]) for entry in page["Contents"]] == HOSTILE

    told = s3.delete_objects(
        Bucket=bucket,
        Delete={"Objects": [{"Key": key} for key in HOSTILE if not set(key) & set("\x01\ufffe")]},
    )
    assert "Errors" not in told
    s3.delete_object(Bucket=bucket, Key="control\x01\x1f\x7f")
    s3.delete_object(Bucket=bucket, Key="\ufffd\ufffe")
    assert listed(s3, bucket) == ([], [])


# -------------------------------------------------------------------------- listings

KEYS = ["a/1", "a/2", "b", "b/1/x", "b/1/y", "b/2/z", "c+d", "e f", "ö"]


@pytest.fixture
def filled(s3, bucket):
    """A bucket with KEYS."""
    put_all(s3, bucket, *KEYS)
    return bucket


def test_list_v2_takes_every_parameter(s3, filled):
    """prefix, delimiter, start-after, max-keys, fetch-owner and encoding-type do what S3 says."""
    assert listed(s3, filled) == (KEYS, [])
    assert listed(s3, filled, Prefix="b/") == (KEYS[3:6], [])
    assert listed(s3, filled, Delimiter="/") == (["b", "c+d", "e f", "ö"], ["a/", "b/"])
    assert listed(s3, filled, Delimiter="/", Prefix="b/") == ([], ["b/1/", "b/2/"])
    assert listed(s3, filled, Delimiter="1/") == ([*KEYS[:3], "b/2/z", *KEYS[6:]], ["b/1/"])
    assert listed(s3, filled, StartAfter="b/1/x") == (KEYS[4:], [])
    assert listed(s3, filled, StartAfter="bb") == (KEYS[6:], [])
    assert listed(s3, filled, Prefix="nothing") == ([], [])
    assert listed(s3, filled, MaxKeys=0) == ([], [])
    assert listed(s3, filled, MaxKeys=100_000) == (KEYS, [])
    page = s3.list_objects_v2(Bucket=filled, MaxKeys=3, Prefix="", FetchOwner=True, EncodingType="url")
    assert (page["KeyCount"], page["MaxKeys"], page["IsTruncated"]) == (3, 3, True)
    assert page["Contents"][0]["Owner"]["ID"]
    assert page["EncodingType"] == "url"
    assert "Owner" not in s3.list_objects_v2(Bucket=filled)["Contents"][0]


@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("delimiter", ["", "/"])
def test_pages_hold_everything_once(s3, filled, size, delimiter):
    """Continuation tokens and markers walk over keys and prefixes, each once and in order."""
    whole = listed(s3, filled, Delimiter=delimiter)
    for name in ("list_objects_v2", "list_objects"):
        pages = s3.get_paginator(name).paginate(
            Bucket=filled, Delimiter=delimiter, PaginationConfig={"PageSize": size}
        )
        keys, prefixes = [], []
        for page in pages:
            keys += [entry["Key"] for entry in page.get("Contents", [])]
            prefixes += [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
            assert len(page.get("Contents", [])) + len(page.get("CommonPrefixes", [])) <= size
        assert (keys, prefixes) == whole


def test_list_v1_takes_every_parameter(s3, filled):
    """marker, prefix, delimiter and max-keys; NextMarker comes with a delimiter; owners are shown."""
    page = s3.list_objects(Bucket=filled, Marker="a/2", MaxKeys=2)
    assert [entry["Key"] for entry in page["Contents"]] == ["b", "b/1/x"]
    assert (page["Marker"], page["IsTruncated"]) == ("a/2", True)
    assert page["Contents"][0]["Owner"]["ID"]

    page = s3.list_objects(Bucket=filled, Delimiter="/", MaxKeys=3)
    assert page["NextMarker"] == "b/"
    after = s3.list_objects(Bucket=filled, Delimiter="/", Marker=page["NextMarker"])
    assert [entry["Key"] for entry in after["Contents"]] == ["c+d", "e f", "ö"]
    assert "CommonPrefixes" not in after


def test_a_listing_tells_what_the_object_tells(s3, bucket):
    """Size, ETag, time, class and checksum algorithm of a row are those of the object."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"abc", ChecksumAlgorithm="SHA256")
    row = s3.list_objects_v2(Bucket=bucket)["Contents"][0]
    head = s3.head_object(Bucket=bucket, Key="k")

    assert (row["Size"], row["ETag"], row["StorageClass"]) == (3, head["ETag"], "STANDARD")
    assert row["LastModified"].replace(microsecond=0) == head["LastModified"]
    assert row["ChecksumAlgorithm"] == ["SHA256"]


def test_a_listing_sees_every_acknowledged_write_at_once(s3, bucket):
    """A put or delete that was acknowledged is in the very next listing."""
    for n in range(12):
        s3.put_object(Bucket=bucket, Key=f"{n:02d}", Body=b"")
        assert len(listed(s3, bucket)[0]) == n + 1
    for n in range(12):
        s3.delete_object(Bucket=bucket, Key=f"{n:02d}")
        assert len(listed(s3, bucket)[0]) == 11 - n


@pytest.mark.parametrize("options", [{"ContinuationToken": "nonsense"}, {"EncodingType": "gzip"}])
def test_a_listing_refuses_nonsense(s3, bucket, options):
    """A token we never gave and an encoding nobody knows are InvalidArgument."""
    with pytest.raises(ClientError) as no:
        s3.list_objects_v2(Bucket=bucket, **options)

    assert code_of(no.value) == "InvalidArgument"
