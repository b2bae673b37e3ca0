"""Multipart uploads as boto3 does them."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from boto3.s3.transfer import TransferConfig

from tests.clients.conftest import refused

MIB = 1 << 20
BODY = os.urandom(12 * MIB + 5)
CUTS = [0, 5 * MIB, 11 * MIB + 1, len(BODY)]  # the second part is larger than a block and not a multiple
PARTS = [BODY[a:b] for a, b in zip(CUTS, CUTS[1:], strict=False)]
ETAG = f'"{hashlib.md5(b"".join(hashlib.md5(p).digest() for p in PARTS)).hexdigest()}-3"'


@pytest.fixture
def upload(s3, bucket):
    """An open upload, as arguments of every call on it."""
    return open_upload(s3, bucket, "k")


def open_upload(s3, bucket, key, **options):
    made = s3.create_multipart_upload(Bucket=bucket, Key=key, **options)
    return {"Bucket": bucket, "Key": key, "UploadId": made["UploadId"]}


def send(s3, upload, bodies=PARTS, **options):
    """Upload each body as a part; what Complete wants to hear."""
    told = [s3.upload_part(**upload, PartNumber=n, Body=b, **options) for n, b in enumerate(bodies, 1)]
    return [{"PartNumber": n, "ETag": t["ETag"]} for n, t in enumerate(told, 1)]


def complete(s3, upload, parts, **options):
    return s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, **options)


def test_parts_become_the_object(s3, bucket):
    """The bytes, S3's ETag, headers and metadata of Create; ?partNumber= reads one part."""
    upload = open_upload(s3, bucket, "k", Metadata={"a": "1"}, ContentType="text/plain")
    told = complete(s3, upload, send(s3, upload))
    assert (told["ETag"], told["Key"], told["Bucket"]) == (ETAG, "k", bucket)

    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == BODY
    assert (got["ETag"], got["Metadata"], got["ContentType"]) == (ETAG, {"a": "1"}, "text/plain")
    across = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={CUTS[1] - 2}-{CUTS[1] + 1}")
    assert across["Body"].read() == BODY[CUTS[1] - 2 : CUTS[1] + 2]
    for number, part in enumerate(PARTS, 1):
        one = s3.get_object(Bucket=bucket, Key="k", PartNumber=number)
        assert one["Body"].read() == part
        assert (one["PartsCount"], one["ResponseMetadata"]["HTTPStatusCode"]) == (3, 206)
        head = s3.head_object(Bucket=bucket, Key="k", PartNumber=number)
        assert (head["ContentLength"], head["PartsCount"]) == (len(part), 3)
    assert refused(s3.get_object, Bucket=bucket, Key="k", PartNumber=4)[1] == 416


def test_nothing_shows_before_complete(s3, upload):
    """An open upload is no object; completing it makes it one, and it is listed no more."""
    parts = send(s3, upload, [b"only"])
    bucket = upload["Bucket"]
    assert refused(s3.head_object, Bucket=bucket, Key="k")[1] == 404
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    complete(s3, upload, parts)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"only"
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    assert refused(s3.list_parts, **upload) == ("NoSuchUpload", 404)


def test_the_last_attempt_at_a_part_counts(s3, upload):
    """A part sent again replaces the first; the ETag of the first is InvalidPart then."""
    old = send(s3, upload, [b"old bytes"])
    new = send(s3, upload, [b"new"])
    assert refused(complete, s3=s3, upload=upload, parts=old)[0] == "InvalidPart"
    complete(s3, upload, new)
    assert s3.get_object(Bucket=upload["Bucket"], Key="k")["Body"].read() == b"new"


