"""The bench of clusters starts its servers and nodes, or says what it would need."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from benchmarks import cluster, promises, verdicts
from benchmarks.contender import Settings
from benchmarks.table import line
from runtime.engines.cluster import local_server
from tests import postgres

if TYPE_CHECKING:
    from benchmarks.row import Row

TINY = Settings(rounds=1, seconds=0.001, at_once=(3,))
BARE, DURABLE, LOCAL, ONE_NODE, TWO_NODES, _, SENT_TO_ONE, *_ = cluster.BENCH.cases[0].contenders

pytestmark = pytest.mark.real_time


def test_each_way_is_measured_with_what_other_processes_take() -> None:
    delegations = replace(
        cluster.BENCH.cases[0],
        contenders=(BARE, DURABLE, LOCAL, ONE_NODE, TWO_NODES, SENT_TO_ONE),
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
    [(local_server, "program", "nats-server"), (postgres, "programs", "postgresql")],
)
def test_without_a_server_it_says_which_and_no_promise_is_judged(
    monkeypatch: pytest.MonkeyPatch, module: object, name: str, told: str
) -> None:
    monkeypatch.setattr(module, name, lambda: None)
    rows: list[Row] = []
    assert cluster.BENCH.run(Settings(), rows.append) == rows
    assert all(told in line(row, cluster.BENCH.columns) for row in rows)
    judged = verdicts.judge({"cluster": rows}, promises.PROMISES)
    why = [each.measured for each in judged if "bare NATS" in each.says]
    assert len(why) == 6
    assert all(told in each for each in why)


def test_without_the_extra_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("runtime.engines.cluster", "runtime.engines.cluster.local_server"):
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    rows = cluster.BENCH.run(Settings(), lambda _: None)
    assert rows
    assert all("pip install" in (row.reason or "") for row in rows)


def _measured(case: cluster.Case) -> list[Row]:
    bench = replace(cluster.BENCH, cases=(case,))
    return bench.run(TINY, lambda _: None)
