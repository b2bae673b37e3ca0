"""Closing a bucket at every site: DeleteBucket loses nothing that another site acknowledges meanwhile.

others_empty   hands the closing bucket to the linked sites. Each closes its own copy, so that nothing more is
               acknowledged into it, then looks whether it is empty, then asks sites that were not asked yet
tell_open      a bucket that turned out not to be empty is open again: told to sites that realtime does not
               tell. Best effort: the newer stamp arrives by any later delivery too
Errors         Unavailable: some site could not be asked, so the bucket is opened again
Source         DESIGN §5 "Users and buckets".
"""

from __future__ import annotations

from collections.abc import Callable

from chalicelib.domain.account import Bucket
from chalicelib.domain.errors import Indeterminate, StoreError, Unavailable
from chalicelib.domain.forms import encode_bucket
from chalicelib.ports.peers import Delivery, Peer
from chalicelib.ports.system import Log
from chalicelib.replication.links import Link, LinkBook, SiteRecord

Dial = Callable[[Link], Peer]


def others_empty(record: SiteRecord, links: LinkBook, dial: Dial) -> Callable[..., bool]:
    """(closing bucket, sites asked already) → whether no site asked from here shows anything in it.

    The primary asks every link. Another site asks its sinks: what it was told of the bucket, it told them.
    """

    def ask(closing: Bucket, asked: tuple[str, ...] = ()) -> bool:
        known = links.reread().by_site.values()
        deciding = record.primary == record.site
        to_ask = [link for link in known if link.site not in asked and (deciding or link.sink)]
        everybody = tuple(sorted({*asked, record.site, *(link.site for link in to_ask)}))
        form = encode_bucket(closing)
        return all(_empty_at(link.site, dial(link), form, everybody) for link in to_ask)

    return ask


def _empty_at(site: str, peer: Peer, form: bytes, asked: tuple[str, ...]) -> bool:
    try:
        return peer.bucket_empty(form, asked)
    except Indeterminate as problem:  # it may have closed: it will be told that the bucket is open again
        raise Unavailable(f"site {site} did not say whether its copy of the bucket is empty") from problem


def tell_open(record: SiteRecord, links: LinkBook, dial: Dial, log: Log) -> Callable[[Bucket], None]:
    """Tells sites that may have closed the bucket, where no running stream does."""

    def tell(opened: Bucket) -> None:
        delivery = Delivery("bucket", encode_bucket(opened), (record.site,))
        for link in links.read().by_site.values():
            if link.sink and link.enabled and link.started:
                continue
            try:
                dial(link).apply([delivery])
            except StoreError as problem:
                log.event("bucket_open_untold", bucket=opened.name, site=link.site, why=str(problem))

    return tell
