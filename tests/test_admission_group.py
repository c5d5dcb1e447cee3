"""One limit group, move by move: what calls hold of the limits, and what waits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.admission import LimitGroup, Ticket
from runtime.errors import QueueFull, RequestTooLarge
from tests.admission_groups import group_of, is_idle, started


def held(group: LimitGroup, now: float) -> tuple[int, int]:
    statistics = group.statistics(now)
    return statistics.charged_requests, statistics.charged_tokens_in


# --- settlement ----------------------------------------------------------------------------------


def test_a_success_is_charged_with_what_it_used() -> None:
    group = group_of()
    group.succeeded(started(group, 400), 100, 7, 1.0)
    assert held(group, 1.0) == (1, 100)
    assert group.statistics(1.0).charged_tokens_out == 7


def test_a_rejection_keeps_the_request_and_gives_the_tokens_back() -> None:
    group = group_of()
    group.rejected(started(group, 400), 1.0, hint=None, kind="rate_limited")
    assert held(group, 1.0) == (1, 0)


def test_what_was_never_sent_is_given_back_in_full() -> None:
    group = group_of()
    group.unsent(started(group, 400), 1.0)
    assert held(group, 1.0) == (0, 0)
    assert is_idle(group)


def test_an_unknown_fate_stays_charged_until_it_leaves_the_window() -> None:
    group = group_of()
    group.failed(started(group, 400), 1.0)
    assert is_idle(group)
    assert held(group, 60.5) == (1, 400)
    assert held(group, 60.7) == (0, 0)


def test_settling_after_the_window_has_no_effect() -> None:
    group = group_of(tpm=1_000)
    slow = started(group, 400)
    group.succeeded(slow, 900, 0, 100.0)
    assert held(group, 100.0) == (0, 0)
    assert group.next_start(100.0) is None


def test_settling_twice_has_no_effect() -> None:
    group = group_of()
    ticket = started(group, 400)
    group.succeeded(ticket, 100, 0, 1.0)
    group.unsent(ticket, 1.0)
    group.rejected(ticket, 1.0, hint=5.0, kind="rate_limited")
    assert held(group, 1.0) == (1, 100)
    assert group.statistics(1.0).epochs == 0


# --- what need not wait --------------------------------------------------------------------------


def test_a_call_that_nobody_waits_before_goes_out_at_once() -> None:
    group = group_of(tpm=1_000)
    assert group.start_at_once(Ticket("run", 400, 0, 0.0), 0.0)
    assert held(group, 0.0) == (1, 400)
    assert group.statistics(0.0).in_flight == 1
    assert group.next_start(0.0) is None


def test_a_call_never_goes_out_at_once_before_one_that_waits() -> None:
    group = group_of(tpm=1_000)
    started(group, 800)
    group.enqueue(Ticket("large", 300, 0, 0.0), 0.0)
    assert not group.start_at_once(Ticket("small", 1, 0, 0.0), 0.0)


@pytest.mark.parametrize("limits", [{"concurrency": 1}, {"tpm": 1_000}, {"rpm": 1}])
def test_a_call_that_may_not_go_out_yet_changes_nothing(limits: dict[str, float]) -> None:
    group = group_of(**limits)
    started(group, 800)
    before, waiting = group.statistics(0.0), Ticket("run", 300, 0, 0.0)
    assert not group.start_at_once(waiting, 0.0)
    assert group.statistics(0.0) == before
    group.enqueue(waiting, 0.0)
    assert group.statistics(0.0).queued == 1


def test_a_call_larger_than_a_limit_does_not_go_out_at_once() -> None:
    group = group_of(tpm=1_000)
    assert not group.start_at_once(Ticket("run", 1_001, 0, 0.0), 0.0)
    assert is_idle(group)


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 700), st.sampled_from([0.0, 0.4, 25.0])),
        max_size=30,
    ),
    st.fixed_dictionaries(
        {}, optional={"tpm": st.just(1_000), "rpm": st.just(5), "concurrency": st.just(2)}
    ),
)
def test_going_out_at_once_is_what_queueing_would_come_to(
    calls: list[tuple[str, int, float]], limits: dict[str, float]
) -> None:
    queued, quick, now = group_of(**limits), group_of(**limits), 0.0
    for run, size, pause in calls:
        now += pause
        one, other = (Ticket(run, size, 0, now) for _ in "ab")
        queued.enqueue(one, now)
        expected = queued.start(now)
        if quick.start_at_once(other, now):
            assert expected == [one]
        else:
            quick.enqueue(other, now)
            assert len(quick.start(now)) == len(expected)
        if expected[:1] == [one] and size % 2:
            queued.succeeded(one, size // 2, 0, now)
            quick.succeeded(other, size // 2, 0, now)
        assert quick.statistics(now) == queued.statistics(now)


# --- what waits ----------------------------------------------------------------------------------


def test_a_call_larger_than_a_limit_is_refused_at_once() -> None:
    group = group_of(tpm=1_000)
    with pytest.raises(RequestTooLarge, match="needs 1001 of tpm, whose limit is 1000"):
        group.enqueue(Ticket("run", 1_000, 1, 0.0), 0.0)
    assert is_idle(group)


def test_a_call_larger_than_the_share_goes_out_alone() -> None:
    group = group_of(tpm=1_000, share=0.5)
    small = started(group, 10)
    group.enqueue(Ticket("run", 900, 0, 0.0), 0.0)
    assert group.start(0.0) == []
    group.succeeded(small, 10, 0, 1.0)
    assert group.next_start(1.0) == pytest.approx(60.6)
    assert len(group.start(60.6)) == 1


def test_the_head_blocks_even_where_a_smaller_call_would_fit() -> None:
    group = group_of(tpm=1_000)
    started(group, 600)
    group.enqueue(Ticket("large", 500, 0, 0.0), 0.0)
    assert group.start(0.0) == []
    group.enqueue(Ticket("small", 1, 0, 0.0), 0.0)
    assert group.start(1.0) == []
    assert [ticket.run_id for ticket in group.start(60.6)] == ["large", "small"]


def test_a_full_queue_refuses_for_all_and_for_one_run() -> None:
    group = group_of(max_queue=3, max_queue_per_run=2)
    for run in "AAB":
        group.enqueue(Ticket(run, 0, 0, 0.0), 0.0)
    with pytest.raises(QueueFull, match="3 model calls wait already"):
        group.enqueue(Ticket("C", 0, 0, 0.0), 0.0)
    group.start(0.0)
    for run in "AA":
        group.enqueue(Ticket(run, 0, 0, 0.0), 0.0)
    with pytest.raises(QueueFull, match="of run 'A'"):
        group.enqueue(Ticket("A", 0, 0, 0.0), 0.0)


def test_a_call_waits_once_and_not_while_it_is_out() -> None:
    group = group_of(concurrency=1)
    out = started(group)
    with pytest.raises(ValueError, match="waits once"):
        group.enqueue(out, 0.0)
    waiting = Ticket("run", 0, 0, 0.0)
    group.enqueue(waiting, 0.0)
    with pytest.raises(ValueError, match="waits once"):
        group.enqueue(waiting, 0.0)


@pytest.mark.parametrize(("size", "weight"), [(-1, 1.0), (1, 0.0), (1, -1.0), (1, float("inf"))])
def test_a_ticket_that_would_upset_the_sums_is_refused(size: int, weight: float) -> None:
    with pytest.raises(ValueError, match="a call"):
        Ticket("run", size, 0, 0.0, weight)


def test_next_start_says_when_to_ask_again_and_none_when_only_a_settlement_helps() -> None:
    group = group_of(rpm=60, burst_s=0.0, concurrency=1)
    assert group.next_start(0.0) is None
    first = started(group)
    group.enqueue(Ticket("run", 0, 0, 0.0), 0.0)
    assert group.next_start(0.0) is None
    group.succeeded(first, 0, 0, 0.5)
    assert group.next_start(0.5) == pytest.approx(1.01)


def test_earliest_start_looks_at_the_pause_the_window_and_the_day() -> None:
    assert group_of(rpm=60).earliest_start(5.0) == 5.0
    full = group_of(rpm=1)
    started(full)
    assert full.earliest_start(5.0) == pytest.approx(60.6)
    paused = group_of()
    paused.rejected(started(paused), 0.0, hint=20.0, kind="overloaded")
    assert paused.earliest_start(5.0) == 20.0
    paused.rejected(started(paused, now=20.0), 20.0, hint=3_580.0, kind="rate_limited")
    assert paused.earliest_start(25.0) == 3_600.0
    spent = group_of(rpd=1)
    started(spent)
    assert spent.earliest_start(5.0) == pytest.approx(86_400 * 1.01)


@pytest.mark.parametrize(("rpm", "share"), [(2.0, 0.95), (5.0, 0.95), (1.0, 0.5), (0.4, 1.0)])
def test_a_small_limit_is_used_to_its_share_on_average(rpm: float, share: float) -> None:
    """Rounding down a limit of two a minute would halve it; never more than the limit either."""
    group = group_of(rpm=rpm, share=share, burst_s=0.75)
    for _ in range(50):
        group.enqueue(Ticket("run", 0, 0, 0.0), 0.0)
    now = 0.0
    at: list[float] = []
    while len(at) < 50:
        for ticket in group.start(now):
            at.append(now)
            group.succeeded(ticket, 0, 0, now)
        now = group.next_start(now) or now
    assert 49 * 60.6 / (at[-1] - at[0]) == pytest.approx(rpm * share, rel=0.01)
    most = max(sum(1 for one in at if start <= one < start + 60.0) for start in at)
    assert most <= max(1, rpm)


def test_the_representation_says_what_matters() -> None:
    group = group_of(concurrency=3)
    started(group)
    group.enqueue(Ticket("run", 0, 0, 0.0), 0.0)
    assert repr(group) == "<LimitGroup test: 1 in flight of 3, 1 queued, epoch 0>"
