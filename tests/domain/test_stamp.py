"""Stamps: one order for everything written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.stamp import COUNTER_MAX, SKEW_MAX_MS, Stamp, after, parse, too_far_ahead
from tests.domain.values import sites, stamps, times


@given(stamps, times, sites)
def test_after_is_greater(previous, now_ms, site):
    """The next stamp is greater than the one it follows, wherever the wall clock stands."""
    assert after(previous, now_ms, site) > previous


@given(times, sites)
def test_the_first_stamp_is_the_wall_clock(now_ms, site):
    """With nothing before it a stamp is the time itself."""
    assert Stamp(now_ms, 0, site) == after(None, now_ms, site)


def test_a_clock_that_went_back_counts_on():
    """A wall clock behind the head moves the counter, not the time."""
    assert Stamp(100, 8, "west") == after(Stamp(100, 7, "east"), 40, "west")


def test_a_full_counter_moves_the_time():
    """After 65,536 stamps within one ms the next ms is taken."""
    assert Stamp(101, 0, "west") == after(Stamp(100, COUNTER_MAX, "west"), 100, "west")


@given(stamps)
def test_text_and_back(stamp):
    """A stamp is what its text says."""
    assert stamp == parse(str(stamp))


@given(stamps, stamps)
def test_text_sorts_as_stamps_do(one, other):
    """Texts compare as the stamps they are the form of, so rows may be sorted by them."""
    assert (one < other) == (str(one) < str(other))


@given(st.lists(stamps, min_size=2, max_size=2, unique=True))
def test_the_order_is_total(two):
    """Of two different stamps exactly one is the greater."""
    one, other = two

    assert (one > other) != (other > one)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0192f3a4b5c6",
        "0192f3a4b5c6-0003",
        "0192f3a4b5c6-0003-",
        "0192F3A4B5C6-0003-west",
        "0192f3a4b5c6-0003-West",
        "0192f3a4b5c6-0003-9west",
        " 0192f3a4b5c6-0003-west",
        "0192f3a4b5c6-0003-west\n",
        "0192f3a4b5c6-0003-" + "w" * 33,
    ],
)
def test_what_is_no_stamp_is_refused(text):
    """Only the exact form is read."""
    with pytest.raises(ValueError, match="not a stamp"):
        parse(text)


def test_fifteen_minutes_ahead_is_the_limit():
    """A stamp exactly 15 minutes ahead is merged, one more ms is held."""
    now_ms = 1_000_000

    assert not too_far_ahead(Stamp(now_ms + SKEW_MAX_MS, 0, "west"), now_ms)
    assert too_far_ahead(Stamp(now_ms + SKEW_MAX_MS + 1, 0, "west"), now_ms)
