"""The tree of agents that a person watches, without a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from runtime.cli.progress import MOST_LINES, Progress
from runtime.cli.screen import label
from runtime.cli.text import TIMES
from runtime.journal import Record

if TYPE_CHECKING:
    from runtime.journal import Kind


def record(kind: Kind, op: str, at: float = 0.0, cost: int = 0, **body: Any) -> Record:
    return Record("run", kind, op, body, at, cost)


def fed(*records: Record) -> Progress:
    progress = Progress()
    for each in records:
        progress.take(each)
    return progress


def shown(progress: Progress, now: float = 10.0) -> list[str]:
    return [f"{'  ' * row.depth}{label(row)}" for row in progress.rows(now)]


def test_one_task_shows_its_state_its_spending_and_its_time() -> None:
    progress = fed(
        record("delegation_sent", "a:1", 1.0, agent="digest"),
        record("delegation_started", "a:1", 2.0, attempt=1),
    )
    assert shown(progress) == ["digest running  9.00 s"]
    usage = {"input_tokens": 10, "output_tokens": 5}
    progress.take(record("invocation_completed", "a:1/chat:1", 3.0, 2_000, usage=usage))
    progress.take(record("delegation_completed", "a:1", 4.0))
    assert shown(progress) == ["digest done  1 call, 15 tokens  $0.000002  3.00 s"]


def test_a_task_waits_runs_starts_again_and_fails() -> None:
    progress = fed(record("delegation_sent", "a:1", agent="digest"))
    assert shown(progress)[0].startswith("digest queued")
    progress.take(record("delegation_started", "a:1", attempt=1))
    progress.take(record("delegation_started", "a:1", attempt=2))
    assert shown(progress)[0].startswith(f"digest running, restarted {TIMES} 1")
    progress.take(record("delegation_failed", "a:1", reason="crashed"))
    assert shown(progress)[0].startswith(f"digest failed, restarted {TIMES} 1")


def test_many_tasks_of_one_agent_are_one_line_under_their_parent() -> None:
    progress = fed(
        record("delegation_sent", "a:1", agent="digest"),
        record("delegation_started", "a:1", attempt=1),
    )
    for number in range(1_000):
        progress.take(record("delegation_sent", f"a:1/b:{number}", agent="summarise"))
    for number in range(831):
        progress.take(record("delegation_started", f"a:1/b:{number}", attempt=1))
    for number in range(812):
        progress.take(record("delegation_completed", f"a:1/b:{number}"))
    for number in range(812, 815):
        progress.take(record("delegation_failed", f"a:1/b:{number}", reason="crashed"))
    summarise = f"  summarise {TIMES} 1,000: 812 done, 3 failed, 16 running, 169 queued  10.0 s"
    assert shown(progress) == ["digest running  10.0 s", summarise]
    assert repr(progress) == "<Progress [2 lines, 186 tasks not over]>"


def test_what_has_no_price_is_unpriced_and_not_free() -> None:
    progress = fed(
        record("delegation_sent", "a:1", agent="digest"),
        record("invocation_completed", "a:1/chat:1", usage={}, unpriced=True),
    )
    assert "unpriced" in shown(progress)[0]


def test_a_late_record_of_a_task_that_is_over_changes_no_line() -> None:
    progress = fed(
        record("delegation_sent", "a:1", agent="digest"),
        record("delegation_completed", "a:1", 1.0),
    )
    before = shown(progress)
    progress.take(record("delegation_failed", "a:1", 2.0, reason="cancelled"))
    progress.take(record("invocation_failed", "a:1/chat:1", 2.0))
    progress.take(record("log", "a:1", 2.0))
    assert shown(progress) == before


def test_a_recursion_that_never_ends_has_a_bounded_tree_that_counts_every_task() -> None:
    progress, op = Progress(), "a:0"
    for number in range(3 * MOST_LINES):
        progress.take(record("delegation_sent", op, agent="again"))
        op = f"{op}/a:{number}"
    rows = list(progress.rows(0.0))
    assert len(rows) == MOST_LINES
    assert sum(row.tasks for row in rows) == 3 * MOST_LINES


steps = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["start", "ok", "bad"])))


@given(steps)
def test_every_task_is_in_exactly_one_state(moves: list[tuple[int, str]]) -> None:
    progress = fed(*(record("delegation_sent", f"t:{n}", agent="a") for n in range(6)))
    kinds: dict[str, Kind] = {
        "start": "delegation_started",
        "ok": "delegation_completed",
        "bad": "delegation_failed",
    }
    for number, move in moves:
        progress.take(record(kinds[move], f"t:{number}"))
    (row,) = progress.rows(0.0)
    assert row.tasks == 6
    over = {number for number, move in moves if move != "start"}
    assert row.counts.get("done", 0) + row.counts.get("failed", 0) == len(over)
