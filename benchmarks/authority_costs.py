"""What an authority's CPU is used for: a report with its reply, a call in it, a record."""

from __future__ import annotations

import statistics
import time
from typing import Any, NamedTuple

import orjson

from providers.cluster.amount import Amount
from providers.cluster.authority import Authority
from providers.cluster.messages import Report, Wish
from runtime.messages import Limits

NODES, FEW, MANY = 1_000, 1, 40  # calls that a node wants in one report
LIMITS = Limits(rpm=6e7, tpm=6e10, share=1.0, concurrency=10_000_000)
WARM_ROUNDS = 2


class Costs(NamedTuple):
    """Microseconds of CPU.

    Attributes:
        report: to take a node's report and to make its reply, without calls in it.
        grant: a call in it.
        record: to make the record of all nodes.
    """

    report: float
    grant: float
    record: float


def costs(rounds: int) -> dict[str, Any]:
    """Measure, print and return them.

    Args:
        rounds: how often; the medians count.
    """
    few, many = _report_us(FEW, rounds), _report_us(MANY, rounds)
    grant = (many[0] - few[0]) / (MANY - FEW)
    found = Costs(few[0] - FEW * grant, grant, many[1])
    print(f"\nauthority, {NODES:,} nodes: medians of {rounds} rounds")
    for name, us in found._asdict().items():
        print(f"{name:24}{us:14,.1f} us")
    return {"authority": found._asdict()}


def _report_us(calls: int, rounds: int) -> tuple[float, float]:
    """Return the CPU of a report that asks for so many calls, and of a record."""
    authority = Authority(1, lambda _: LIMITS, 600.0)
    heard: dict[str, int] = {}
    reports, records = [], []
    for number in range(1, WARM_ROUNDS + rounds + 1):
        now = number * authority.spacing_s
        wires = [_wire(f"node-{node}", number, calls, heard) for node in range(NODES)]
        began = time.process_time()
        replies = []
        for wire in wires:
            authority.hear(Report.from_data(orjson.loads(wire)), now)
            replies += [(n, orjson.dumps(r.as_data())) for n, r in authority.replies(now)]
        asked = time.process_time()
        orjson.dumps(authority.record(now))
        recorded = time.process_time()
        authority.written()
        replies += [(n, orjson.dumps(r.as_data())) for n, r in authority.replies(now)]
        heard.update({name: orjson.loads(reply)[1] for name, reply in replies})
        reports.append((asked - began) / NODES * 1e6)
        records.append((recorded - asked) * 1e6)
    return statistics.median(reports[WARM_ROUNDS:]), statistics.median(records[WARM_ROUNDS:])


def _wire(name: str, number: int, calls: int, heard: dict[str, int]) -> bytes:
    last = heard.get(name, 0)
    uses = {last: Amount(calls, calls * 900, calls * 180)} if last else {}
    ahead = Amount(calls, calls * 1_000, calls * 200)
    wish = Wish("m", ahead=ahead, in_flight=calls * 4, held=calls // 2, uses=uses)
    return orjson.dumps(Report(name, 1, number, last, 0.001, {"m": wish}).as_data())
