"""The one writer of the SQLite file, for the threads of its own process.

    SqliteMetadata(path, fatal, on_commit)   ports/metadata.py over a file

    fatal(error)      called once, when a write or sync failed and nobody can know what the disk
                      holds: the process must end. Until it does every transact is Unavailable
    on_commit(rows)   the (table, pk) pairs of every commit, after it is durable and before its
                      callers hear of it; it runs in their way, must be quick, must not raise,
                      and must not transact

Promise transact returns after fsync; each transaction of a group stands or falls alone
Errors  Conflict · NoRoom: the disk is full, the whole group is undone · Unavailable · Indeterminate
Limits  the log is written back at LOG_PAGES_MAX and, if readers keep it busy, emptied by force at
        four times that
Source  ports/metadata.py; SQLite "WAL", "Result codes"; contract: tests/conformance/metadata.py
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import apsw

from chalicelib.adapters.sqlite.commits import Commits, Outcome, Ticket
from chalicelib.adapters.sqlite.file import open_writer
from chalicelib.adapters.sqlite.readers import Readers
from chalicelib.adapters.sqlite.statements import apply
from chalicelib.domain.errors import Conflict, Indeterminate, NoRoom, StoreError, Unavailable
from chalicelib.ports.metadata import (
    Check,
    RowId,
    Table,
    Write,
    check_rows,
    check_scan,
    check_writes,
)

ITEMS_MAX = 1000  # a batch of dirty marks; more would hold up everybody else's commit
LOG_PAGES_MAX = 2000  # 8 MiB, some 5 ms to write back; half of it is slower, twice it waits longer

Touched = frozenset[tuple[Table, str]]


class SqliteMetadata:
    """The rows of one site, in the process that writes them."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        fatal: Callable[[BaseException], None],
        on_commit: Callable[[Touched], None] | None = None,
        *,
        vfs: str | None = None,
    ) -> None:
        self.items_max = ITEMS_MAX
        self.shards = 1
        self.checks_contend = False
        self._writer = _Writer(Path(path), fatal, on_commit, vfs)
        self._readers = Readers(Path(path), vfs)
        self._commits = Commits(self._writer)

    def get(self, rows: Sequence[RowId]) -> list[bytes | None]:
        """The values of `rows` in the order asked, None where there is no row."""
        check_rows(rows, ITEMS_MAX)
        return self._readers.get(rows)

    def transact(self, writes: Sequence[Write]) -> None:
        """Do all of `writes` or, raising, none."""
        check_writes(writes, ITEMS_MAX)
        ticket = Ticket((writes,))
        self._commits.submit(ticket)
        if (outcome := ticket.outcomes[0]) is not None:
            raise outcome

    def transact_each(self, transactions: Sequence[Sequence[Write]]) -> list[Outcome]:
        """What `transact` would have raised for each, all of them in one commit."""
        outcomes: list[Outcome] = [_problem(writes) for writes in transactions]
        sound = [n for n, problem in enumerate(outcomes) if problem is None]
        ticket = Ticket([transactions[n] for n in sound])
        self._commits.submit(ticket)
        for n, outcome in zip(sound, ticket.outcomes, strict=True):
            outcomes[n] = outcome
        return outcomes

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
        check_scan(pk, limit)
        return self._readers.scan(table, pk, start, after, end, limit)

    def close(self) -> None:
        """Commit what is queued, write the log back, close the file."""
        self._commits.close()
        self._readers.close()
        self._writer.close()


