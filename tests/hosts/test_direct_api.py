"""The direct API through a function's front, over real MinIO and DynamoDB Local: what it does."""

import hashlib
import os
from base64 import b64encode

import pytest

from tests.hosts.direct_calls import BLOCK, FRONTS, MIB, ask, code, described, put, read, s3_of, upload
from tests.hosts.direct_calls import bob as bob
from tests.hosts.direct_calls import bucket as bucket
from tests.hosts.direct_calls import s3 as s3
from tests.hosts.direct_calls import site as site
from tests.hosts.functions_site import on_services

BODY = os.urandom(10 * BLOCK + 12345)  # 40 MiB and some


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


def test_mixed_with_s3s_own_parts(site, bucket, s3):
    """It is a multipart upload: a part may also come by UploadPart."""
    where = {"bucket": bucket, "key": "k"}
    made = upload(site, where, BODY[:BLOCK])
    sent = s3.upload_part(
        Bucket=bucket,
        Key="k",
        UploadId=made.at["upload"],
        PartNumber=2,
        Body=b"end",
        ChecksumAlgorithm="SHA256",
    )
    parts = [*made.named, {"number": 2, "etag": sent["ETag"].strip('"')}]

    status, done = ask(site, "commit", {**made.at, "parts": parts})

    assert (200, BLOCK + 3) == (status, done["size"])
    assert composite([BODY[:BLOCK], b"end"]) == done["checksum_sha256"]
    assert BODY[BLOCK - 1 : BLOCK] + b"end" == ranged(s3, bucket, "k", BLOCK - 1, BLOCK + 3)


@pytest.mark.parametrize("algorithm", [{}, {"ChecksumAlgorithm": "SHA256"}])
def test_completed_by_s3(site, bucket, s3, algorithm):
    """Parts of two blocks are long enough for S3's Complete; they have no SHA-256 of their own to sum up."""
    upload_id = s3.create_multipart_upload(Bucket=bucket, Key="k", **algorithm)["UploadId"]
    at = {"bucket": bucket, "key": "k", "upload": upload_id}
    pieces, ones = described(BODY[: 3 * BLOCK])
    blocks = [one["blocks"][0] for one in ones]
    parts = [{"number": 1, "blocks": blocks[:2]}, {"number": 2, "blocks": blocks[2:]}]
    _, given = ask(site, "urls", {**at, "parts": parts})
    signed = [url for part in given["parts"] for url in part["urls"]]
    assert [200] * 3 == [put(one, piece) for one, piece in zip(signed, pieces, strict=True)]
    _, seen = ask(site, "verify", {**at, "parts": parts})
    named = [{"PartNumber": part["number"], "ETag": part["etag"]} for part in seen["parts"]]

    done = s3.complete_multipart_upload(
        Bucket=bucket, Key="k", UploadId=upload_id, MultipartUpload={"Parts": named}
    )

    assert "ChecksumSHA256" not in done
    assert done["ETag"].endswith('-2"')
    assert BODY[: 3 * BLOCK] == read(site, {"bucket": bucket, "key": "k"})


def test_another_endpoint_for_clients(minio, dynamodb):
    """Where functions reach the bucket by another name than clients do, URLs name the clients'."""
    seen = "https://blocks.example.test"
    with on_services("west", minio, dynamodb, CAUSEWAY_BLOCKS_PUBLIC_ENDPOINT=seen) as site:
        bucket = "photos"
        place = {"LocationConstraint": site.region}
        s3_of(site).create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
        where = {"bucket": bucket, "key": "k"}
        _, begun = ask(site, "begin", where)
        _, parts = described(b"x")
        _, given = ask(site, "urls", {**where, "upload": begun["upload"], "parts": parts})
        status, said = ask(site, "verify", {**where, "upload": begun["upload"], "parts": parts})

    assert given["parts"][0]["urls"][0]["url"].startswith(f"{seen}/")
    assert (400, "InvalidPart") == (status, said["error"])  # the store was asked, by its own name
