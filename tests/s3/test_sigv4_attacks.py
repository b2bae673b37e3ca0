"""Who signed what: the attacks A1 to A17, each refused with the answer AWS gives."""

from __future__ import annotations

import pytest

from chalicelib.s3 import errors
from chalicelib.s3.sigv4 import PayloadMode, authenticate
from tests.s3.signing import (
    EMPTY,
    HOST,
    NOW_MS,
    PRESIGNED,
    SCOPE,
    replace_header,
    request_of,
    secret_of,
    signed_request,
    verify,
)


def refused(request, expected, now_ms=NOW_MS, **options):
    with pytest.raises(errors.S3Error) as caught:
        verify(request, now_ms, **options)
    assert (caught.value.code, caught.value.status) == expected
    return caught.value


FORGED = "0" * 64
DENIED = ("AccessDenied", 403)
MISMATCH = ("SignatureDoesNotMatch", 403)
BAD_HEADER = ("AuthorizationHeaderMalformed", 400)
BAD_QUERY = ("AuthorizationQueryParametersError", 400)


def forged(request, mac=FORGED):
    value = request.headers.get("authorization").rsplit("=", 1)[0] + "=" + mac
    return replace_header(request, "authorization", value)


class TestForgery:
    @pytest.mark.parametrize("method", ["PUT", "POST", "GET", "EXTENSION"])
    @pytest.mark.parametrize("payload", [EMPTY, *(m.value for m in PayloadMode if " " not in m.value)])
    def test_a1_made_up_signature(self, method, payload):
        """No payload mode, and no method, is an exception to verification."""
        refused(forged(signed_request(method, payload=payload)), MISMATCH)

    def test_a2_made_up_signature_in_the_query(self):
        query = PRESIGNED.rsplit("=", 1)[0] + "=" + FORGED
        headers = [("host", HOST)]

        refused(request_of(path="/test.txt", query=query, headers=headers), MISMATCH)

    def test_a2_streaming_with_credentials_in_the_query(self):
        headers = [("host", HOST), ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")]

        refused(
            request_of("PUT", path="/test.txt", query=PRESIGNED, headers=headers),
            ("InvalidRequest", 400),
        )

    @pytest.mark.parametrize(
        "name",
        [
            "x-amz-copy-source",
            "x-amz-acl",
            "x-amz-grant-read",
            "x-amz-meta-a",
            "x-amz-tagging",
            "x-amz-metadata-directive",
            "X-Amz-Anything",
        ],
    )
    @pytest.mark.parametrize("presigned", [False, True])
    def test_a3_unsigned_amz_header(self, name, presigned):
        added = [(name, "value")]
        request = (
            request_of(path="/test.txt", query=PRESIGNED, headers=[("host", HOST), *added])
            if presigned
            else signed_request("PUT", unsigned=added)
        )

        failure = refused(request, DENIED)

        assert "not signed" in failure.message
        assert failure.detail["HeadersNotSigned"] == name.lower()

    def test_a4_anonymous(self):
        for method in ("GET", "PUT", "POST", "OPTIONS"):
            refused(request_of(method, "/b/k", headers=[("host", HOST)]), DENIED)

    @pytest.mark.parametrize("query", ["AWSAccessKeyId=A&Signature=S&Expires=1", "Signature=x"])
    def test_a4_version_2_query(self, query):
        refused(request_of(query=query), ("InvalidRequest", 400))

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("AWS AKIA:sig", ("InvalidRequest", 400)),
            ("AWS4-ECDSA-P256-SHA256 Credential=", ("InvalidRequest", 400)),
            ("Bearer x", ("InvalidArgument", 400)),
            ("Basic dXNlcg==", ("InvalidArgument", 400)),
            ("", ("InvalidArgument", 400)),
            ("AWS4-HMAC-SHA256", BAD_HEADER),
            ("AWS4-HMAC-SHA256 Credential=a/b", BAD_HEADER),
            ("AWS4-HMAC-SHA256 Credential=a, Credential=a, Signature=", BAD_HEADER),
        ],
    )
    def test_a4_other_schemes(self, value, expected):
        refused(replace_header(signed_request(), "authorization", value), expected)

    def test_a5_two_ways_at_once(self):
        request = signed_request(query=PRESIGNED)

        refused(request, ("InvalidArgument", 400))

    @pytest.mark.parametrize("name", ["authorization", "x-amz-date", "host", "x-amz-content-sha256"])
    def test_a5_doubled_header(self, name):
        request = signed_request()
        doubled = request_of(
            "GET", "/bucket/key", "", [*request.headers.pairs, (name, request.headers.get(name))]
        )

        refused(doubled, ("InvalidArgument", 400))

    def test_a5_doubled_signature(self):
        request = request_of(
            path="/test.txt", query=PRESIGNED + "&X-Amz-Signature=1", headers=[("host", HOST)]
        )

        refused(request, ("InvalidArgument", 400))

    @pytest.mark.parametrize("secret", [None, ""])
    def test_a6_unknown_key_or_empty_secret(self, secret):
        with pytest.raises(errors.InvalidAccessKeyId):
            authenticate(signed_request(), NOW_MS, lambda _: secret)

    @pytest.mark.parametrize(
        "scope",
        [
            "20130523/us-east-1/s3/aws4_request",
            "20130524/us-east-1/ec2/aws4_request",
            "20130524/us-east-1/S3/aws4_request",
            "20130524/us-east-1/s3/aws4_requesT",
            "20130524/us-east-1/s3",
            "20130524/us-east-1/s3/aws4_request/more",
            "20130524//s3/aws4_request",
        ],
    )
    def test_a7_scope(self, scope):
        request = signed_request()
        value = request.headers.get("authorization").replace(SCOPE, scope)

        refused(replace_header(request, "authorization", value), BAD_HEADER)

    def test_a7_fixed_region_names_the_right_one(self):
        failure = refused(signed_request(), BAD_HEADER, region="eu-north-1")

        assert failure.detail["Region"] == "eu-north-1"

    def test_a7_region_is_signed(self):
        request = signed_request()
        value = request.headers.get("authorization").replace("us-east-1", "us-west-1")

        refused(replace_header(request, "authorization", value), MISMATCH)

    @pytest.mark.parametrize(
        ("signed", "expected"),
        [
            ("x-amz-content-sha256;x-amz-date", DENIED),
            ("host;x-amz-content-sha256;x-amz-date;x-not-sent", MISMATCH),
            ("x-amz-date;x-amz-content-sha256;host", MISMATCH),
            ("host;host;x-amz-content-sha256;x-amz-date", MISMATCH),
            ("Host;x-amz-content-sha256;x-amz-date", DENIED),
        ],
    )
    def test_a8_signed_headers(self, signed, expected):
        request = signed_request()
        value = request.headers.get("authorization").replace("host;x-amz-content-sha256;x-amz-date", signed)

        refused(replace_header(request, "authorization", value), expected)

    @pytest.mark.parametrize("mac", ["", "é" * 64, "F" * 64, "0" * 63, "\u0660" * 64, "g" * 64])
    def test_a17_odd_signatures(self, mac):
        refused(forged(signed_request(), mac), MISMATCH)

    @pytest.mark.parametrize("name", ["x-amz-security-token", "X-Amz-Security-Token"])
    def test_session_tokens_are_not_ours(self, name):
        refused(signed_request(headers=[(name, "t")]), ("InvalidToken", 400))

    def test_signed_header_changed(self):
        request = signed_request("PUT", headers=[("x-amz-meta-a", "1")])

        refused(replace_header(request, "x-amz-meta-a", "2"), MISMATCH)

    @pytest.mark.parametrize("value", [None, "unsigned-payload", "invalid", "0" * 63, ""])
    def test_content_sha256_forms(self, value):
        code = "InvalidRequest" if value is None else "InvalidArgument"

        refused(replace_header(signed_request(), "x-amz-content-sha256", value), (code, 400))

    def test_host_alias(self):
        request = replace_header(signed_request(), "host", "internal.lambda-url.example")

        refused(request, MISMATCH)
        assert authenticate(request, NOW_MS, secret_of, host_aliases=(HOST,))


