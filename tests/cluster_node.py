"""A node of a cluster as a process of its own, which tests kill, stop and start again.

``python -m tests.cluster_node URL NAME DATABASE FOLDER`` serves until it is ended, and says so with
a line. Its agents leave traces in the folder: who holds on where, and each effect of a skill; one
that holds on does so until the folder has a file ``go``. Its environment may name a model server to
ask instead of ``echo-1``, options of its journal as JSON, and say that what it delegates is done
near and not spread.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from runtime import Context, mag, running, sag, skill
from runtime.agent import Limits
from tests.clustering import settings_of
from tests.echoes import at, catalog_of, price, provider
from tests.stores import open_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime import Agent
    from runtime.catalog import Catalog

ROOT = Path(__file__).parents[1]
PATIENCE_S = 60.0
FOLDER = "MAGSAG_TEST_FOLDER"
SERVER = "MAGSAG_TEST_SERVER"
JOURNAL = "MAGSAG_TEST_JOURNAL"
NEAR = "MAGSAG_TEST_NEAR"


def folder() -> Path:
    return Path(os.environ[FOLDER])


@skill(inline=True)
def measure(text: str) -> int:
    """Measure a text, and leave a trace of it."""
    with (folder() / "effects").open("a") as file:
        file.write(f"{text}\n")
    return len(text)


async def hold(name: str) -> None:
    """Tell which process is here, and stay until the test lets all go."""
    (folder() / f"{name}.held").write_text(str(os.getpid()))
    while not (folder() / "go").exists():  # noqa: ASYNC110  # another process makes it
        await anyio.sleep(0.02)


@sag
async def leaf(ctx: Context, number: int) -> int:
    """Do something, and hold on."""
    size = await ctx.use(measure, f"before {number}")
    await ctx.ask(f"leaf {number}")
    await hold(f"leaf-{number}")
    return size + await ctx.use(measure, f"after {number}")


@mag
async def chief(ctx: Context, count: int) -> int:
    """Fan out, and hold on at the end."""
    await ctx.use(measure, "begun")
    sizes = [r.unwrap() for r in await ctx.fan_out(leaf, [*range(count)])]
    await ctx.use(measure, "ended")
    return sum(sizes)


@mag
async def holder(ctx: Context, count: int) -> int:
    """Delegate, and hold on afterwards."""
    (folder() / "go").unlink(missing_ok=True)
    sizes = [r.unwrap() for r in await ctx.fan_out(quick, [*range(count)])]
    await hold("holder")
    return sum(sizes)


@sag
async def quick(ctx: Context, number: int) -> int:
    """Do something at once."""
    await ctx.ask(f"quick {number}")
    return await ctx.use(measure, f"quick {number}")


AGENTS: dict[Agent, Limits] = dict.fromkeys((chief, holder, leaf, quick), Limits(concurrency=4))


def catalog() -> Catalog:
    server = os.environ.get(SERVER)
    home = provider("echo-1") if server is None else at(f"{server}/v1", "echo-1")
    return catalog_of({"home": home}, prices={"home/echo-1": price()})


async def serve(url: str, name: str, database: str) -> None:
    journal = await open_at(database, **json.loads(os.environ.get(JOURNAL, "{}")))
    settings = settings_of(url, name)
    async with running(catalog(), environ={}, journal=journal, cluster=settings) as system:
        for agent, limits in AGENTS.items():
            system.directory.add_agent(agent, limits)
        await system.serve(spread=NEAR not in os.environ)
        print("serves", flush=True)  # noqa: T201  # for the test that has started it
        await anyio.sleep_forever()


class Traces:
    """What the agents of all nodes have left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def holder(self, name: str) -> int:
        """Wait until a body holds on, and return the process that it is in."""
        file = self.folder / f"{name}.held"
        end = time.monotonic() + PATIENCE_S
        while not (file.exists() and file.read_text()):
            assert time.monotonic() < end, f"{name} is nowhere"
            time.sleep(0.02)  # noqa: TID251  # for another process
        return int(file.read_text())

    def go(self) -> None:
        (self.folder / "go").touch()

    def effects(self) -> Counter[str]:
        file = self.folder / "effects"
        return Counter(file.read_text().splitlines() if file.exists() else ())


@contextmanager
def nodes(
    url: str, name: str, database: str, folder: Path, count: int = 3
) -> Iterator[dict[int, subprocess.Popen[str]]]:
    """Start nodes, and yield them by their processes; those that live at the end are killed."""
    with nodes_at([(url, database)] * count, name, folder) as started:
        yield started


@contextmanager
def nodes_at(
    places: list[tuple[str, str]], name: str, folder: Path, **environ: str
) -> Iterator[dict[int, subprocess.Popen[str]]]:
    """Start nodes that each find NATS and the database at places of their own; see ``nodes``."""
    command = [sys.executable, "-m", "tests.cluster_node"]
    own: Any = {**os.environ, FOLDER: str(folder), **environ}
    started = [
        subprocess.Popen(
            [*command, url, name, database], cwd=ROOT, env=own, stdout=subprocess.PIPE, text=True
        )
        for url, database in places
    ]
    try:
        for node in started:
            assert node.stdout is not None
            assert node.stdout.readline() == "serves\n"
        yield {node.pid: node for node in started}
    finally:
        for node in started:
            node.kill()
            node.communicate()


if __name__ == "__main__":
    anyio.run(serve, *sys.argv[1:])
