"""A node that makes model calls, as a process of its own.

``python -m tests.cluster_caller SETTINGS`` joins a cluster, says ``ready``, waits for a line, makes
its calls, and says when each of them was answered. Without a cluster it is a process by itself.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
import anyio.to_thread

from runtime import running
from runtime.engines.cluster.settings import cluster_settings
from runtime.messages import Limits, Message, ModelRequest, ProviderProfile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runtime.system import System

ROOT = Path(__file__).parents[1]
ACCOUNT = "shared"


class Made(NamedTuple):
    """What one process has done.

    Attributes:
        answered: when each call was answered, by run, in seconds of the machine's clock.
        failed: how many calls ended by which error.
        cpu_s: its CPU for all of them.
        wall_s: from the first to the last.
    """

    answered: Mapping[str, list[float]]
    failed: Mapping[str, int]
    cpu_s: float
    wall_s: float


async def main(settings: dict[str, Any]) -> None:
    """Make the calls that the settings name: ``{run: how many}``."""
    nats = settings["nats"]
    cluster = None if nats is None else cluster_settings(nats, {}, settings["name"])
    profile = ProviderProfile(
        name=ACCOUNT,
        dialect="openai_chat",
        base_url=f"{settings['server']}/v1",
        api_key="k",
        limits={"*": Limits(**settings["limits"])},
    )
    async with running(environ={}, cluster=cluster) as system:
        system.accounts.add(profile)
        print("ready", flush=True)  # noqa: T201  # for whoever has started it
        await anyio.to_thread.run_sync(sys.stdin.readline)
        if settings["warm"]:
            await calls(system, {"warm": settings["warm"]}, settings["at_once"])
        made = await calls(system, settings["runs"], settings["at_once"])
        print(json.dumps(made._asdict()), flush=True)  # noqa: T201  # likewise


async def calls(system: System, runs: Mapping[str, int], at_once: int) -> Made:
    answered: dict[str, list[float]] = {run: [] for run in runs}
    failed: Counter[str] = Counter()
    limiter = anyio.CapacityLimiter(at_once)

    async def one(run: str) -> None:
        async with limiter:
            try:
                await system.accounts.ask(a_request(run)).reply()
            except Exception as error:  # noqa: BLE001  # it is told
                failed[type(error).__name__] += 1
            else:
                answered[run].append(time.monotonic())

    cpu_s, began = time.process_time(), time.monotonic()
    async with anyio.create_task_group() as tasks:
        for run, count in runs.items():
            for _ in range(count):
                tasks.start_soon(one, run)
    return Made(answered, failed, time.process_time() - cpu_s, time.monotonic() - began)


def a_request(run: str) -> ModelRequest:
    return ModelRequest(
        provider=ACCOUNT,
        account=ACCOUNT,
        model="m",
        messages=(Message("user", "Say it."),),
        run_id=run,
        max_output_tokens=20,
    )


class Caller:
    """One such process."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        usual = {"nats": None, "name": "", "at_once": 1_000_000, "warm": 0}
        command = [sys.executable, "-m", "tests.cluster_caller", json.dumps({**usual, **settings})]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def wait_until_ready(self) -> None:
        assert self._line() == "ready\n"

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def made(self) -> Made:
        return Made(**json.loads(self._line()))


@contextmanager
def callers(*settings: Mapping[str, Any]) -> Iterator[list[Caller]]:
    """Start processes that are ready to call; those that live at the end are killed."""
    started = [Caller(each) for each in settings]
    try:
        for caller in started:
            caller.wait_until_ready()
        yield started
    finally:
        for caller in started:
            caller.process.kill()
            caller.process.communicate()


if __name__ == "__main__":
    anyio.run(main, json.loads(sys.argv[1]))
