"""What a record from another site may say: every field of the type and in the range our own code gives it."""

from dataclasses import replace

import pytest

from chalicelib.domain import codec
from chalicelib.domain.filing import TIME_MS_END, check_record
from chalicelib.domain.manifest import Block, Checksum, Part, Record
from chalicelib.domain.stamp import Stamp

ETAG = "5d41402abc4b2a76b9719d911017c592"
INLINE = Record(
    "b1", "k", Stamp(7, 0, "west"), True, TIME_MS_END - 1, 5, ETAG, "ann",
    headers=(("content-type", "text/plain"),), metadata=(("farbe", "grün"),),
    checksum=Checksum("CRC32", "FULL_OBJECT", "NhCmhg=="), origin="west", part_count=1, inline=b"hello",
)  # fmt: skip
PART = Part(1, "a1", 5, ETAG, "", (Block(5, bytes(32), bytes(16)),))
BLOCKS = replace(INLINE, inline=b"", upload="u1", parts=(PART,), etag=f"{ETAG}-10000", multipart=True)
INDEX = replace(BLOCKS, parts=(), index=PART.blocks, size=2**50)
TOMBSTONE = Record("b1", "k", Stamp(7, 0, "west"), False, 7)


@pytest.mark.parametrize("record", [INLINE, BLOCKS, INDEX, TOMBSTONE])
def test_what_we_make_ourselves(record):
    """Always passes, after its journey too."""
    assert record == check_record(codec.decode_record(codec.encode_record(record)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"bucket_id": "../x"}, {"bucket_id": 7}, {"key": ""}, {"key": "k" * 1025}, {"key": 7},
        {"modified_ms": TIME_MS_END}, {"modified_ms": -1}, {"modified_ms": 10**17}, {"modified_ms": "7"},
        {"modified_ms": 7.5}, {"modified_ms": True}, {"modified_ms": None},
        {"size": 6}, {"size": -5}, {"size": 5.0}, {"size": "5"},
        {"etag": "e"}, {"etag": ETAG.upper()}, {"etag": ETAG + '"'}, {"etag": ETAG + "-0"}, {"etag": None},
        {"owner": "a|b"}, {"owner": "a" * 129}, {"owner": 7},
        {"headers": (("content-type", "a\r\nset-cookie: x"),)}, {"headers": (("a\n", "b"),)},
        {"headers": (("a", 7),)}, {"metadata": (("a", "\0"),)}, {"metadata": ((7, "b"),)},
        {"checksum": Checksum("MD5", "FULL_OBJECT", "")}, {"checksum": Checksum("CRC32", "HALF", "")},
        {"checksum": Checksum("CRC32", "FULL_OBJECT", "x\r\n")}, {"checksum": Checksum(1, 2, 3)},
        {"origin": "../x"}, {"origin": 7}, {"upload": 7}, {"upload": "u1"}, {"multipart": "yes"},
        {"part_count": -1}, {"part_count": 10_001}, {"part_count": "1"},
        {"inline": b"x" * 40_000, "size": 40_000}, {"parts": (PART,), "size": 10}, {"index": PART.blocks},
    ],
    ids=str,
)  # fmt: skip
def test_what_nobody_may_say(wrong):
    """Refused: stored, it would break listings, headers or readers here."""
    with pytest.raises(ValueError, match=r"."):
        check_record(replace(INLINE, **wrong))


@pytest.mark.parametrize(
    "wrong",
    [{"number": -1}, {"number": "1"}, {"attempt": "../x"}, {"size": 4}, {"etag": "e"}, {"checksum": "\r\n"}],
    ids=str,
)
def test_what_no_part_may_say(wrong):
    """A part is checked like its record."""
    with pytest.raises(ValueError, match=r"."):
        check_record(replace(BLOCKS, parts=(replace(PART, **wrong),)))


@pytest.mark.parametrize("wrong", [{"modified_ms": 10**17}, {"modified_ms": "x"}, {"key": ""}])
def test_a_tombstone_too(wrong):
    """Its few fields count as well."""
    with pytest.raises(ValueError, match=r"."):
        check_record(replace(TOMBSTONE, **wrong))