def at(amz_date):
    """A good request, but for its date."""
    return replace_header(signed_request(), "x-amz-date", amz_date)


class TestTime:
    @pytest.mark.parametrize("seconds", [900, -900])
    def test_a9_edge_of_the_window(self, seconds):
        assert verify(signed_request(), NOW_MS + seconds * 1000)

    @pytest.mark.parametrize("seconds", [901, -901, 10**9])
    def test_a9_outside_the_window(self, seconds):
        refused(signed_request(), ("RequestTimeTooSkewed", 403), NOW_MS + seconds * 1000)

    @pytest.mark.parametrize(
        ("amz_date", "code"),
        [
            (None, "AccessDenied"),
            ("", "AccessDenied"),
            ("99990101T000000Z", "RequestTimeTooSkewed"),
            ("19690101T000000Z", "RequestTimeTooSkewed"),
            ("20130532T000000Z", "AccessDenied"),
            ("2013052\u0664T000000Z", "AccessDenied"),
            ("20130524T000000", "AccessDenied"),
        ],
    )
    def test_a9_odd_dates(self, amz_date, code):
        refused(at(amz_date), (code, 403))

    @pytest.mark.parametrize("expires", ["0", "-7", "604801", "1e99", "abc", "", "+5", "\u0667", None])
    def test_a10_expires(self, expires):
        query = PRESIGNED.replace(
            "&X-Amz-Expires=86400", "" if expires is None else f"&X-Amz-Expires={expires}"
        )

        refused(request_of(path="/test.txt", query=query, headers=[("host", HOST)]), BAD_QUERY)

    def test_a10_lifetime(self):
        request = request_of(path="/test.txt", query=PRESIGNED, headers=[("host", HOST)])

        assert verify(request, NOW_MS + 86_400_000)
        refused(request, DENIED, NOW_MS + 86_401_000)
        assert verify(request, NOW_MS - 900_000)
        refused(request, DENIED, NOW_MS - 901_000)

    @pytest.mark.parametrize("method", ["PUT", "HEAD", "DELETE", "POST"])
    def test_a11_other_method(self, method):
        refused(
            request_of(method, "/test.txt", PRESIGNED, [("host", HOST)]),
            MISMATCH,
        )

    @pytest.mark.parametrize(
        ("path", "added"),
        [
            ("/other.txt", ""),
            ("/test.txt", "&versionId=1"),
            ("/test.txt", "&acl"),
            ("/test.txt", "&uploads"),
            ("/test.txt", "&response-content-type=text/html"),
            ("/test.txt", "&x-amz-acl=private"),
        ],
    )
    def test_a11_other_target(self, path, added):
        refused(request_of("GET", path, PRESIGNED + added, [("host", HOST)]), MISMATCH)

    @pytest.mark.parametrize(
        ("old", "new", "expected"),
        [
            ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1", BAD_QUERY),
            ("20130524T000000Z", "20130524", BAD_QUERY),
            ("%2Fs3%2F", "%2Fsqs%2F", BAD_QUERY),
            ("&X-Amz-SignedHeaders=host", "", BAD_QUERY),
            ("SignedHeaders=host", "SignedHeaders=x", DENIED),
            ("X-Amz-Expires", "X-Amz-Security-Token=t&X-Amz-Expires", ("InvalidToken", 400)),
        ],
    )
    def test_query_fields(self, old, new, expected):
        query = PRESIGNED.replace(old, new)

        refused(request_of(path="/test.txt", query=query, headers=[("host", HOST)]), expected)
