"""The contract of ports/metadata.py: order, bounds and pages of a scan; sizes of everything."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.ports.metadata import (
    ABSENT,
    PARTITION_BYTES_MAX,
    SORT_KEY_BYTES_MAX,
    TRANSACT_BYTES_MAX,
    VALUE_BYTES_MAX,
    Check,
    Delete,
    Metadata,
    Put,
    RowId,
    Table,
    Write,
)
from tests.conformance.metadata_base import MetadataFixtures

ODD_KEYS = [b"\x00", b"\x00\x00", b"\x00a", b"a", b"a\x00", b"a\xff", b"b", b"\x80", b"\xff", b"\xff\xff"]


class SizesContract(MetadataFixtures):
    """What is just small enough, and what is refused."""

    def test_largest_names_and_values(self, metadata: Metadata, pk: str):
        """A pk and sk of 1,024 bytes and a value of 128 KiB come back as they were."""
        value = bytes(range(256)) * (VALUE_BYTES_MAX // 256)
        long_pk = pk + "é" * ((PARTITION_BYTES_MAX - len(pk)) // 2)
        long_pk += "x" * (PARTITION_BYTES_MAX - len(long_pk.encode()))
        rows = [RowId(Table.KEYS, long_pk, bytes([n]) * SORT_KEY_BYTES_MAX) for n in (0, 255)]

        metadata.transact([Put(row, value, ABSENT) for row in rows])

        assert [value, value] == metadata.get(rows)
        assert [(row.sk, value) for row in rows] == metadata.scan(Table.KEYS, long_pk)
        metadata.transact([Put(rows[0], b"", value)])
        assert [b"", value] == metadata.get(rows)

    def test_too_large_is_refused(self, metadata: Metadata, pk: str, row: RowId):
        """Beyond the limits, and below them, is ValueError before anything is written."""
        good = Put(row, b"x")
        bad_rows = [
            RowId(Table.KEYS, pk, b"x" * (SORT_KEY_BYTES_MAX + 1)),
            RowId(Table.KEYS, pk, b""),
            RowId(Table.KEYS, "", b"x"),
            RowId(Table.KEYS, "é" * (PARTITION_BYTES_MAX // 2) + "x", b"x"),
        ]
        bad: list[Write] = [Put(bad_row, b"x") for bad_row in bad_rows]
        bad.append(Put(RowId(Table.KEYS, pk, b"v"), bytes(VALUE_BYTES_MAX + 1)))

        for write in bad:
            with pytest.raises(ValueError):
                metadata.transact([good, write])
        for bad_row in bad_rows:
            with pytest.raises(ValueError):
                metadata.get([bad_row])

        assert [None] == metadata.get([row])

    def test_too_much_together_is_refused(self, metadata: Metadata, pk: str):
        """3 MiB of values fit one transaction, one byte more is ValueError."""
        count = TRANSACT_BYTES_MAX // VALUE_BYTES_MAX
        value = bytes(VALUE_BYTES_MAX)
        writes = [Put(RowId(Table.KEYS, pk, b"%d" % n), value) for n in range(count)]

        with pytest.raises(ValueError):
            metadata.transact([*writes, Put(RowId(Table.KEYS, pk, b"x"), b"x")])
        assert [] == metadata.scan(Table.KEYS, pk, limit=1)

        metadata.transact(writes)
        assert sorted((w.row.sk, value) for w in writes) == metadata.scan(Table.KEYS, pk)


class ScanContract(MetadataFixtures):
    """Every promise of `scan`."""

    def test_scan_is_in_order_of_bytes(self, metadata: Metadata, pk: str):
        """Sort keys are ordered as bytes, zeros and 0xff included."""
        metadata.transact([Put(RowId(Table.LISTING, pk, sk), sk[::-1]) for sk in ODD_KEYS])

        assert [(sk, sk[::-1]) for sk in sorted(ODD_KEYS)] == metadata.scan(Table.LISTING, pk)

    @pytest.mark.parametrize("after", [False, True])
    def test_scan_between_bounds(self, metadata: Metadata, pk: str, after: bool):
        """start ≤ sk < end, or start < sk with `after`, for bounds that exist and that do not."""
        metadata.transact([Put(RowId(Table.LISTING, pk, sk), b"") for sk in ODD_KEYS])
        longest = b"a" + b"\x00" * SORT_KEY_BYTES_MAX
        bounds = [b"", *ODD_KEYS, b"a\x01", longest, b"\xff" * (SORT_KEY_BYTES_MAX + 1)]

        for start in bounds:
            for end in [None, *bounds]:
                wanted = [sk for sk in sorted(ODD_KEYS) if end is None or sk < end]
                wanted = [sk for sk in wanted if sk > start or (sk == start and not after)]
                rows = metadata.scan(Table.LISTING, pk, start=start, after=after, end=end)
                assert [(sk, b"") for sk in wanted] == rows

    def test_scan_in_pages(self, metadata: Metadata, pk: str):
        """Pages that each start after the last row of the one before hold every row once."""
        keys = [b"%03d" % n for n in range(25)]
        metadata.transact([Put(RowId(Table.LISTING, pk, sk), sk) for sk in keys])

        pages = [metadata.scan(Table.LISTING, pk, limit=10)]
        while pages[-1]:
            last = pages[-1][-1][0]
            pages.append(metadata.scan(Table.LISTING, pk, start=last, after=True, limit=10))

        assert [10, 10, 5, 0] == [len(page) for page in pages]
        assert [(sk, sk) for sk in keys] == sum(pages, [])

    def test_scan_of_more_than_a_megabyte(self, metadata: Metadata, pk: str):
        """A page is as long as asked for, however large its values."""
        rows = [RowId(Table.LISTING, pk, b"%02d" % n) for n in range(24)]
        value = bytes(VALUE_BYTES_MAX)
        metadata.transact([Put(row, value) for row in rows])

        found = metadata.scan(Table.LISTING, pk, start=b"01", end=b"23", limit=21)

        assert [(row.sk, value) for row in rows[1:22]] == found

    def test_scan_of_no_rows_is_refused(self, metadata: Metadata, pk: str):
        """A limit below 1 and a pk that cannot be are ValueError."""
        with pytest.raises(ValueError):
            metadata.scan(Table.KEYS, pk, limit=0)
        with pytest.raises(ValueError):
            metadata.scan(Table.KEYS, "")

    def test_scan_finds_what_stays(self, metadata: Metadata, pk: str):
        """A row that is there all the time is in every page, whatever comes and goes beside it."""
        stays = [b"%d" % n for n in range(1, 8, 2)]
        metadata.transact([Put(RowId(Table.LISTING, pk, sk), b"") for sk in stays])
        ended = threading.Event()

        def come_and_go(_: int) -> None:
            for n in range(20):
                row = RowId(Table.LISTING, pk, b"%d" % (n % 4 * 2))
                metadata.transact([Put(row, b""), Check(RowId(Table.KEYS, pk, b"x"), ABSENT)])
                metadata.transact([Delete(row)])
            ended.set()

        with ThreadPoolExecutor(1) as thread:
            going = thread.submit(come_and_go, 0)
            going.add_done_callback(lambda _: ended.set())
            while not ended.is_set():
                found = [sk for sk, _ in metadata.scan(Table.LISTING, pk)]
                assert set(stays) <= set(found)
                assert found == sorted(found)
        going.result()

    def test_partitions_and_tables_are_apart(self, metadata: Metadata, pk: str):
        """Neither another pk nor another table is seen, however alike its name."""
        for table in (Table.KEYS, Table.USERS):
            for like in (pk, pk + "\x00", pk + "0", pk[:-1], pk.upper()):
                here = RowId(table, like, b"row")
                metadata.transact([Put(here, here.pk.encode() + table.encode())])

        assert [(b"row", pk.encode() + b"keys")] == metadata.scan(Table.KEYS, pk)
        assert [(b"row", pk.encode() + b"users")] == metadata.scan(Table.USERS, pk)
        metadata.transact([Delete(RowId(Table.KEYS, pk, b"row"))])
        assert [] == metadata.scan(Table.KEYS, pk)
        assert 1 == len(metadata.scan(Table.KEYS, pk + "0"))
