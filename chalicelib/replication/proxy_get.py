"""proxy_get: a BlockStore over the local store and the linked sites.

get      local and true: that. Missing or damaged: from the site that took the upload, then any other
         linked source, hash checked, kept here, given to every reader that waits for it. Sites this
         process waited for in vain a moment ago are asked last.
Others   the local store's.

One flight per block however many readers: whoever comes second finds the block kept when it gets the
lock. A provider that lacks the block may ask on; `asked` names the sites already asked.
Errors   Unavailable when some site could not be asked and nobody else had the block ("don't know")
Source   DESIGN §5 "GET at the sink"; riak_repl2_pg_proxy (research/riakcs.md §1.5).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from chalicelib.domain.errors import Corrupt, Refused, StoreError, Unavailable
from chalicelib.domain.manifest import BlockId, BlockRef
from chalicelib.objects.verified import matches
from chalicelib.ports.blocks import BlockStore, Buffer
from chalicelib.ports.counters import Counters
from chalicelib.ports.peers import Peer
from chalicelib.ports.site import Site
from chalicelib.replication.contacts import Contacts
from chalicelib.replication.links import Link, LinkBook
from chalicelib.replication.sink import keep_block

Dial = Callable[[Link], Peer]


class ProxyGetBlocks:
    """Reads through to other sites; see the module."""

    def __init__(
        self, site: Site, links: LinkBook, dial: Dial, counters: Counters, contacts: Contacts
    ) -> None:
        self._site = site
        self._local: BlockStore = site.blocks
        self._links = links
        self._dial = dial
        self._counters = counters
        self._contacts = contacts

    def get(self, ref: BlockRef) -> bytes | None:
        """The block, from here or elsewhere."""
        body = self._get_local(ref)
        if body is not None:
            return body
        name = f"block/{ref.id.upload}/{ref.id.attempt}/{ref.id.number}"
        with self._site.locks.hold(name):
            body = self._get_local(ref, again=True)
            if body is not None:
                return body
            body = self.fetch_elsewhere(ref, (self._site.id,))
            if body is not None:
                self._keep(ref, body)
            return body

    def _get_local(self, ref: BlockRef, *, again: bool = False) -> bytes | None:
        try:
            return self._local.get(ref)
        except Corrupt:
            if not again:
                self._site.log.event("block_damaged", upload=ref.id.upload, number=ref.id.number)
                self._counters.add("blocks_damaged_total")
            return None

    def fetch_elsewhere(self, ref: BlockRef, asked: tuple[str, ...]) -> bytes | None:
        """The block from the first linked site that has it, true to its hash; not kept here."""
        unknown: StoreError | None = None
        for link in self._sources(ref, asked):
            try:
                body = self._dial(link).get_block(ref, asked)
            except Refused:
                continue
            except StoreError as problem:
                unknown = problem
                if problem.unreached or problem.unanswered:
                    self._contacts.remember(link.site, down=True, hung=problem.unanswered)
                self._counters.add("proxy_get_errors_total", link=link.site)
                continue
            self._contacts.remember(link.site, down=False)
            asked = (*asked, link.site)
            if body is None:
                continue
            if not matches(self._site.hashing, ref, body):
                self._counters.add("proxy_get_errors_total", link=link.site)
                continue
            self._counters.add("proxy_get_blocks_total", link=link.site)
            self._counters.add("proxy_get_bytes_total", len(body), link=link.site)
            return body
        if unknown is not None:
            raise Unavailable("a site that may have the block cannot be reached") from unknown
        return None

    def fetch_for(self, ref: BlockRef, asked: tuple[str, ...]) -> bytes | None:
        """As `fetch_elsewhere`, on behalf of a site that asked us, and kept here. Without the lock: two
        sites that read the same block at once would wait for one another."""
        body = self.fetch_elsewhere(ref, asked)
        if body is not None:
            self._keep(ref, body)
        return body

    def _sources(self, ref: BlockRef, asked: tuple[str, ...]) -> list[Link]:
        links = [
            link
            for link in self._links.read().by_site.values()
            if (link.source or link.sink) and link.site not in asked
        ]
        # Who took the upload first, then who streams to us, then anybody who may hold a copy.
        order = sorted(links, key=lambda link: (link.site != ref.origin, not link.source, link.site))
        return sorted(order, key=lambda link: self._contacts.down(link.site))

    def _keep(self, ref: BlockRef, body: bytes) -> None:
        try:
            keep_block(self._site, ref, body)
        except StoreError as problem:  # in hand all the same: whoever asked gets it
            self._site.log.event("block_not_kept", upload=ref.id.upload, why=str(problem))

    def put(self, block_id: BlockId, body: Buffer) -> None:
        """The local store's."""
        self._local.put(block_id, body)

    def link(self, source: BlockId, target: BlockId) -> bool:
        """The local store's."""
        return self._local.link(source, target)

    def delete(self, block_id: BlockId) -> None:
        """The local store's."""
        self._local.delete(block_id)

    def delete_upload(self, upload: str) -> None:
        """The local store's."""
        self._local.delete_upload(upload)

    def list_upload(self, upload: str) -> Iterator[tuple[BlockId, int]]:
        """The local store's."""
        return self._local.list_upload(upload)

    def uploads(self) -> Iterator[str]:
        """The local store's."""
        return self._local.uploads()

    def put_document(self, name: str, body: bytes) -> None:
        """The local store's."""
        self._local.put_document(name, body)

    def get_document(self, name: str) -> bytes | None:
        """The local store's."""
        return self._local.get_document(name)

    def delete_document(self, name: str) -> None:
        """The local store's."""
        self._local.delete_document(name)
