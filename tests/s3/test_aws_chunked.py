"""aws-chunked: AWS's published example, every cut and change of a body, attacks A13 to A16."""

from __future__ import annotations

import base64
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.s3 import errors
from chalicelib.s3.aws_chunked import ChunkedBody, Signatures
from chalicelib.s3.request import BytesBody
from tests.s3.chunking import (
    Chain,
    Dribble,
    plain_chunks,
    published_key,
    read_all,
    signed_chunks,
    signed_trailer,
)
from tests.s3.signing import AMZ_DATE, SCOPE

SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
TRAILER_SEED = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
A, B = b"a" * 65536, b"a" * 1024
CRC32 = "x-amz-checksum-crc32"


def signatures(seed=SEED):
    return Signatures(published_key(), SCOPE, AMZ_DATE, seed)


def signed(body, length, piece=1 << 20, seed=SEED):
    return ChunkedBody(Dribble(body, piece), length, signatures(seed), has_trailer=False)


def unsigned(body, length, trailer=None, piece=1 << 20):
    return ChunkedBody(Dribble(body, piece), length, None, has_trailer=True, trailer_name=trailer)


def crc32(content):
    return base64.b64encode(zlib.crc32(content).to_bytes(4, "big")).decode()


def refused(body, error):
    with pytest.raises(error):
        read_all(body)


class TestPublishedExample:
    """The 66,560 bytes of AWS's "transferring payload in multiple chunks"."""

    BODY = (
        b"10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"
        b"\r\n" + A + b"\r\n"
        b"400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"
        b"\r\n" + B + b"\r\n"
        b"0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"
        b"\r\n\r\n"
    )

    @pytest.mark.parametrize("piece", [1, 7, 4096, 1 << 20])
    def test_signed(self, piece):
        assert read_all(signed(self.BODY, 66_560, piece)) == A + B

    def test_trailer(self):
        body = (
            b"10000;chunk-signature="
            b"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n" + A + b"\r\n"
            b"400;chunk-signature="
            b"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n" + B + b"\r\n"
            b"0;chunk-signature="
            b"2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n"
            b"x-amz-checksum-crc32c:sOO8/Q==\n\r\n"
            b"x-amz-trailer-signature:"
            b"d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\n\r\n\r\n\r\n"
        )
        chunked = ChunkedBody(
            BytesBody(body),
            66_560,
            signatures(TRAILER_SEED),
            has_trailer=True,
            trailer_name="x-amz-checksum-crc32c",
        )

        assert read_all(chunked) == A + B
        assert chunked.trailer_value == "sOO8/Q=="


