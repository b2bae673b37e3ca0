"""Where each thing lies in the tables: the one place that builds row ids.

    keys        <bucket id>/<key hash>           head → record
    listing     <bucket id>/<shard>              key → listed entry (visible keys only)
    uploads     u/<upload>                       upload → Upload; p/<number>/<attempt> → PartAttempt
                m/<bucket id>                    open multipart uploads in order of key
                due/<shard>                      <due ms><upload> → what GC shall look at
    incomplete  i/<shard>                        <bucket id>/<key hash> → stamp
    tree        dirty/<shard>                    <bucket id>/<key hash> → mark; the rest is tree.py's
    users       key, email                       access key → User; e-mail → access key
    buckets     name, id                         name → id; id → Bucket

Source  DESIGN §5 "Tables".
"""

from __future__ import annotations

import hashlib

from chalicelib.domain.names import key_hash, shard_of
from chalicelib.ports.metadata import RowId, Table

_OPEN_KEY_BYTES = 900  # leaves room in a 1,024-byte sort key for NUL + upload id; ties keep upload order


def head(bucket_id: str, hashed: str) -> RowId:
    """The current record of a key."""
    return RowId(Table.KEYS, f"{bucket_id}/{hashed}", b"head")


def listing_pk(bucket_id: str, shard: int) -> str:
    """One shard of a bucket's listing."""
    return f"{bucket_id}/{shard}"


def listing(bucket_id: str, key: str, shards: int) -> RowId:
    """A visible key."""
    shard = shard_of(key_hash(key), shards)
    return RowId(Table.LISTING, listing_pk(bucket_id, shard), key.encode())


def upload(upload_id: str) -> RowId:
    """An upload's own row."""
    return RowId(Table.UPLOADS, f"u/{upload_id}", b"upload")


def upload_pk(upload_id: str) -> str:
    """The partition with the part attempts of an upload."""
    return f"u/{upload_id}"


def attempt(upload_id: str, number: int, attempt_id: str) -> RowId:
    """One attempt at a part."""
    return RowId(Table.UPLOADS, f"u/{upload_id}", f"p/{number:05d}/{attempt_id}".encode())


def open_uploads_pk(bucket_id: str) -> str:
    """The partition of a bucket's open multipart uploads."""
    return f"m/{bucket_id}"


def open_upload(bucket_id: str, key: str, upload_id: str) -> RowId:
    """The entry of an open multipart upload, in order of key, then of time."""
    sk = key.encode()[:_OPEN_KEY_BYTES] + b"\0" + upload_id.encode()
    return RowId(Table.UPLOADS, open_uploads_pk(bucket_id), sk)


def due_pk(shard: int) -> str:
    """One shard of what GC shall look at."""
    return f"due/{shard}"


def due(due_ms: int, upload_id: str, shards: int) -> RowId:
    """When GC shall look at an upload."""
    shard = int(hashlib.blake2b(upload_id.encode(), digest_size=2).hexdigest(), 16) % shards
    return RowId(Table.UPLOADS, due_pk(shard), due_ms.to_bytes(6) + upload_id.encode())


def incomplete_pk(shard: int) -> str:
    """One shard of the records whose blocks are not all here."""
    return f"i/{shard}"


def incomplete(bucket_id: str, hashed: str, shards: int) -> RowId:
    """A record whose blocks are not all here."""
    pk = incomplete_pk(shard_of(hashed, shards))
    return RowId(Table.INCOMPLETE, pk, f"{bucket_id}/{hashed}".encode())


def dirty_pk(shard: int) -> str:
    """One shard of the keys whose tree entry is stale."""
    return f"dirty/{shard}"


def dirty(bucket_id: str, hashed: str, shards: int) -> RowId:
    """A key whose tree entry is stale."""
    return RowId(Table.TREE, dirty_pk(shard_of(hashed, shards)), f"{bucket_id}/{hashed}".encode())


def user(access_key: str) -> RowId:
    """A user by access key."""
    return RowId(Table.USERS, "key", access_key.encode())


def user_email(email: str) -> RowId:
    """The access key that owns an e-mail address."""
    return RowId(Table.USERS, "email", email.encode())


def bucket(bucket_id: str) -> RowId:
    """A bucket by id."""
    return RowId(Table.BUCKETS, "id", bucket_id.encode())


def bucket_name(name: str) -> RowId:
    """The bucket id a name points at."""
    return RowId(Table.BUCKETS, "name", name.encode())
