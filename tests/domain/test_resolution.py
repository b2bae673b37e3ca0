"""Merge laws: any order, repetition or batching of the same records gives the same state."""

from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.resolution import supersedes, winner
from chalicelib.domain.stamp import Stamp
from tests.domain.values import records

# Few stamps, so that equal ones (a broken clock, a restored backup) are met often.
few_stamps = st.builds(Stamp, st.integers(1, 3), st.integers(0, 1), st.sampled_from(["east", "west"]))
rivals = records(stamp=few_stamps, bucket_id=st.just("b"), key=st.just("k"))


def merged(arriving):
    """What a sink holds after the records arrived one by one."""
    head = None
    for record in arriving:
        head = record if supersedes(record, head) else head
    return head


@given(rivals, rivals)
def test_commutative(one, other):
    """Who came first does not matter."""
    assert winner(one, other) == winner(other, one)


@given(rivals, rivals, rivals)
def test_associative(one, two, three):
    """How records were batched does not matter."""
    assert winner(winner(one, two), three) == winner(one, winner(two, three))


@given(rivals)
def test_idempotent(record):
    """The same record twice is the same record once."""
    assert record == winner(record, record)
    assert not supersedes(record, record)


@given(st.data(), st.lists(rivals, min_size=1, max_size=6))
def test_any_order_and_repetition_ends_the_same(data, arriving):
    """Every order, with any record repeated, ends with the winner of them all."""
    again = data.draw(st.permutations(arriving + data.draw(st.lists(st.sampled_from(arriving), max_size=4))))

    assert reduce(winner, arriving) == merged(again)


@given(rivals, rivals)
def test_supersedes_agrees_with_winner(incoming, head):
    """A record takes the place of the head exactly when it wins and differs."""
    assert supersedes(incoming, head) == (winner(incoming, head) == incoming and incoming != head)


@given(rivals)
def test_anything_supersedes_nothing(record):
    """A key never heard of takes any record, tombstones too."""
    assert supersedes(record, None)
