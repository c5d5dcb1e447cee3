"""The back-off: doubling, bounded, jittered, and a pure function of its arguments."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.backoff import NO_DELAY, Backoff

seconds = st.floats(min_value=1e-6, max_value=1e6)
draws = st.floats(min_value=0.0, max_value=1.0, exclude_max=True)
backoffs = st.builds(
    lambda first, factor, jitter: Backoff(first, first * factor, jitter),
    seconds,
    st.floats(min_value=1.0, max_value=1e6),
    st.floats(min_value=0.0, max_value=1.0),
)


def test_the_default_doubles_from_a_fifth_of_a_second_to_half_a_minute() -> None:
    """Without luck in the draw: 0.2, 0.4, 0.8 ... 30."""
    delays = [Backoff().delay(retry, 0.0) for retry in range(10)]
    assert delays == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0])


def test_jitter_takes_away_at_most_its_share() -> None:
    """A draw of one half takes half of the jitter's share."""
    assert Backoff(first=10.0, longest=10.0, jitter=0.2).delay(0, 0.5) == pytest.approx(9.0)


@given(backoff=backoffs, retry=st.integers(0, 10_000), draw=draws)
def test_a_delay_is_never_longer_than_longest_nor_shorter_than_jitter_allows(
    backoff: Backoff, retry: int, draw: float
) -> None:
    """Whatever the retry, however large."""
    full = backoff.delay(retry, 0.0)
    delay = backoff.delay(retry, draw)
    assert 0.0 <= delay <= full <= backoff.longest
    assert delay >= full * (1.0 - backoff.jitter) - 1e-9 * full


@given(backoff=backoffs, retry=st.integers(0, 500))
def test_without_luck_each_delay_is_twice_the_one_before_until_the_longest(
    backoff: Backoff, retry: int
) -> None:
    """Monotonic, and exactly doubling below the bound."""
    before, after = backoff.delay(retry, 0.0), backoff.delay(retry + 1, 0.0)
    assert after == min(2 * before, backoff.longest)


@given(retry=st.integers(0, 10_000), draw=draws)
def test_no_delay_never_waits(retry: int, draw: float) -> None:
    """It is the back-off of those who want none."""
    assert NO_DELAY.delay(retry, draw) == 0.0


@pytest.mark.parametrize(
    "arguments",
    [
        {"first": -0.1},
        {"first": 31.0},
        {"first": 1.0, "longest": 0.5},
        {"first": nan},
        {"longest": nan},
        {"longest": inf},
        {"first": inf, "longest": inf},
        {"jitter": -0.1},
        {"jitter": 1.1},
        {"jitter": nan},
    ],
)
def test_what_could_not_be_waited_for_is_refused(arguments: dict[str, float]) -> None:
    """The error shows what was given."""
    with pytest.raises(ValueError, match=r"nan|inf|-0\.1|31|0\.5|1\.1"):
        Backoff(**arguments)


def test_a_backoff_is_a_value() -> None:
    """Equal by its fields, and never changed."""
    assert Backoff() == Backoff(0.2, 30.0, 0.2)
    with pytest.raises(FrozenInstanceError):
        Backoff().first = 1.0  # type: ignore[misc]  # that is the point
