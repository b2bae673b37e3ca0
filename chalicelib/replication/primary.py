"""Names across sites: the primary decides, everybody else forwards and applies the answer.

PrimaryNames   the Names of a site: here at the primary, over the link elsewhere; the decided record is
               applied at this site before its client is answered, so the next request here finds it
decide_for     the primary's side: what the link may ask for; each idempotency key is decided once, its
               answer stored
Errors         Unavailable (503 in plain words) when the primary cannot be reached; objects go on
               Refused: only a link that `administers` makes or changes administrators or acts as one
Source         DESIGN §5 "Users and buckets".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chalicelib.domain import codec
from chalicelib.domain.account import User, may_hold
from chalicelib.domain.errors import Conflict, Indeterminate, Refused, Unavailable
from chalicelib.domain.forms import decode_bucket, decode_user
from chalicelib.objects import accounts, rows
from chalicelib.objects import errors as objects_errors
from chalicelib.objects.errors import ObjectsError
from chalicelib.objects.names import Decision, LocalNames
from chalicelib.ports.metadata import ABSENT, Put, RowId, Table
from chalicelib.ports.peers import Outcome, Peer
from chalicelib.ports.site import Site
from chalicelib.replication import replicated_accounts
from chalicelib.replication.closing import others_empty, tell_open
from chalicelib.replication.links import Link, LinkBook, SiteRecord

_FORWARD_TRIES = 3


def local_names(site: Site, record: SiteRecord, links: LinkBook, dial: Callable[[Link], Peer]) -> LocalNames:
    """Who decides here, if this site is the primary."""
    told = tell_open(record, links, dial, site.log)
    return LocalNames(site, record.epoch, others_empty(record, links, dial), told)


class PrimaryNames:
    """Decides here or asks the primary."""

    def __init__(
        self,
        site: Site,
        record: SiteRecord,
        links: LinkBook,
        dial: Callable[[Link], Peer],
    ) -> None:
        self._site = site
        self._record = record
        self._links = links
        self._dial = dial
        self._local = local_names(site, record, links, dial)

    def decide(self, verb: str, arguments: dict[str, Any]) -> Decision:
        """The decided record, in force at this site."""
        if self._record.primary == self._site.id or self._of_this_site(verb, arguments):
            return self._local.decide(verb, arguments)
        return self._forward(verb, {**arguments, "home": arguments.get("home") or self._site.id})

    def _of_this_site(self, verb: str, arguments: dict[str, Any]) -> bool:
        """Whether this is about a user whom nobody else knows."""
        user = accounts.find_user(self._site, str(arguments["access_key"])) if verb == "update_user" else None
        return user is not None and user.local

    def reopen_abandoned(self) -> int:
        """At the primary: open again what a DeleteBucket that died left closing."""
        return self._local.reopen_abandoned() if self._record.primary == self._site.id else 0

    def _forward(self, verb: str, arguments: dict[str, Any]) -> Decision:
        link = self._links.read().by_site.get(self._record.primary)
        if link is None:
            raise Unavailable(
                f"site {self._record.primary} decides on names and there is no link to it; "
                "`causeway connect` makes one. Objects can be read and written meanwhile"
            )
        key = self._site.ids.token(16)
        for attempt in range(_FORWARD_TRIES):
            try:
                answer = self._dial(link).decide(verb, arguments, key)
            except Indeterminate:
                if attempt == _FORWARD_TRIES - 1:
                    raise
                continue
            except Unavailable as problem:
                raise Unavailable(
                    f"site {link.site} decides on names and cannot be reached now; try again later. "
                    f"Objects can be read and written meanwhile ({problem})"
                ) from problem
            return self._take(link, answer)
        raise Unavailable("unreachable")

    def _take(self, link: Link, answer: dict[str, Any]) -> Decision:
        if "refused" in answer:
            kind = getattr(objects_errors, answer["refused"], ObjectsError)
            raise kind(answer.get("message", ""))
        form = answer["form"]
        applied = replicated_accounts.apply(
            self._site, answer["kind"], form, (link.site,), replicated_accounts.Source(link.site, True, True)
        )
        if applied.outcome not in (Outcome.APPLIED, Outcome.HAVE):
            raise Unavailable(f"decided, but not yet stored at {self._site.id}: {applied.reason}")
        if answer["kind"] == "bucket":
            return decode_bucket(form)
        stored = accounts.find_user(self._site, decode_user(form).access_key)
        if stored is None:
            raise Unavailable(f"decided, but not stored at {self._site.id}")
        return stored


def decide_for(
    site: Site, names: LocalNames, record: SiteRecord
) -> Callable[[str, dict[str, Any], str, Link], dict[str, Any]]:
    """The primary's answer to a forwarded decision."""

    def decide(verb: str, arguments: dict[str, Any], key: str, link: Link) -> dict[str, Any]:
        if record.primary != site.id:
            raise Refused(f"site {record.primary} decides on names, not {site.id}")
        arguments = _allowed(site, verb, arguments, link)
        row = RowId(Table.SITE, f"answers/{link.site}", key.encode())

        def written(fields: dict[str, str]) -> Put:
            return Put(row, codec.encode_document(fields), ABSENT)

        stored = site.metadata.get([row])[0]
        if stored is not None:
            return _answer(site, codec.decode_document(stored), link)
        try:
            # The answer is stored in the transaction that decides, so that no crash parts them.
            decided = names.decide(verb, arguments, lambda decision: [written(_fields(decision))])
            return _answer(site, _fields(decided), link)
        except ObjectsError as no:
            fields = {"refused": type(no).__name__, "message": str(no)}
        try:
            site.metadata.transact([written(fields)])
        except Conflict:  # the same request, sent twice, was decided beside us: its answer counts
            stored = site.metadata.get([row])[0]
            fields = codec.decode_document(stored) if stored is not None else fields
        return _answer(site, fields, link)

    return decide


