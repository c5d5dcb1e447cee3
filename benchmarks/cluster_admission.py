"""The limits of one account over processes of a cluster: what that costs a call, and what it gives.

*Leases*: a process makes calls to a server without delay, by itself and as a node of a cluster
whose limits it never reaches; the difference is what reports, grants and records cost, those of the
authority included, which is the same process. *One limit*: three nodes want more than the account
may. The server counts by a token bucket and says nothing of its limits; what was sent and refused
is what it counted. *Share* is the part of the limit that was used, *fairness* the calls of the run
that got least while all waited, by those of the run that got most.

It starts a NATS server of its own; where its program is missing, only the authority is measured.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.authority_costs import costs
from benchmarks.chat_server import served
from tests.cluster_caller import callers
from tests.nats_server import nats_server, new_name
from tests.simulated import simulator_process

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.cluster_caller import Made
    from tests.nats_server import NatsServer

CALLS, AT_ONCE, WARM = 5_000, 100, 500
WIDE = {"rpm": 6_000_000, "tpm": 600_000_000, "share": 1.0, "concurrency_start": None}
RPM, BURST_S, NODES, CALLS_A_NODE = 6_000, 3.0, 3, 600
ONE_LIMIT = {"rpm": RPM, "share": 1.0, "concurrency": 200, "concurrency_start": None}
SCENARIO = {
    "defaults": {
        "limits": {"rpm": RPM, "burst": BURST_S},
        "limit_headers": False,
        "latency": 0.1,
    }
}


def run(rounds: int, scale: float) -> list[dict[str, Any]]:
    """Print both tables and return them.

    Args:
        rounds: how often each contender has its turn; 1 or more.
        scale: the calls, as a share of the usual number.
    """
    authority = costs(rounds)
    if shutil.which("nats-server", path="/usr/sbin:/usr/local/bin:/usr/bin") is None:
        print("\nprocesses of a cluster are not measured: there is no nats-server")
        return [authority]
    with nats_server() as server:
        return [authority, _leases(server, rounds, scale), _one_limit(server, rounds, scale)]


def _leases(server: NatsServer, rounds: int, scale: float) -> dict[str, Any]:
    calls = max(AT_ONCE, int(CALLS * scale))
    print(f"\nleases, {calls:,} calls, {AT_ONCE} at once: medians of {rounds} rounds in turn")
    print(f"{'':24}{'CPU us a call':>14}{'calls/s':>10}")
    turns: dict[str, list[Made]] = {"by itself": [], "in a cluster": []}
    with served() as url:
        work = {"server": f"{url}/0", "limits": WIDE, "at_once": AT_ONCE, "warm": WARM}
        for _ in range(rounds):
            for name, made in turns.items():
                cluster = {"nats": server.url, "name": new_name()} if name != "by itself" else {}
                with callers({**work, **cluster, "runs": {"r": calls}}) as (process,):
                    process.go()
                    made.append(process.made())
    rows = {}
    for name, made in turns.items():
        cpu_us = statistics.median(each.cpu_s / calls * 1e6 for each in made)
        per_s = statistics.median(calls / each.wall_s for each in made)
        print(f"{name:24}{cpu_us:14,.1f}{per_s:10,.0f}")
        rows[name] = {"cpu_us": cpu_us, "per_second": per_s}
    more = rows["in a cluster"]["cpu_us"] - rows["by itself"]["cpu_us"]
    print(f"{'grants, reports, records':24}{more:14,.1f}")
    return {"leases": rows, "lease_cpu_us": more}


def _one_limit(server: NatsServer, rounds: int, scale: float) -> dict[str, Any]:
    calls = max(60, int(CALLS_A_NODE * scale))
    print(f"\none limit of {RPM:,} a minute, {NODES} nodes with {calls:,} calls each, in rounds")
    print(f"{'sent':>8}{'refused':>10}{'in a second':>13}{'share':>8}{'fairness':>10}")
    rows = []
    for _ in range(rounds):
        rows.append(_round(server, calls))
        row = rows[-1]
        print(
            f"{row['sent']:8,}{row['refused']:10,}{row['most_in_a_second']:13,}"
            f"{row['share']:8.2f}{row['fairness']:10.2f}"
        )
    return {"one limit": rows}


def _round(server: NatsServer, calls: int) -> dict[str, Any]:
    name = new_name()
    with (
        tempfile.TemporaryDirectory() as folder,
        simulator_process(SCENARIO, folder=Path(folder)) as simulated,
    ):
        work = {"nats": server.url, "name": name, "server": simulated.url, "limits": ONE_LIMIT}
        runs = [{**work, "runs": {f"run {number}": calls}} for number in range(NODES)]
        with callers(*runs) as processes:
            for process in processes:
                process.go()
            answered = _together([process.made() for process in processes])
        seen = simulated.seen()
    return {
        "sent": seen.all.requests,
        "refused": sum(seen.refused.values()),
        "most_in_a_second": seen.all.max_in_1s,
        **_shares(answered),
    }


def _together(made: list[Made]) -> dict[str, list[float]]:
    return {run: times for each in made for run, times in each.answered.items()}


def _shares(answered: Mapping[str, list[float]]) -> dict[str, float]:
    """Return the part of the limit that was used while all wanted it, and how evenly."""
    began = min(times[0] for times in answered.values())
    first_over = min(times[-1] for times in answered.values())
    all_wait = max(times[0] for times in answered.values())
    got = [sum(at <= first_over for at in times) for times in answered.values()]
    shared = [sum(all_wait <= at <= first_over for at in times) for times in answered.values()]
    allowed = RPM / 60 * (first_over - began + 0.75)  # the pace, and the burst that it begins with
    return {"share": sum(got) / allowed, "fairness": min(shared) / max(shared)}
