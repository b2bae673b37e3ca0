"""Processes the SQLite tests start: `python sqlite_child.py serve|write|own <directory>`.

serve  write metadata.db and serve commits.sock until standard input ends
write  two threads put pairs of rows without end and print the number of each acknowledged pair
own    own the directory until standard input ends
"""

import os
import sys
import threading
from pathlib import Path

from chalicelib.adapters.sqlite import SqliteMetadata, own_directory, serve_commits
from chalicelib.ports.metadata import ABSENT, Put, RowId, Table


def pair(number: int) -> tuple[RowId, RowId]:
    """The rows of a pair, far from each other in the file."""
    name = b"%d" % number
    return RowId(Table.KEYS, f"p{number % 7}", name), RowId(Table.OUTBOX, "all", name)


def serve(directory: Path) -> None:
    metadata = SqliteMetadata(directory / "metadata.db", fatal=_die)
    server = serve_commits(metadata, directory / "commits.sock")
    _say("ready")
    sys.stdin.read()
    server.close()
    metadata.close()


def write(directory: Path) -> None:
    metadata = SqliteMetadata(directory / "metadata.db", fatal=_die)
    first = len(metadata.scan(Table.OUTBOX, "all", limit=1_000_000))

    def put_pairs(start: int) -> None:
        for number in range(start, start + 1_000_000, 2):
            metadata.transact([Put(row, b"x" * 3000, ABSENT) for row in pair(number)])
            os.write(1, b"%d\n" % number)

    # Unacknowledged pairs may be there too: begin well beyond them.
    for start in (10 * first + 1000, 10 * first + 1001):
        threading.Thread(target=put_pairs, args=(start,)).start()


def own(directory: Path) -> None:
    owned = own_directory(directory)
    _say("ready")
    sys.stdin.read()
    owned.close()


def _die(error: BaseException) -> None:
    _say(f"fatal: {error}")
    os._exit(3)


def _say(word: str) -> None:
    print(word, flush=True)


if __name__ == "__main__":
    {"serve": serve, "write": write, "own": own}[sys.argv[1]](Path(sys.argv[2]))
