"""MemoryBlocks and RetryingBlocks keep the contract of ports/blocks.py."""

import pytest

from chalicelib.adapters.memory_blocks import MemoryBlocks
from chalicelib.adapters.retrying_blocks import RetryingBlocks
from chalicelib.domain.errors import Corrupt, Indeterminate, NoRoom, Unavailable
from tests.conformance.blocks import BlockStoreContract, block_id, ref


class StoppedClock:
    """A clock that notes how long it was asked to sleep."""

    def __init__(self):
        self.slept = []

    def now_ms(self):
        return 0

    def sleep_ms(self, ms):
        self.slept.append(ms)


class Failing(MemoryBlocks):
    """Raises the given errors, one per call, before it works."""

    def __init__(self, *errors):
        super().__init__()
        self.errors = list(errors)

    def put(self, name, body):
        if self.errors:
            raise self.errors.pop(0)
        super().put(name, body)


class TestMemoryBlocks(BlockStoreContract):
    """The simulator's blocks."""

    @pytest.fixture
    def blocks(self):
        return MemoryBlocks()

    def test_listings_are_sorted(self, blocks):
        """One seed, one run: order does not depend on who came first."""
        for number in (10, 9, 1):
            blocks.put(block_id("b", number=number), b"x")
        blocks.put(block_id("a"), b"x")

        assert ["a", "b"] == list(blocks.uploads())
        assert [1, 9, 10] == [name.number for name, _ in blocks.list_upload("b")]


class TestRetryingBlocks(BlockStoreContract):
    """The wrapper is a BlockStore itself."""

    @pytest.fixture
    def blocks(self):
        return RetryingBlocks(MemoryBlocks(), StoppedClock())

    @pytest.mark.parametrize("error", [Unavailable, Indeterminate])
    def test_asks_again(self, error):
        """Two failures are survived, with a growing wait before each further try."""
        clock = StoppedClock()
        blocks = RetryingBlocks(Failing(error(), error()), clock)

        blocks.put(block_id(), b"x")

        assert b"x" == blocks.get(ref(block_id()))
        assert [100, 400] == clock.slept

    def test_one_lost_answer_is_remembered(self):
        """Refusals after a lost answer do not make it certain that nothing happened."""
        blocks = RetryingBlocks(Failing(Unavailable(), Indeterminate(), Unavailable()), StoppedClock())

        with pytest.raises(Indeterminate):
            blocks.put(block_id(), b"x")

    def test_refused_three_times_is_unavailable(self):
        """Nothing happened, and it says so."""
        blocks = RetryingBlocks(Failing(*[Unavailable()] * 3), StoppedClock())

        with pytest.raises(Unavailable):
            blocks.put(block_id(), b"x")

    @pytest.mark.parametrize("error", [NoRoom, Corrupt, ValueError])
    def test_what_time_does_not_heal_passes_at_once(self, error):
        """A full store is not asked again."""
        clock = StoppedClock()

        with pytest.raises(error):
            RetryingBlocks(Failing(error()), clock).put(block_id(), b"x")

        assert [] == clock.slept
