"""Invocations: model calls to a server on loopback that answers at once, or after a while.

Ours is an agent that asks: policy, route, admission, budget, span, journal, all of it on. The
baseline is a loop over the same HTTP client with nothing around it. Peers that have no call without
an agent's run are asked for runs of one call; ours are calls of one run, and such runs as well. The
server is a process of its own on another core; what a request costs it is told below the table.
*Added* is latency without what the server takes by itself.
"""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from benchmarks.bench import PLAIN, Bench, Column
from benchmarks.chat_server import served
from benchmarks.contender import Case, Contender
from benchmarks.rounds import measure
from benchmarks.row import Spread

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.contender import Settings
    from benchmarks.row import Row

AT_ONCE = (1, 10, 100, 1_000, 5_000)
DELAYS_MS = (0, 50, 200)
OURS = (
    Contender("bare loop, the same client", "http:port", "baseline"),
    Contender(
        "agent asks, everything on", "calls:invocations", "ours", options={"everything": True}
    ),
    Contender("agent asks, nothing on", "calls:invocations", "ours", options={"everything": False}),
    Contender("runs of one call, everything on", "calls:single_calls", "ours"),
    Contender("bare asyncio by hand", "http:by_hand"),
    Contender("pyreqwest", "http:pyreqwest"),
)
OTHERS = (
    Contender("httpx", "http:httpx"),
    Contender("openai SDK", "openai:invocations", environment="openai"),
    Contender("litellm", "litellm:invocations", environment="litellm"),
    Contender("pydantic-ai", "pydantic_ai:invocations", environment="pydantic-ai"),
    Contender("LangGraph", "langgraph:invocations", environment="langgraph"),
    Contender("agno", "agno:invocations", environment="agno"),
    Contender("agent-framework", "agent_framework:invocations", environment="agent-framework"),
    Contender("openai-agents", "openai_agents:invocations", environment="openai-agents"),
)
PEERS = tuple(one for one in OTHERS if one.environment is not None)


def _case(ms: int) -> Case:
    """Return the case of a server that takes so long.

    What the others take of the CPU is their limit long before 1,000 at once: there a server that
    takes its time changes nothing, so they are asked for that many once, of the quickest server.
    """
    most = 100 if ms else 1_000
    others = tuple(replace(one, at_most=most) for one in OTHERS)
    return Case(f"server takes {ms} ms", (*OURS, *others), AT_ONCE)


@dataclass(frozen=True, slots=True)
class Invocations(Bench):
    """The bench of invocations, which needs a server."""

    def run(self, settings: Settings, tell: Callable[[Row], None]) -> list[Row]:
        """Measure with a server; tell what a request costs it."""
        with served() as url:
            rows: list[Row] = []
            for case, ms in zip(self.cases, DELAYS_MS, strict=True):
                rows += _measured(_at(case, f"{url}/{ms}/v1"), ms, settings, tell)
            with urllib.request.urlopen(f"{url}/cost", timeout=30) as reply:  # noqa: S310  # loopback
                cost = json.loads(reply.read())
        each = cost["cpu_s"] / max(1, cost["requests"]) * 1e6
        print(f"  the server answered {cost['requests']:,} requests, {each:.1f} us of CPU each")
        return rows


def _at(case: Case, url: str) -> Case:
    there = tuple(replace(c, options={**c.options, "url": url}) for c in case.contenders)
    return replace(case, contenders=there)


def _measured(case: Case, ms: int, settings: Settings, tell: Callable[[Row], None]) -> list[Row]:
    def tell_all(row: Row) -> None:
        tell(_with_added(row, ms))

    return [_with_added(row, ms) for row in measure([case], settings, tell_all)]


def _with_added(row: Row, ms: int) -> Row:
    """Return a row that tells its latency without so many milliseconds, too."""
    added = {
        f"added_{name}": Spread(*(each - ms for each in row.values[name]))
        for name in ("p50_ms", "p99_ms")
        if name in row.values
    }
    return replace(row, values=row.values | added)


BENCH = Invocations(
    "invocations: model calls to a server on loopback",
    tuple(map(_case, DELAYS_MS)),
    (
        *PLAIN,
        Column("added p50 ms", "added_p50_ms", ",.2f"),
        Column("added p99 ms", "added_p99_ms", ",.2f"),
    ),
)
