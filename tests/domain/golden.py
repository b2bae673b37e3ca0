"""One value of every stored form, and the bytes that version 1 wrote for it.

VALUES are version 1's, VALUES_2 what version 2 added: blocks by SHA-256.

The bytes are kept for ever: a program that can no longer read them has lost somebody's data. A new
version adds bytes of its own and leaves these.
"""

from pathlib import Path

from chalicelib.domain import codec, forms
from chalicelib.domain.account import Bucket, BucketState, User
from chalicelib.domain.manifest import Block, Checksum, HashAlgorithm, Part, Record
from chalicelib.domain.stamp import Stamp
from chalicelib.domain.upload import PartAttempt, Upload, UploadState

STAMP = Stamp(0x0192F3A4B5C6, 3, "west")
BLOCK = Block(5, bytes(range(32)), bytes(range(16)))
PART = Part(2, "a1", 5, "e2", "c2==", (BLOCK,))
LIVE = {
    "live": True,
    "modified_ms": 7,
    "size": 5,
    "etag": "5d41402a",
    "owner": "ann",
    "headers": (("content-type", "text/plain"),),
    "metadata": (("farbe", "grün"),),
    "origin": "west",
    "part_count": 1,
}

record = (codec.encode_record, codec.decode_record)
VALUES = {
    "record inline": (Record("b1", "ключ", STAMP, **LIVE, inline=b"hello"), *record),
    "record with blocks": (
        Record(
            "b1",
            "k",
            STAMP,
            **LIVE,
            checksum=Checksum("CRC32", "FULL_OBJECT", "NhCmhg=="),
            upload="u1",
            multipart=True,
            parts=(PART,),
        ),
        *record,
    ),
    "record with index": (Record("b1", "k", STAMP, **LIVE, upload="u1", index=(BLOCK,)), *record),
    "tombstone": (Record("b1", "k", STAMP, False, 7), *record),
    "parts": ((PART, Part(3, "a2", 0, "e3", "", ())), codec.encode_parts, codec.decode_parts),
    "document": (
        {"text": "ü", "bytes": b"\x00\xff", "stamp": STAMP, "list": [1, None]},
        codec.encode_document,
        codec.decode_document,
    ),
    "user": (
        User("id1", "CWKEY", "Ann", "ann@example.org", 7, STAMP, STAMP, b"\x01wrapped", False, True, 2),
        forms.encode_user,
        forms.decode_user,
    ),
    "bucket": (
        Bucket("b1", "photos", "ann", 7, STAMP, "eu", BucketState.CLOSING, "west", ("west", "east"), 2),
        forms.encode_bucket,
        forms.decode_bucket,
    ),
    "upload": (
        Upload(
            "u1",
            "b1",
            "k",
            UploadState.COMMITTED,
            7,
            "west",
            True,
            "ann",
            (("content-type", "text/plain"),),
            (("farbe", "grün"),),
            "CRC32",
            "COMPOSITE",
            "e9-1",
        ),
        forms.encode_upload,
        forms.decode_upload,
    ),
    "part attempt": (PartAttempt(PART, 7), forms.encode_attempt, forms.decode_attempt),
}
VOUCHED = Block(4 << 20, bytes(range(32, 64)), b"", HashAlgorithm.SHA256)
MIXED = Part(1, "a1", VOUCHED.size + BLOCK.size, "e1", "c1==", (VOUCHED, BLOCK))
VALUES_2 = {
    "record with blocks": (
        Record(
            "b1", "k", STAMP, **(LIVE | {"size": MIXED.size}), upload="u1", multipart=True, parts=(MIXED,)
        ),
        *record,
    ),
    "record with index": (Record("b1", "k", STAMP, **LIVE, upload="u1", index=(VOUCHED,)), *record),
    "parts": ((PART, MIXED), codec.encode_parts, codec.decode_parts),
    "part attempt": (PartAttempt(MIXED, 7), forms.encode_attempt, forms.decode_attempt),
}


def stored(version):
    """name → the bytes that this version wrote."""
    text = Path(__file__).with_name(f"golden_v{version}.txt").read_text()
    sections = (section.split("]\n") for section in text.split("[")[1:])
    return {name: bytes.fromhex(digits) for name, digits in sections}