def test_complete_again_says_the_same(s3, upload):
    """A repeated Complete answers as the first did, and undoes nothing written since."""
    parts = send(s3, upload, [b"one"])
    first = complete(s3, upload, parts)
    assert complete(s3, upload, parts)["ETag"] == first["ETag"]
    s3.put_object(Bucket=upload["Bucket"], Key="k", Body=b"later")
    assert complete(s3, upload, parts)["ETag"] == first["ETag"]
    assert s3.get_object(Bucket=upload["Bucket"], Key="k")["Body"].read() == b"later"
    assert refused(s3.abort_multipart_upload, **upload) == ("NoSuchUpload", 404)


def test_complete_may_be_conditional(s3, upload):
    """If-None-Match: * and If-Match decide; a refused Complete leaves the upload open."""
    parts = send(s3, upload, [b"new"])
    etag = s3.put_object(Bucket=upload["Bucket"], Key="k", Body=b"old")["ETag"]
    no = {"s3": s3, "upload": upload, "parts": parts}
    assert refused(complete, **no, IfNoneMatch="*") == ("PreconditionFailed", 412)
    assert refused(complete, **no, IfMatch='"other"') == ("PreconditionFailed", 412)
    complete(s3, upload, parts, IfMatch=etag)
    assert s3.get_object(Bucket=upload["Bucket"], Key="k")["Body"].read() == b"new"


def test_complete_and_abort_at_once_agree(s3, bucket):
    """Of a Complete and an Abort at the same time one wins: the object is there or it is not."""
    for n in range(6):
        upload = open_upload(s3, bucket, f"k{n}")
        parts = send(s3, upload, [b"x" * 40_000])
        with ThreadPoolExecutor(2) as pool:
            done = pool.submit(complete, s3, upload, parts)
            gone = pool.submit(s3.abort_multipart_upload, **upload)
            completed, aborted = done.exception() is None, gone.exception() is None
        assert completed != aborted
        if completed:
            assert s3.get_object(Bucket=bucket, Key=f"k{n}")["Body"].read() == b"x" * 40_000
        else:
            assert refused(s3.get_object, Bucket=bucket, Key=f"k{n}") == ("NoSuchKey", 404)


def test_wrong_completions(s3, upload):
    """Unknown parts, wrong order, small parts in the middle and no parts have S3's codes."""
    one, two = send(s3, upload, [b"small", b"last"])
    no = {"s3": s3, "upload": upload}
    assert refused(complete, **no, parts=[one, two]) == ("EntityTooSmall", 400)
    assert refused(complete, **no, parts=[two, one]) == ("InvalidPartOrder", 400)
    assert refused(complete, **no, parts=[one, {"PartNumber": 3, "ETag": one["ETag"]}])[0] == "InvalidPart"
    assert refused(complete, **no, parts=[one | {"ETag": two["ETag"]}])[0] == "InvalidPart"
    assert refused(complete, **no, parts=[])[0] in ("MalformedXML", "InvalidRequest")
    assert refused(complete, **no, parts=[one], MpuObjectSize=4) == ("InvalidRequest", 400)
    assert refused(complete, s3=s3, upload=upload | {"Key": "other"}, parts=[one])[0] == "NoSuchUpload"


def test_abort(s3, upload):
    """An aborted upload takes no part, completes no more and can not be aborted again."""
    parts = send(s3, upload, [b"x"])
    s3.abort_multipart_upload(**upload)
    assert refused(complete, s3=s3, upload=upload, parts=parts)[0] == "NoSuchUpload"
    assert refused(s3.upload_part, **upload, PartNumber=2, Body=b"x") == ("NoSuchUpload", 404)
    assert refused(s3.abort_multipart_upload, **upload)[0] == "NoSuchUpload"


