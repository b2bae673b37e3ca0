"""Buckets, keys and listings through the fronts: the streaming server's tests, unchanged."""

import pytest

from tests.clients import test_boto3_buckets as buckets
from tests.clients.test_boto3_buckets import (
    filled,
    test_a_bucket_is_made_seen_and_removed,
    test_a_bucket_remembers_its_location,
    test_a_bucket_that_holds_something_stays,
    test_a_listing_refuses_nonsense,
    test_a_listing_sees_every_acknowledged_write_at_once,
    test_a_listing_tells_what_the_object_tells,
    test_a_name_that_is_taken_says_by_whom,
    test_list_buckets_comes_in_pages,
    test_list_v1_takes_every_parameter,
    test_list_v2_takes_every_parameter,
    test_settings_nobody_made_answer_as_on_aws,
)

__all__ = [
    "filled",
    "test_a_bucket_is_made_seen_and_removed",
    "test_a_bucket_remembers_its_location",
    "test_a_bucket_that_holds_something_stays",
    "test_a_listing_refuses_nonsense",
    "test_a_listing_sees_every_acknowledged_write_at_once",
    "test_a_listing_tells_what_the_object_tells",
    "test_a_name_that_is_taken_says_by_whom",
    "test_list_buckets_comes_in_pages",
    "test_list_v1_takes_every_parameter",
    "test_list_v2_takes_every_parameter",
    "test_settings_nobody_made_answer_as_on_aws",
]

EVERY_FRONT = pytest.mark.parametrize("site", ["rest", "domain", "url"], indirect=True)
# Paths that fronts are known to decode, cut or join.
AWKWARD = ["a//b", "/lead", "dir/", "x+y", "é/ü", "a%2Fb", "q?x=1", "..a/./b", "#", ";"]


@EVERY_FRONT
def test_hostile_keys(s3, bucket):
    """Keys are opaque, whatever a front does with paths."""
    buckets.test_hostile_keys_are_stored_and_listed_unchanged(s3, bucket)


@EVERY_FRONT
@pytest.mark.parametrize("key", AWKWARD)
def test_awkward_keys_by_every_verb(s3, bucket, key):
    """PUT, GET, HEAD, copy, a part of an upload and DELETE mean this very key, not one that looks like it."""
    at = {"Bucket": bucket, "Key": key}
    s3.put_object(**at, Body=b"body")
    assert s3.get_object(**at)["Body"].read() == b"body"
    assert s3.head_object(**at)["ETag"]
    s3.copy_object(Bucket=bucket, Key=key + "copy", CopySource=at)
    upload = s3.create_multipart_upload(**at)["UploadId"]
    assert s3.upload_part(**at, UploadId=upload, PartNumber=1, Body=b"part")["ETag"]
    s3.abort_multipart_upload(**at, UploadId=upload)
    s3.delete_object(**at)
    assert buckets.listed(s3, bucket) == ([key + "copy"], [])


def test_pages(s3, filled):
    """Continuation tokens and markers walk over keys and prefixes, each once."""
    for delimiter in ("", "/"):
        buckets.test_pages_hold_everything_once(s3, filled, 2, delimiter)