class _Writer:
    """The writing connection: whoever calls, `Commits` lets in one at a time."""

    def __init__(
        self,
        path: Path,
        fatal: Callable[[BaseException], None],
        on_commit: Callable[[Touched], None] | None,
        vfs: str | None,
    ) -> None:
        self._fatal = fatal
        self._on_commit = on_commit
        self._failure: BaseException | None = None
        self._log_pages = 0  # in the log now
        self._log_pages_back = 0  # of them written back already
        self._db = open_writer(path, vfs)
        self._db.set_wal_hook(self._note_log)

    def commit(self, tickets: Sequence[Ticket]) -> None:
        """All transactions of all tickets in one commit."""
        if self._failure is not None:
            return _answer_all(tickets, Unavailable, f"stopped: {self._failure}")
        committing = False
        try:
            self._db.execute("BEGIN IMMEDIATE")
            touched = self._apply_all(tickets)
            committing = True
            # A failed member leaves changed pages behind: without a success there is nothing to sync.
            self._db.execute("COMMIT" if touched else "ROLLBACK")
            if touched and self._on_commit is not None:
                self._on_commit(frozenset(touched))
        except apsw.FullError as error:
            self._undo(tickets, NoRoom, error)
        except apsw.BusyError as error:
            self._undo(tickets, Unavailable, error)
        except BaseException as error:
            _answer_all(tickets, Indeterminate if committing else Unavailable, str(error))
            self._stop(error)

    def rest_due(self) -> bool:
        """Whether the log should be written back."""
        unwritten = self._log_pages - self._log_pages_back
        return unwritten >= LOG_PAGES_MAX and self._failure is None

    def rest(self) -> None:
        """Write the log back into the file; wait for readers only if the log is far too long."""
        forced = self._log_pages >= 4 * LOG_PAGES_MAX
        mode = apsw.SQLITE_CHECKPOINT_RESTART if forced else apsw.SQLITE_CHECKPOINT_PASSIVE
        try:
            self._log_pages, _ = self._db.wal_checkpoint(mode=mode)
        except apsw.BusyError:  # a reader stays: next time
            pass
        except BaseException as error:
            self._stop(error)
        self._log_pages_back = self._log_pages

    def close(self) -> None:
        """Leave an empty log behind, unless the file cannot be trusted any more."""
        if self._failure is None:
            try:
                self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            except apsw.BusyError:  # a reader stays: the next writer finds the log and reads it
                pass
            except BaseException as error:
                self._stop(error)
        self._failure = self._failure or Unavailable("closed")
        self._db.close()

    def _apply_all(self, tickets: Sequence[Ticket]) -> set[tuple[Table, str]]:
        touched: set[tuple[Table, str]] = set()
        for ticket in tickets:
            for n, writes in enumerate(ticket.transactions):
                ticket.outcomes[n] = self._apply(writes)
                if ticket.outcomes[n] is None:
                    touched.update(w.row[:2] for w in writes if not isinstance(w, Check))
        return touched

    def _apply(self, writes: Sequence[Write]) -> Outcome:
        if len(writes) == 1:  # done or not done: nothing to take back
            return None if apply(self._db, writes) else _conflict(writes)
        self._db.execute("SAVEPOINT one")
        done = apply(self._db, writes)
        if not done:
            self._db.execute("ROLLBACK TO one")
        self._db.execute("RELEASE one")
        return None if done else _conflict(writes)

    def _undo(self, tickets: Sequence[Ticket], kind: type[StoreError], error: apsw.Error) -> None:
        """Nothing of the group was written: some conflicts may have been with its other members."""
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except BaseException as failure:
            self._stop(failure)
        _answer_all(tickets, kind, str(error))

    def _stop(self, error: BaseException) -> None:
        self._failure = error
        with contextlib.suppress(BaseException):  # the callers must be answered whatever it raises
            self._fatal(error)

    def _note_log(self, _db: apsw.Connection, _name: str, pages: int) -> int:
        if pages < self._log_pages:  # the log began again from the start
            self._log_pages_back = 0
        self._log_pages = pages
        return apsw.SQLITE_OK


def _problem(writes: Sequence[Write]) -> Outcome:
    try:
        check_writes(writes, ITEMS_MAX)
    except ValueError as error:
        return error
    return None


def _conflict(writes: Sequence[Write]) -> Conflict:
    return Conflict(f"{writes[0].row.table} {writes[0].row.pk}, {len(writes)} writes")


def _answer_all(tickets: Sequence[Ticket], kind: type[StoreError], why: str) -> None:
    for ticket in tickets:
        ticket.outcomes = [kind(why) for _ in ticket.transactions]
