"""Setting links up and switching them: what `causeway connect`, `realtime`, `proxy-get` do.

connect     prove the link with a signed hello, then save it; an unproved one is never saved
realtime    enable: what is committed is owed from now on, and a fullsync brings what was before
            start, stop: send what is owed, or keep it · disable: forget what is owed
            pause-blocks, resume-blocks: records go on, their blocks wait (a busy line by day)
Errors      InvalidRequest for a wrong word, LinkUnknown, and whatever the proof found wrong
Source      riak-repl connect / realtime / proxy_get (research/riakcs.md §1.7); DESIGN §5 "Links".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from chalicelib.domain.account import EVERYWHERE, User
from chalicelib.domain.errors import Refused, StoreError, Unavailable
from chalicelib.domain.names import check_site
from chalicelib.objects.errors import InvalidRequest
from chalicelib.objects.names import secret_context
from chalicelib.ports.site import Site
from chalicelib.replication.door import link_context
from chalicelib.replication.links import Link
from chalicelib.replication.node import Node

SECRET_CHARS_MIN = 32  # of a link's secret: 128 bits as hex
SINKS_MAX = 40  # a record owes each two rows of its transaction, of which DynamoDB takes a hundred
FULLSYNC_INTERVAL_MIN_MS = 10 * 1000


@dataclass(frozen=True, slots=True)
class Wanted:
    """A link to make, as seen from this site. `prove`: ask the other site before saving. `administers` is
    as the last `connect` said, so that it can be taken back."""

    site: str
    endpoint: str
    secret: str
    public_key: str
    incarnation: str
    ca_file: str = ""
    tables: str = ""
    sink: bool = False
    source: bool = False
    prove: bool = True
    administers: bool = False
    fullsync_interval_ms: int | None = None


def secret_of(site: Site, user: User) -> str:
    """A user's secret in clear, to be shown once."""
    return site.vault.open(user.secret, secret_context(user.access_key))


def connect(node: Node, wanted: Wanted) -> Link:
    """Make a link, or take over an existing one's switches with a new secret."""
    try:
        check_site(wanted.site)
        public_key = bytes.fromhex(wanted.public_key)
    except ValueError as problem:
        raise InvalidRequest(str(problem)) from problem
    if wanted.site == node.site.id:
        raise InvalidRequest("a site cannot be linked to itself")
    if len(wanted.secret) < SECRET_CHARS_MIN:
        raise InvalidRequest(f"a link's secret has at least {SECRET_CHARS_MIN} characters")
    _check_room(node, wanted)
    secret = node.site.vault.wrap(wanted.secret, link_context(wanted.site))
    link = _linked(node.links.read().by_site.get(wanted.site), wanted, secret, public_key)
    if wanted.prove:
        _prove(node, link)

    def save(by_site: dict[str, Link]) -> None:
        # From what is there now: the proof took its time, and a switch may have been thrown meanwhile.
        by_site[wanted.site] = _linked(by_site.get(wanted.site), wanted, secret, public_key)

    return node.links.change(save).by_site[wanted.site]


def _check_room(node: Node, wanted: Wanted) -> None:
    """InvalidRequest for one sink too many."""
    sinks = {link.site for link in node.links.read().by_site.values() if link.sink} | {wanted.site}
    if wanted.sink and len(sinks) > SINKS_MAX:
        raise InvalidRequest(
            f"a site has at most {SINKS_MAX} sinks: link {wanted.site} to one of them, which hands it on"
        )


def _linked(known: Link | None, wanted: Wanted, secret: bytes, public_key: bytes) -> Link:
    """The link as wanted, with the switches of the one that is known."""
    blank = Link(wanted.site, "", b"", b"", "", fullsync_interval_ms=wanted.fullsync_interval_ms)
    return replace(
        known or blank,
        endpoint=wanted.endpoint,
        secret=secret,
        public_key=public_key,
        incarnation=wanted.incarnation,
        ca_file=wanted.ca_file,
        tables=wanted.tables,
        sink=wanted.sink or bool(known and known.sink),
        source=wanted.source or bool(known and known.source),
        administers=wanted.administers is True,
    )


