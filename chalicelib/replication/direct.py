"""A Peer that is no server: the other site's own `Sink`, run here over that site's tables and bucket.

In      who to be for each call: `open_sink` reads the other site's record and its link to us again
Promise what the sink's HTTP API would answer, for `Sink` answers both; `decide` and `bucket_empty` are not
        for tables: one makes secrets and unique names with what only the deciding site has, the other asks
        on over the sink's own links
Errors  Refused: the tables are another site's, of a version not known here, or have no link to us
Source  DESIGN §5 "Realtime"; ports.peers; docs/adr/0002-apply-over-tables.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chalicelib.domain.errors import Refused
from chalicelib.domain.hashtree import Node
from chalicelib.domain.manifest import BlockId, BlockRef
from chalicelib.ports.metadata import Metadata
from chalicelib.ports.peers import Answer, Delivery, Hello
from chalicelib.ports.site import Site
from chalicelib.replication.links import REREAD_MS, LinkBook, SiteRecord, site_record
from chalicelib.replication.sink import Decide, FetchOn, Sink


class SinkOpener:
    """Makes the `Sink` of another site for one source, as that site's tables say now."""

    def __init__(
        self, site: Site, source: str, links: LinkBook, *, fetch_on: FetchOn, decide: Decide
    ) -> None:
        self._site = site
        self._source = source
        self._links = links
        self._fetch_on = fetch_on
        self._decide = decide
        self._record: SiteRecord | None = None
        self._read_ms = 0

    def __call__(self) -> Sink:
        record = self._known_record()
        link = self._links.read().by_site.get(self._source)
        if link is None:
            raise Refused(f"site {self._site.id} has no link to {self._source}; `causeway connect` makes it")
        return Sink(self._site, record, link, self._fetch_on, self._decide)

    def _known_record(self) -> SiteRecord:
        now_ms = self._site.clock.now_ms()
        if self._record is None or not 0 <= now_ms - self._read_ms < REREAD_MS:
            self._record = _checked(self._site.metadata, self._site.id)
            self._read_ms = now_ms
        return self._record


def _checked(metadata: Metadata, site: str) -> SiteRecord:
    record = site_record(metadata)
    if record is None:
        raise Refused(f"the tables of site {site} were never set up: start it once")
    if record.site != site:
        raise Refused(f"these are the tables of site {record.site}, not of {site}")
    return record


class DirectPeer:
    """Another site over its tables."""

    def __init__(
        self, open_sink: Callable[[], Sink], bucket_empty: Callable[[bytes, tuple[str, ...]], bool]
    ) -> None:
        self._open = open_sink
        self._bucket_empty = bucket_empty

    def hello(self) -> Hello:
        """As the tables say."""
        return self._open().hello()

    def apply(self, deliveries: Sequence[Delivery]) -> list[Answer]:
        """Merge records in the sink's tables."""
        return self._open().apply(deliveries)

    def wanted(self, bucket_id: str, key_hash: str) -> list[BlockId]:
        """Blocks that are not in the sink's bucket."""
        return self._open().wanted(bucket_id, key_hash)

    def put_block(self, ref: BlockRef, body: bytes) -> None:
        """File a block in the sink's bucket."""
        self._open().put_block(ref, body)

    def get_block(self, ref: BlockRef, asked: tuple[str, ...]) -> bytes | None:
        """A block from the other site's bucket."""
        return self._open().get_block(ref, asked)

    def fold(self, run: str, for_ms: int) -> bool:
        """Fold in the sink's tables."""
        return self._open().fold(run, for_ms)

    def tree(self, bucket_id: str, prefixes: Sequence[str]) -> list[Node]:
        """Tree nodes."""
        return self._open().tree(bucket_id, prefixes)

    def entries(self, bucket_id: str, prefix: str) -> list[tuple[str, bytes]]:
        """Tree entries."""
        return self._open().entries(bucket_id, prefix)

    def incomplete(self, after: str, limit: int) -> list[tuple[str, str]]:
        """Records without all blocks."""
        return self._open().incomplete(after, limit)

    def accounts(self) -> dict[str, str]:
        """Stamps of users and buckets."""
        return self._open().accounts()

    def decide(self, verb: str, arguments: dict[str, Any], idempotency_key: str) -> dict[str, Any]:
        """Whatever the opener was given for this."""
        return self._open().decide(verb, arguments, idempotency_key)

    def bucket_empty(self, form: bytes, asked: tuple[str, ...]) -> bool:
        """Asked over HTTP."""
        return self._bucket_empty(form, asked)
