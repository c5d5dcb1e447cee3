"""The bench of the journal, a small one: every contender does all that it is asked."""

from __future__ import annotations

import pytest

from benchmarks import journal_delegations, journal_pace, journal_readers, long_runs

pytestmark = pytest.mark.real_time


def test_the_bench_of_the_journal_has_a_row_for_each_contender_beside_its_baseline() -> None:
    delegations = journal_delegations.run(rounds=1, scale=0.001)
    assert (delegations[0]["name"], len(delegations)) == ("no journal", 4)
    pace = journal_pace.run(rounds=1, scale=0.0)
    assert [row["contender"] for row in pace] == list(journal_pace.CONTENDERS)
    assert all(0 <= row["lag_p50_ms"] <= row["lag_p99_ms"] <= row["lag_max_ms"] for row in pace)
    none, one, four = journal_readers.run(rounds=1, scale=0.0)
    assert none["reads"] == 0 < min(one["reads"], four["reads"])


def test_the_run_of_so_many_steps_is_killed_and_gone_on_with() -> None:
    figures = long_runs.once(10)
    assert figures["bytes"] > 100
    assert min(figures["cpu_s"], figures["resume_cpu_s"]) > 0
