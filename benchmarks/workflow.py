"""Workflow: whole runs of two model calls and one tool, over a model that is a stub in the process.

Ours has everything on; the peers have neither journal nor budget nor admission nor spans, and the
baseline is what a person writes in ten lines.
"""

from __future__ import annotations

from benchmarks.bench import LATENCY, PLAIN, Bench, Column
from benchmarks.contender import Case, Contender

CASE = Case(
    "2 calls, 1 tool",
    (
        Contender("bare loop by hand", "by_hand:workflow", "baseline"),
        Contender("everything on", "calls:workflow", "ours", options={"everything": True}),
        Contender("nothing on", "calls:workflow", "ours", options={"everything": False}),
        Contender("agno", "agno:workflow", environment="agno"),
        Contender("agent-framework", "agent_framework:workflow", environment="agent-framework"),
        Contender("LangGraph", "langgraph:workflow", environment="langgraph"),
        Contender("pydantic-ai", "pydantic_ai:workflow", environment="pydantic-ai"),
        Contender("openai-agents", "openai_agents:workflow", environment="openai-agents"),
    ),
    (10, 1_000),
)

BENCH = Bench(
    "workflow: runs of two model calls and a tool",
    (CASE,),
    (*PLAIN, Column("CPU ms/run", "run_ms", ",.2f"), *LATENCY),
)
