"""Delegations: the whole pipeline, and what each thing that is on costs.

A delegation is validated on both sides, has a deadline, a supervised actor and a context of its
own, and is answered with a ``Result``. The baseline hands the same numbers to worker tasks through
an asyncio.Queue, a future each, and does nothing else.
"""

from __future__ import annotations

from benchmarks.bench import Bench
from benchmarks.contender import Case, Contender


def _with(name: str, *, spans: bool, journal: str, policy: bool, budget: bool) -> Contender:
    on = {"spans": spans, "journal": journal, "policy": policy, "budget": budget}
    return Contender(name, "pipeline:delegations", "ours", options=on)


CASE = Case(
    "delegation",
    (
        Contender("bare queue and workers", "plain:jobs", "baseline"),
        _with("nothing on", spans=False, journal="none", policy=False, budget=False),
        _with("journal in memory", spans=False, journal="memory", policy=False, budget=False),
        _with("journal on disk", spans=False, journal="disk", policy=False, budget=False),
        _with("spans to the spool", spans=True, journal="none", policy=False, budget=False),
        _with("policy and budget", spans=False, journal="none", policy=True, budget=True),
        _with("everything on", spans=True, journal="disk", policy=True, budget=True),
        Contender("autogen-core, a bare message", "autogen:asks", environment="autogen"),
    ),
    (1, 100, 1_000),
)

BENCH = Bench("delegations of one run", (CASE,))
