"""Every bench runs, and says what it measured or why it did not."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import __main__ as command
from benchmarks import (
    actors,
    delegations,
    environments,
    invocations,
    messages,
    scaling,
    soak,
    startup,
    storm,
    workflow,
)
from benchmarks.chat_server import served
from benchmarks.contender import Case, Contender, Settings
from benchmarks.plots import PLOTS, draw
from benchmarks.rounds import measure
from benchmarks.row import Row, Spread, as_json, from_json
from benchmarks.table import head, line
from benchmarks.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
BARE = Contender("bare", "plain:asks", "baseline", options={"kind": "deque"})
TINY = Settings(rounds=2, seconds=0.001, scale=0.001)

pytestmark = pytest.mark.real_time


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with served() as url:
        yield f"{url}/0/v1"


def here() -> dict[str, Contender]:
    """Return every contender that needs no environment of its own, but for the storm's."""
    cases = [
        *messages.BENCH.cases,
        *delegations.BENCH.cases,
        *actors.BENCH.cases,
        *invocations.BENCH.cases[:1],
        *workflow.BENCH.cases,
        *storm.BENCH.cases,
        *scaling.cases_of(1),
        *scaling.cases_of(10_000),
    ]
    found = [one for case in cases for one in case.contenders if one.environment is None]
    return {f"{one.place} {dict(one.options)}": one for one in found}


@pytest.mark.parametrize("name", here())
async def test_every_contender_of_this_environment_does_its_operations(
    name: str, server: str
) -> None:
    one = here()[name]
    options = dict(one.options)
    if one.place.startswith(("http:", "calls:invocations", "calls:single", "limited:f")):
        options["url"] = server
    module, _, function = one.place.partition(":")
    opened = getattr(import_module(f"benchmarks.contenders.{module}"), function)
    async with opened(**options) as work:
        told: dict[str, Any] = dict(await work(7, 3))
        assert told.get("failed", 0) < (7 if "budget" in one.place else 1)
        assert not told.get("overspend_usd")
        if "latencies" in told:
            assert len(told["latencies"]) == 7


def test_contenders_take_turns_and_are_compared_with_the_baseline() -> None:
    other = Contender("queue", "plain:asks", options={"kind": "queue"})
    rows = measure([Case("ask", (BARE, other), (1, 7))], TINY, lambda _: None)
    assert [(row.contender, row.at_once) for row in rows] == [
        *(("bare", 1), ("queue", 1), ("bare", 7), ("queue", 7))
    ]
    for row in rows:
        spread = row.values["per_second"]
        assert 0 < spread.low <= spread.median <= spread.high
        assert row.values["operations"].low >= row.at_once
        assert row.ratio is not None
    assert [row.ratio for row in rows if row.contender == "bare"] == [1.0, 1.0]


def test_a_peer_that_is_not_installed_is_a_row_that_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(environments, "FOLDER", tmp_path)
    peer = Contender("agno", "agno:workflow", environment="agno")
    rows = measure([Case("ask", (BARE, peer), (1,))], TINY, lambda _: None)
    assert rows[0].reason is None
    assert rows[1].reason is not None
    assert "make bench-peers" in rows[1].reason
    assert "make bench-peers" in line(rows[1], messages.BENCH.columns)


def test_without_peers_none_has_a_turn() -> None:
    peer = Contender("agno", "agno:workflow", environment="agno")
    settings = replace(TINY, peers=False)
    rows = measure([Case("ask", (BARE, peer), (1,))], settings, lambda _: None)
    assert [row.contender for row in rows] == ["bare"]


def test_a_contender_that_cannot_be_opened_is_a_row_with_its_error() -> None:
    broken = replace(BARE, name="broken", role="peer", options={"kind": "nothing"})
    rows = measure([Case("ask", (BARE, broken), (1,))], TINY, lambda _: None)
    assert rows[1].reason == "KeyError: 'nothing'"
    assert rows[0].reason is None


def test_a_contender_that_dies_is_given_up_and_the_others_go_on() -> None:
    with Worker(BARE) as worker:
        assert worker.turn(1, 1) is not None
        assert worker._process is not None
        worker._process.kill()
        worker._process.wait()
        assert worker.turn(1, 1) is None
        assert worker.reason
        assert worker.turn(1, 1) is None


def test_a_contender_is_not_asked_for_more_than_it_bears() -> None:
    weak = replace(BARE, name="weak", role="peer", at_most=5)
    rows = measure([Case("ask", (BARE, weak), (6,))], TINY, lambda _: None)
    assert rows[1].reason == "not asked for more than 5 at once"


def test_who_waits_for_a_server_is_asked_for_more_at_once_all_the_same(server: str) -> None:
    """One call of 50 ms at a time is 20 a second, and 100 at once take no five seconds for that."""
    slow = f"{server.removesuffix('/0/v1')}/50/v1"
    waiting = Contender("bare", "http:by_hand", "baseline", options={"url": slow})
    settings = replace(TINY, patience_s=1.0)
    rows = measure([Case("calls", (waiting,), (1, 100))], settings, lambda _: None)
    assert [row.reason for row in rows] == [None, None]


