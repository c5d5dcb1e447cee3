"""The bounds of hot paths: counted, not timed; a broken one fails."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from benchmarks import check
from benchmarks.instructions import Tracer, by_function, by_layer, per_operation

if TYPE_CHECKING:
    from pathlib import Path

ASKS = {name: check.HOT[name] for name in (check.BARE, "ask")}


@pytest.fixture
def only_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "HOT", ASKS)
    monkeypatch.setattr(check.measure, "__defaults__", (ASKS,))


def checked(monkeypatch: pytest.MonkeyPatch, bounds: Path) -> int:
    monkeypatch.setattr(sys, "argv", ["check", "--bounds", str(bounds)])
    return check.main()


def bounds_of(folder: Path, factor: float, python: str = check.PYTHON) -> Path:
    """Write bounds that are so many times what the bare baseline and an ask take now."""
    measured = check.measure()
    bounds = {name: each * (factor if name == "ask" else 1.0) for name, each in measured.items()}
    file = folder / "bounds.json"
    file.write_text(json.dumps({"python": python, "instructions": bounds}))
    return file


@pytest.mark.usefixtures("only_asks")
def test_a_hot_path_within_its_bound_passes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checked(monkeypatch, bounds_of(tmp_path, 1.0)) == 0
    assert "BROKEN" not in capsys.readouterr().out


@pytest.mark.usefixtures("only_asks")
def test_a_hot_path_that_has_become_dearer_than_its_bound_fails_and_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checked(monkeypatch, bounds_of(tmp_path, 0.9)) == 1
    told = capsys.readouterr()
    assert "BROKEN" in told.out
    assert "allows: ask;" in told.err


@pytest.mark.usefixtures("only_asks")
def test_another_python_is_judged_by_the_ratio_to_the_bare_baseline(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checked(monkeypatch, bounds_of(tmp_path, 1.0, python="3.99")) == 0
    assert "scaled from Python 3.99" in capsys.readouterr().out
    twice = {check.BARE: 200.0, "ask": 419.0}
    bounds = {"python": "3.99", "instructions": {check.BARE: 100.0, "ask": 200.0}}
    assert not any(verdict.broken for verdict in check.judge(twice, bounds))
    assert check.judge(twice | {"ask": 421.0}, bounds)[1].broken


def test_the_same_work_takes_the_same_instructions_again() -> None:
    hot = ASKS["ask"]
    first, again = (sum(per_operation(hot.place, hot.options).values()) for _ in range(2))
    assert first == pytest.approx(again, rel=0.01)


def test_instructions_are_told_by_layer_and_by_function() -> None:
    hot = ASKS["ask"]
    counts = per_operation(hot.place, hot.options)
    assert by_layer(counts)[0][0] == "runtime/actors"
    assert any("ActorRef.ask" in name for name, _ in by_function(counts)[:10])


def test_every_hot_path_has_a_bound() -> None:
    bounds = json.loads(check.BOUNDS.read_text())
    assert set(bounds["instructions"]) == set(check.HOT)


def ignored(frame: object, event: str, argument: object) -> None:
    """Trace nothing."""


def test_whoever_has_traced_before_traces_on() -> None:
    before = sys.gettrace()
    sys.settrace(ignored)
    try:
        with Tracer() as tracer:
            ignored(None, "", None)
        assert sys.gettrace() is ignored
    finally:
        sys.settrace(before)
    assert sum(tracer.counts.values()) > 0
