"""Metadata against a dictionary: Hypothesis looks for a sequence of calls that tells them apart."""

from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

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
)

TABLES = st.sampled_from([Table.KEYS, Table.LISTING])
SORT_KEYS = st.sampled_from([b"\x00", b"a", b"a\x00", b"ab", b"b", b"\xff", b"\xff\xff"])
VALUES = st.sampled_from([b"", b"\x00", b"one", b"two"])
BOUNDS = st.binary(max_size=2) | SORT_KEYS
EXPECTS: st.SearchStrategy[Any] = st.sampled_from([ANY, ANY, ABSENT, "as read", "as read"]) | VALUES
VERBS = st.sampled_from([Put, Put, Delete, Check])


class _Machine(RuleBasedStateMachine):
    """Every rule does the same to both and compares what comes back."""

    metadata: Metadata

    def __init__(self) -> None:
        super().__init__()
        self.pks = [uuid4().hex + end for end in ("", "x")]
        self.rows: dict[RowId, bytes] = {}

    @rule(data=st.data(), wanted=st.sets(st.tuples(TABLES, st.booleans(), SORT_KEYS), max_size=5))
    def transact(self, data: st.DataObject, wanted: set[tuple[Table, bool, bytes]]) -> None:
        writes = [self._drawn(data, self._row(*one)) for one in sorted(wanted)]
        holds = all(self._holds(write) for write in writes)

        try:
            self.metadata.transact(writes)
            assert holds, "a failed expectation went unnoticed"
        except Conflict:
            assert not holds, "a conflict without a failed expectation"
            return
        for write in writes:
            if isinstance(write, Put):
                self.rows[write.row] = write.value
            elif isinstance(write, Delete):
                self.rows.pop(write.row, None)

    @rule(asked=st.lists(st.tuples(TABLES, st.booleans(), SORT_KEYS), max_size=20))
    def get(self, asked: list[tuple[Table, bool, bytes]]) -> None:
        rows = [self._row(*one) for one in asked]

        assert [self.rows.get(row) for row in rows] == self.metadata.get(rows)

    @rule(
        table=TABLES,
        second=st.booleans(),
        start=BOUNDS,
        after=st.booleans(),
        end=st.none() | BOUNDS,
        limit=st.integers(1, 8),
    )
    def scan(
        self,
        table: Table,
        second: bool,
        start: bytes,
        after: bool,
        end: bytes | None,
        limit: int,
    ) -> None:
        pk = self.pks[second]
        wanted = sorted(
            (row.sk, value)
            for row, value in self.rows.items()
            if row[:2] == (table, pk)
            and (row.sk > start or (row.sk == start and not after))
            and (end is None or row.sk < end)
        )

        found = self.metadata.scan(table, pk, start=start, after=after, end=end, limit=limit)

        assert wanted[:limit] == found

    def _row(self, table: Table, second: bool, sk: bytes) -> RowId:
        return RowId(table, self.pks[second], sk)

    def _drawn(self, data: st.DataObject, row: RowId) -> Write:
        drawn = data.draw(EXPECTS)
        expect: Expect = self.rows.get(row, ABSENT) if drawn == "as read" else drawn
        verb = data.draw(VERBS)
        return Put(row, data.draw(VALUES), expect) if verb is Put else verb(row, expect)

    def _holds(self, write: Write) -> bool:
        there = self.rows.get(write.row)
        if write.expect is ANY:
            return True
        return there is None if write.expect is ABSENT else there == write.expect


def run_against_model(metadata: Metadata, examples: int) -> None:
    """Fails with the shortest sequence of calls that tells `metadata` from a dictionary."""

    class Machine(_Machine):
        pass

    Machine.metadata = metadata
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
