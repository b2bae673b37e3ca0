"""What the contract of ports/metadata.py is built on: fixtures, and threads that start together."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from uuid import uuid4

import pytest

from chalicelib.ports.metadata import Metadata, RowId, Table

T = TypeVar("T")


class MetadataFixtures:
    """Tests file their rows under `pk`, new for each, so that adapters may share tables."""

    model_examples = 20
    threads = 8

    @pytest.fixture
    def metadata(self) -> Metadata:
        """The adapter under test: subclasses give it."""
        raise NotImplementedError

    @pytest.fixture
    def pk(self) -> str:
        """A partition no other test knows."""
        return f"p{uuid4().hex}"

    @pytest.fixture
    def row(self, pk: str) -> RowId:
        """A row no other test knows."""
        return RowId(Table.KEYS, pk, b"row")


def together(work: Callable[[int], T], count: int) -> list[T]:
    """What work(0) … work(count - 1) return, all begun at once in threads."""
    barrier = threading.Barrier(count)

    def run(n: int) -> T:
        barrier.wait()
        return work(n)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count)))
