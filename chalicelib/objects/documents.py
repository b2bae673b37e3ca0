"""Documents: a copy of every record beside the blocks, whose ObjectCreated event starts realtime.

Name    manifests/<key hash>/<bucket id>/<stamp>; tombstones have one too
Promise written before the client's answer where `rules.documents` is on (S3, MinIO); if it cannot be
        written the write still stands: whoever serves its outbox item writes it first.
Source  DESIGN §5 "PUT".
"""

from __future__ import annotations

from chalicelib.domain.errors import StoreError
from chalicelib.domain.manifest import Record
from chalicelib.domain.names import key_hash
from chalicelib.ports.site import Site


def name(bucket_id: str, hashed: str, stamp: str) -> str:
    """The document's name."""
    return f"manifests/{hashed}/{bucket_id}/{stamp}"


def parse(document: str) -> tuple[str, str] | None:
    """(bucket id, key hash) that a document's name speaks of, or None if it is no such name."""
    parts = document.split("/")
    if len(parts) != 4 or parts[0] != "manifests":
        return None
    return parts[2], parts[1]


def publish(site: Site, record: Record, form: bytes) -> bool:
    """Write a record's document; False, logged, if the store would not take it now."""
    try:
        site.blocks.put_document(name(record.bucket_id, key_hash(record.key), str(record.stamp)), form)
    except StoreError as problem:
        site.log.event("document_not_written", problem=type(problem).__name__)
        return False
    return True
