"""Objects through the fronts: the streaming server's tests, with bodies that fit a function's payload."""

import hashlib
import os

import pytest

from tests.clients import test_boto3_checksums as checksums
from tests.clients import test_boto3_objects as objects
from tests.clients.conftest import refused
from tests.clients.test_boto3_objects import (
    test_a_put_replaces_and_a_delete_removes,
    test_a_range_behind_the_end_is_refused,
    test_conditional_reads,
    test_conditional_writes,
    test_copy_conditions,
    test_delete_objects,
    test_headers_and_metadata_come_back,
    test_nobody_copies_what_they_may_not_read,
    test_response_overrides,
    test_too_much_metadata_is_refused,
    test_what_is_no_range_gets_the_whole,
)
from tests.clients.test_signing import test_presigned_metadata_is_stored, test_presigned_urls

__all__ = [
    "test_a_put_replaces_and_a_delete_removes",
    "test_a_range_behind_the_end_is_refused",
    "test_conditional_reads",
    "test_conditional_writes",
    "test_copy_conditions",
    "test_delete_objects",
    "test_headers_and_metadata_come_back",
    "test_nobody_copies_what_they_may_not_read",
    "test_presigned_metadata_is_stored",
    "test_presigned_urls",
    "test_response_overrides",
    "test_too_much_metadata_is_refused",
    "test_what_is_no_range_gets_the_whole",
]

BLOCK = 4 << 20
FITS = os.urandom(BLOCK + 100_000)  # two blocks, and still less than an event carries
RANGES = {
    "bytes=0-0": (0, 1),
    f"bytes={BLOCK - 1}-{BLOCK}": (BLOCK - 1, BLOCK + 1),  # across two blocks
    f"bytes={BLOCK}-": (BLOCK, len(FITS)),
    "bytes=-7": (len(FITS) - 7, len(FITS)),
    "bytes=4200000-99999999999": (4_200_000, len(FITS)),
}


@pytest.fixture(autouse=True)
def bodies_that_fit(monkeypatch):
    """What those tests take for large."""
    monkeypatch.setattr(objects, "LARGE", FITS)


@pytest.mark.parametrize("size", [0, 1, 8 * 1024, 8 * 1024 + 1, BLOCK, BLOCK + 1])
def test_bytes_come_back(s3, bucket, size):
    """Inline, in one block, in two; the ETag is S3's."""
    told = s3.put_object(Bucket=bucket, Key="k", Body=FITS[:size])
    got = s3.get_object(Bucket=bucket, Key="k")

    assert got["Body"].read() == FITS[:size]
    assert told["ETag"] == got["ETag"] == s3.head_object(Bucket=bucket, Key="k")["ETag"]
    assert (told["ETag"], got["ContentLength"]) == (objects.md5_of(FITS[:size]), size)


def test_ranges(s3, bucket):
    """Every form of one range."""
    s3.put_object(Bucket=bucket, Key="k", Body=FITS)
    for text, (start, end) in RANGES.items():
        got = s3.get_object(Bucket=bucket, Key="k", Range=text)
        assert got["Body"].read() == FITS[start:end], text
        assert got["ContentRange"] == f"bytes {start}-{end - 1}/{len(FITS)}"


@pytest.mark.parametrize("body", [b"small", FITS], ids=["inline", "blocks"])
def test_copies(s3, bucket, body):
    """To another bucket, with new metadata, and onto itself."""
    objects.test_copies(s3, bucket, body)
    objects.test_a_copy_onto_itself_changes_what_is_said_about_it(s3, bucket, body)


@pytest.mark.parametrize("algorithm", checksums.SUMS)
def test_checksums(s3, bucket, algorithm):
    """All five: verified, kept, told; a wrong one stores nothing."""
    for body in (b"", b"small", FITS):
        checksums.test_in_the_header(s3, bucket, algorithm, body)


def test_content_md5(site, s3, bucket):
    """The REST API drops it, so it is rebuilt from the body: a wrong one is a wrong signature there."""
    at = {"Bucket": bucket, "Key": "k"}
    s3.put_object(**at, Body=b"x", ContentMD5=checksums.in_base64(hashlib.md5(b"x").digest()))
    wrong = checksums.in_base64(hashlib.md5(b"other").digest())
    refusal = ("SignatureDoesNotMatch", 403) if site.front == "rest" else ("BadDigest", 400)
    assert refused(s3.put_object, **at, Body=b"y", ContentMD5=wrong) == refusal
    assert s3.get_object(**at)["Body"].read() == b"x"


def test_concurrent_conditional_puts(s3, bucket):
    """Of 16 writers one wins, in sandboxes that know nothing of each other."""
    objects.test_of_concurrent_conditional_puts_one_wins(s3, bucket, 10_000)
