"""1,000 nodes and 1,000,000 runs at once, in virtual time: what is full first, and what is split.

No machine here can run that, so it is computed: from what single things cost where they could be
measured, and a shape of run that can be argued with. Runs are a closed population that flows from
station to station in ticks; each run that ends makes room for the next. A call *waits* for its
model, then needs its part of the work of every station, in turn. A station is as many servers as
there are shards; what it cannot do in a tick stays in its queue. Heart-beats come off the top: they
depend on what is under way and not on what gets done.

First everything has one server. Then whoever has the longest queue gets as many more as it needs,
until the population flows as if nobody waited for anything but models.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from providers.cluster.authority import SPACING_A_NODE_S

NODES = 1_000
RUNS = 1_000_000
CALLS = 6  # of a run, one after the other
CALL_S = 10.0  # that a model takes
ROWS, SPANS = 23, 26  # of a run
MESSAGES = 1  # of a run in the work queue: itself, as its Delegations are done near
HEART_BEAT_S = 10.0 / 3  # for each message in hand
REPORT_S = SPACING_A_NODE_S * NODES  # between two reports of a node on one account
ACCOUNTS = 50  # which share the calls evenly; one limit group each

TICK_S, LASTS_S = 0.1, 600.0
ENOUGH = 0.97  # of the flow that only models bound
MOST_ROUNDS = 100


class Cost(NamedTuple):
    """What one thing takes of one server.

    Attributes:
        what: the thing.
        us: microseconds.
        source: where that was measured.
    """

    what: str
    us: float
    source: str


COSTS = {
    "message": Cost("message in the work queue", 78.0, "durable asks, 1,000 at once: 12,800/s"),
    "beat": Cost("heart-beat", 27.0, "plain asks, 1,000 at once: 37,000/s"),
    "report": Cost("report and reply", 65.0, "cluster_admission: the authority's CPU"),
    "grant": Cost("call granted", 20.0, "likewise, beside that of its report"),
    "row": Cost("row of the journal", 34.7, "fenced batches of 100: 28,800/s"),
    "span": Cost("span in the spool", 9.0, "encoded and written, one core of a node"),
    "run": Cost("run of 2 calls and a tool", 2_271.0, "everything on, one core of a node"),
}


@dataclass(frozen=True, slots=True)
class Station:
    """What does one part of the work of a call.

    Attributes:
        name: what it is.
        split_by: what its shards have one of each.
        call_us: what one call takes of it.
        idle_us: what a second takes of all its shards together, whatever gets done.
        servers: how many shards it has.
    """

    name: str
    split_by: str
    call_us: float
    idle_us: float = 0.0
    servers: int = 1

    def capacity(self, seconds: float) -> float:
        """Return how many calls it can do in so long."""
        return max(0.0, (self.servers - self.idle_us / 1e6) * seconds * 1e6 / self.call_us)

    def used(self, calls_a_second: float) -> float:
        """Return the part of its servers that so many calls take; above 1 is too much."""
        return (self.idle_us + calls_a_second * self.call_us) / 1e6 / self.servers


def stations() -> tuple[Station, ...]:
    """Return what a cluster is made of, one server each but for the nodes and the accounts."""
    us = {name: cost.us for name, cost in COSTS.items()}
    reports = ACCOUNTS * NODES / REPORT_S * us["report"]
    beats = RUNS / HEART_BEAT_S * us["beat"]
    return (
        Station("bodies", "node", us["run"] / 2, servers=NODES),
        Station("work queue", "stream", MESSAGES / CALLS * us["message"], beats),
        Station("authority", "account", us["grant"], reports, servers=ACCOUNTS),
        Station("journal", "database", ROWS / CALLS * us["row"]),
        Station("spool", "node", SPANS / CALLS * us["span"], servers=NODES),
    )


class Flow(NamedTuple):
    """What came of a simulation.

    Attributes:
        calls_a_second: done, at its end.
        queues: calls that wait at each station, at its end.
    """

    calls_a_second: float
    queues: dict[str, float]


def simulate(parts: tuple[Station, ...]) -> Flow:
    """Let the population flow, and return what its last tick was like."""
    ticks = round(CALL_S / TICK_S)
    thinking = deque([RUNS / ticks] * ticks)
    queues = dict.fromkeys((part.name for part in parts), 0.0)
    done = 0.0
    for _ in range(round(LASTS_S / TICK_S)):
        done = thinking.popleft()
        for part in parts:
            queues[part.name] += done
            done = min(queues[part.name], part.capacity(TICK_S))
            queues[part.name] -= done
        thinking.append(done)
    return Flow(done / TICK_S, queues)


def split(parts: tuple[Station, ...]) -> tuple[Station, ...]:
    """Return the same stations with as many servers as let all calls through."""
    wanted = RUNS / CALL_S
    for _ in range(MOST_ROUNDS):
        flow = simulate(parts)
        if flow.calls_a_second >= ENOUGH * wanted:
            return parts
        full = max(flow.queues, key=lambda name: flow.queues[name])
        parts = tuple(
            replace(part, servers=int(part.servers * part.used(wanted)) + 1)
            if part.name == full
            else part
            for part in parts
        )
    raise RuntimeError(f"{full} stays full with {parts}")


def table() -> list[str]:
    """Return what is to be told, as lines of Markdown."""
    first, wanted = stations(), RUNS / CALL_S
    last = split(first)
    before, after = simulate(first), simulate(last)
    lines = [
        "| what | one takes | measured as |",
        "|---|--:|---|",
        *(f"| {cost.what} | {cost.us:,.1f} us | {cost.source} |" for cost in COSTS.values()),
        "",
        f"{NODES:,} nodes, {RUNS:,} runs at once, {wanted:,.0f} calls/s over {ACCOUNTS} accounts:",
        "",
        "| station | one for each | servers | used | then waits there | servers needed | used |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for old, new in zip(first, last, strict=True):
        lines.append(
            f"| {old.name} | {old.split_by} | {old.servers:,} | {old.used(wanted):,.0%}"
            f" | {before.queues[old.name]:,.0f} | {new.servers:,} | {new.used(wanted):,.0%} |"
        )
    one = (1e6 - NODES / REPORT_S * COSTS["report"].us) / COSTS["grant"].us
    flows = f"{before.calls_a_second:,.0f} calls/s, split so {after.calls_a_second:,.0f}"
    return [*lines, "", f"Unsplit {flows}; one authority grants {one:,.0f} a second at most."]


def run(rounds: int, scale: float) -> list[dict[str, Any]]:
    """Print the tables and return them; the arguments of the other benches change nothing here."""
    del rounds, scale
    print()
    print(*table(), sep="\n")
    return [{"lines": table()}]
