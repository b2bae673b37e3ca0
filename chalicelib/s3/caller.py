"""Who calls: the user behind an access key, and what that user may touch.

Callers   access key → user and secret, read from the users table on every request (a disabled user is
          refused at once), unwrapped and decoded once for as long as the row stays the same
Caller    an authenticated user; `bucket` opens a bucket the user owns
Errors    AccessDenied: disabled, or somebody else's bucket · NoSuchBucket
Source    DESIGN §3 *one door*, §5: user and bucket are read consistently.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from chalicelib.domain.account import User, may_hold
from chalicelib.domain.forms import decode_user
from chalicelib.objects import accounts, rows
from chalicelib.objects.commit import OpenBucket
from chalicelib.objects.names import secret_context
from chalicelib.ports.site import Site
from chalicelib.s3 import errors
from chalicelib.s3.views import Owner

_KNOWN_MAX = 1024  # users whose row is kept decoded; a changed row is another key, so nothing is stale


class Callers:
    """Looks users up for one site."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._open = lru_cache(maxsize=_KNOWN_MAX)(self._decode)

    def _decode(self, form: bytes) -> tuple[User, str]:
        user = decode_user(form)
        return user, self._site.vault.open(user.secret, secret_context(user.access_key))

    def find(self, access_key: str) -> tuple[User, str] | None:
        """The user with that access key and its secret."""
        if not access_key or len(access_key) > 128:
            return None
        form = self._site.metadata.get([rows.user(access_key)])[0]
        return self._open(form) if form is not None else None


@dataclass(frozen=True, slots=True)
class Caller:
    """The user who signed the request."""

    site: Site
    user: User

    @property
    def owner(self) -> Owner:
        """The user as S3 shows an owner."""
        return Owner(self.user.id, self.user.name)

    def owner_of(self, owner_id: str) -> Owner:
        """Somebody as S3 shows an owner; only the caller's own display name is known here."""
        return self.owner if owner_id == self.user.id else Owner(owner_id, owner_id)

    def bucket(self, name: str) -> OpenBucket:
        """The open bucket called `name`, if it is the caller's (or the caller an administrator)."""
        bucket = accounts.require_bucket(self.site, name)
        if bucket.bucket.owner != self.user.id and not self.user.admin:
            raise errors.AccessDenied(BucketName=name)
        if not may_hold(bucket.bucket, self.site.id):
            home = bucket.bucket.home
            raise errors.AccessDenied(f"The bucket may not be held at this site; ask site {home}.")
        return bucket
