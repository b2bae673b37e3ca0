"""Contacts: whether a link is up, remembered for everybody who asks.

    site table  "contact" / <peer>   {up, at_ms, error}

Written when it changes and at most every KEEP_MS while it does not: an operator needs to know that a
link is up and since when it was last used, not every request's time.
Source  DESIGN §1.8; Riak CS `connected_clusters` (research/riakcs.md §1.8).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from chalicelib.domain import codec
from chalicelib.domain.errors import StoreError
from chalicelib.ports.metadata import Metadata, Put, RowId, Table
from chalicelib.ports.system import Clock

KEEP_MS = 5000


@dataclass(frozen=True, slots=True)
class Contact:
    """The last word of a link: `at_ms` when something was tried, `error` why it failed."""

    up: bool = False
    at_ms: int = 0
    error: str = ""


def _row(peer: str) -> RowId:
    return RowId(Table.SITE, "contact", peer.encode())


class Contacts:
    """Notes and tells."""

    def __init__(self, metadata: Metadata, clock: Clock) -> None:
        self._metadata = metadata
        self._clock = clock
        self._noted: dict[str, Contact] = {}

    def note(self, peer: str, error: str = "") -> None:
        """A call to `peer` went well, or failed with `error`."""
        now_ms = self._clock.now_ms()
        before = self._noted.get(peer)
        same = before is not None and (before.up, before.error) == (not error, error)
        if same and before is not None and 0 <= now_ms - before.at_ms < KEEP_MS:
            return
        contact = Contact(not error, now_ms, error)
        self._noted[peer] = contact
        try:
            self._metadata.transact([Put(_row(peer), codec.encode_document(asdict(contact)))])
        except StoreError:
            self._noted.pop(peer, None)  # noted next time; status is never worth failing for

    def read(self, peer: str) -> Contact:
        """The last word on `peer`."""
        form = self._metadata.get([_row(peer)])[0]
        return Contact(**codec.decode_document(form)) if form is not None else Contact()
