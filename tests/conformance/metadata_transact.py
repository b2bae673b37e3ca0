"""The contract of ports/metadata.py: what a transaction does, and what it leaves alone."""

from collections.abc import Sequence

import pytest

from chalicelib.domain.errors import Conflict
from chalicelib.ports.metadata import (
    ABSENT,
    ANY,
    Check,
    Delete,
    Expect,
    Metadata,
    Put,
    RowId,
    Table,
    Write,
    expected,
)
from tests.conformance.metadata_base import MetadataFixtures, together

# What is there before, what is expected, whether that holds.
EXPECTATIONS: list[tuple[bytes | None, Expect, bool]] = [
    (None, ANY, True),
    (b"one", ANY, True),
    (None, ABSENT, True),
    (b"one", ABSENT, False),
    (b"", ABSENT, False),
    (b"one", b"one", True),
    (b"one", b"two", False),
    (b"one", b"on", False),
    (b"one", b"", False),
    (b"", b"", True),
    (None, b"one", False),
    (None, b"", False),
]


class TransactContract(MetadataFixtures):
    """Every promise of `transact`."""

    @pytest.mark.parametrize(("there", "expect", "holds"), EXPECTATIONS)
    def test_put_when_expected(
        self, metadata: Metadata, row: RowId, there: bytes | None, expect: Expect, holds: bool
    ):
        """A Put writes exactly if its expectation holds, alone and among others."""
        _lay(metadata, row, there)
        other = row._replace(sk=b"other")

        _transact(metadata, [Put(row, b"new", expect)], holds)
        assert [b"new" if holds else there] == metadata.get([row])

        _lay(metadata, row, there)
        _transact(metadata, [Put(other, b"x"), Put(row, b"new", expect)], holds)
        assert ([b"new", b"x"] if holds else [there, None]) == metadata.get([row, other])

    @pytest.mark.parametrize(("there", "expect", "holds"), EXPECTATIONS)
    def test_delete_when_expected(
        self, metadata: Metadata, row: RowId, there: bytes | None, expect: Expect, holds: bool
    ):
        """A Delete removes exactly if its expectation holds, alone and among others."""
        _lay(metadata, row, there)
        other = row._replace(sk=b"other")

        _transact(metadata, [Delete(row, expect)], holds)
        assert [None if holds else there] == metadata.get([row])

        _lay(metadata, row, there)
        _transact(metadata, [Delete(row, expect), Put(other, b"x")], holds)
        assert ([None, b"x"] if holds else [there, None]) == metadata.get([row, other])

    @pytest.mark.parametrize(("there", "expect", "holds"), EXPECTATIONS)
    def test_check_when_expected(
        self, metadata: Metadata, row: RowId, there: bytes | None, expect: Expect, holds: bool
    ):
        """A Check lets the others pass exactly if its expectation holds, and changes nothing."""
        _lay(metadata, row, there)
        other = row._replace(sk=b"other")

        _transact(metadata, [Check(row, expect)], holds)
        _transact(metadata, [Check(row, expect), Put(other, b"x")], holds)

        assert [there, b"x" if holds else None] == metadata.get([row, other])

    def test_conflict_leaves_nothing(self, metadata: Metadata, pk: str):
        """One failed expectation among many writes, and every row is as it was."""
        rows = [RowId(table, pk, b"row") for table in Table]
        metadata.transact([Put(rows[0], b"old"), Put(rows[1], b"old")])
        writes: list[Write] = [Put(rows[0], b"new"), Delete(rows[1])]
        writes += [Put(r, b"new") for r in rows[2:-1]]

        for at in (0, 4, len(writes)):
            failing = [*writes[:at], Check(rows[-1], b"never"), *writes[at:]]
            with pytest.raises(Conflict):
                metadata.transact(failing)

        assert [b"old", b"old", *[None] * (len(rows) - 2)] == metadata.get(rows)
        assert [(b"row", b"old")] == metadata.scan(Table.LISTING, pk)

    def test_expected_is_what_was_read(self, metadata: Metadata, row: RowId):
        """`expected(get)` holds until somebody writes."""
        for value in (b"1", b"2"):
            (there,) = metadata.get([row])
            metadata.transact([Put(row, value, expected(there))])
            with pytest.raises(Conflict):
                metadata.transact([Put(row, b"lost", expected(there))])

        assert [b"2"] == metadata.get([row])

    def test_transact_of_nothing_does_nothing(self, metadata: Metadata):
        """An empty transaction is no error."""
        metadata.transact([])

    def test_a_row_twice_is_refused(self, metadata: Metadata, row: RowId):
        """No transaction may name a row twice, whatever it would do with it."""
        repetitions: list[Write] = [Put(row, b"2"), Delete(row), Check(row, b"1")]
        for again in repetitions:
            with pytest.raises(ValueError):
                metadata.transact([Put(row, b"1"), again])

        assert [None] == metadata.get([row])

    def test_items_max(self, metadata: Metadata, pk: str):
        """A transaction takes items_max writes and refuses one more."""
        count = metadata.items_max
        writes = [Put(RowId(Table.KEYS, pk, b"%05d" % n), b"%d" % n) for n in range(count + 1)]

        with pytest.raises(ValueError):
            metadata.transact(writes)
        assert [] == metadata.scan(Table.KEYS, pk)

        metadata.transact(writes[:count])
        assert count == len(metadata.scan(Table.KEYS, pk, limit=count + 1))

    def test_one_of_many_wins(self, metadata: Metadata, row: RowId):
        """Of any number of compare-and-sets over one value exactly one succeeds."""
        for turn in range(5):
            (there,) = metadata.get([row])

            def set_to(n: int, there: bytes | None = there, turn: int = turn) -> int | None:
                other = row._replace(sk=b"%d" % n)
                writes = [Put(row, b"%d %d" % (turn, n), expected(there)), Put(other, b"")]
                try:
                    metadata.transact(writes[: 1 + n % 2])  # alone and in company
                except Conflict:
                    return None
                return n

            winners = [n for n in together(set_to, self.threads) if n is not None]

            assert 1 == len(winners)
            assert [b"%d %d" % (turn, winners[0])] == metadata.get([row])

    def test_no_update_is_lost(self, metadata: Metadata, row: RowId):
        """Threads that read, add one and compare-and-set count to exactly their number."""

        def add_one(_: int) -> None:
            while True:
                (there,) = metadata.get([row])
                try:
                    return metadata.transact([Put(row, b"%d" % (int(there or b"0") + 1), expected(there))])
                except Conflict:
                    continue

        together(add_one, self.threads)

        assert [b"%d" % self.threads] == metadata.get([row])


def _lay(metadata: Metadata, row: RowId, value: bytes | None) -> None:
    """Have `value` lie at `row`, and nothing at its neighbour."""
    metadata.transact([Delete(row), Delete(row._replace(sk=b"other"))])
    if value is not None:
        metadata.transact([Put(row, value)])


def _transact(metadata: Metadata, writes: Sequence[Write], holds: bool) -> None:
    if holds:
        metadata.transact(writes)
    else:
        with pytest.raises(Conflict):
            metadata.transact(writes)
