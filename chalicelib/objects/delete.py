"""DELETE: a tombstone takes the head. Deleting nothing leaves a tombstone too.

A tombstone for a key never written here, or deleted here before, still matters: its record may be on
its way from another site, and the delete that the client saw acknowledged must win over it (law *no
resurrection*).

Errors  NoSuchBucket, Unavailable, Indeterminate
Source  DESIGN §5 "DELETE"; AWS DeleteObject answers 204 either way.
"""

from __future__ import annotations

from chalicelib.domain.manifest import Record
from chalicelib.domain.stamp import Stamp
from chalicelib.objects.commit import OpenBucket, commit
from chalicelib.objects.put import check_if_match
from chalicelib.ports.site import Site


def delete_object(site: Site, bucket: OpenBucket, key: str, if_match: str | None = None) -> None:
    """Make `key` show nothing."""

    def build(found: Record | None, stamp: Stamp) -> Record:
        live = found if found is not None and found.live else None
        if if_match is not None:
            check_if_match(if_match, key, live)
        return Record(bucket.id, key, stamp, False, site.clock.now_ms())

    commit(site, bucket, key, build)
