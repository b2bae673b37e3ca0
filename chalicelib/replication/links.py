"""Links: who this site streams to and fetches from, in one row, read by every writer.

    site table  "site" / "links"    {epoch, links: {peer: Link}}
                "site" / "record"   {site, incarnation, primary, epoch}: who this site is

Link     one other site. `sink`: we stream to it. `source`: it streams to us, and we may fetch from it.
         `enabled`: what is committed is owed to it (Riak CS `realtime enable`).
         `started`: what is owed is sent (`realtime start`); stopping keeps the outbox.
         `blocks`: blocks are copied after their records; paused, records go on and blocks stay owed.
         `backfilling`: enabled, but no fullsync begun after every writer knew of it has ended yet.
         `proxy_get`: it may fetch blocks from us.
         `administers`: it may make and change administrators here, and act as one. The primary's own
         administrators need no such switch.
Errors   Conflict when two people change links at once; LinkUnknown for a peer that is not there
Source   DESIGN §5 "Links have epochs"; riak-repl commands (research/riakcs.md §1.7).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from chalicelib.domain import codec
from chalicelib.domain.errors import Conflict, Refused
from chalicelib.ports.metadata import ABSENT, Check, Metadata, Put, RowId, Table, Write, expected
from chalicelib.ports.system import Clock

NOT_RAISED = (
    "the tables are of an older Causeway still, and this function may not raise them: the first request to "
    "the site, such as `causeway status`, does; then this starts by itself"
)
LINKS = RowId(Table.SITE, "site", b"links")
RECORD = RowId(Table.SITE, "site", b"record")
# Of everything in a site's tables. 2: records may name blocks by SHA-256 (domain.codec).
STORED_FORM_VERSION = 2
REREAD_MS = 30 * 1000  # DESIGN: writers reread links at least this often
# Where links are not checked in the commit itself: a commit that read them has taken place, or failed, by
# then. DynamoDB: 3 s to connect and 10 s to answer, and some room.
COMMIT_MS = 15 * 1000
_TRIES = 20


class LinkUnknown(Refused):
    """There is no link to that site; `causeway connections` lists those there are."""


@dataclass(frozen=True, slots=True)
class Link:
    """One other site, as this site's operator set it up. `secret` is wrapped by this site's vault."""

    site: str
    endpoint: str
    secret: bytes
    public_key: bytes
    incarnation: str
    ca_file: str = ""
    sink: bool = False
    source: bool = False
    enabled: bool = False
    started: bool = False
    backfilling: bool = False
    proxy_get: bool = False
    blocks: bool = True
    fullsync_interval_ms: int | None = None  # None: as the site's rules say, whatever they say then
    tables: str = ""  # how to reach the sink's tables directly, or "" for its HTTP API
    enabled_ms: int = 0
    administers: bool = False


@dataclass(frozen=True, slots=True)
class Links:
    """All links of a site at one epoch."""

    epoch: int
    by_site: dict[str, Link]

    def sinks(self) -> list[Link]:
        """Those a commit is owed to."""
        return [link for link in self.by_site.values() if link.sink and link.enabled]

    def get(self, site: str) -> Link:
        """The link to `site`."""
        if site not in self.by_site:
            raise LinkUnknown(f"no link to site {site!r}; `causeway connections` lists them")
        return self.by_site[site]


NO_LINKS = Links(0, {})


@dataclass(frozen=True, slots=True)
class SiteRecord:
    """Who a site is. A restored or re-created site is a new incarnation."""

    site: str
    incarnation: str
    primary: str
    epoch: int = 1
    version: int = STORED_FORM_VERSION


def encode(links: Links) -> bytes:
    """The stored form of all links."""
    plain = {
        site: {**asdict(link), "secret": link.secret.hex(), "public_key": link.public_key.hex()}
        for site, link in links.by_site.items()
    }
    return codec.encode_document({"epoch": links.epoch, "links": plain})


def decode(form: bytes | None) -> Links:
    """The links a row holds."""
    if form is None:
        return NO_LINKS
    fields = codec.decode_document(form)
    return Links(fields["epoch"], {site: _link(plain) for site, plain in fields["links"].items()})


def _link(plain: dict[str, Any]) -> Link:
    plain["secret"] = bytes.fromhex(plain["secret"])
    plain["public_key"] = bytes.fromhex(plain["public_key"])
    return Link(**plain)


class LinkBook:
    """Reads links, keeping them for `keep_ms`, and changes them by compare-and-set."""

    def __init__(self, metadata: Metadata, clock: Clock, keep_ms: int = 0) -> None:
        self._metadata = metadata
        self._clock = clock
        self._keep_ms = min(keep_ms, REREAD_MS)
        self._known: tuple[bytes | None, Links] = (None, NO_LINKS)
        self._read_ms: int | None = None

    @property
    def known_ms(self) -> int:
        """How long after a change every commit goes by it, if all processes keep links as we do."""
        return self._keep_ms + COMMIT_MS if self._metadata.checks_contend else 0

    def guarded(self) -> tuple[Links, list[Write]]:
        """The links, and what lets a commit fail that goes by them after they have changed, where such a
        check does not make commits collide. Elsewhere `known_ms` says how long to wait."""
        form, links = self._read()
        return links, [] if self._metadata.checks_contend else [Check(LINKS, expected(form))]

    def reread(self) -> Links:
        """The links as they are now."""
        self._read_ms = None
        return self.read()

    def read(self) -> Links:
        """The links, at most `keep_ms` old."""
        return self._read()[1]

    def _read(self) -> tuple[bytes | None, Links]:
        """Form and links together: another thread may read newer ones between two looks."""
        now_ms = self._clock.now_ms()
        known = self._known
        if self._read_ms is None or not 0 <= now_ms - self._read_ms < self._keep_ms:
            form = self._metadata.get([LINKS])[0]
            known = self._known = (form, decode(form))
            self._read_ms = now_ms
        return known

    def change(self, to: Callable[[dict[str, Link]], None]) -> Links:
        """Let `to` change the links in place; the epoch grows."""
        for _ in range(_TRIES):
            form = self._metadata.get([LINKS])[0]
            links = decode(form)
            by_site = dict(links.by_site)
            to(by_site)
            changed = Links(links.epoch + 1, by_site)
            try:
                self._metadata.transact([Put(LINKS, encode(changed), expected(form))])
            except Conflict:
                continue
            self._read_ms = None
            return changed
        raise Conflict("links are being changed by somebody else; try again")

    def update(self, site: str, **fields: Any) -> Link:
        """Change fields of one link."""

        def change(by_site: dict[str, Link]) -> None:
            if site not in by_site:
                raise LinkUnknown(f"no link to site {site!r}; `causeway connections` lists them")
            by_site[site] = replace(by_site[site], **fields)

        return self.change(change).by_site[site]


def site_record(metadata: Metadata) -> SiteRecord | None:
    """Whose tables these are, if they have been set up. Refused if a newer Causeway wrote them."""
    return _decoded(metadata.get([RECORD])[0])


def _decoded(form: bytes | None) -> SiteRecord | None:
    if form is None:
        return None
    fields = codec.decode_document(form)
    version = fields.get("version", 1)
    if not 1 <= version <= STORED_FORM_VERSION:
        raise Refused(
            f"the tables of site {fields.get('site')} are of version {version}, this Causeway knows "
            f"up to {STORED_FORM_VERSION}: upgrade it first"
        )
    return SiteRecord(**{**fields, "version": version})


def found_site(
    metadata: Metadata, record: SiteRecord, seen: bytes | None = None, *, raises: bool = True
) -> SiteRecord:
    """Set the site up as `record`, or the record it was already set up as, in this version: from then on an
    older Causeway refuses these tables. `seen`: RECORD, by whoever has just read it. Refused for whoever may
    not raise the version, until another has."""
    known = _decoded(seen) or site_record(metadata)
    if known is not None and known.version == STORED_FORM_VERSION:
        return known  # every start but the first: nothing is written
    if known is not None:
        if not raises:
            raise Refused(NOT_RAISED)
        return _raised(metadata, known)
    try:
        metadata.transact([Put(RECORD, codec.encode_document(asdict(record)), ABSENT)])
    except Conflict:
        standing = site_record(metadata)
        if standing is None:
            raise
        return standing
    return record


def _raised(metadata: Metadata, known: SiteRecord) -> SiteRecord:
    """The same site in this version, which reads all that earlier ones wrote."""
    form = metadata.get([RECORD])[0]
    raised = replace(known, version=STORED_FORM_VERSION)
    try:
        metadata.transact([Put(RECORD, codec.encode_document(asdict(raised)), expected(form))])
    except Conflict:  # another process of ours was first
        return site_record(metadata) or raised
    return raised
