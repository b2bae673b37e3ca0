"""Content-MD5 and the five checksum algorithms, in header, trailer and multipart, as boto3 sends them."""

import base64
import hashlib
import io
import os

import pytest
from awscrt import checksums as crt

from tests.clients.conftest import new_bucket, refused
from tests.e2e.certificates import Authority
from tests.site_process import directory_site

MIB = 1 << 20
BODY = os.urandom(10 * MIB + 3)
PARTS = [BODY[: 5 * MIB], BODY[5 * MIB :]]
# Computed by AWS's own C library, not by the code under test.
SUMS = {
    "CRC32": lambda body: crt.crc32(body).to_bytes(4, "big"),
    "CRC32C": lambda body: crt.crc32c(body).to_bytes(4, "big"),
    "CRC64NVME": lambda body: crt.crc64nvme(body).to_bytes(8, "big"),
    "SHA1": lambda body: hashlib.sha1(body).digest(),
    "SHA256": lambda body: hashlib.sha256(body).digest(),
}
COMPOSITE = ("CRC32", "CRC32C", "SHA1", "SHA256")
FULL_OBJECT = ("CRC32", "CRC32C", "CRC64NVME")


def in_base64(digest):
    return base64.b64encode(digest).decode()


def sum_of(algorithm, body):
    return in_base64(SUMS[algorithm](body))


@pytest.mark.parametrize("algorithm", SUMS)
@pytest.mark.parametrize("body", [b"", b"small", BODY], ids=["empty", "inline", "blocks"])
def test_in_the_header(s3, bucket, algorithm, body):
    """A value given beforehand is verified, kept, and told to whoever asks; a wrong one stores nothing."""
    name = f"Checksum{algorithm}"
    at = {"Bucket": bucket, "Key": "k"}
    told = s3.put_object(**at, Body=body, **{name: sum_of(algorithm, body)})
    assert told[name] == sum_of(algorithm, body)

    head = s3.head_object(**at, ChecksumMode="ENABLED")
    assert (head[name], head["ChecksumType"]) == (sum_of(algorithm, body), "FULL_OBJECT")
    got = s3.get_object(**at, ChecksumMode="ENABLED")
    assert (got["Body"].read(), got[name]) == (body, sum_of(algorithm, body))
    wrong = {name: sum_of(algorithm, body + b"!")}
    assert refused(s3.put_object, **at, Body=body, **wrong) == ("BadDigest", 400)
    assert refused(s3.put_object, **at, Body=body, **{name: "AAAA!"}) == ("InvalidRequest", 400)
    assert s3.get_object(**at)["Body"].read() == body


@pytest.fixture(scope="module")
def over_tls(tmp_path_factory):
    """boto3 over https, where it trusts the transport and sends checksums behind the body."""
    place = tmp_path_factory.mktemp("tls")
    authority = Authority(place)
    cert, key = authority.issue("here")
    with directory_site(place, tls_cert=cert, tls_key=key) as site, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_CA_BUNDLE", str(authority.file))
        yield site.boto3(endpoint=f"https://127.0.0.1:{site.port}")


@pytest.mark.parametrize("algorithm", SUMS)
def test_in_the_trailer(over_tls, algorithm):
    """boto3 streams a body, unsigned chunks with the checksum as trailer; it is verified and kept."""
    bucket = new_bucket(over_tls)
    sent = {}

    def see(request, **_):
        sent.update({name.lower(): value for name, value in request.headers.items()})

    over_tls.meta.events.register_first("before-send.s3.PutObject", see)
    at = {"Bucket": bucket, "Key": "k"}
    told = over_tls.put_object(**at, Body=io.BytesIO(BODY), ChecksumAlgorithm=algorithm)
    over_tls.meta.events.unregister("before-send.s3.PutObject", see)
    assert sent["x-amz-content-sha256"] == b"STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    assert sent["x-amz-trailer"] == f"x-amz-checksum-{algorithm.lower()}".encode()
    assert told[f"Checksum{algorithm}"] == sum_of(algorithm, BODY)
    got = over_tls.get_object(**at, ChecksumMode="ENABLED")
    assert got["Body"].read() == BODY  # boto3 holds the bytes against the checksum as it reads
    assert "ContentEncoding" not in got
    if algorithm in COMPOSITE:
        multipart(over_tls, bucket, algorithm, "COMPOSITE")
        assert over_tls.get_object(**at)["Body"].read() == BODY


def multipart(s3, bucket, algorithm, kind, **complete):
    at = {"Bucket": bucket, "Key": "k"}
    made = s3.create_multipart_upload(**at, ChecksumAlgorithm=algorithm, ChecksumType=kind)
    assert (made["ChecksumAlgorithm"], made["ChecksumType"]) == (algorithm, kind)
    at["UploadId"] = made["UploadId"]
    name = f"Checksum{algorithm}"
    named = []
    for number, body in enumerate(PARTS, 1):
        told = s3.upload_part(**at, PartNumber=number, Body=body, ChecksumAlgorithm=algorithm)
        assert told[name] == sum_of(algorithm, body)
        named.append({"PartNumber": number, "ETag": told["ETag"], name: told[name]})
    listed = s3.list_parts(**at)
    assert [part[name] for part in listed["Parts"]] == [sum_of(algorithm, body) for body in PARTS]
    assert (listed["ChecksumAlgorithm"], listed["ChecksumType"]) == (algorithm, kind)
    return at, named, s3.complete_multipart_upload(**at, MultipartUpload={"Parts": named}, **complete)


