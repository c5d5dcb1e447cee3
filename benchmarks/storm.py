"""Limits: a storm of calls, fairness between runs, and a budget that everybody wants at once.

*Storm*: two hundred runs at once against a server that takes 20 requests a second and 20 in a
burst. Nobody can be faster than its bucket: 9.0 s for 200. The server is the simulator, in a
process of its own; it asks to wait a second and says nothing else of its limits, and what was sent
and refused is what it counted. The peers are as they come; the naive client makes five attempts
with full jitter, as most libraries retry. There is one round: the server's clock sets the pace.
*Over ideal* is the time beside what the bucket needs for as many as were completed.

*Fairness*: an account with ten calls in flight, a run with many calls, and a moment later a run
with one. *Budget*: calls at once that a run's budget pays only in part, beside what people write by
hand: each call looks before whether anything is left. None of the peers has a budget in money that
holds for calls at once.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.bench import Bench, Column
from benchmarks.chat_server import served
from benchmarks.contender import Case, Contender
from benchmarks.cores import serve_from_last
from benchmarks.invocations import PEERS
from benchmarks.rounds import measure
from benchmarks.row import Row, Spread
from benchmarks.workers import ROOT, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.contender import Settings

RUNS = 200
RATE, BURST = 20, 20
SERVICE_MS = 50
SCENARIO = {
    "defaults": {
        "limits": {"rpm": 60 * RATE, "burst": BURST / RATE, "algorithm": "token_bucket"},
        "limit_headers": False,
        "headers": {"retry-after-ms": None},  # whole seconds only
        "latency": SERVICE_MS / 1e3,
    }
}
REFUSED = "429"
LEARNT = {"concurrency": {"max": 512}}
CLIENTS = (
    Contender("naive client, 5 attempts", "limited:naive", "baseline"),
    Contender(
        "runtime, limit configured", "limited:storm", "ours", options={"limits": {"rpm": 60 * RATE}}
    ),
    Contender("runtime, limit unknown", "limited:storm", "ours", options={"limits": LEARNT}),
    *(replace(peer, options={"tolerant": True}) for peer in PEERS),
)
FAIRNESS = Case(
    "fairness",
    (
        Contender("a semaphore", "limited:first_come", "baseline"),
        Contender("runtime", "limited:fairness", "ours"),
    ),
    (RUNS,),
    operations=RUNS,
)
BUDGET = Case(
    "budget",
    (
        Contender("a look before each call", "limited:looked_up", "baseline"),
        Contender("runtime", "limited:budget", "ours"),
    ),
    (RUNS,),
    operations=RUNS,
)


@dataclass(frozen=True, slots=True)
class Limits(Bench):
    """The bench of limits, which needs a simulator and a server."""

    def run(self, settings: Settings, tell: Callable[[Row], None]) -> list[Row]:
        """Measure the storm, then fairness and the budget."""
        rows = storm(settings, tell)
        with served() as url:
            there = tuple(
                replace(c, options={"url": f"{url}/{SERVICE_MS}/v1"}) for c in FAIRNESS.contenders
            )
            rows += measure([replace(FAIRNESS, contenders=there), BUDGET], settings, tell)
        return rows


def storm(settings: Settings, tell: Callable[[Row], None]) -> list[Row]:
    """Measure the storm alone."""
    with simulated() as url:
        return _stormed(url, settings, tell)


def _stormed(url: str, settings: Settings, tell: Callable[[Row], None]) -> list[Row]:
    runs = max(BURST + 1, settings.scaled(RUNS))
    clients = [one for one in CLIENTS if settings.peers or one.role != "peer"]
    rows = []
    for client in clients:
        there = replace(client, options={**client.options, "url": f"{url}/v1"})
        with Worker(there) as worker:
            told = _once(worker, url, runs)
        values = {name: Spread.of([value]) for name, value in told.items()}
        rows.append(
            Row(
                "storm",
                runs,
                client.name,
                client.role,
                values,
                reason=worker.reason,
                version=worker.version,
            )
        )
        tell(rows[-1])
    return rows


def _once(worker: Worker, url: str, runs: int) -> dict[str, float]:
    """Return what came of a storm; nothing where there was none."""
    _admin(url, "reset", b"")
    turn = worker.turn(runs, runs)
    if turn is None:
        return {}
    seen = _admin(url, "seen?times=0")
    rejected = seen["statuses"].get(REFUSED, 0)
    sent = seen["all"]["requests"]
    completed = min(runs - turn["failed"], sent - rejected)  # agno raises nothing when it gives up
    ideal_s = max(1, completed - BURST) / RATE
    return {
        "completed": completed,
        "sent": sent,
        "rejected": rejected,
        "seconds": turn["wall_s"],
        "over_ideal": turn["wall_s"] / ideal_s,
    }


@contextmanager
def simulated() -> Iterator[str]:
    """Run the simulator in a process of its own; yield its address."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "scenario.yaml")
        file.write_text(json.dumps(SCENARIO))
        command = [sys.executable, "-m", "providers.simulator", "--scenario", str(file)]
        with subprocess.Popen(  # noqa: S603  # our own module
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT
        ) as process:
            try:
                serve_from_last(process.pid)
                line = process.stdout.readline() if process.stdout else ""
                yield json.loads(line)["url"]
            finally:
                process.terminate()


def _admin(url: str, what: str, body: bytes | None = None) -> Any:
    address = f"{url}/__simulator__/{what}"
    with urllib.request.urlopen(address, data=body, timeout=30) as reply:  # noqa: S310  # loopback
        text = reply.read()
    return json.loads(text) if text else None


BENCH = Limits(
    "limits: a storm, fairness, a budget",
    (FAIRNESS, BUDGET),
    (
        Column("completed", "completed", ",.0f"),
        Column("failed", "failed", ",.0f"),
        Column("sent", "sent", ",.0f"),
        Column("rejected", "rejected", ",.0f"),
        Column("seconds", "seconds", ",.2f"),
        Column("over ideal", "over_ideal", ",.2f"),
        Column("single ms", "single_ms", ",.0f"),
        Column("overspend", "overspend_usd", ",.4f"),
    ),
)
