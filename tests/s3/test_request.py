"""Paths, queries and headers: decoded once, strictly, and written once, checked. The door."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.s3 import door, errors
from chalicelib.s3.request import (
    BytesBody,
    Headers,
    Response,
    decode_path,
    header_bytes,
    parse_query,
)
from tests.s3.signing import request_of


class TestPath:
    @pytest.mark.parametrize(
        ("raw", "expected"),
        [
            (b"/b/k", "/b/k"),
            (b"/b/a%20b+c", "/b/a b+c"),
            (b"/b/%2e%2e%2f", "/b/../"),
            (b"/b/%252e", "/b/%2e"),
            (b"/b//a/../.", "/b//a/../."),
            (b"/b/%00%0a", "/b/\0\n"),
            (b"/b/%EF%BF%BD", "/b/\ufffd"),
            (b"/b/e%CC%81", "/b/e\u0301"),
            ("/b/ü".encode(), "/b/ü"),
        ],
    )
    def test_c1_opaque(self, raw, expected):
        assert decode_path(raw) == expected

    @pytest.mark.parametrize(
        "raw", [b"/%ff", b"/%", b"/%zz", b"/%ED%A0%80", b"/\xff", b"", b"*", b"http://h/b", b"/%C0%AF"]
    )
    def test_c2_refused(self, raw):
        with pytest.raises(errors.InvalidURI):
            decode_path(raw)


class TestQuery:
    @pytest.mark.parametrize(
        ("raw", "expected"),
        [
            ("", ()),
            ("acl", (("acl", ""),)),
            ("acl=", (("acl", ""),)),
            ("a=1&a=2&b", (("a", "1"), ("a", "2"), ("b", ""))),
            ("a=1;b=2", (("a", "1;b=2"),)),
            ("a=b+c%2Bd%20e", (("a", "b c+d e"),)),
            ("a=b=c&&", (("a", "b=c"),)),
            ("pr%C3%BC=%EF%BF%BD", (("prü", "\ufffd"),)),
        ],
    )
    def test_c2_kept(self, raw, expected):
        assert parse_query(raw) == expected

    @pytest.mark.parametrize("raw", ["a=%ff", "%ff", "a=%", "a=%g0", "a=%ED%A0%80"])
    def test_c2_refused(self, raw):
        with pytest.raises(errors.InvalidURI):
            parse_query(raw)


class TestHeaders:
    def test_any_case_and_order_kept(self):
        headers = Headers([("A", "1"), ("b", "2"), ("a", "3")])

        assert headers.get("a") == "1"
        assert headers.all("a") == ["1", "3"]
        assert headers.pairs == (("a", "1"), ("b", "2"), ("a", "3"))
        assert "c" not in headers

    def test_values_stay_out_of_logs(self):
        assert "secret" not in repr(Headers([("authorization", "secret")]))

    @given(st.binary(max_size=30))
    def test_bytes_as_on_the_wire(self, raw):
        assert header_bytes(raw.decode("latin-1")) == raw

    @pytest.mark.parametrize(
        "pair",
        [("a", "b\r\nc: d"), ("a", "b\rc"), ("a", "b\nc"), ("a", "\0"), ("a", "\u20ac"), ("a", "\x7f")]
        + [("a b", "c"), ("a:", "b"), ("", "b"), ("a\r\n", "b"), ("ü", "b")],
    )
    def test_c4_response_refuses(self, pair):
        with pytest.raises(errors.InvalidArgument):
            Response(200, [pair])

    def test_response_carries_latin_1(self):
        assert Response(200, [("x-amz-meta-a", "\tü \xa0~")]).status == 200


def test_bytes_body():
    body = BytesBody(b"abc")

    assert [body.read(2), body.read(2), body.read(2)] == [b"ab", b"c", b""]


class TestDoor:
    @pytest.mark.parametrize(
        "name", ["X-Causeway-Stamp", "x-amz-replication-status", "x-minio-source-mtime", "x-riak-x"]
    )
    def test_c7_internal_headers_all_go(self, name):
        """All of them, wherever they stand among allowed ones."""
        pairs = [(name, "1"), ("x-amz-meta-a", "2"), (name, "3"), ("host", "h"), (name.upper(), "4")]

        cleaned = door.clean(request_of(headers=pairs), presigned=False)

        assert cleaned.headers.pairs == (("x-amz-meta-a", "2"), ("host", "h"))

    def test_nothing_to_do_costs_nothing(self):
        request = request_of(headers=[("host", "h")])

        assert door.clean(request, presigned=True) is request

    def test_presigned_settings_become_headers(self):
        query = "X-Amz-Signature=s&x-amz-meta-a=%C3%BC&X-Amz-Acl=private&uploadId=u"
        query += "&x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-replication-status=x"

        cleaned = door.clean(request_of(query=query, headers=[("host", "h")]), presigned=True)

        assert cleaned.headers.pairs == (
            ("host", "h"),
            ("x-amz-meta-a", "ü".encode().decode("latin-1")),
            ("x-amz-acl", "private"),
        )
        assert cleaned.query == (("X-Amz-Signature", "s"), ("uploadId", "u"))

    def test_e2_too_many_or_too_long(self):
        door.check_size(Headers([("a", "b" * 8000)]))
        for pairs in ([("a", "b" * 8192)], [("a", "")] * 201):
            with pytest.raises(errors.RequestHeaderSectionTooLarge):
                door.check_size(Headers(pairs))


def test_every_error_has_a_status_and_a_message():
    """Class name is the code; nothing is left at the base class's values."""
    for error in errors.S3Error.__subclasses__():
        assert error().code == error.__name__
        assert 300 <= error().status < 600
        assert error().message
