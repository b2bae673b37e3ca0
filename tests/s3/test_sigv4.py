"""Who signed what: AWS's published vectors, and botocore's signatures as a second opinion."""

from __future__ import annotations

import hashlib
from datetime import datetime
from unittest import mock
from urllib.parse import quote, urlencode

import botocore.auth
import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.s3 import canonical
from chalicelib.s3.sigv4 import PayloadMode
from tests.s3.signing import (
    ACCESS_KEY,
    AMZ_DATE,
    EMPTY,
    HOST,
    NOW_MS,
    PRESIGNED,
    SCOPE,
    SECRET,
    request_of,
    request_of_url,
    signed_request,
    verify,
)


def vector(method, path, query, headers, signed, mac):
    authorization = f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{SCOPE},SignedHeaders={signed},Signature={mac}"
    pairs = [("host", HOST), *headers, ("x-amz-date", AMZ_DATE), ("authorization", authorization)]
    return request_of(method, path, query, pairs)


class TestPublishedVectors:
    """The examples of AWS's "Authorization header" and "query parameters" pages verify."""

    @pytest.mark.parametrize(
        ("method", "path", "query", "headers", "signed", "mac"),
        [
            (
                "GET",
                "/test.txt",
                "",
                [("range", "bytes=0-9"), ("x-amz-content-sha256", EMPTY)],
                "host;range;x-amz-content-sha256;x-amz-date",
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            ),
            (
                "PUT",
                "/test%24file.text",
                "",
                [
                    ("date", "Fri, 24 May 2013 00:00:00 GMT"),
                    (
                        "x-amz-content-sha256",
                        hashlib.sha256(b"Welcome to Amazon S3.").hexdigest(),
                    ),
                    ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
                ],
                "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            ),
            (
                "GET",
                "/",
                "lifecycle",
                [("x-amz-content-sha256", EMPTY)],
                "host;x-amz-content-sha256;x-amz-date",
                "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            ),
            (
                "GET",
                "/",
                "max-keys=2&prefix=J",
                [("x-amz-content-sha256", EMPTY)],
                "host;x-amz-content-sha256;x-amz-date",
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            ),
        ],
    )
    def test_header(self, method, path, query, headers, signed, mac):
        identity = verify(vector(method, path, query, headers, signed, mac))

        assert identity.access_key == ACCESS_KEY
        assert identity.mode is PayloadMode.SIGNED
        assert identity.seed_signature == mac

    def test_presigned(self):
        request = request_of(path="/test.txt", query=PRESIGNED, headers=[("host", HOST)])

        identity = verify(request)

        assert (identity.presigned, identity.mode) == (True, PayloadMode.UNSIGNED)


def fixed_clock():
    """The moment botocore signs at."""
    return datetime(2013, 5, 24)


def boto_signed(method, url, headers=None, data=b"", presign=False):
    """The same request as botocore signs it: URL and headers."""
    request = AWSRequest(method=method, url=url, headers=headers or {}, data=data)
    request.context["payload_signing_enabled"] = True
    credentials = BotoCredentials(ACCESS_KEY, SECRET)
    signer = (S3SigV4QueryAuth if presign else S3SigV4Auth)(credentials, "s3", "eu-west-1")
    with mock.patch.object(botocore.auth, "get_current_datetime", fixed_clock):
        signer.add_auth(request)
    prepared = request.prepare()
    pairs = [
        (name, value if isinstance(value, str) else value.decode("latin-1"))
        for name, value in prepared.headers.items()
    ]
    return request_of_url(method, prepared.url, pairs, data)


HOSTILE_KEYS = [
    "plain",
    "a/b/c",
    "../x",
    "a/../../b",
    ".",
    "..",
    "%2e%2e%2f",
    "%252e",
    "a//b",
    "/abs",
    "a\\b",
    "C:",
    "nul\0byte",
    "new\nline",
    "sp ace",
    "plus+",
    "a&b=c?d#e",
    "üñï",
    "\u65e5\u672c",
    "e\u0301",
    "trailing. ",
    "~!@#$%^&*()_-=[]{}|;:'\",<>`",
    "k" * 1024,
]


class TestBotocore:
    """What botocore signs, we verify: the canonical forms are the same."""

    @pytest.mark.parametrize("presign", [False, True])
    @pytest.mark.parametrize("key", HOSTILE_KEYS)
    def test_hostile_keys(self, key, presign):
        url = f"http://localhost:9000/bucket/{quote(key, safe='/~')}"

        identity = verify(boto_signed("PUT", url, data=b"" if presign else b"body", presign=presign))

        assert identity.access_key == ACCESS_KEY

    @settings(max_examples=60, deadline=None)
    @given(
        key=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30),
        query=st.dictionaries(
            st.sampled_from(["prefix", "delimiter", "marker", "list-type"]),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        ),
        presign=st.booleans(),
    )
    def test_any_key_and_query(self, key, query, presign):
        url = f"http://localhost/b/{quote(key, safe='/~')}"
        if query:
            url += "?" + urlencode(query, quote_via=quote)

        assert verify(boto_signed("GET", url, presign=presign)).access_key == ACCESS_KEY

    def test_header_values_are_folded(self):
        request = boto_signed("PUT", "http://localhost/b/k", {"x-amz-meta-a": "  two   spaces  and\ttab "})

        assert verify(request).access_key == ACCESS_KEY


class TestOurSigner:
    def test_signs_what_we_verify(self):
        request = signed_request("PUT", "/b/k%20x", "uploads&prefix=a%2Fb")

        assert verify(request).mode is PayloadMode.UNSIGNED

    def test_signs_as_botocore_does(self):
        theirs = boto_signed("GET", "http://localhost/b/k?x=1")
        signed = [("host", "localhost")]

        ours = canonical.sign(
            "GET",
            b"/b/k",
            (("x", "1"),),
            tuple(signed),
            credentials=canonical.Credentials(ACCESS_KEY, SECRET, "eu-west-1"),
            now_ms=NOW_MS,
            payload=EMPTY,
        )

        assert theirs.headers.get("authorization") == ours[-1][1]

    def test_neither_key_nor_signature_in_repr(self):
        assert SECRET not in repr(canonical.Credentials(ACCESS_KEY, SECRET))
        assert "signing_key" not in repr(verify(signed_request()))
