"""What ``up`` does: join a cluster, serve until somebody wants the node to leave, and drain it."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from runtime.cli.interrupts import Interrupts
from runtime.cli.logs import log_to
from runtime.cli.machines import shared
from runtime.cli.node_table import busy, line_of
from runtime.cli.opening import opened
from runtime.cli.places import catalog_folder, journal_location, kept_in
from runtime.cli.streams import prints_to_stderr, say
from runtime.cli.text import plural
from runtime.engines.cluster.local_server import is_answered, local_server
from runtime.errors import ConfigurationError
from runtime.launch import running
from runtime.workspace import check_workspace, open_catalog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from runtime.cli.live_text import LiveText
    from runtime.cli.machines import Machines
    from runtime.cli.options import Session
    from runtime.engines.cluster.members import Member
    from runtime.engines.cluster.membership import Membership
    from runtime.engines.cluster.settings import ClusterSettings
    from runtime.journal.location import Location

TOUCH_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What ``up`` was asked to do.

    Attributes:
        session: the call of the command line.
        machines: where the cluster is.
        db: what ``--db`` says.
        catalog: what ``--catalog`` says.
        agents: what the node serves; None for all.
        capacity: how many bodies of each agent run at once at most; None as the catalog says.
        spread: whether what bodies here delegate is for whichever node is the first.
        grace_s: what has begun gets so long to end when the node is drained.
        alive: a file to be touched until the node has left; None for none.
        quiet: whether only errors are wanted.
        verbose: whether the log of what goes well is wanted.
        live: whether a line is to be shown that tells what the node does.
    """

    session: Session
    machines: Machines
    db: str | None
    catalog: Path | None
    agents: tuple[str, ...] | None
    capacity: int | None
    spread: bool
    grace_s: float
    alive: Path | None
    quiet: bool
    verbose: bool
    live: bool


def serve(service: Service) -> int:
    """Be a node until somebody wants it to leave, and return the exit code.

    Raises:
        RuntimeFault: it could not begin, or the journal could not be written.
    """
    with prints_to_stderr():
        anyio.run(_serve, service)
    return 0


async def _serve(service: Service) -> None:
    screen = _screen() if service.live else None
    log_to(
        None if screen is None else screen.log,
        service.session,
        verbose=service.verbose,
        quiet=service.quiet,
    )
    check_workspace()
    catalog = open_catalog(catalog_folder(service.catalog, Path.cwd()))
    database = journal_location(service.db, os.environ, Path.cwd())
    interrupts = Interrupts("draining")
    async with (
        interrupts.watched(),
        _settings(service, database) as settings,
        opened(database) as journal,
        running(catalog, journal=journal, cluster=settings) as system,
    ):
        node = await system.serve(service.agents, service.capacity, spread=service.spread)
        _introduce(node.member(), settings, database, service)
        async with _touched(service.alive):
            with interrupts.scope:
                async with _shown(node, screen):
                    await node.asked.wait()
            _say(service, f"it leaves; {busy(node.member())} may end, for {service.grace_s:g} s")
            left = await system.drain(service.grace_s)
        _say(service, f"left; {plural(left, 'run')} to go on elsewhere" if left else "left")


def _shown(node: Membership, screen: LiveText | None) -> AbstractAsyncContextManager[None]:
    """Tell people what the node does, while the block lasts."""
    return nullcontext() if screen is None else screen.shown(lambda: line_of(node.member()))


@asynccontextmanager
async def _touched(file: Path | None) -> AsyncIterator[None]:
    """Tell whoever probes it that the node is at work, while the block lasts."""
    if file is None:
        yield
        return
    _first_touch(file)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_touch, file)
        try:
            yield
        finally:
            tasks.cancel_scope.cancel()


def _first_touch(file: Path) -> None:
    try:
        file.touch()
    except OSError as error:
        raise ConfigurationError(
            f"--alive {file} cannot be touched: {error.strerror or error}; name a file in a folder"
            " that is there and may be written to"
        ) from error


async def _touch(file: Path) -> None:
    """Touch a file again and again; one that is old says that the event loop does not turn."""
    while True:
        await anyio.sleep(TOUCH_S)
        with suppress(OSError):  # who probes it sees that it is old
            await anyio.Path(file).touch()


@asynccontextmanager
async def _settings(service: Service, database: Location | None) -> AsyncIterator[ClusterSettings]:
    """Yield the cluster, with a NATS of its own where there is none."""
    settings = shared(service.machines, database, quiet=service.quiet)
    if service.machines.address is not None or is_answered():
        yield settings
        return
    folder = kept_in(os.environ, Path.cwd()) / "nats"
    async with local_server(folder) as address:
        _say(service, f"started nats-server at {address}, which ends with this node; see {folder}")
        yield settings


def _introduce(
    member: Member, settings: ClusterSettings, database: Location | None, service: Service
) -> None:
    """Say what the node is, and how others come to it."""
    _say(service, f"node {member.id} of {settings}")
    _say(service, f"journal {database}")
    _say(service, f"serves {plural(len(member.agents), 'agent')}: {', '.join(member.agents)}")
    where = f"--nats {settings.servers} --cluster {settings.name} --db {database}"
    _say(service, f"another node: python -m runtime up {where}")
    _say(service, f"a run: python -m runtime run --engine nats {where} NAME")


def _say(service: Service, line: str) -> None:
    if not service.quiet:
        say(line)


def _screen() -> LiveText:
    from runtime.cli.live_text import LiveText  # noqa: PLC0415  # rich: only for a terminal

    return LiveText()
