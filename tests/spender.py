"""A process that spends an agent's daily budget, for the tests of several of them.

    python -m tests.spender DB LIMIT CALLS [SECONDS]

asks CALLS questions at once under a limit of LIMIT nano-USD, each of which takes SECONDS, once it
reads a line. It writes ``ready`` before that, ``begun`` for each call that begins, and a line of
JSON with what came of it.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio

from runtime import Context, RunOptions, mag, running
from runtime.catalog.policy import Cap
from runtime.errors import BudgetExceeded
from tests.echoes import CENT, FRAME, catalog_of, policy, price, provider
from tests.stores import open_at

if TYPE_CHECKING:
    from runtime.journal import Record

ALLOWANCE = 500
WORST = (4 + FRAME + ALLOWANCE) * CENT  # a byte each, what frames them, the allowance


@mag
async def spender(ctx: Context, calls: int) -> dict[str, int]:
    """Ask everything at once, and count what came of it."""
    came: Counter[str] = Counter()

    async def one(number: int) -> None:
        try:
            await ctx.ask(f"{number:04}", max_output_tokens=ALLOWANCE)
            came["answered"] += 1
        except BudgetExceeded as error:
            came["refused" if error.scope.startswith("agent spender, ") else error.scope] += 1

    async with anyio.create_task_group() as tasks:
        for number in range(calls):
            tasks.start_soon(one, number)
    return dict(came)


def limited(limit: int, seconds: float) -> Any:
    """Return a catalog whose agent may spend so much in a day."""
    rule = policy("daily", caps=(Cap("agent", "day", (("spender", limit),)),))
    home = provider(
        "echo-1", options={"latency_s": seconds, "jitter_s": seconds, "reply": "word " * ALLOWANCE}
    )
    return catalog_of({"home": home}, prices={"home/echo-1": price()}, policies=(rule,))


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201  # whoever started this reads it


def _hear(record: Record) -> None:
    if record.kind == "invocation_started":
        _say("begun")


async def main(where: str, limit: int, calls: int, seconds: float) -> None:
    journal = await open_at(where)
    async with running(limited(limit, seconds), journal=journal, environ={}) as system:
        _say("ready")
        await anyio.to_thread.run_sync(sys.stdin.readline)
        outcome = await system.run(spender, calls, RunOptions(listener=_hear))
    _say(json.dumps(outcome.output if outcome.ok else outcome.error))


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
