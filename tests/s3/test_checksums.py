"""Checksums: reference values, joined from parts, and what clients may declare."""

from __future__ import annotations

import base64
import hashlib
import zlib

import pytest
from awscrt import checksums as crt
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.s3 import checksums, errors
from chalicelib.s3.checksums import Algorithm, ChecksumType, Expected
from chalicelib.s3.request import Headers

CHECK = b"123456789"  # the check string of the CRC catalogue
CRCS = [Algorithm.CRC32, Algorithm.CRC32C, Algorithm.CRC64NVME]


def digest(algorithm, content):
    hasher = checksums.hasher(algorithm)
    hasher.update(content)
    return hasher.digest()


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        (Algorithm.CRC32, "cbf43926"),
        (Algorithm.CRC32C, "e3069283"),
        (Algorithm.CRC64NVME, "ae8b14860a799888"),
        (Algorithm.SHA1, hashlib.sha1(CHECK).hexdigest()),
        (Algorithm.SHA256, hashlib.sha256(CHECK).hexdigest()),
    ],
)
def test_check_values(algorithm, expected):
    """Each algorithm gives the catalogue's value, in one piece and in nine."""
    pieces = checksums.hasher(algorithm)
    for byte in CHECK:
        pieces.update(bytes([byte]))

    assert digest(algorithm, CHECK).hex() == expected
    assert pieces.digest().hex() == expected
    assert len(pieces.digest()) == algorithm.digest_bytes


class TestParts:
    @settings(max_examples=60)
    @given(
        parts=st.lists(st.binary(max_size=300), min_size=1, max_size=6),
        algorithm=st.sampled_from(CRCS),
    )
    def test_full_object_is_the_checksum_of_the_whole(self, parts, algorithm):
        joined = checksums.full_object(algorithm, [(digest(algorithm, p), len(p)) for p in parts])

        assert joined == checksums.encode(digest(algorithm, b"".join(parts)))

    @given(first=st.binary(max_size=20), second=st.binary(max_size=20), zeros=st.integers(1, 2**40))
    def test_as_awscrt_combines(self, first, second, zeros):
        """The same as awscrt for sizes no test could hash."""
        one, two = zlib.crc32(first), zlib.crc32(second)

        joined = checksums.full_object(
            Algorithm.CRC32, [(one.to_bytes(4, "big"), 9), (two.to_bytes(4, "big"), zeros)]
        )

        assert base64.b64decode(joined) == crt.combine_crc32(one, two, zeros).to_bytes(4, "big")

    def test_composite(self):
        digests = [hashlib.sha256(p).digest() for p in (b"a", b"b")]
        expected = base64.b64encode(hashlib.sha256(b"".join(digests)).digest()).decode() + "-2"

        assert checksums.composite(Algorithm.SHA256, digests) == expected

    def test_ten_thousand_parts_join_quickly(self):
        parts = [(digest(Algorithm.CRC64NVME, b"%d" % n), 5 << 20) for n in range(10_000)]

        assert checksums.full_object(Algorithm.CRC64NVME, parts)


GOOD = "AAAAAA=="


class TestDeclared:
    @pytest.mark.parametrize(
        ("headers", "expected"),
        [
            ({}, None),
            ({"x-amz-checksum-crc32": GOOD}, Expected(Algorithm.CRC32, b"\0\0\0\0")),
            (
                {"X-Amz-Checksum-CRC32C": GOOD, "x-amz-sdk-checksum-algorithm": "crc32c"},
                Expected(Algorithm.CRC32C, b"\0\0\0\0"),
            ),
            ({"x-amz-trailer": "x-amz-checksum-sha256"}, Expected(Algorithm.SHA256, None)),
            ({"x-amz-trailer": "X-Amz-Checksum-SHA1, "}, Expected(Algorithm.SHA1, None)),
            ({"x-amz-checksum-type": "COMPOSITE", "x-amz-checksum-mode": "ENABLED"}, None),
        ],
    )
    def test_accepted(self, headers, expected):
        assert checksums.expected_checksum(Headers(headers.items())) == expected

    @pytest.mark.parametrize(
        "headers",
        [
            {"x-amz-checksum-crc32": GOOD, "x-amz-checksum-crc32c": GOOD},
            {"x-amz-checksum-crc32": GOOD, "x-amz-trailer": "x-amz-checksum-crc32"},
            {"x-amz-trailer": "x-amz-checksum-crc32, x-amz-checksum-crc32c"},
            {"x-amz-trailer": "content-md5"},
            {"x-amz-trailer": "x-amz-content-sha256"},
            {"x-amz-trailer": ""},
            {"x-amz-trailer": ",x-amz-checksum-crc32"},
            {"x-amz-trailer": "x-amz-checksum-crc32, ,x-amz-meta-a"},
            {"x-amz-checksum-foo": GOOD},
            {"x-amz-checksum-crc32": "AAAA"},
            {"x-amz-checksum-crc32": "AAAAAA="},
            {"x-amz-checksum-crc32": "AAAAAB=="},
            {"x-amz-checksum-crc32": "AA AA AA=="},
            {"x-amz-checksum-crc32": "\u0660AAAAA=="},
            {"x-amz-checksum-crc32": ""},
            {"x-amz-checksum-crc32": GOOD, "x-amz-sdk-checksum-algorithm": "sha1"},
            {"x-amz-sdk-checksum-algorithm": "CRC32"},
        ],
    )
    def test_a12_refused(self, headers):
        with pytest.raises(errors.InvalidRequest):
            checksums.expected_checksum(Headers(headers.items()))

    def test_the_bad_value_is_not_echoed(self):
        with pytest.raises(errors.InvalidRequest) as caught:
            checksums.expected_checksum(Headers([("x-amz-checksum-crc32", "not-base-64")]))

        assert "not-base-64" not in str(caught.value)

    @pytest.mark.parametrize("text", ["invalid", "", "AAAA", "é" * 24, "A" * 24])
    def test_content_md5_must_be_one(self, text):
        with pytest.raises(errors.InvalidDigest):
            checksums.parse_content_md5(text)

    def test_types(self):
        parse = checksums.parse_type

        assert parse(None, None) is None
        assert parse(Algorithm.CRC64NVME, None) is ChecksumType.FULL_OBJECT
        assert parse(Algorithm.SHA256, None) is ChecksumType.COMPOSITE
        assert parse(Algorithm.CRC32, "full_object") is ChecksumType.FULL_OBJECT
        for algorithm, kind in [
            (Algorithm.CRC64NVME, "COMPOSITE"),
            (Algorithm.SHA1, "FULL_OBJECT"),
            (Algorithm.CRC32, "OTHER"),
            (None, "COMPOSITE"),
        ]:
            with pytest.raises(errors.InvalidRequest):
                parse(algorithm, kind)
