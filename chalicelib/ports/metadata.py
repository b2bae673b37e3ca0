"""Where rows live: small values by (table, partition, sort key), with atomic compare-and-set.

    RowId(table, pk, sk)   pk: text, 1 … 1,024 bytes; sk: bytes, 1 … 1,024, ordered as bytes
    value                  bytes, at most 128 KiB
    expect                 ANY: whatever is there · ABSENT: nothing is there
                           bytes: exactly this value is there

Promises
  get       one consistent picture of all rows asked for (at most `items_max`), never older than
            an acknowledged transact.
  transact  all writes or none; every expectation is judged on the same picture the writes change.
            At most `items_max` writes and 3 MiB of values, no row twice. When it returns, the
            writes are durable.
  scan      rows of one partition in order of sk; a page may be of any age between the start of
            the scan and its end, but holds every row that was there all the time.
Errors
  ValueError     the caller asked for what no adapter can do (`check_writes` and its like, below)
  Conflict       an expectation failed: nothing was written
  Unavailable    nothing was written; NoRoom likewise
  Indeterminate  may have been written: the caller reads back and finds out
Source  Materialize persist `Consensus`; DynamoDB TransactWriteItems; DESIGN §5 "Tables".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Literal, NamedTuple, Protocol

VALUE_BYTES_MAX = 128 * 1024  # twice a record: room for a document; DynamoDB takes 400 KB
SORT_KEY_BYTES_MAX = 1024  # DynamoDB's limit
PARTITION_BYTES_MAX = 1024  # half of DynamoDB's limit
TRANSACT_BYTES_MAX = 3 * 1024 * 1024  # all values; DynamoDB takes 4 MB with keys and names


class Table(StrEnum):
    """The tables, the same on every adapter (DESIGN §5)."""

    KEYS = "keys"
    LISTING = "listing"
    UPLOADS = "uploads"
    OUTBOX = "outbox"
    INCOMPLETE = "incomplete"
    TREE = "tree"
    USERS = "users"
    BUCKETS = "buckets"
    SITE = "site"


class RowId(NamedTuple):
    """Where a row lies."""

    table: Table
    pk: str
    sk: bytes


class Guard(Enum):
    """Expectations that name no value."""

    ANY = "any"
    ABSENT = "absent"


ANY: Literal[Guard.ANY] = Guard.ANY
ABSENT: Literal[Guard.ABSENT] = Guard.ABSENT
Expect = Guard | bytes


def expected(value: bytes | None) -> Expect:
    """The expectation that a row still is as it was read."""
    return ABSENT if value is None else value


@dataclass(frozen=True, slots=True)
class Put:
    """Write a row if `expect` holds."""

    row: RowId
    value: bytes
    expect: Expect = ANY


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a row if `expect` holds; removing an absent row with ANY is no error."""

    row: RowId
    expect: Expect = ANY


@dataclass(frozen=True, slots=True)
class Check:
    """Write nothing, but let the transaction fail unless `expect` holds."""

    row: RowId
    expect: Expect


Write = Put | Delete | Check


class Metadata(Protocol):
    """The rows of one site."""

    @property
    def items_max(self) -> int:
        """How many writes one transaction may hold."""

    @property
    def shards(self) -> int:
        """How many partitions a hot table is spread over; fixed when the tables are made."""

    @property
    def checks_contend(self) -> bool:
        """Whether two transactions that only Check the same row can disturb each other."""

    def get(self, rows: Sequence[RowId]) -> list[bytes | None]:
        """The values of `rows` in the order asked, None where there is no row."""

    def transact(self, writes: Sequence[Write]) -> None:
        """Do all of `writes` or, raising, none."""

    def scan(
        self,
        table: Table,
        pk: str,
        *,
        start: bytes = b"",
        after: bool = False,
        end: bytes | None = None,
        limit: int = 1000,
    ) -> list[tuple[bytes, bytes]]:
        """Up to `limit` (sk, value) with start ≤ sk < end; start < sk if `after`."""


def check_writes(writes: Sequence[Write], items_max: int) -> None:
    """ValueError unless every adapter could do `writes` in one transaction."""
    if len(writes) > items_max:
        raise ValueError(f"{len(writes)} writes in one transaction, at most {items_max}")
    if len({write.row for write in writes}) < len(writes):
        raise ValueError("a row stands twice in one transaction")
    total = 0
    for write in writes:
        check_row(write.row)
        if isinstance(write, Put):
            total += len(write.value)
            if len(write.value) > VALUE_BYTES_MAX:
                raise ValueError(f"{write.row}: {len(write.value)} bytes is too large a value")
    if total > TRANSACT_BYTES_MAX:
        raise ValueError(f"{total} bytes of values in one transaction")


def check_rows(rows: Sequence[RowId], items_max: int) -> None:
    """ValueError unless every adapter could read `rows` in one picture."""
    if len(rows) > items_max:
        raise ValueError(f"{len(rows)} rows in one get, at most {items_max}")
    for row in rows:
        check_row(row)


def check_row(row: RowId) -> None:
    """ValueError unless `row` can name a row on every adapter."""
    if not 0 < len(row.pk.encode()) <= PARTITION_BYTES_MAX:
        raise ValueError(f"{row.table}: pk is 1 … {PARTITION_BYTES_MAX} bytes")
    if not 0 < len(row.sk) <= SORT_KEY_BYTES_MAX:
        raise ValueError(f"{row.table}: sk is 1 … {SORT_KEY_BYTES_MAX} bytes")


def check_scan(pk: str, limit: int) -> None:
    """ValueError unless every adapter could scan partition `pk`."""
    if not 0 < len(pk.encode()) <= PARTITION_BYTES_MAX:
        raise ValueError(f"pk is 1 … {PARTITION_BYTES_MAX} bytes")
    if limit < 1:
        raise ValueError(f"a scan of {limit} rows")