@pytest.mark.parametrize("algorithm", COMPOSITE)
def test_composite(s3, bucket, algorithm):
    """The checksum of the parts' checksums, with their number."""
    _, _, told = multipart(s3, bucket, algorithm, "COMPOSITE")
    whole = SUMS[algorithm](b"".join(SUMS[algorithm](body) for body in PARTS))
    name = f"Checksum{algorithm}"
    assert (told[name], told["ChecksumType"]) == (in_base64(whole) + "-2", "COMPOSITE")
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (got["Body"].read(), got[name], got["ChecksumType"]) == (BODY, told[name], "COMPOSITE")


@pytest.mark.parametrize("algorithm", FULL_OBJECT)
def test_full_object(s3, bucket, algorithm):
    """The checksum of all bytes, computed from those of the parts and held against what Complete says."""
    name = f"Checksum{algorithm}"
    _, _, told = multipart(s3, bucket, algorithm, "FULL_OBJECT", **{name: sum_of(algorithm, BODY)})
    assert (told[name], told["ChecksumType"]) == (sum_of(algorithm, BODY), "FULL_OBJECT")
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (got["Body"].read(), got[name]) == (BODY, told[name])
    row = s3.list_objects_v2(Bucket=bucket)["Contents"][0]
    assert (row["ChecksumAlgorithm"], row["ChecksumType"]) == ([algorithm], "FULL_OBJECT")
    with pytest.raises(s3.exceptions.ClientError, match="BadDigest"):
        multipart(s3, bucket, algorithm, "FULL_OBJECT", **{name: sum_of(algorithm, b"other")})


def test_what_does_not_fit_together(s3, bucket):
    """SHA has no full-object form, CRC64NVME no composite one; a part needs its upload's algorithm."""
    at = {"Bucket": bucket, "Key": "k"}
    create = s3.create_multipart_upload
    assert refused(create, **at, ChecksumAlgorithm="SHA256", ChecksumType="FULL_OBJECT")[1] == 400
    assert refused(create, **at, ChecksumAlgorithm="CRC64NVME", ChecksumType="COMPOSITE")[1] == 400
    at["UploadId"] = create(**at, ChecksumAlgorithm="SHA256")["UploadId"]
    part = at | {"PartNumber": 1, "Body": b"x"}
    assert refused(s3.upload_part, **part, ChecksumAlgorithm="CRC32") == ("InvalidRequest", 400)
    etag = s3.upload_part(**part, ChecksumAlgorithm="SHA256")["ETag"]
    wrong = [{"PartNumber": 1, "ETag": etag, "ChecksumSHA256": sum_of("SHA256", b"y")}]
    assert refused(s3.complete_multipart_upload, **at, MultipartUpload={"Parts": wrong})[0] == "InvalidPart"


@pytest.mark.parametrize("body", [b"small", BODY], ids=["inline", "blocks"])
def test_content_md5(s3, bucket, body):
    """A right one passes, a wrong one is BadDigest and leaves the old object, an ill-formed InvalidDigest."""
    at = {"Bucket": bucket, "Key": "k"}
    s3.put_object(**at, Body=body, ContentMD5=in_base64(hashlib.md5(body).digest()))
    wrong = in_base64(hashlib.md5(b"other").digest())
    assert refused(s3.put_object, **at, Body=body + b"!", ContentMD5=wrong) == ("BadDigest", 400)
    assert refused(s3.put_object, **at, Body=body + b"!", ContentMD5="short") == ("InvalidDigest", 400)
    assert s3.get_object(**at)["Body"].read() == body


def test_copies_keep_their_checksum(s3, bucket):
    """A copy tells the checksum its source was stored with."""
    source = {"Bucket": bucket, "Key": "source"}
    s3.put_object(**source, Body=BODY, ChecksumAlgorithm="SHA256")
    told = s3.copy_object(Bucket=bucket, Key="copy", CopySource=source)
    assert told["CopyObjectResult"]["ChecksumSHA256"] == sum_of("SHA256", BODY)
    head = s3.head_object(Bucket=bucket, Key="copy", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == sum_of("SHA256", BODY)


def test_a_copy_may_take_another_algorithm(s3, bucket):
    """CopyObject with ChecksumAlgorithm computes that one from the bytes."""
    source = {"Bucket": bucket, "Key": "source"}
    for body in (b"small", BODY):
        s3.put_object(**source, Body=body, ChecksumAlgorithm="CRC32")
        s3.copy_object(Bucket=bucket, Key="copy", CopySource=source, ChecksumAlgorithm="SHA256")
        got = s3.get_object(Bucket=bucket, Key="copy", ChecksumMode="ENABLED")
        assert (got["Body"].read(), got.get("ChecksumSHA256")) == (body, sum_of("SHA256", body))
