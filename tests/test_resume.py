"""A run that was killed goes on where it stopped: nothing that was done is done again."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from runtime.journal import KINDS
from runtime.recorded import Recorded
from tests.killed import FLAKY, TOOL, Whole, World, forking, prompts_of, undisturbed, world

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from runtime.journal import EventRow

pytestmark = pytest.mark.real_time


@pytest.fixture(scope="module")
def forker() -> Iterator[subprocess.Popen[str]]:
    with forking() as process:
        yield process


@pytest.fixture(scope="module")
def whole(forker: subprocess.Popen[str], tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return undisturbed(forker, tmp_path_factory.mktemp("whole"))


def killed(one: World, kill_at: int, *, resume: bool = False) -> bool:
    """Kill a process after a record, note what was in flight, and return whether it came so far."""
    if one.run(kill_at=kill_at, resume=resume) is not None:
        return False
    _, events = one.journalled()
    prompts = prompts_of(events)
    under_way = Recorded(events).in_flight()
    one.in_flight.update(prompts[op] for op in under_way if op in prompts)
    return True


def check_end(one: World, outcome: dict[str, Any] | None, whole: Whole) -> None:
    """Check that a run came to its end, and that only what was in flight was asked again."""
    expected = whole.outcome
    assert outcome is not None
    assert outcome.get("status") == "completed", outcome
    for each in ("output", "usage", "cost_usd"):
        assert outcome[each] == expected[each]
    row, events = one.journalled()
    usage = expected["usage"]
    assert row.status == "completed"
    assert (row.calls, row.input_tokens) == (usage["calls"], usage["input_tokens"])
    assert row.cost_nano_usd == sum(event.cost_nano_usd for event in whole.events) > 0
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    outcomes = [event.op for event in events if KINDS[event.kind].terminal]
    assert len(outcomes) == len(set(outcomes))
    assert not (one.asked - whole.asked) - one.in_flight
    logs = [event.body["event"] for event in events if event.kind == "log"]
    assert logs == ["begun", "done"]
    assert set(one.effects()) == set(whole.effects)


def test_a_run_that_was_not_disturbed_has_the_records_that_the_others_are_compared_with(
    whole: Whole,
) -> None:
    outcome, events, asked, effects = whole
    assert outcome["status"] == "completed"
    assert outcome["output"]["fallen"] == "<whom the first server refuses>"
    assert outcome["output"]["broken"] == "cannot take this"
    assert (asked[TOOL], asked["4"], effects["measure tool"]) == (1, 1, 1)
    twice = {FLAKY: 2, "the same twice": 2}
    assert asked == dict.fromkeys(asked, 1) | twice
    assert Counter(event.kind for event in events) == {
        "run_started": 1,
        "delegation_sent": 7,
        "delegation_started": 7,
        "delegation_completed": 7,
        "invocation_started": 17,
        "invocation_completed": 16,
        "invocation_failed": 1,
        "skill_started": 5,
        "skill_completed": 4,
        "skill_failed": 1,
        "log": 2,
        "run_completed": 1,
    }


@pytest.mark.timeout(900)
def test_killed_after_any_record_it_goes_on_and_repeats_only_what_was_in_flight(
    forker: subprocess.Popen[str], tmp_path: Path, whole: Whole
) -> None:
    for kill_at in range(1, len(whole.events)):
        with world(forker, tmp_path / str(kill_at)) as one:
            assert killed(one, kill_at), kill_at
            check_end(one, one.run(resume=True), whole)


@pytest.mark.parametrize("first", [1, 5, 17, 33, 48])
def test_killed_twice_it_still_comes_to_the_same(
    forker: subprocess.Popen[str], tmp_path: Path, whole: Whole, first: int
) -> None:
    for second in range(1, len(whole.events), 13):
        with world(forker, tmp_path / str(second)) as one:
            assert killed(one, first)
            if killed(one, second, resume=True) and one.journalled()[0].status == "running":
                check_end(one, one.run(resume=True), whole)


@pytest.mark.timeout(300)
def test_under_strict_nothing_is_asked_and_no_skill_used_before_that_is_on_the_disk(
    forker: subprocess.Popen[str], tmp_path: Path, whole: Whole
) -> None:
    """The disk stalls at a record, and the process dies a moment after."""
    begun = [event for event in whole.events if event.kind == "invocation_started"][::4]
    begun += [event for event in whole.events if event.kind == "skill_started"]
    for event in begun:
        with world(forker, tmp_path / str(event.seq)) as one:
            assert one.run(stall_at=event.seq, durability="strict") is None
            _, events = one.journalled()
            assert len(events) == event.seq - 1
            prompts = Counter(prompts_of(events).values())
            assert not one.asked - prompts - Counter([FLAKY])
            assert one.effects() <= used_in(events)
            under_way = Recorded(events).in_flight()
            one.in_flight.update(prompts_of(events).get(op, "") for op in under_way)
            check_end(one, one.run(resume=True), whole)


def used_in(events: list[EventRow]) -> Counter[str]:
    """Return the effects of the skills that had begun."""
    return Counter(
        f"measure {event.body['input']['text']}"
        for event in events
        if event.kind == "skill_started" and event.body["skill"] == "measure"
    )


def test_a_run_that_is_over_or_unknown_is_not_resumed(
    forker: subprocess.Popen[str], tmp_path: Path
) -> None:
    with world(forker, tmp_path / "one") as one:
        assert "no run" in (one.run(resume=True) or {})["refused"]
        assert one.run() is not None
        assert "is over: completed" in (one.run(resume=True) or {})["refused"]
