"""A process that owns a run by a short lease: ``python -m tests.lease_holder DB RUN EFFECTS``.

It runs five naps, the third a long one, and says on stdout what came of it; with ``--resume`` it
goes on with the run instead.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import anyio

from runtime import Context, RunOptions, mag, running, skill
from runtime.errors import RuntimeFault
from tests.stores import open_at

LEASE_S = 1.0
LONG_S = 0.5
EFFECTS: list[Path] = []


@skill
def nap(number: int) -> int:
    """Sleep, and leave a trace of it."""
    with EFFECTS[0].open("a") as file:
        file.write(f"{number}\n")
    time.sleep(LONG_S if number == 3 else 0.0)  # noqa: TID251  # a thread
    return number


@mag
async def naps(ctx: Context) -> list[int]:
    """Take five naps."""
    return [await ctx.use(nap, number) for number in range(1, 6)]


async def take_naps(db: str, run: str, effects: Path, *, resume: bool) -> dict[str, Any]:
    """Run, or go on, and return what came of it."""
    EFFECTS[:] = [effects]
    journal = await open_at(db, lease_s=LEASE_S)
    try:
        async with running(agents=(naps,), environ={}, journal=journal) as system:
            if resume:
                outcome = await system.resume(run)
            else:
                options = RunOptions(run_id=run, durability="strict")
                outcome = await system.run(naps, None, options)
    except RuntimeFault as error:
        return {"refused": f"{type(error).__name__}: {error}"}
    return outcome.as_json()


if __name__ == "__main__":
    given = (sys.argv[1], sys.argv[2], Path(sys.argv[3]))
    said = anyio.run(lambda: take_naps(*given, resume="--resume" in sys.argv))
    sys.stdout.write(json.dumps(said))
