"""The contract of ports/metadata.py. An adapter passes it by overriding the `metadata` fixture.

class TestMemoryMetadata(MetadataContract):
    @pytest.fixture
    def metadata(self):
        return MemoryMetadata()
"""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.ports.metadata import Metadata, Put, RowId, Table
from tests.conformance.metadata_model import run_against_model
from tests.conformance.metadata_scan import ScanContract, SizesContract
from tests.conformance.metadata_transact import TransactContract


class MetadataContract(TransactContract, ScanContract, SizesContract):
    """Every promise of ports/metadata.py."""

    def test_get_answers_in_the_order_asked(self, metadata: Metadata, pk: str):
        """`get` gives the values in the order of the rows, from several tables."""
        first, second = RowId(Table.USERS, pk, b"z"), RowId(Table.KEYS, pk, b"a")
        metadata.transact([Put(second, b"2"), Put(first, b"1")])

        assert [b"1", b"2"] == metadata.get([first, second])
        assert [b"2", b"1"] == metadata.get([second, first])

    def test_get_gives_none_for_no_row(self, metadata: Metadata, pk: str, row: RowId):
        """A row that is not there is None, in its place."""
        metadata.transact([Put(row, b"1")])

        asked = [RowId(Table.KEYS, pk, b"ro"), row, RowId(Table.USERS, pk, b"row")]

        assert [None, b"1", None] == metadata.get(asked)
        assert [None] == metadata.get([RowId(Table.KEYS, pk, b"rows")])

    def test_get_of_nothing_is_nothing(self, metadata: Metadata):
        """No rows asked for, none given."""
        assert [] == metadata.get([])

    def test_get_takes_a_row_twice(self, metadata: Metadata, row: RowId):
        """The same row may be asked for twice and is answered twice."""
        metadata.transact([Put(row, b"1")])

        assert [b"1", b"1"] == metadata.get([row, row])

    def test_get_takes_many_rows(self, metadata: Metadata, pk: str):
        """`get` takes items_max rows and refuses one more."""
        count = metadata.items_max
        rows = [RowId(Table.KEYS, pk, b"%d" % n) for n in range(count + 1)]
        metadata.transact([Put(rows[0], b"0"), Put(rows[count - 1], b"1")])

        assert [b"0", *[None] * (count - 2), b"1"] == metadata.get(rows[:count])
        with pytest.raises(ValueError):
            metadata.get(rows)

    def test_get_is_one_picture(self, metadata: Metadata, pk: str):
        """Rows written together are never seen apart, and never go back."""
        both = (Table.KEYS, Table.LISTING)
        rows = [RowId(table, pk, b"%d" % n) for table in both for n in range(9)]
        metadata.transact([Put(row, b"0") for row in rows])
        ended = threading.Event()

        def write() -> None:
            for n in range(1, 40):
                metadata.transact([Put(row, b"%d" % n) for row in rows])
            ended.set()

        def read() -> list[list[bytes | None]]:
            seen = [metadata.get(rows)]
            while not ended.is_set():
                seen.append(metadata.get(rows))
            return seen

        with ThreadPoolExecutor(3) as threads:
            writing, *reading = [threads.submit(write), threads.submit(read), threads.submit(read)]
            writing.add_done_callback(lambda _: ended.set())
            pictures = [task.result() for task in reading]

        assert writing.exception() is None
        for seen in pictures:
            assert [] == [picture for picture in seen if len(set(picture)) > 1]
            assert seen == sorted(seen, key=lambda picture: int(picture[0] or b"-1"))

    def test_like_a_dictionary(self, metadata: Metadata):
        """Whatever is done in whatever order, the rows are those of a dictionary."""
        run_against_model(metadata, self.model_examples)