def test_start_up_is_that_of_whole_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    starts = startup._starts()
    monkeypatch.setattr(startup, "_starts", lambda: starts[:2])
    rows = startup.BENCH.run(replace(TINY, rounds=1, peers=False), lambda _: None)
    assert [row.role for row in rows] == ["baseline", "ours"]
    ratio = rows[1].cpu_ratio
    assert ratio is not None
    assert ratio < 1


def test_what_is_installed_for_us_is_counted_without_extras() -> None:
    found = startup._footprint(None)
    assert 10 < found["distributions"] < 100
    assert found["installed_mb"] > 1
    assert 0 < found["beyond"] < 15


def test_a_soak_tells_each_tenth_and_how_memory_and_files_slope(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(soak, "FIRST_RUNS", 20)
    rows = soak.soak(0.01, lambda _: None)
    *tenths, slope = rows
    assert 1 <= len(tenths) <= soak.TENTHS
    assert all(row.values.keys() == set(soak.SHOWN) for row in tenths)
    assert {"mb_an_hour", "files_an_hour"} <= slope.values.keys()
    assert slope.reason is None


def test_a_soak_whose_process_dies_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    dying = replace(soak.RUNS, place="plain:nothing")
    monkeypatch.setattr(soak, "RUNS", dying)
    (row,) = soak.soak(0.01, lambda _: None)
    assert "no attribute 'nothing'" in (row.reason or "")


def test_latency_is_told_without_what_the_server_takes() -> None:
    values = {"p50_ms": Spread(51.0, 52.0, 53.0), "cpu_us": Spread(1.0, 2.0, 3.0)}
    row = invocations._with_added(Row("a case", 1, "x", "ours", values), 50)
    assert row.values == values | {"added_p50_ms": Spread(1.0, 2.0, 3.0)}


def test_the_command_prints_tables_and_writes_what_it_measured(tmp_path: Path) -> None:
    figures, results = tmp_path / "figures.json", tmp_path / "RESULTS.md"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks", "messages"),
            *("--rounds", "1", "--scale", "0.001", "--at-once", "1,7"),
            *("--json", str(figures), "--results", str(results)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert "actor, supervised" in done.stdout
    assert "python=" in done.stdout.splitlines()[0]
    written = json.loads(figures.read_text())
    assert set(written) == {"machine", "promises", "benches"}
    assert "what was promised" in done.stdout
    rows = written["benches"]["messages"]["rows"]
    assert set(rows[0]) == set(Row.__dataclass_fields__)
    assert all(len(spread) == 3 for row in rows for spread in row["values"].values())
    assert as_json(from_json(rows)) == rows
    text = results.read_text()
    assert (
        "python -m benchmarks messages --rounds 1 --seconds 0.5 --scale 0.001 --at-once 1,7" in text
    )
    assert "| ask | 7 | **actor, supervised** |" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "no bench nothing"),
        (["--rounds", "0"], "--rounds is at least 1"),
        (["--at-once", "0"], "at least 1 at once"),
    ],
)
def test_a_wrong_command_line_is_refused(
    arguments: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks", *arguments])
    with pytest.raises(SystemExit) as exit_:
        command.main()
    assert exit_.value.code == 2
    assert said in capsys.readouterr().err


def test_without_matplotlib_plots_are_refused_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("benchmarks.plots.find_spec", lambda _: None)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "messages", "--plot", str(tmp_path)])
    with pytest.raises(SystemExit):
        command.main()
    told = capsys.readouterr()
    assert "pip install -e '.[bench]'" in told.err
    assert not told.out


def test_each_plot_is_a_file_for_each_case(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra `bench` is not installed")
    values = {plot.value: Spread(1.0, 2.0, 3.0) for plot in PLOTS}
    values["operations"] = values["at_s"] = Spread(10.0, 10.0, 10.0)
    rows = [Row("a case", at_once, "x", "ours", values) for at_once in (1, 10)]
    files = draw({plot.bench: rows for plot in PLOTS}, tmp_path / "plots")
    assert len(files) == len(PLOTS)
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)


def test_every_bench_is_there_by_its_name_and_has_a_head() -> None:
    own_tables = {"journal", "postgres", "interrupted", "cluster_admission", "cluster_simulation"}
    for name in set(command.BENCHES) - own_tables:
        bench = import_module(f"benchmarks.{name}").BENCH
        assert bench.title
        assert "contender" in head(bench.columns)


def test_every_peer_is_pinned() -> None:
    pinned = environments.CONSTRAINTS.read_text().splitlines()
    names = {text.split("==")[0] for text in pinned if "==" in text}
    for peer in environments.PEERS.values():
        assert {text.split("[")[0] for text in peer.requirements} <= names
