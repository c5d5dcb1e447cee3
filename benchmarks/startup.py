"""Start-up: what a person waits for before anything happens, and what has to be installed.

``--help`` and ``run hello`` (a whole run of one agent, its journal on disk) and each import are
processes from their start to their end, Python's own start included and all code compiled before;
the baseline is Python that does nothing. Footprints are of each peer's own environment without what
installed it, and of ours without extras; *beyond* are those of ours that the packages which it was
to be built of do not need themselves.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.bench import Bench, Column
from benchmarks.environments import PEERS, absent, python_of
from benchmarks.footprint import of_distribution
from benchmarks.row import Row, Spread
from benchmarks.workers import ROOT, clean_environ

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.contender import Role, Settings

OURS = "magsag-runtime"
BUILT_OF = (
    *("anyio", "httpx", "pydantic", "structlog", "aiosqlite", "pytest-asyncio"),
    *("opentelemetry-sdk", "opentelemetry-exporter-otlp"),
)
COLUMNS = (
    Column("wall ms", "wall_ms", ",.0f", spread=True),
    Column("CPU ms", "cpu_ms", ",.0f"),
    Column("packages", "distributions", ",.0f"),
    Column("beyond", "beyond", ",.0f"),
    Column("MB", "installed_mb", ",.1f"),
)


@dataclass(frozen=True, slots=True)
class Start:
    """A process that is started, and how its row is called."""

    case: str
    name: str
    role: Role
    command: Sequence[str]
    peer: str | None = None

    @property
    def reason(self) -> str | None:
        """Why it cannot be started; None where it can."""
        return None if self.peer is None else absent(self.peer)


def _starts() -> list[Start]:
    runtime = [sys.executable, "-m", "runtime"]
    nothing, ours = [sys.executable, "-c", "pass"], [sys.executable, "-c", "import runtime.launch"]
    return [
        Start("--help", "python that does nothing", "baseline", nothing),
        Start("--help", "python -m runtime --help", "ours", [*runtime, "--help"]),
        Start("hello", "python that does nothing", "baseline", nothing),
        Start("hello", "python -m runtime run hello", "ours", [*runtime, "run", "hello"]),
        Start("import", "python that does nothing", "baseline", nothing),
        Start("import", "import runtime.launch", "ours", ours),
        *(
            Start(
                "import",
                peer.begins,
                "peer",
                [str(python_of(name)), "-P", "-c", peer.begins],
                name,
            )
            for name, peer in PEERS.items()
        ),
    ]


@dataclass(frozen=True, slots=True)
class StartUp(Bench):
    """The bench of start-up, whose contenders are whole processes."""

    def run(self, settings: Settings, tell: Callable[[Row], None]) -> list[Row]:
        """Start each in turn, after one start that fills the caches."""
        starts = [one for one in _starts() if settings.peers or one.role != "peer"]
        turns: list[list[dict[str, float]]] = [[] for _ in starts]
        with tempfile.TemporaryDirectory() as state:
            for turn in range(settings.rounds + 1):
                for start, told in zip(starts, turns, strict=True):
                    if start.reason is None:
                        once = _once(start, state)
                        told.extend([once] if turn else [])
        rows, baseline = [], turns[0]
        for start, told in zip(starts, turns, strict=True):
            baseline = told if start.role == "baseline" else baseline
            rows.append(_row(start, told, baseline))
            tell(rows[-1])
        return rows


def _once(start: Start, state: str) -> dict[str, float]:
    environ = clean_environ()
    environ["XDG_STATE_HOME"] = state
    environ["PYTHONPYCACHEPREFIX"] = state  # whatever is forbidden elsewhere: a user compiles once
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if start.peer is None:
        environ["PYTHONPATH"] = str(ROOT)
    before, began = _children_cpu(), time.perf_counter()
    subprocess.run(start.command, cwd=ROOT, env=environ, capture_output=True, check=True)  # noqa: S603  # our own
    wall_s = time.perf_counter() - began
    return {"wall_ms": wall_s * 1e3, "cpu_ms": (_children_cpu() - before) * 1e3}


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _row(start: Start, told: list[dict[str, float]], baseline: list[dict[str, float]]) -> Row:
    if start.reason is not None:
        return Row(start.case, 0, start.name, start.role, reason=start.reason)
    values = {name: Spread.of(turn[name] for turn in told) for name in told[0]}
    if start.case == "import" and start.role != "baseline":
        values |= {name: Spread.of([value]) for name, value in _footprint(start.peer).items()}
    ratios = {
        name: Spread.of(b[name] / t[name] for b, t in zip(baseline, told, strict=True)).median
        for name in told[0]
    }
    return Row(
        start.case,
        0,
        start.name,
        start.role,
        values,
        ratio=ratios["wall_ms"],
        cpu_ratio=ratios["cpu_ms"],
    )


def _footprint(peer: str | None) -> dict[str, float]:
    if peer is None:
        return of_distribution(OURS, BUILT_OF)
    code = f"import sys; sys.path.append({str(ROOT)!r})"
    code += "; from benchmarks.footprint import main; main()"
    command = [str(python_of(peer)), "-P", "-c", code]
    done = subprocess.run(  # noqa: S603  # our own
        command, capture_output=True, text=True, check=True, env=clean_environ()
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


BENCH = StartUp("start-up: processes and imports, and what is installed", (), COLUMNS)
