"""LIST: a page of visible keys in UTF-8 order, common prefixes rolled up, shards merged.

In      bucket id; prefix; delimiter ("" for none); after: the last key or common prefix already shown
Out     Page(keys, prefixes, last, truncated): keys and prefixes together at most `max_keys`
Cost    without delimiter one query per shard; with one at most one per shard and returned entry,
        because whatever is rolled up is skipped, not read
Source  AWS ListObjectsV2; DESIGN §5 "Tables".
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

from chalicelib.objects import listed, rows
from chalicelib.objects.listed import Listed
from chalicelib.ports.metadata import SORT_KEY_BYTES_MAX, Table
from chalicelib.ports.site import Site

KEYS_MAX = 1000  # S3's page
_FIRST_PAGE = 32  # rows fetched at first where a delimiter may make us skip most of a page


@dataclass(slots=True)
class Page:
    """One page; `last` is the key or prefix it ends with, to go on after."""

    keys: list[Listed] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    last: str = ""
    truncated: bool = False


def successor(prefix: bytes) -> bytes | None:
    """The least bytes greater than everything that starts with `prefix`; None if there is none."""
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes((kept[-1] + 1,)) if kept else None


class _Shard:
    """A cursor over one shard, fetching pages as it is pulled along."""

    def __init__(self, site: Site, pk: str, start: bytes, after: bool, end: bytes | None, rows_: int):
        self._site, self._pk, self._end, self._limit = site, pk, end, rows_
        self._sks: list[bytes] = []
        self._values: list[bytes] = []
        self._at = 0
        self._more = True
        self._fetch(start, after)

    def _fetch(self, start: bytes, after: bool) -> None:
        page = self._site.metadata.scan(
            Table.LISTING, self._pk, start=start, after=after, end=self._end, limit=self._limit
        )
        self._sks = [sk for sk, _ in page]
        self._values = [value for _, value in page]
        self._at = 0
        self._more = len(page) == self._limit
        self._limit = min(self._limit * 2, KEYS_MAX + 1)

    def sk(self) -> bytes | None:
        """The key under the cursor, None at the end."""
        if self._at == len(self._sks):
            if not self._more:
                return None
            self._fetch(self._sks[-1], True)
            return self.sk()
        return self._sks[self._at]

    def value(self) -> bytes:
        """The row under the cursor."""
        return self._values[self._at]

    def step(self) -> None:
        """Go on by one."""
        self._at += 1

    def seek(self, to: bytes | None) -> None:
        """Skip everything before `to`; None skips the rest."""
        if to is None:
            self._at, self._more = len(self._sks), False
            return
        self._at = bisect_left(self._sks, to, self._at)
        if self._at == len(self._sks) and self._more:
            self._fetch(to, False)


def list_objects(
    site: Site, bucket_id: str, *, prefix: str, delimiter: str, after: str, max_keys: int
) -> Page:
    """The page that starts after `after`."""
    page = Page()
    if max_keys == 0:
        return page
    low, skip = _start(prefix.encode(), delimiter.encode(), after.encode())
    if low is None:
        return page
    first = KEYS_MAX + 1 if not delimiter else _FIRST_PAGE
    first = min(first, max_keys + 1)
    end = successor(prefix.encode()) if prefix else None
    shards = [
        _Shard(site, rows.listing_pk(bucket_id, n), low, skip, end, first)
        for n in range(site.metadata.shards)
    ]
    _fill(page, shards, prefix, delimiter, max_keys)
    return page


def _start(prefix: bytes, delimiter: bytes, after: bytes) -> tuple[bytes | None, bool]:
    """Where to begin: (sort key, whether to begin after it)."""
    if after < prefix or not after:
        return prefix, False
    if delimiter and after.endswith(delimiter) and after.startswith(prefix) and after != prefix:
        cut = after.find(delimiter, len(prefix)) + len(delimiter)
        if cut == len(after):  # a common prefix was the last entry shown: go on behind all of it
            return successor(after), False
    return after[:SORT_KEY_BYTES_MAX], True


def _fill(page: Page, shards: list[_Shard], prefix: str, delimiter: str, max_keys: int) -> None:
    marker = delimiter.encode()
    from_ = len(prefix.encode())
    while True:
        ahead = [(sk, shard) for shard in shards if (sk := shard.sk()) is not None]
        if not ahead:
            return
        if len(page.keys) + len(page.prefixes) == max_keys:
            page.truncated = True
            return
        sk, shard = min(ahead, key=lambda pair: pair[0])
        cut = sk.find(marker, from_) if marker else -1
        if cut < 0:
            page.keys.append(listed.decode(sk, shard.value()))
            page.last = page.keys[-1].key
            shard.step()
            continue
        common = sk[: cut + len(marker)]
        page.last = common.decode()
        page.prefixes.append(page.last)
        behind = successor(common)
        for other in shards:
            other.seek(behind)


def is_empty(site: Site, bucket_id: str) -> bool:
    """Whether the bucket shows no key and has no open multipart upload."""
    for shard in range(site.metadata.shards):
        if site.metadata.scan(Table.LISTING, rows.listing_pk(bucket_id, shard), limit=1):
            return False
    return not site.metadata.scan(Table.UPLOADS, rows.open_uploads_pk(bucket_id), limit=1)
