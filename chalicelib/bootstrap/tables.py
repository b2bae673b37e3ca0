"""A link's `tables` → a Peer over the sink's own DynamoDB tables and bucket.

    {"dynamodb": {"prefix": "causeway-east", "region": "eu-west-1", "endpoint": ""},
     "bucket": {"name": "causeway-east-blocks", "prefix": "", "region": "eu-west-1", "endpoint": ""},
     "leeway": "24h"}

prefix and name are needed; "" for an endpoint is AWS itself; leeway is the sink's, this site's if not
given. Credentials are this process's own: its role needs the sink's tables and bucket (see the ADR).

Errors  ValueError: the text is not such a description
Source  DESIGN §5 "Realtime"; docs/adr/0002-apply-over-tables.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from chalicelib.adapters.system import MemoryLocks
from chalicelib.adapters.vault import SealedVault
from chalicelib.bootstrap.aws import (
    AwsPlaces,
    aws_session,
    blocks_over,
    dynamodb_client,
    metadata_over,
    s3_client,
)
from chalicelib.objects.verified import VerifiedBlocks
from chalicelib.ports.blocks import BlockStore
from chalicelib.ports.metadata import Metadata
from chalicelib.ports.peers import Peer
from chalicelib.ports.site import Site
from chalicelib.replication.direct import DirectPeer, SinkOpener
from chalicelib.replication.links import LinkBook
from chalicelib.replication.outbox import OutboxAnnouncer
from chalicelib.settings import duration_ms

LINKS_KEPT_MS = 5000  # of the sink's links, as its own functions keep them
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Dynamodb:
    prefix: str
    region: str = "us-east-1"
    endpoint: str = ""


@dataclass(frozen=True, slots=True)
class _Bucket:
    name: str
    prefix: str = ""
    region: str = "us-east-1"
    endpoint: str = ""


@dataclass(frozen=True, slots=True)
class SinkPlaces:
    """Where a sink keeps its things."""

    aws: AwsPlaces
    leeway_ms: int | None


def read_places(text: str) -> SinkPlaces:
    """What a link's `tables` says."""
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("tables: not JSON") from None
    if not isinstance(plain, dict) or plain.keys() - {"dynamodb", "bucket", "leeway"}:
        raise ValueError("tables: an object with dynamodb, bucket and leeway, no more")
    tables = _section(plain, "dynamodb", _Dynamodb)
    bucket = _section(plain, "bucket", _Bucket)
    leeway_ms = duration_ms(str(plain["leeway"])) if "leeway" in plain else None
    places = AwsPlaces(
        dynamodb_prefix=tables.prefix,
        dynamodb_region=tables.region,
        dynamodb_endpoint=tables.endpoint,
        bucket=bucket.name,
        bucket_prefix=bucket.prefix,
        bucket_region=bucket.region,
        bucket_endpoint=bucket.endpoint,
    )
    return SinkPlaces(places, leeway_ms)


def _section(plain: dict[str, Any], name: str, kind: Callable[..., T]) -> T:
    given = plain.get(name)
    known = [one.name for one in fields(kind)]  # type: ignore[arg-type]
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise ValueError(f"tables: {name} is an object of texts: {', '.join(known)}")
    try:
        return kind(**given)
    except TypeError:
        raise ValueError(f"tables: {name} has {known[0]}, and {', '.join(known[1:])} if need be") from None


def direct_peer(
    site: Site, to: str, tables: str, public_key: bytes, http: Peer, own: AwsPlaces | None = None
) -> Peer:
    """The sink `to` behind `tables`; names are decided, and blocks it lacks asked for, over `http`. A bucket
    in the same MinIO as our `own` is opened with the same keys; a link's description never holds any."""
    places = read_places(tables)
    if own is not None and own.bucket_keys and own.bucket_endpoint == places.aws.bucket_endpoint:
        places = replace(places, aws=replace(places.aws, bucket_keys=own.bucket_keys))
    leeway_ms = places.leeway_ms or site.rules.leeway_ms
    rules = replace(site.rules, leeway_ms=leeway_ms, deletes=False)  # its own GC does
    session = aws_session()
    metadata = metadata_over(dynamodb_client(places.aws, session), places.aws)
    blocks = blocks_over(s3_client(places.aws, session), places.aws)
    return peer_over(replace(site, rules=rules), to, metadata, blocks, public_key, http)


def peer_over(
    site: Site, to: str, metadata: Metadata, blocks: BlockStore, public_key: bytes, http: Peer
) -> Peer:
    """The sink `to` over its stores, everything else of it being as here."""
    links = LinkBook(metadata, site.clock, LINKS_KEPT_MS)
    verified = VerifiedBlocks(blocks, site.hashing)
    sink_site = replace(
        site,
        id=to,
        metadata=metadata,
        blocks=verified,
        reader=verified,
        # Nobody to wake there: the sink's own sweep serves what this leaves in its outbox.
        announcer=OutboxAnnouncer(metadata, site.clock, links, lambda: None),
        locks=MemoryLocks(site.clock),
        vault=SealedVault(public_key),
        read_only=False,
    )
    return DirectPeer(
        SinkOpener(
            sink_site,
            site.id,
            links,
            fetch_on=http.get_block,
            decide=lambda verb, arguments, key, _: http.decide(verb, arguments, key),
        ),
        http.bucket_empty,
    )
