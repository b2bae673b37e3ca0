"""Contacts: whether a link is up, remembered for everybody who asks.

    site table  "contact" / <peer>   {up, at_ms, error}

Written when it changes and at most every KEEP_MS while it does not: an operator needs to know that a
link is up and since when it was last used, not every request's time.
Beside it this process remembers, for itself, which sites it heard of lately and which it waited for in vain.
Source  DESIGN §1.8; Riak CS `connected_clusters` (research/riakcs.md §1.8).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from chalicelib.domain import codec
from chalicelib.domain.errors import StoreError
from chalicelib.ports.metadata import Metadata, Put, RowId, Table
from chalicelib.ports.system import Clock

KEEP_MS = 5000
HEARD_MS = 15_000  # who answered so lately is not asked whether it is there
HUNG_MS = 90_000  # a wait in vain is dear: until then the next sweep has asked again
UNREACHED_MS = 5000  # a connection refused costs next to nothing, and may be a restart


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
        self._heard_ms: dict[str, int] = {}
        self._down_until_ms: dict[str, int] = {}
        self._hung: set[str] = set()
        self._back_ms: dict[str, int] = {}

    def note(self, peer: str, error: str = "", *, down: bool = False, hung: bool = False) -> None:
        """A call to `peer` went well, or failed with `error`; `down` if it does not answer at all, `hung` if
        it let us wait."""
        if down or not error:
            self.remember(peer, down=down, hung=hung)
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

    def remember(self, peer: str, *, down: bool, hung: bool = False) -> None:
        """In this process alone."""
        now_ms = self._clock.now_ms()
        if down:
            self._down_until_ms[peer] = now_ms + (HUNG_MS if hung else UNREACHED_MS)
            self._heard_ms.pop(peer, None)
            if hung:
                self._hung.add(peer)
            return
        self._heard_ms[peer] = now_ms
        self._down_until_ms.pop(peer, None)
        if peer in self._hung:
            self._hung.discard(peer)
            self._back_ms[peer] = now_ms

    def heard(self, peer: str) -> bool:
        """Whether it answered this process lately."""
        return self._lately(self._heard_ms, peer, HEARD_MS)

    def back(self, peer: str) -> bool:
        """Whether it answered this process again lately, having let it wait in vain."""
        return self._lately(self._back_ms, peer, HEARD_MS)

    def down(self, peer: str) -> bool:
        """Whether this process asked it in vain lately, and has not heard of it since."""
        left_ms = self._down_until_ms.get(peer, 0) - self._clock.now_ms()
        return 0 < left_ms <= HUNG_MS  # a clock that was set back says nothing

    def _lately(self, times: dict[str, int], peer: str, within_ms: int) -> bool:
        at_ms = times.get(peer)
        return at_ms is not None and 0 <= self._clock.now_ms() - at_ms < within_ms

    def read(self, peer: str) -> Contact:
        """The last word on `peer`."""
        form = self._metadata.get([_row(peer)])[0]
        return Contact(**codec.decode_document(form)) if form is not None else Contact()
