"""The restart intensity: when a supervisor's patience is at its end. Pure, so against a model."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from runtime.actors import RestartIntensity
from runtime.actors.restart import RESTARTED

steps = st.lists(
    st.one_of(st.just(0.0), st.sampled_from([0.5, 1.0, 5.0]), st.floats(0.0, 20.0)), max_size=60
)


@given(intensity=st.integers(0, 6), period=st.floats(0.1, 10.0), pauses=steps)
def test_patience_lasts_while_no_period_holds_more_restarts_than_the_intensity(
    intensity: int, period: float, pauses: list[float]
) -> None:
    """The same verdict as counting, at each restart, those of the last period anew."""
    patience = RestartIntensity(intensity, period)
    moments = list(accumulate(pauses))
    for index, now in enumerate(moments):
        recent = sum(now - period <= earlier for earlier in moments[: index + 1])
        assert patience.spend(now) == (recent <= intensity)


@given(intensity=st.integers(1, 6), period=st.floats(0.1, 10.0))
def test_a_restart_exactly_one_period_ago_still_counts(intensity: int, period: float) -> None:
    """The period is closed at both ends, as in OTP."""
    patience = RestartIntensity(intensity, period)
    assert all(patience.spend(0.0) for _ in range(intensity))
    assert not patience.spend(period)


@given(intensity=st.integers(0, 6), pauses=steps)
def test_what_is_remembered_is_bounded_by_the_intensity(
    intensity: int, pauses: list[float]
) -> None:
    """However many restarts there are."""
    patience = RestartIntensity(intensity, 1_000.0)
    for now in accumulate(pauses):
        patience.spend(now)
    remembered = int(repr(patience).split()[1])
    assert remembered <= intensity + 1
    assert repr(patience) == f"<RestartIntensity {remembered} of {intensity} in 1000 s>"


def test_no_patience_at_all_ends_at_the_first_restart() -> None:
    """Intensity 0."""
    assert not RestartIntensity(0, 5.0).spend(0.0)


def test_the_table_of_restarts_is_otps() -> None:
    """Permanent always, transient unless it ended as expected, temporary never."""
    kinds = {"normal", "shutdown", "killed", "crashed"}
    assert RESTARTED["permanent"] == kinds
    assert RESTARTED["transient"] == kinds - {"normal", "shutdown"}
    assert RESTARTED["temporary"] == frozenset()


def test_endless_patience_may_be_as_large_as_one_likes() -> None:
    """No bound of the machine is a bound of the intensity."""
    assert RestartIntensity(10**30, 5.0).spend(0.0)
