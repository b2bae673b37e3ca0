"""Documents: a copy of every record beside the blocks, whose ObjectCreated event starts realtime.

Names   manifests/<key hash>/<bucket id>/<stamp>     records of objects; tombstones have one too
        manifests/user/<access key>/<stamp>          users, their secrets wrapped as in the table
        manifests/bucket/<bucket id>/<stamp>         buckets
Promise written before the client's answer where `rules.documents` is on (S3, MinIO); if it cannot be
        written the write still stands: whoever serves its outbox item writes it first.
remove  a superseded record's document, once GC has done with what the record named
parse   what a name speaks of, or None: events come from outside, so anything may be in them
Source  DESIGN §5 "PUT".
"""

from __future__ import annotations

import re
from typing import NamedTuple

from chalicelib.domain import codec
from chalicelib.domain import stamp as stamps
from chalicelib.domain.errors import StoreError
from chalicelib.domain.filing import check_document
from chalicelib.domain.manifest import Record
from chalicelib.domain.names import key_hash
from chalicelib.domain.stamp import Stamp
from chalicelib.objects import rows
from chalicelib.ports.site import Site

ROOT = "manifests/"
ACCOUNTS = ("user", "bucket")
_NAME = re.compile(rf"{ROOT}({'|'.join(ACCOUNTS)}|[0-9a-f]{{32}})/([A-Za-z0-9_.-]+)/([a-z0-9-]+)")


class Told(NamedTuple):
    """What a document is a copy of; `name` is a key hash, an access key or a bucket id."""

    kind: str
    bucket_id: str
    name: str
    stamp: Stamp


def name(bucket_id: str, hashed: str, stamp: str) -> str:
    """The name of an object's document."""
    return f"{ROOT}{hashed}/{bucket_id}/{stamp}"


def parse(document: str) -> Told | None:
    """What a document's name speaks of, or None if it is no such name."""
    match = _NAME.fullmatch(document)
    if match is None:
        return None
    first, second, text = match.groups()
    try:
        check_document(document)
        stamp = stamps.parse(text)
    except ValueError:
        return None
    if first in ACCOUNTS:
        return Told(first, second if first == "bucket" else "", second, stamp)
    return Told("object", second, first, stamp)


def publish(site: Site, record: Record, form: bytes) -> bool:
    """Write a record's document; False, logged, if the store would not take it now."""
    return _write(site, name(record.bucket_id, key_hash(record.key), str(record.stamp)), form)


def publish_account(site: Site, kind: str, account: str, stamp: Stamp, form: bytes) -> bool:
    """Write a user's or bucket's document, as `publish` does."""
    return _write(site, f"{ROOT}{kind}/{account}/{stamp}", form)


def remove(site: Site, bucket_id: str, hashed: str, stamp: str) -> None:
    """Delete the document of a record that is no longer at the head of its key, if the head has one: a site
    writes none of what it was sent, and a key's last document is what its row could be made of again."""
    form = site.metadata.get([rows.head(bucket_id, hashed)])[0] if site.rules.documents else None
    if form is None:
        return
    head = str(codec.decode_record(form).stamp)
    if head != stamp and site.blocks.get_document(name(bucket_id, hashed, head)) is not None:
        site.blocks.delete_document(name(bucket_id, hashed, stamp))


def _write(site: Site, document: str, form: bytes) -> bool:
    try:
        site.blocks.put_document(document, form)
    except StoreError as problem:
        site.log.event("document_not_written", problem=type(problem).__name__)
        return False
    return True