def _prove(node: Node, link: Link) -> None:
    """Say hello over the link and name what is wrong with it."""
    try:
        hello = node.dial(link).hello()
    except ValueError as problem:
        raise InvalidRequest(str(problem)) from problem
    except Refused as problem:
        raise Refused(f"site {link.site} refused the link: {problem}") from problem
    except StoreError as problem:
        # Where and why is for whoever sets links up; what clients are told of a site names neither.
        why = f" at {link.endpoint} ({problem.__cause__})" if problem.__cause__ else ""
        raise Unavailable(f"the link cannot be made: {problem}{why}") from problem
    if hello.site != link.site or hello.incarnation != link.incarnation:
        raise Refused(f"{link.endpoint} is another site or incarnation than the one to be linked")
    if hello.primary != node.record.primary:
        raise Refused(
            f"site {link.site} takes {hello.primary} for the primary, this site takes "
            f"{node.record.primary}: start both with the same --primary"
        )
    node.contacts.note(link.site)


def disconnect(node: Node, site: str) -> None:
    """Forget a link and everything owed over it."""
    node.links.read().get(site)

    def remove(by_site: dict[str, Link]) -> None:
        by_site.pop(site, None)

    node.links.change(remove)
    node.outbox(site).drop()


def require_sink(link: Link) -> Link:
    """The link, if this site streams to it: to a source alone nothing is owed, and nothing is compared."""
    if not link.sink:
        raise InvalidRequest(f"{link.site} is no sink of this site; `causeway connect` makes it one")
    return link


def require_sites(node: Node, sites: Any) -> None:
    """InvalidRequest unless each of these is this site or one it knows: what may be held at none of them is
    replicated to nobody, and a slip of the pen would say so without a word."""
    linked = sorted(node.links.read().by_site)
    known = {EVERYWHERE, node.site.id, node.record.primary, *linked}
    for site in sites if isinstance(sites, list) else ():
        if site not in known:
            raise InvalidRequest(
                f"no link to a site {str(site)[:70]!r} (linked: {', '.join(linked) or 'none'}); "
                "--anyway if it comes later"
            )


def realtime(node: Node, site: str, action: str) -> Link:
    """Switch a link's stream."""
    link = require_sink(node.links.read().get(site))
    if action == "enable":
        return _enable(node, link)
    if action == "start":
        if not link.enabled:
            raise InvalidRequest(f"enable realtime to {site} first")
        node.outbox(site).retry_now()
        return node.links.update(site, started=True)
    if action == "stop":
        return node.links.update(site, started=False)
    if action == "disable":
        changed = node.links.update(site, enabled=False, started=False, backfilling=False)
        node.outbox(site).drop()
        return changed
    if action == "pause-blocks":
        return node.links.update(site, blocks=False)
    if action == "resume-blocks":
        node.outbox(site).retry_now()
        return node.links.update(site, blocks=True)
    raise InvalidRequest("action: enable, start, stop, disable, pause-blocks or resume-blocks")


def _enable(node: Node, link: Link) -> Link:
    if link.enabled:
        return link
    now_ms = node.site.clock.now_ms()
    changed = node.links.update(link.site, enabled=True, backfilling=True, enabled_ms=now_ms)
    # A run that began before this moment may have passed by what was written meanwhile.
    node.runs.stop(link.site, now_ms)
    node.start_fullsync(link.site)
    return changed


def proxy_get(node: Node, site: str, action: str) -> Link:
    """Let a site fetch blocks from this one, or stop it."""
    if action not in ("enable", "disable"):
        raise InvalidRequest("action: enable or disable")
    return node.links.update(site, proxy_get=action == "enable")


def fullsync_interval(node: Node, site: str, interval_ms: Any) -> Link:
    """How often a link is compared; 0 for never, None for as often as this site's links are."""
    if interval_ms is None:
        return node.links.update(site, fullsync_interval_ms=None)
    if not isinstance(interval_ms, int) or isinstance(interval_ms, bool):
        raise InvalidRequest("interval_ms: a whole number of milliseconds, 0 for never, null for the site's")
    if interval_ms and interval_ms < FULLSYNC_INTERVAL_MIN_MS:
        raise InvalidRequest(f"interval_ms: 0, or at least {FULLSYNC_INTERVAL_MIN_MS}")
    return node.links.update(site, fullsync_interval_ms=interval_ms)