class TestFraming:
    @settings(max_examples=60)
    @given(
        sizes=st.lists(st.integers(8192, 300_000), max_size=4),
        last=st.integers(1, 9000),
        piece=st.integers(1000, 400_000),
        size=st.integers(1, 2_000_000),
        with_signatures=st.booleans(),
    )
    def test_any_split_gives_the_same_bytes(self, sizes, last, piece, size, with_signatures):
        chunks = [bytes([n % 251]) * length for n, length in enumerate([*sizes, last])]
        content = b"".join(chunks)
        if with_signatures:
            body = signed(signed_chunks(chunks, SEED), len(content), piece)
        else:
            trailer = f"{CRC32}:{crc32(content)}\r\n\r\n".encode()
            body = unsigned(plain_chunks(chunks, trailer), len(content), CRC32, piece)

        assert read_all(body, max(size, 1000)) == content

    def test_empty_object(self):
        assert read_all(signed(signed_chunks([], SEED), 0)) == b""

    @pytest.mark.parametrize("cut", range(0, 320, 9))
    def test_cut_anywhere(self, cut):
        """A body that ends early is IncompleteBody, never a hang and never a success."""
        whole = signed_chunks([b"x" * 100], SEED, end=b"")

        if cut < len(whole):
            refused(signed(whole[:cut], 100), errors.IncompleteBody)

    def test_last_crlf_may_be_missing(self):
        assert read_all(signed(signed_chunks([A], SEED, end=b""), len(A))) == A

    def test_junk_after_the_end_is_never_stored(self):
        assert read_all(signed(signed_chunks([A], SEED, end=b"\r\njunk" * 9), len(A))) == A

    def test_junk_is_bounded(self):
        refused(signed(signed_chunks([A], SEED, end=b"j" * 200_000), len(A)), errors.IncompleteBody)

    @pytest.mark.parametrize(
        "digits",
        [b"1_000", b"+5", b" 5", b"0x5", b"-0", b"1" * 17, "\u0665".encode(), b"", b"5g", b"\n5"],
    )
    def test_a16_sizes(self, digits):
        refused(unsigned(digits + b"\r\nhello\r\n0\r\n\r\n", 5), errors.IncompleteBody)

    @pytest.mark.parametrize(
        "body",
        [
            b"ffffffffffffffff\r\n",
            b"6\r\nhello!\r\n0\r\n\r\n",
            b"5\r\nhello\r\n",
            b"0\r\n\r\n",
            b"5\nhello\n0\n\n",
            b"5\rhello\r0\r\r",
            b"5\r\nhelloXX0\r\n\r\n",
            b"5\r\nhello0\r\n\r\n",
            b"5;ext=1\r\nhello\r\n0\r\n\r\n",
            b"",
            b"5" * 5000,
        ],
    )
    def test_a13_bad_framing(self, body):
        refused(unsigned(body, 5), errors.IncompleteBody)

    def test_a13_huge_chunk_does_not_skip_the_signature(self):
        body = b"ffffffffffff;chunk-signature=" + b"0" * 64 + b"\r\nevil"

        refused(signed(body, 4), errors.IncompleteBody)

    def test_a13_more_after_the_zero_chunk_is_not_content(self):
        body = signed_chunks([A], SEED) + signed_chunks([A], SEED)

        refused(signed(body, 2 * len(A)), errors.IncompleteBody)

    def test_small_chunk_in_the_middle(self):
        body = signed_chunks([b"x" * 1024, b"y" * 4096], SEED)

        with pytest.raises(errors.InvalidChunkSizeError) as caught:
            read_all(signed(body, 5120))

        assert caught.value.status == 403
        assert caught.value.detail["BadChunkSize"] == "1024"


class TestSignatures:
    GOOD = signed_chunks([A, B], SEED)

    @pytest.mark.parametrize(
        ("old", "new"),
        [(b"\r\naaaa", b"\r\naaab"), (b"signature=a", b"signature=b"), (b"signature=0", b"signature=1")],
    )
    def test_a14_changed(self, old, new):
        refused(signed(self.GOOD.replace(old, new, 1), 66_560), errors.SignatureDoesNotMatch)

    def test_a14_wrong_last(self):
        body = self.GOOD[: self.GOOD.rindex(b"0;")] + b"0;chunk-signature=" + b"0" * 64 + b"\r\n\r\n"

        refused(signed(body, 66_560), errors.SignatureDoesNotMatch)

    def test_a14_swapped(self):
        first, second = b"1" * 8192, b"2" * 8192
        chain = Chain(SEED)
        one, two, end = [
            b"%x;chunk-signature=%b\r\n%b\r\n" % (len(c), chain.chunk(c).encode(), c)
            for c in (first, second, b"")
        ]

        refused(signed(two + one + end, 16_384), errors.SignatureDoesNotMatch)

    def test_a14_replayed_from_another_request(self):
        refused(signed(self.GOOD, 66_560, seed=TRAILER_SEED), errors.SignatureDoesNotMatch)

    @pytest.mark.parametrize(
        ("params", "error"),
        [
            (b"", errors.IncompleteBody),
            (b";", errors.IncompleteBody),
            (b";chunk-signature=", errors.IncompleteBody),
            (b";chunk-signature", errors.IncompleteBody),
            (b";other=1", errors.IncompleteBody),
            (b";extra=1;chunk-signature=%b", errors.SignatureDoesNotMatch),
            (b";chunk-signature=%b;extra=1", errors.IncompleteBody),
            (b";chunk-signature=%b\xff", errors.SignatureDoesNotMatch),
        ],
    )
    def test_a14_parameters(self, params, error):
        mac = Chain(SEED).chunk(b"hello").encode()
        params = params % mac if b"%b" in params else params

        refused(signed(b"5" + params + b"\r\nhello\r\n0;chunk-signature=\r\n", 5), error)

    def test_spaces_round_parameters(self):
        body = self.GOOD.replace(b";chunk-signature=", b" ; chunk-signature = ")

        assert read_all(signed(body, 66_560)) == A + B


