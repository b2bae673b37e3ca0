"""The first administrator of a new site: made once, its keys left where only the operator reads.

    <data>/admin.json   {endpoint, site, access_key, secret_key}, mode 0600

Decided at this site even where another is the primary: without it nobody could link the two. That one
stays a user of its site alone (domain.account.LOCAL); the primary's administrator goes to other sites.
Source  DESIGN §3 *one door*; "no default credentials".
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from chalicelib.domain import codec
from chalicelib.domain.account import LOCAL, User
from chalicelib.domain.errors import Conflict
from chalicelib.objects import accounts
from chalicelib.objects.names import LocalNames
from chalicelib.ports.metadata import Put, RowId, Table, expected
from chalicelib.replication.node import Node
from chalicelib.replication.setup import secret_of

FILE_NAME = "admin.json"
_MAKING = RowId(Table.SITE, "site", b"administrator")  # {since_ms}: somebody is making it
_MAKING_MS_MAX = 5 * 60 * 1000  # a function's time is over by then: it died


def first_administrator(node: Node) -> dict[str, str] | None:
    """Make the administrator of a site without users; its keys, this once. None if there are users."""
    site = node.site
    if next(accounts.all_users(site), None) is not None or not _mine_to_make(node):
        return None
    epoch = node.record.epoch if node.record.primary == site.id else LOCAL
    names = LocalNames(site, epoch, lambda bucket: True)
    user = names.decide("create_user", {"name": f"{site.id} administrator", "admin": True})
    assert isinstance(user, User), "create_user decides on users"
    return {"access_key": user.access_key, "secret_key": secret_of(site, user)}


def _mine_to_make(node: Node) -> bool:
    """Of any number that ask at once, one makes the administrator."""
    site, now_ms = node.site, node.site.clock.now_ms()
    form = site.metadata.get([_MAKING])[0]
    if form is not None and now_ms - codec.decode_document(form)["since_ms"] < _MAKING_MS_MAX:
        return False
    try:
        site.metadata.transact([Put(_MAKING, codec.encode_document({"since_ms": now_ms}), expected(form))])
    except Conflict:
        return False
    return next(accounts.all_users(site), None) is None  # whoever was first may be done by now


def write_administrator(node: Node, data: Path, endpoint: str) -> None:
    """Leave a new site's administrator in `data`; keep the endpoint there true at every start."""
    path = data / FILE_NAME
    keys = first_administrator(node)
    if keys is None:
        if not path.exists():
            return  # the operator took it away, as is their right
        keys = json.loads(path.read_text())
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w") as file:
        json.dump({**keys, "endpoint": endpoint, "site": node.site.id}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