def _allowed(site: Site, verb: str, arguments: dict[str, Any], link: Link) -> dict[str, Any]:
    """The arguments as far as the link may ask for them. Which of its users asks, only the other site
    knows; that it asks for more than a user of its may do, is seen here."""
    asked = {**arguments, "home": link.site}
    if link.administers:
        return asked
    if verb == "create_user" and asked.get("admin"):
        raise _no_administrator(site, link, "make administrators")
    if verb == "update_user":
        user = accounts.find_user(site, str(asked["access_key"]))
        if user is not None and user.admin:
            raise _no_administrator(site, link, "change administrators")
    if verb in ("delete_bucket", "update_bucket"):
        form = site.metadata.get([rows.bucket_name(str(asked["name"]))])[0]
        bucket = decode_bucket(form) if form is not None else None
        if bucket is not None and verb == "update_bucket" and bucket.home != link.site:
            raise _no_administrator(site, link, f"say who may hold a bucket of site {bucket.home}")
        if bucket is not None and not may_hold(bucket, link.site):
            raise Refused(f"bucket {bucket.name} may not be held at site {link.site}")
        asked["admin"] = False
    return asked


def _no_administrator(site: Site, link: Link, what: str) -> Refused:
    return Refused(
        f"site {link.site} may not {what}: ask at site {site.id}, or connect the two with --administers"
    )


def _fields(decision: Decision) -> dict[str, str]:
    if isinstance(decision, User):
        return {"kind": "user", "name": decision.access_key}
    return {"kind": "bucket", "name": decision.id}


def _answer(site: Site, fields: dict[str, Any], link: Link) -> dict[str, Any]:
    if "refused" in fields:
        return {**fields, "form": b""}
    form = replicated_accounts.form_for(site, fields["kind"], fields["name"], link)
    if form is None:
        raise Unavailable("the decided record is gone")
    return {**fields, "form": form}
