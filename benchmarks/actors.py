"""Actors: to make one, what an idle one takes, and what it costs to restart many."""

from __future__ import annotations

from benchmarks.bench import CPU, PER_SECOND, Bench, Column
from benchmarks.contender import Case, Contender

STORM = 2_000

LIGHT = (
    Contender("bare deque and task", "plain:crowd", "baseline"),
    Contender("actor", "kernel:crowd", "ours", options={"with_message": False}),
    Contender("actor, asked once", "kernel:crowd", "ours", options={"with_message": True}),
    Contender("autogen-core", "autogen:crowd", environment="autogen"),
)
THREADS = (*LIGHT, Contender("pykka", "pykka:crowd", environment="pykka"))  # a thread each
ALIVE = (
    Case("alive together", THREADS, (1,), operations=1_000),
    Case("alive together", LIGHT, (1,), operations=10_000),
    Case("alive together", LIGHT, (1,), operations=100_000),
)
RESTARTS = Case(
    "restart storm",
    (
        Contender("bare task begun anew", "plain:restarts", "baseline"),
        Contender("actor, supervised", "kernel:restarts", "ours"),
    ),
    (1,),
    operations=STORM,
)

BENCH = Bench(
    "actors: made, idle, restarted",
    (*ALIVE, RESTARTS),
    (
        Column("how many", "operations", ",.0f"),
        PER_SECOND,
        CPU,
        Column("bytes each", "bytes", ",.0f"),
        Column("all MB", "crowd_mb", ",.1f"),
    ),
)