def test_part_copies(s3, upload):
    """Parts copied whole and by range; the conditions on the source hold."""
    bucket = upload["Bucket"]
    source = {"Bucket": bucket, "Key": "source +%"}
    etag = s3.put_object(**source, Body=BODY)["ETag"]
    at = upload | {"CopySource": source}
    first = s3.upload_part_copy(**at, PartNumber=1, CopySourceRange=f"bytes=1-{6 * MIB}")
    second = s3.upload_part_copy(**at, PartNumber=2, CopySourceIfMatch=etag)
    assert refused(s3.upload_part_copy, **at, PartNumber=3, CopySourceIfNoneMatch=etag)[1] == 412
    beyond = f"bytes=0-{len(BODY)}"
    assert refused(s3.upload_part_copy, **at, PartNumber=3, CopySourceRange=beyond)[0] == "InvalidArgument"
    told = [first["CopyPartResult"], second["CopyPartResult"]]
    complete(s3, upload, [{"PartNumber": n, "ETag": t["ETag"]} for n, t in enumerate(told, 1)])
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == BODY[1 : 6 * MIB + 1] + BODY


def test_list_parts(s3, upload):
    """Numbers, sizes and ETags in order, in pages, whatever order they came in."""
    for number in (7, 2, 10_000, 5):
        s3.upload_part(**upload, PartNumber=number, Body=b"x" * number)
    whole = s3.list_parts(**upload)
    assert [part["PartNumber"] for part in whole["Parts"]] == [2, 5, 7, 10_000]
    assert [part["Size"] for part in whole["Parts"]] == [2, 5, 7, 10_000]
    assert whole["Initiator"]["ID"] == whole["Owner"]["ID"]
    pages = s3.get_paginator("list_parts").paginate(**upload, PaginationConfig={"PageSize": 3})
    assert [[part["PartNumber"] for part in page["Parts"]] for page in pages] == [[2, 5, 7], [10_000]]


def test_list_uploads(s3, bucket):
    """Open uploads by key, then in order of their opening; prefix, delimiter and pages."""
    keys = ["a", "a", "b/1", "b/2", "c\x01", "ü"]
    ids = [open_upload(s3, bucket, key)["UploadId"] for key in keys]
    pairs = list(zip(keys, ids, strict=True))

    def shown(**options):
        page = s3.list_multipart_uploads(Bucket=bucket, EncodingType="url", **options)
        prefixes = [each["Prefix"] for each in page.get("CommonPrefixes", [])]
        return [each["UploadId"] for each in page.get("Uploads", [])], prefixes

    assert shown() == (ids, [])
    assert shown(Prefix="b/") == (ids[2:4], [])
    assert shown(Delimiter="/") == ([*ids[:2], *ids[4:]], ["b/"])
    assert shown(KeyMarker="a", UploadIdMarker=ids[0]) == (ids[1:], [])
    assert shown(KeyMarker="a") == (ids[2:], [])
    pages = s3.get_paginator("list_multipart_uploads").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": 2}
    )
    walked = [(each["Key"], each["UploadId"]) for page in pages for each in page["Uploads"]]
    assert [upload for _, upload in walked] == [upload for _, upload in pairs]
    for key, upload in pairs:
        s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
    assert shown() == ([], [])


def test_a_bucket_with_an_open_upload(s3, bucket):
    """An open upload keeps its bucket; once it is aborted the bucket can go."""
    upload = open_upload(s3, bucket, "k")
    send(s3, upload, [b"x"])
    assert refused(s3.delete_bucket, Bucket=bucket) == ("BucketNotEmpty", 409)
    s3.abort_multipart_upload(**upload)
    s3.delete_bucket(Bucket=bucket)


def test_managed_transfers(s3, bucket, tmp_path):
    """upload_file and download_file, in parts by ten threads, move a file unchanged."""
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    (tmp_path / "up").write_bytes(BODY)
    s3.upload_file(str(tmp_path / "up"), bucket, "dir/k", Config=config)
    s3.download_file(bucket, "dir/k", str(tmp_path / "down"), Config=config)
    assert (tmp_path / "down").read_bytes() == BODY
    s3.copy({"Bucket": bucket, "Key": "dir/k"}, bucket, "copy", Config=config)
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == BODY
