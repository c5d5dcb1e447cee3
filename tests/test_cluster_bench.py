"""The bench of clusters starts its servers and nodes, or says what it would need."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from benchmarks import cluster, promises, verdicts
from benchmarks.contender import Settings
from benchmarks.table import line
from tests import postgres

if TYPE_CHECKING:
    from benchmarks.row import Row

TINY = Settings(rounds=1, seconds=0.001, at_once=(3,))
BARE, DURABLE, LOCAL, ONE_NODE, TWO_NODES, _ = cluster.BENCH.cases[0].contenders

pytestmark = pytest.mark.real_time


def test_each_way_is_measured_with_what_other_processes_take() -> None:
    delegations = replace(
        cluster.BENCH.cases[0], contenders=(BARE, DURABLE, LOCAL, ONE_NODE, TWO_NODES)
    )
    rows = _measured(delegations)
    assert {row.contender: row.reason for row in rows if row.reason is not None} == {}
    others = {row.contender: row.values["others_us"].median for row in rows}
    assert others.pop(LOCAL.name) == 0
    assert min(others.values()) > 0
    assert all(row.ratio is not None for row in rows)


def test_calls_are_made_by_the_nodes() -> None:
    _, *ours = cluster.BENCH.cases[1].contenders
    rows = _measured(replace(cluster.BENCH.cases[1], contenders=ours[:2]))
    assert [row.reason for row in rows] == [None, None]


@pytest.mark.parametrize(
    ("module", "name", "told"),
    [(cluster, "program", "nats-server"), (postgres, "programs", "postgresql")],
)
def test_without_a_server_it_says_which_and_no_promise_is_judged(
    monkeypatch: pytest.MonkeyPatch, module: object, name: str, told: str
) -> None:
    monkeypatch.setattr(module, name, lambda: None)
    rows: list[Row] = []
    assert cluster.BENCH.run(Settings(), rows.append) == rows
    assert all(told in line(row, cluster.BENCH.columns) for row in rows)
    judged = verdicts.judge({"cluster": rows}, promises.PROMISES)
    why = [each.measured for each in judged if "a cluster of" in each.says]
    assert len(why) == 3
    assert all(told in each for each in why)


def _measured(case: cluster.Case) -> list[Row]:
    bench = replace(cluster.BENCH, cases=(case,))
    return bench.run(TINY, lambda _: None)
