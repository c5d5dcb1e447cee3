"""The page about engines quotes what the program says, and the program makes sense."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.cluster_simulation import CALL_S, RUNS, simulate, split, stations, table

PAGE = Path(__file__).parents[1] / "runtime" / "engines" / "README.md"
MARK = "<!-- cluster_simulation -->", "<!-- /cluster_simulation -->"


def test_the_page_has_the_tables_that_the_program_prints() -> None:
    quoted = PAGE.read_text().split(MARK[0])[1].split(MARK[1])[0]
    assert quoted.strip().splitlines() == table()


def test_what_is_split_lets_all_calls_through_and_nothing_waits() -> None:
    flow = simulate(split(stations()))
    assert flow.calls_a_second == pytest.approx(RUNS / CALL_S, rel=0.03)
    assert sum(flow.queues.values()) < RUNS / 100


def test_where_one_station_is_too_small_all_that_waits_is_there() -> None:
    parts = split(stations())
    narrow = tuple(replace(p, servers=1) if p.name == "journal" else p for p in parts)
    flow = simulate(narrow)
    assert max(flow.queues, key=lambda name: flow.queues[name]) == "journal"
    assert flow.calls_a_second == pytest.approx(1e6 / parts[3].call_us, rel=0.01)
