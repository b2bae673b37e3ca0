"""GET and HEAD: the record a key holds, and its bytes.

head     the live record of a key, from one consistent read; NoSuchKey for nothing or a tombstone
Bytes    `bodies.read(site, record, start, end)`
Source   DESIGN §5; law *atomic*: everything a response shows comes from the one record read here.
"""

from __future__ import annotations

from chalicelib.domain import codec
from chalicelib.domain.manifest import Record
from chalicelib.domain.names import key_hash
from chalicelib.objects import rows
from chalicelib.objects.errors import NoSuchKey
from chalicelib.ports.site import Site


def current(site: Site, bucket_id: str, hashed: str) -> Record | None:
    """Whatever is at the head of the key with this hash: live, tombstone or None."""
    form = site.metadata.get([rows.head(bucket_id, hashed)])[0]
    return codec.decode_record(form) if form is not None else None


def head(site: Site, bucket_id: str, key: str) -> Record:
    """The live record of `key`."""
    record = current(site, bucket_id, key_hash(key))
    if record is None or not record.live:
        raise NoSuchKey(key)
    return record
