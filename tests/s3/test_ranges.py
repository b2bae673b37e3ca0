"""Ranges and conditions: which bytes, and whether at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.s3 import errors
from chalicelib.s3.conditions import read_conditions, write_conditions
from chalicelib.s3.dates import format_http_date, format_iso_date, parse_http_date
from chalicelib.s3.ranges import check_copy_range, content_range, parse_copy_range, parse_range
from chalicelib.s3.request import Headers


class TestRange:
    @pytest.mark.parametrize(
        ("header", "expected"),
        [
            (None, None),
            ("", None),
            ("bytes=0-0", (0, 0)),
            ("bytes=0-9", (0, 9)),
            ("bytes=5-", (5, 9)),
            ("bytes=-3", (7, 9)),
            ("bytes=-99", (0, 9)),
            ("bytes=3-99", (3, 9)),
            (f"bytes=3-{2**63}", (3, 9)),
            ("bytes = 1-2", (1, 2)),
            ("bytes=0-1,3-4", None),
            ("bytes=" + "0-1," * 10_000, None),
            ("bytes=4-3", None),
            ("bytes=-", None),
            ("bytes=a-b", None),
            ("bytes=\u0660-5", None),
            ("bytes=+1-2", None),
            ("items=0-1", None),
            ("bytes=0x1-2", None),
            ("bytes=" + "9" * 30 + "-", None),
        ],
    )
    def test_of_ten_bytes(self, header, expected):
        assert parse_range(header, 10) == expected

    @pytest.mark.parametrize(
        ("header", "size"),
        [("bytes=10-", 10), ("bytes=10-11", 10), ("bytes=-0", 10), ("bytes=0-", 0), ("bytes=-5", 0)],
    )
    def test_unsatisfiable(self, header, size):
        with pytest.raises(errors.InvalidRange) as caught:
            parse_range(header, size)

        assert caught.value.status == 416
        assert ("Content-Range", f"bytes */{size}") in caught.value.headers

    @given(st.text(max_size=30), st.integers(0, 1000))
    def test_never_outside_the_object(self, text, size):
        for header in (text, "bytes=" + text):
            try:
                span = parse_range(header, size)
            except errors.InvalidRange:
                continue
            assert span is None or 0 <= span[0] <= span[1] < size

    def test_content_range(self):
        assert content_range((0, 4), 10) == "bytes 0-4/10"

    def test_copy_range(self):
        assert parse_copy_range(None) is None
        assert check_copy_range(parse_copy_range("bytes=0-9"), 10) == (0, 9)
        with pytest.raises(errors.InvalidArgument):
            check_copy_range((0, 10), 10)
        for header in ("bytes=0-", "bytes=-5", "bytes=5-4", "0-5", "", "bytes=0-1,2-3"):
            with pytest.raises(errors.InvalidArgument):
                parse_copy_range(header)


ETAG = "abc"
MODIFIED_MS = 1_445_412_480_999  # Wed, 21 Oct 2015 07:28:00 GMT, and a bit
AT = "Wed, 21 Oct 2015 07:28:00 GMT"
EARLIER = "Wed, 21 Oct 2015 07:27:59 GMT"
LATER = "Wed, 21 Oct 2015 07:28:01 GMT"


def answer(headers, prefix=""):
    """200, 304 or 412, and the same for a copy source."""
    conditions = read_conditions(Headers([(prefix + n, v) for n, v in headers.items()]), prefix)
    check = conditions.check_copy_source if prefix else conditions.check_read
    try:
        check(ETAG, MODIFIED_MS)
    except errors.S3Error as error:
        return error.status
    return 200


class TestConditions:
    @pytest.mark.parametrize(
        ("headers", "expected"),
        [
            ({}, 200),
            ({"if-match": '"abc"'}, 200),
            ({"if-match": "abc"}, 200),
            ({"if-match": "*"}, 200),
            ({"if-match": '"x", "abc"'}, 200),
            ({"if-match": '"x"'}, 412),
            ({"if-none-match": '"abc"'}, 304),
            ({"if-none-match": 'W/"abc"'}, 304),
            ({"if-none-match": "*"}, 304),
            ({"if-none-match": '"x"'}, 200),
            ({"if-modified-since": AT}, 304),
            ({"if-modified-since": LATER}, 304),
            ({"if-modified-since": EARLIER}, 200),
            ({"if-modified-since": "rubbish"}, 200),
            ({"if-unmodified-since": AT}, 200),
            ({"if-unmodified-since": EARLIER}, 412),
            ({"if-unmodified-since": "rubbish"}, 200),
            # The ETag outranks the date on either side.
            ({"if-match": '"abc"', "if-unmodified-since": EARLIER}, 200),
            ({"if-none-match": '"abc"', "if-modified-since": EARLIER}, 304),
            ({"if-none-match": '"x"', "if-modified-since": LATER}, 200),
            ({"if-match": '"x"', "if-none-match": '"abc"'}, 412),
        ],
    )
    def test_read_and_copy_source(self, headers, expected):
        assert answer(headers) == expected
        assert answer(headers, "x-amz-copy-source-") == (412 if expected == 304 else expected)

    def test_not_modified_names_the_version(self):
        with pytest.raises(errors.NotModified) as caught:
            read_conditions(Headers([("if-none-match", "*")])).check_read(ETAG, MODIFIED_MS)

        assert dict(caught.value.headers) == {"ETag": '"abc"', "Last-Modified": AT}

    def test_write(self):
        free = write_conditions(Headers([("if-none-match", "*")]))
        same = write_conditions(Headers([("if-match", '"abc"')]))

        assert not write_conditions(Headers())
        free.check(None)
        same.check(ETAG)
        for conditions, current, error in [
            (free, ETAG, errors.PreconditionFailed),
            (same, "other", errors.PreconditionFailed),
            (same, None, errors.NoSuchKey),
        ]:
            with pytest.raises(error):
                conditions.check(current)

    @pytest.mark.parametrize(
        ("name", "value"),
        [("if-none-match", '"abc"'), ("if-modified-since", AT), ("if-unmodified-since", AT)],
    )
    def test_write_conditions_s3_does_not_know(self, name, value):
        with pytest.raises(errors.NotImplemented):
            write_conditions(Headers([(name, value)]))


class TestDates:
    @pytest.mark.parametrize("text", [AT, "Wednesday, 21-Oct-15 07:28:00 GMT", "Wed Oct 21 07:28:00 2015"])
    def test_three_forms(self, text):
        assert parse_http_date(text) == 1_445_412_480_000

    @given(st.integers(0, 4_000_000_000))
    def test_round_trip(self, second):
        assert parse_http_date(format_http_date(second * 1000 + 999)) == second * 1000

    @given(st.text(max_size=40))
    def test_never_fails(self, text):
        parse_http_date(text)

    def test_iso(self):
        assert format_iso_date(MODIFIED_MS) == "2015-10-21T07:28:00.999Z"
