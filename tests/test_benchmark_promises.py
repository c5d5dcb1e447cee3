"""What was promised is read off a run's rows; a figure that is not there keeps no promise."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import promises, scaling, startup, verdicts
from benchmarks.promises import PROMISES, Place, Promise
from benchmarks.row import Row, Spread

if TYPE_CHECKING:
    from benchmarks.row import Role

PLACE = Place("messages", "ask", "ours", 100)
OURS = Promise("an ask", PLACE.share, 0.5, is_least=True)
QUICK = Promise(
    "an ask", lambda rows: PLACE.figure(rows, "per_second"), 9, is_least=False, unit="a second"
)


def _row(ratio: float | None = 0.5, at_once: int = 100, reason: str | None = None) -> Row:
    values = {} if reason else {"per_second": Spread(1.0, 9.0, 20.0)}
    role: Role = "ours"
    return Row("ask", at_once, "ours", role, values, cpu_ratio=ratio, reason=reason)


def _judged(promise: Promise, *rows: Row) -> verdicts.Verdict:
    (verdict,) = verdicts.judge({"messages": rows}, [promise])
    return verdict


@given(st.floats(0.001, 1_000.0))
def test_a_promise_is_kept_from_its_bar_on(measured: float) -> None:
    verdict = _judged(OURS, _row(measured))
    assert verdict.met is (measured >= 0.5)
    assert verdict.bar == "at least 0.5 times"


def test_a_median_counts_and_is_told_with_its_unit() -> None:
    verdict = _judged(QUICK, _row())
    assert verdict == ("an ask", "at most 9 a second", "9 a second", True)


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ((), "messages was not asked for it"),
        ((_row(at_once=10),), "messages was not asked for it"),
        ((_row(reason="it ended: oops"),), "it ended: oops"),
        ((_row(ratio=None),), "messages has no baseline"),
    ],
)
def test_a_figure_that_is_missing_has_its_reason_and_is_not_met(
    rows: tuple[Row, ...], why: str
) -> None:
    verdict = _judged(OURS, *rows)
    assert verdict.met is None
    assert verdict.measured.startswith(why)
    assert verdict.word == "not measured"


def test_a_bench_that_did_not_run_is_named_with_its_command() -> None:
    assert all(
        each.met is None and "not in this run: python -m benchmarks" in each.measured
        for each in verdicts.judge({})
    )


def test_a_row_of_another_number_of_operations_is_another_row() -> None:
    place = PLACE._replace(operations=10)
    with pytest.raises(promises.Missing):
        place.figure({"messages": [_row()]}, "per_second")


def test_every_promise_is_of_a_row_that_its_bench_has() -> None:
    """With a row for each case and contender that the benches declare, nothing is missing."""
    names = ("messages", "delegations", "actors", "invocations", "workflow", "cluster")
    cases = {name: import_module(f"benchmarks.{name}").BENCH.cases for name in names}
    cases["scaling"] = scaling.cases_of(scaling.SIZES[-1])
    rows = {
        name: [
            _full(case.name, at_once, one.name, case.operations or 0)
            for case in each
            for at_once in case.at_once
            for one in case.contenders
        ]
        for name, each in cases.items()
    }
    rows["startup"] = [_full(start.case, 0, start.name) for start in startup._starts()]
    missing = [each.says for each in verdicts.judge(rows, PROMISES) if each.met is None]
    assert missing == []


def _full(case: str, at_once: int, contender: str, operations: int = 0) -> Row:
    names = ("per_second", "cpu_us", "added_p99_ms", "run_ms", "crowd_mb")
    values = {name: Spread(1.0, 1.0, 1.0) for name in (*names, "wall_ms", "beyond")}
    values["operations"] = Spread.of([operations])
    return Row(case, at_once, contender, "ours", values, ratio=1.0, cpu_ratio=1.0)


def test_both_tables_have_a_line_for_each_promise() -> None:
    found = verdicts.judge({"messages": [_row(reason="a | b")]}, [OURS, QUICK])
    assert len(list(verdicts.lines(found))) == 2
    head, _, *lines = verdicts.markdown(found)
    assert all(line.count("|") == head.count("|") for line in lines)
