"""Stored forms of the small values: uploads, part attempts, users, buckets.

In, out  the dataclasses of `upload` and `account` ↔ the documents of `codec`
Errors   Corrupt when a document lacks a field
Source   DESIGN §5 "Every stored form carries its version"
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

from chalicelib.domain import codec
from chalicelib.domain.account import Bucket, BucketState, User
from chalicelib.domain.errors import Corrupt
from chalicelib.domain.upload import PartAttempt, Upload, UploadState

T = TypeVar("T")

BUCKETS_KNOWN = 1024  # decoded forms kept, some 1 KiB each


def _decode(form: bytes, build: Callable[[dict[str, Any]], T]) -> T:
    fields = codec.decode_document(form)
    try:
        return build(fields)
    except (KeyError, TypeError, ValueError) as problem:
        raise Corrupt(f"a stored document cannot be read: {problem}") from problem


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}


def encode_upload(upload: Upload) -> bytes:
    """The stored form of an upload."""
    return codec.encode_document(_fields(upload))


def decode_upload(form: bytes) -> Upload:
    """The upload a form holds."""

    def build(f: dict[str, Any]) -> Upload:
        f["state"] = UploadState(f["state"])
        for name in ("headers", "metadata"):
            f[name] = tuple((a, b) for a, b in f[name])
        return Upload(**f)

    return _decode(form, build)


def encode_attempt(attempt: PartAttempt) -> bytes:
    """The stored form of a part attempt: its modification time, then a part list of one."""
    return attempt.modified_ms.to_bytes(8) + codec.encode_parts((attempt.part,))


def decode_attempt(form: bytes) -> PartAttempt:
    """The part attempt a form holds."""
    parts = codec.decode_parts(form[8:])
    if len(parts) != 1:
        raise Corrupt("a part attempt holds exactly one part")
    return PartAttempt(parts[0], int.from_bytes(form[:8]))


def encode_bucket(bucket: Bucket) -> bytes:
    """The stored form of a bucket, and what is replicated of it."""
    return codec.encode_document(_fields(bucket))


@lru_cache(maxsize=BUCKETS_KNOWN)
def decode_bucket(form: bytes) -> Bucket:
    """The bucket a form holds. Every request reads one: the same bytes are decoded once."""

    def build(f: dict[str, Any]) -> Bucket:
        f["state"] = BucketState(f["state"])
        f["sites"] = tuple(f["sites"])
        return Bucket(**f)

    return _decode(form, build)


def encode_user(user: User) -> bytes:
    """The stored form of a user; `secret` is wrapped under the key of whoever reads it."""
    return codec.encode_document(_fields(user))


def decode_user(form: bytes) -> User:
    """The user a form holds."""
    return _decode(form, lambda f: User(**f))