class TestTrailers:
    CONTENT = b"hello"
    GOOD = f"{CRC32}: {crc32(CONTENT)}\r\n".encode()

    @pytest.mark.parametrize(
        "trailer",
        [GOOD, GOOD + b"\r\n", GOOD + b"\r\n\r\n", GOOD + b"\r\n\xff\xde\xad", GOOD.upper()[:20] + GOOD[20:]],
    )
    def test_accepted(self, trailer):
        body = unsigned(plain_chunks([self.CONTENT], trailer), 5, CRC32)

        assert read_all(body) == self.CONTENT
        assert body.trailer_value == crc32(self.CONTENT)

    @pytest.mark.parametrize(
        ("trailer", "error"),
        [
            (b"", errors.IncompleteBody),
            (b"\r\n", errors.MalformedTrailerError),
            (b"\r\n" + GOOD, errors.MalformedTrailerError),
            (GOOD.replace(b"\r", b""), errors.IncompleteBody),
            (GOOD.replace(b"\n", b""), errors.IncompleteBody),
            (GOOD[:-2], errors.IncompleteBody),
            (GOOD + GOOD, errors.MalformedTrailerError),
            (b"x-amz-checksum-crc32c: AAAAAA==\r\n\r\n", errors.MalformedTrailerError),
            (GOOD + b"x-amz-meta-a: 1\r\n\r\n", errors.MalformedTrailerError),
            (b"no colon\r\n\r\n", errors.MalformedTrailerError),
            (b"a" * 5000, errors.IncompleteBody),
        ],
    )
    def test_a15_refused(self, trailer, error):
        refused(unsigned(plain_chunks([self.CONTENT], trailer), 5, CRC32), error)

    def test_a15_sent_but_not_declared(self):
        body = plain_chunks([self.CONTENT], self.GOOD + b"\r\n")

        refused(unsigned(body, 5), errors.MalformedTrailerError)

    @pytest.mark.parametrize("eol", ["\r\n", "\n\r\n"])
    def test_signed(self, eol):
        body = signed_trailer([A], SEED, CRC32, "AAAAAA==", eol)

        assert read_all(self._signed(body)) == A

    @pytest.mark.parametrize(
        ("old", "new", "error"),
        [
            (b"AAAAAA==", b"AAAAAQ==", errors.SignatureDoesNotMatch),
            (b"x-amz-trailer-signature:", b"x-amz-trailer-signature:0", errors.SignatureDoesNotMatch),
            (b"x-amz-trailer-signature", b"x-other", errors.MalformedTrailerError),
            (b"x-amz-checksum-crc32:AAAAAA==\r\n", b"", errors.MalformedTrailerError),
        ],
    )
    def test_signed_changed(self, old, new, error):
        body = signed_trailer([A], SEED, CRC32, "AAAAAA==", "\r\n")

        refused(self._signed(body.replace(old, new)), error)

    def test_signature_missing(self):
        body = signed_trailer([A], SEED, CRC32, "AAAAAA==", "\r\n")
        cut = body[: body.index(b"x-amz-trailer-signature")]

        refused(self._signed(cut), errors.IncompleteBody)
        refused(self._signed(cut + b"\r\n"), errors.IncompleteBody)

    def _signed(self, body):
        return ChunkedBody(BytesBody(body), len(A), signatures(), has_trailer=True, trailer_name=CRC32)
