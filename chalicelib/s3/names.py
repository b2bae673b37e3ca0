"""What may name a bucket, a key, an upload or a part, and the tokens that continue a listing.

In      text from paths, queries and headers
Out     the same text, or numbers, checked
Units   keys in bytes of UTF-8 (≤ 1,024); parts 1 … 10,000; pages ≤ 1,000 entries
Errors  InvalidBucketName, KeyTooLongError, InvalidArgument, NoSuchUpload
Source  Amazon S3 "Bucket naming rules", "Multipart upload limits"
"""

from __future__ import annotations

import base64
import binascii
import re

from chalicelib.domain.names import KEY_BYTES_MAX, bucket_name_problem
from chalicelib.s3 import errors

PART_NUMBER_MAX = 10_000
PAGE_MAX = 1000

_UPLOAD_ID = re.compile(r"[A-Za-z0-9_.-]{1,128}").fullmatch
_NUMBER = re.compile(r"[0-9]{1,10}").fullmatch


def check_bucket(name: str) -> str:
    """The bucket name, or InvalidBucketName."""
    if bucket_name_problem(name) is not None:
        raise errors.InvalidBucketName(BucketName=name)
    return name


def check_key(key: str) -> str:
    """The key, opaque but for its length. `..`, `//`, NUL and newlines are ordinary."""
    if len(key) > KEY_BYTES_MAX // 4:  # only then can it be too long: save the encoding
        size_bytes = len(key.encode())
        if size_bytes > KEY_BYTES_MAX:
            raise errors.KeyTooLongError(Size=str(size_bytes), MaxSizeAllowed=str(KEY_BYTES_MAX))
    return key


def check_upload_id(text: str) -> str:
    """The upload id, or NoSuchUpload: what we never handed out names nothing."""
    if not _UPLOAD_ID(text):
        raise errors.NoSuchUpload()
    return text


def parse_part_number(text: str) -> int:
    """1 … 10,000, or InvalidArgument."""
    if not _NUMBER(text) or not 1 <= int(text) <= PART_NUMBER_MAX:
        raise errors.InvalidArgument(
            f"Part number must be an integer between 1 and {PART_NUMBER_MAX}, inclusive",
            ArgumentName="partNumber",
            ArgumentValue=text,
        )
    return int(text)


def parse_count(name: str, text: str | None, most: int = PAGE_MAX) -> int:
    """max-keys and its kin: 0 … most, more is capped; InvalidArgument for anything else."""
    if text is None or text == "":
        return most
    return min(parse_number(name, text), most)


def parse_number(name: str, text: str) -> int:
    """A non-negative number below 2^31, or InvalidArgument."""
    if not _NUMBER(text) or int(text) >= 2**31:
        raise errors.InvalidArgument(
            f"Argument {name} must be an integer between 0 and 2147483647",
            ArgumentName=name,
            ArgumentValue=text[:64],
        )
    return int(text)


def encode_token(key: str) -> str:
    """The continuation token that goes on after `key`."""
    return "1" + base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def decode_token(token: str) -> str:
    """The key a continuation token goes on after, or InvalidArgument."""
    try:
        if token[:1] != "1" or len(token) > 2 * KEY_BYTES_MAX:
            raise ValueError("not a token of ours")
        padded = token[1:] + "=" * (-(len(token) - 1) % 4)
        key = base64.b64decode(padded.encode("ascii"), b"-_", validate=True).decode("utf-8")
        if encode_token(key) != token or len(key.encode()) > KEY_BYTES_MAX:
            raise ValueError("not a token of ours")
    except (ValueError, binascii.Error):
        raise errors.InvalidArgument(
            "The continuation token provided is incorrect", ArgumentName="continuation-token"
        ) from None
    return key
