"""Names and where things are filed under them.

Bucket names follow S3's rules; keys are opaque UTF-8 of 1 … 1,024 bytes, never normalised.
`key_hash` (32 hex digits) stands for a key wherever a key itself could be too long or too revealing.

Errors  ValueError, worded for the person who sent the name.
Source  AWS "General purpose bucket naming rules"; DESIGN §5.
"""

from __future__ import annotations

import hashlib
import re

KEY_BYTES_MAX = 1024  # S3's limit, and DynamoDB's for a sort key
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ADDRESS = re.compile(r"\d{1,3}(\.\d{1,3}){3}")
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
_RESERVED_NAMES = frozenset({"admin", "causeway", "health", "metrics"})  # our own routes stand beside buckets
_SITE = re.compile(r"[a-z][a-z0-9-]{0,31}")
SITE_RULE = "a lower-case letter, then up to 31 lower-case letters, digits or hyphens"


def bucket_name_problem(name: str) -> str | None:
    """Why `name` cannot name a bucket, or None if it can."""
    if not _BUCKET.fullmatch(name):
        return (
            "3 to 63 lower-case letters, digits, dots and hyphens, starting and ending with a letter or digit"
        )
    if ".." in name or ".-" in name or "-." in name:
        return "dots may not stand beside dots or hyphens"
    if _ADDRESS.fullmatch(name):
        return "may not look like an IP address"
    if name.startswith(_RESERVED_PREFIXES) or name.endswith(_RESERVED_SUFFIXES) or name in _RESERVED_NAMES:
        return "this name, prefix or suffix is reserved"
    return None


def key_hash(key: str) -> str:
    """32 hex digits that stand for `key` within its bucket."""
    return hashlib.blake2b(key.encode(), digest_size=16).hexdigest()


def shard_of(key_hash_hex: str, shards: int) -> int:
    """Which of `shards` a key's rows lie in: stable for the life of the table."""
    return int(key_hash_hex[:8], 16) % shards


def check_site(site: str) -> str:
    """`site` itself if it can be a site id."""
    if not _SITE.fullmatch(site):
        raise ValueError(f"site id {site!r}: use {SITE_RULE}")
    return site
