"""Users and buckets: the records whose names must be unique over all sites.

A bucket *is* its id; its name only points at it, so a deleted and re-created bucket never shows old
records. `stamp` orders updates of one user or bucket; `epoch` is the primary's when it decided.
Times are ms since 1970 UTC.
Source  DESIGN §5 "Users and buckets"; Riak CS `moss_user` (research/riakcs.md §3.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from chalicelib.domain.stamp import Stamp


class BucketState(StrEnum):
    """open → closing → deleted; closing → open when a site turned out not to be empty."""

    OPEN = "open"
    CLOSING = "closing"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket: `home` is the site that made it; `sites` names who may hold it ("*" for everybody)."""

    id: str
    name: str
    owner: str
    created_ms: int
    stamp: Stamp
    region: str = ""
    state: BucketState = BucketState.OPEN
    home: str = ""
    sites: tuple[str, ...] = ("*",)
    epoch: int = 0


EVERYWHERE = "*"


def may_hold(bucket: Bucket, site: str) -> bool:
    """Whether `site` may hold what is in `bucket`: law *stays home*."""
    return EVERYWHERE in bucket.sites or site in bucket.sites or site == bucket.home


LOCAL = 0  # the epoch of what no primary decided


@dataclass(frozen=True, slots=True)
class User:
    """A user: `secret` is the site's own wrapping of the secret key, never replicated as it is. One whom
    no primary decided on (`epoch` LOCAL) is a user of this site alone."""

    id: str
    access_key: str
    name: str
    email: str
    created_ms: int
    stamp: Stamp
    secret_stamp: Stamp
    secret: bytes
    enabled: bool = True
    admin: bool = False
    epoch: int = LOCAL

    @property
    def local(self) -> bool:
        """Whether the user is known at this site only, and never sent to another."""
        return self.epoch == LOCAL
