"""Request → operation: every route, and everything that must not become a plain GET or PUT."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.s3 import errors, names, operations, router, unset_settings
from chalicelib.s3.attributes import Attributes
from chalicelib.s3.checksums import Algorithm, ChecksumType
from tests.s3.signing import request_of


def parse(method, target, headers=(), domains=()):
    path, _, query = target.partition("?")
    return router.parse(request_of(method, path, query, headers), domains)


COPY = [("x-amz-copy-source", "/source/a%2Fb+c")]
TOKEN = names.encode_token("after")


class TestRoutes:
    @pytest.mark.parametrize(
        ("method", "target", "headers", "kind"),
        [
            ("GET", "/", (), operations.ListBuckets),
            ("GET", "/?prefix=a&max-buckets=5", (), operations.ListBuckets),
            ("PUT", "/bucket", (), operations.CreateBucket),
            ("PUT", "/bucket/", (), operations.CreateBucket),
            ("HEAD", "/bucket", (), operations.HeadBucket),
            ("DELETE", "/bucket", (), operations.DeleteBucket),
            ("GET", "/bucket?location", (), operations.GetBucketLocation),
            ("GET", "/bucket?location=", (), operations.GetBucketLocation),
            ("GET", "/bucket", (), operations.ListObjects),
            ("GET", "/bucket?list-type=2", (), operations.ListObjectsV2),
            ("GET", "/bucket?uploads", (), operations.ListMultipartUploads),
            ("POST", "/bucket?delete", (), operations.DeleteObjects),
            ("GET", "/bucket?acl", (), operations.GetAcl),
            ("GET", "/bucket/key?acl", (), operations.GetAcl),
            ("GET", "/bucket?policy", (), operations.GetSetting),
            ("GET", "/bucket/key?tagging", (), operations.GetSetting),
            ("PUT", "/bucket/key", (), operations.PutObject),
            ("PUT", "/bucket/key?x-id=PutObject", (), operations.PutObject),
            ("PUT", "/bucket/key", COPY, operations.CopyObject),
            ("GET", "/bucket/key", (), operations.GetObject),
            ("GET", "/bucket/key?versionId=null", (), operations.GetObject),
            ("HEAD", "/bucket/key?partNumber=1", (), operations.HeadObject),
            ("DELETE", "/bucket/key", (), operations.DeleteObject),
            ("POST", "/bucket/key?uploads", (), operations.CreateMultipartUpload),
            ("PUT", "/bucket/key?uploadId=u&partNumber=1", (), operations.UploadPart),
            ("PUT", "/bucket/key?uploadId=u&partNumber=1", COPY, operations.UploadPartCopy),
            ("POST", "/bucket/key?uploadId=u", (), operations.CompleteMultipartUpload),
            ("DELETE", "/bucket/key?uploadId=u", (), operations.AbortMultipartUpload),
            ("GET", "/bucket/key?uploadId=u", (), operations.ListParts),
        ],
    )
    def test_kind(self, method, target, headers, kind):
        assert type(parse(method, target, headers)) is kind

    @pytest.mark.parametrize(
        ("method", "target", "error"),
        [
            ("PUT", "/bucket?acl", errors.NotImplemented),
            ("PUT", "/bucket?policy", errors.NotImplemented),
            ("PUT", "/bucket?versioning", errors.NotImplemented),
            ("DELETE", "/bucket?policy", errors.NotImplemented),
            ("GET", "/bucket?versions", errors.NotImplemented),
            ("GET", "/bucket?inventory", errors.NotImplemented),
            ("GET", "/bucket?delete", errors.NotImplemented),
            ("PUT", "/bucket/key?acl", errors.NotImplemented),
            ("PUT", "/bucket/key?tagging=", errors.NotImplemented),
            ("PUT", "/bucket/key?partNumber=1", errors.NotImplemented),
            ("PUT", "/bucket/key?uploads", errors.NotImplemented),
            ("GET", "/bucket/key?attributes", errors.NotImplemented),
            ("GET", "/bucket/key?torrent", errors.NotImplemented),
            ("GET", "/bucket/key?anything", errors.NotImplemented),
            ("GET", "/bucket/key?list-type=2", errors.NotImplemented),
            ("GET", "/bucket/key?x-amz-acl=private", errors.NotImplemented),
            ("DELETE", "/bucket/key?retention", errors.NotImplemented),
            ("POST", "/bucket/key?select&select-type=2", errors.NotImplemented),
            ("POST", "/bucket/key?restore", errors.NotImplemented),
            ("POST", "/bucket", errors.MethodNotAllowed),
            ("POST", "/", errors.MethodNotAllowed),
            ("PATCH", "/bucket/key", errors.MethodNotAllowed),
            ("OPTIONS", "/bucket/key", errors.MethodNotAllowed),
            ("get", "/bucket/key", errors.MethodNotAllowed),
            ("GET", "/bucket?acl&policy", errors.InvalidArgument),
            ("GET", "/bucket?prefix=a&prefix=b", errors.InvalidArgument),
            ("GET", "/bucket?list-type=3", errors.InvalidArgument),
            ("GET", "/bucket/key?versionId=1", errors.NoSuchVersion),
            ("GET", "//key", errors.InvalidBucketName),
            ("GET", "/Bucket", errors.InvalidBucketName),
            ("GET", "/bucket/%ff", errors.InvalidURI),
            ("PUT", "/bucket/" + "k" * 1025, errors.KeyTooLongError),
            ("PUT", "/bucket/" + "%C3%BC" * 513, errors.KeyTooLongError),
        ],
    )
    def test_nothing_falls_through(self, method, target, error):
        with pytest.raises(error):
            parse(method, target)

    def test_method_not_allowed_says_what_is(self):
        with pytest.raises(errors.MethodNotAllowed) as caught:
            parse("POST", "/")

        assert ("Allow", "GET") in caught.value.headers

    def test_settings_answer_as_s3_does_unset(self):
        for name in unset_settings.BUCKET_SETTINGS:
            operation = parse("GET", f"/bucket?{name}")
            try:
                assert unset_settings.answer(operation)
            except errors.S3Error as error:
                assert error.status == 404
        with pytest.raises(errors.NoSuchBucketPolicy):
            unset_settings.answer(parse("GET", "/bucket?policy"))
        versioning = unset_settings.answer(parse("GET", "/bucket?versioning"))
        assert b"Status" not in versioning


class TestResource:
    @pytest.mark.parametrize(
        ("host", "path", "expected"),
        [
            ("s3.example.com", "/bucket/a/b", ("bucket", "a/b")),
            ("bucket.s3.example.com", "/a/b", ("bucket", "a/b")),
            ("Bucket.S3.example.com:9000", "/", ("bucket", "")),
            ("a.b.s3.example.com", "//k", ("a.b", "/k")),
            ("evil-s3.example.com", "/bucket/k", ("bucket", "k")),
            ("[::1]", "/bucket//k", ("bucket", "/k")),
            (None, "/bucket/../k", ("bucket", "../k")),
        ],
    )
    def test_path_and_virtual_host(self, host, path, expected):
        headers = [("host", host)] if host else []

        found = router.resource(request_of("GET", path, "", headers), ("s3.example.com",))

        assert found == expected


class TestNames:
    @pytest.mark.parametrize("name", ["abc", "a-b.c", "0" * 63, "1.2.3", "a.b.c.d"])
    def test_buckets(self, name):
        assert names.check_bucket(name) == name

    @pytest.mark.parametrize(
        "name",
        ["ab", "a" * 64, "A" * 3, "a_b", "-ab", "ab-", ".meta", "a..b", "a.-b", "a-.b", "1.2.3.4"]
        + ["xn--a", "a-s3alias", "admin", "causeway", "a b", "a/b", "ab\n", "\u0660bc", ""],
    )
    def test_c3_not_buckets(self, name):
        with pytest.raises(errors.InvalidBucketName):
            names.check_bucket(name)

    @pytest.mark.parametrize("text", ["0", "10001", "-1", "+1", "1.0", "", "\u0661", "1" * 40])
    def test_e5_part_numbers(self, text):
        with pytest.raises(errors.InvalidArgument):
            parse("GET", f"/bucket/key?partNumber={text}")

    @pytest.mark.parametrize("text", ["", "a/b", "a b", "x" * 129, "ü", "../x"])
    def test_upload_ids(self, text):
        with pytest.raises(errors.NoSuchUpload):
            parse("POST", f"/bucket/key?uploadId={text}")

    @given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
    def test_tokens_round_trip(self, key):
        assert names.decode_token(names.encode_token(key)) == key

    @pytest.mark.parametrize("token", ["", "x", "1*", "1_w", "2YQ", "1YR", "1YQ==", "ü", "1" + "A" * 9999])
    def test_e4_hostile_tokens(self, token):
        with pytest.raises(errors.InvalidArgument):
            parse("GET", f"/bucket?list-type=2&continuation-token={token}")


class TestFields:
    def test_list_v2(self):
        operation = parse(
            "GET",
            f"/bucket?list-type=2&prefix=a%2B&delimiter=%2F&max-keys=5&encoding-type=url"
            f"&start-after=s&continuation-token={TOKEN}&fetch-owner=true",
        )

        assert operation == operations.ListObjectsV2("bucket", "a+", "/", 5, True, "s", TOKEN, "after", True)
        assert operation.after_key == "after"

    @pytest.mark.parametrize(
        ("text", "expected"), [("0", 0), ("1000", 1000), ("1001", 1000), ("2147483647", 1000), ("", 1000)]
    )
    def test_e4_max_keys(self, text, expected):
        assert parse("GET", f"/bucket?max-keys={text}").max_keys == expected

    @pytest.mark.parametrize("text", ["-1", "abc", "1e3", "2147483648", "10000000000", "+1", "\u0661"])
    def test_e4_bad_max_keys(self, text):
        with pytest.raises(errors.InvalidArgument):
            parse("GET", f"/bucket?max-keys={text}")

    def test_put_attributes(self):
        headers = [
            ("Content-Type", "text/plain"),
            ("Cache-Control", "no-cache"),
            ("Content-Encoding", "aws-chunked, gzip"),
            ("X-Amz-Meta-Color", "=?UTF-8?B?w7w=?="),
            ("x-amz-meta-color", "second"),
            ("x-amz-meta-Ü".lower(), "v"),
            ("x-amz-acl", "private"),
            ("x-amz-storage-class", "STANDARD"),
            ("if-none-match", "*"),
        ]

        operation = parse("PUT", "/bucket/key", headers[:5] + headers[6:])

        assert operation.attributes.content_encoding == "gzip"
        assert operation.attributes.cache_control == "no-cache"
        assert operation.attributes.metadata[0] == ("color", "=?UTF-8?B?w7w=?=,second")
        assert operation.conditions.if_none_match

    def test_aws_chunked_is_never_stored(self):
        headers = [("content-encoding", "aws-chunked")]

        assert parse("PUT", "/bucket/key", headers).attributes == Attributes()

    def test_e2_metadata_limit(self):
        fits = [("x-amz-meta-a", "v" * 2047)]

        assert parse("PUT", "/bucket/key", fits)
        with pytest.raises(errors.MetadataTooLarge):
            parse("PUT", "/bucket/key", [*fits, ("x-amz-meta-b", "")])

    @pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "a\0b", "\u20ac"])
    def test_c4_metadata(self, value):
        with pytest.raises(errors.InvalidArgument):
            parse("PUT", "/bucket/key", [("x-amz-meta-a", value)])

    @pytest.mark.parametrize(
        ("name", "value", "error"),
        [
            ("x-amz-acl", "public-read", errors.AccessControlListNotSupported),
            ("x-amz-grant-read", "id=1", errors.AccessControlListNotSupported),
            ("x-amz-storage-class", "GLACIER", errors.InvalidStorageClass),
            ("x-amz-tagging", "a=b", errors.NotImplemented),
            ("x-amz-server-side-encryption", "AES256", errors.NotImplemented),
            ("x-amz-server-side-encryption-customer-key", "k", errors.NotImplemented),
            ("x-amz-website-redirect-location", "/", errors.NotImplemented),
            ("x-amz-object-lock-mode", "GOVERNANCE", errors.NotImplemented),
            ("if-none-match", '"e"', errors.NotImplemented),
        ],
    )
    @pytest.mark.parametrize("target", ["/bucket/key", "/bucket/key?uploads"])
    def test_refused_rather_than_ignored(self, target, name, value, error):
        method = "POST" if "?" in target else "PUT"
        if method == "POST" and name == "if-none-match":
            pytest.skip("conditions belong to the completion")

        with pytest.raises(error):
            parse(method, target, [(name, value)])

    def test_copy(self):
        operation = parse("PUT", "/bucket/key", [*COPY, ("x-amz-copy-source-if-match", '"e"')])

        assert (operation.source_bucket, operation.source_key) == ("source", "a/b+c")
        assert operation.attributes is None
        assert operation.source_conditions.if_match == '"e"'
        assert operation.conditions.if_match is None

    def test_copy_replace(self):
        headers = [*COPY, ("x-amz-metadata-directive", "REPLACE"), ("content-type", "a/b")]

        assert parse("PUT", "/bucket/key", headers).attributes == Attributes("a/b")

    @pytest.mark.parametrize(
        ("source", "error"),
        [
            ("", errors.InvalidArgument),
            ("/", errors.InvalidArgument),
            ("bucket", errors.InvalidArgument),
            ("bucket/", errors.InvalidArgument),
            ("//key", errors.InvalidArgument),
            ("../key", errors.InvalidBucketName),
            ("bucket/%ff", errors.InvalidURI),
            ("bucket/%", errors.InvalidURI),
            ("bucket/key?versionId=7", errors.NoSuchVersion),
            ("bucket/" + "k" * 1025, errors.KeyTooLongError),
            ("arn:aws:s3:::b/k", errors.InvalidBucketName),
            ("/bucket/key", errors.InvalidRequest),  # onto itself, nothing changed
        ],
    )
    def test_b2_copy_sources(self, source, error):
        with pytest.raises(error):
            parse("PUT", "/bucket/key", [("x-amz-copy-source", source)])

    def test_copy_source_may_be_raw_utf_8(self):
        sent = "/source/ü".encode().decode("latin-1")

        assert parse("PUT", "/bucket/key", [("x-amz-copy-source", sent)]).source_key == "ü"

    def test_part_copy(self):
        headers = [*COPY, ("x-amz-copy-source-range", "bytes=0-9")]

        assert parse("PUT", "/bucket/key?uploadId=u&partNumber=2", headers).source_span == (0, 9)

    def test_get(self):
        operation = parse(
            "GET",
            "/bucket/key?response-content-type=text%2Fhtml",
            [("range", "bytes=0-1"), ("if-match", "e"), ("x-amz-checksum-mode", "ENABLED")],
        )

        assert operation.overrides == (("Content-Type", "text/html"),)
        assert (operation.range_header, operation.checksum_mode) == ("bytes=0-1", True)
        assert operation.conditions.if_match == "e"

    @pytest.mark.parametrize("value", ["a%0D%0Ab", "a%0Ab", "%00", "%E2%82%AC"])
    def test_c4_overrides(self, value):
        with pytest.raises(errors.InvalidArgument):
            parse("GET", f"/bucket/key?response-content-disposition={value}")

    def test_multipart_checksums(self):
        create = parse("POST", "/bucket/key?uploads", [("x-amz-checksum-algorithm", "crc32")])
        complete = parse(
            "POST",
            "/bucket/key?uploadId=u",
            [("x-amz-checksum-crc32", "AAAAAA=="), ("x-amz-mp-object-size", "7")],
        )

        assert create.checksum_algorithm is Algorithm.CRC32
        assert create.checksum_type is ChecksumType.COMPOSITE
        assert (complete.checksum.digest, complete.size) == (b"\0\0\0\0", 7)
