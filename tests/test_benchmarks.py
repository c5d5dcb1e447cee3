"""The benches run, and say what they measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import asks, delegations
from benchmarks.measure import Contender, measure

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("bench", [asks, delegations])
def test_every_contender_does_all_its_operations_at_every_concurrency(bench: object) -> None:
    contenders: tuple[Contender, ...] = bench.CONTENDERS  # type: ignore[attr-defined]  # a module
    for concurrency in (1, 7):
        figures = measure(contenders, 20, concurrency, rounds=1)
        assert [figure.name for figure in figures] == [one.name for one in contenders]
        assert all(low <= middle <= high for low, middle, high in (f.per_second for f in figures))
        assert [f.ratio for f in figures if f.name == contenders[0].name] == [1.0]


def test_the_command_prints_a_table_and_writes_the_figures(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks", "asks", "--rounds", "1", "--scale", "0.001"),
            *("--json", str(tmp_path / "figures.json")),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert "supervised actor" in done.stdout
    assert "python=" in done.stdout.splitlines()[0]
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert len(figures["asks"]) == 9


def test_an_unknown_bench_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "nothing"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode != 0
    assert "nothing" in done.stderr
