"""Whether a command is on its own or in a cluster, whose nodes do work and share accounts."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runtime.cli.streams import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.engines.cluster.settings import ClusterSettings
    from runtime.journal.location import Location

ENGINES = ("local", "nats")
NATS = "MAGSAG_NATS"
LOOPBACK = "nats://127.0.0.1:4222"  # what a NATS on this machine listens on, unless told otherwise
ONE_MACHINE = (
    "the journal is a file: nodes on other machines do not see it; share one with"
    " --db postgresql://..."
)


@dataclass(frozen=True, slots=True)
class Machines:
    """What was typed about the cluster that a command joins.

    Attributes:
        engine: ``local`` or ``nats``.
        nats: the addresses of NATS, with commas between them; None where none were typed.
        cluster: the name of the cluster; None where none was typed.
    """

    engine: str
    nats: str | None
    cluster: str | None

    @property
    def address(self) -> str | None:
        """Where NATS is, as typed or as the environment says; None where neither does."""
        return self.nats or os.environ.get(NATS) or None


def settings_of(
    machines: Machines, database: Location | None, *, quiet: bool = False
) -> ClusterSettings | None:
    """Return the cluster that a command joins; None where it is on its own.

    Args:
        machines: what was typed.
        database: where the journal is; None for memory.
        quiet: whether a warning is left out.

    Raises:
        UsageError: an address or a name of a cluster was typed, but no engine that needs it; or
            the journal is one that nobody could share.
        ConfigurationError: something about the cluster makes no sense.
    """
    if machines.engine == "nats":
        return shared(machines, database, quiet=quiet)
    if machines.nats is not None or machines.cluster is not None:
        raise click.UsageError("--nats and --cluster are of --engine nats")
    return None


def shared(machines: Machines, database: Location | None, *, quiet: bool) -> ClusterSettings:
    """Return the cluster whose nodes share a journal; see ``settings_of``."""
    if database is None:
        raise click.UsageError("the nodes of a cluster share a journal, which --db :memory: is not")
    if isinstance(database, Path) and not quiet:
        say(f"warning: {ONE_MACHINE}")
    return cluster_of(machines)


def cluster_of(machines: Machines) -> ClusterSettings:
    """Return the cluster that was typed.

    Raises:
        ConfigurationError: something about it makes no sense.
    """
    from runtime.engines.cluster.settings import (  # noqa: PLC0415  # only where it was asked for
        DEFAULT_NAME,
        cluster_settings,
    )

    name = DEFAULT_NAME if machines.cluster is None else machines.cluster
    return cluster_settings(machines.address or LOOPBACK, os.environ, name)


_NATS_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--nats",
        metavar="URL[,URL...]",
        help=f"The servers of NATS of a cluster. [env: {NATS}; default: {LOOPBACK}]",
    ),
    click.option(
        "--cluster",
        metavar="NAME",
        help="Which cluster there, if several share it. [default: magsag]",
    ),
)


def machine_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--engine``, ``--nats`` and ``--cluster``; the function gets ``machines``."""
    return _with_engine(
        function, "Who does the work: this process, or the nodes of a cluster, see `up`."
    )


def sharing_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the same options to a command that does its work itself, and only shares accounts."""
    return _with_engine(
        function,
        "Who else counts: with nats, what the nodes of a cluster ask of the same accounts; the"
        " calls are made here.",
    )


def _with_engine(function: Callable[..., Any], what: str) -> Callable[..., Any]:
    @functools.wraps(function)
    def gathered(
        *arguments: Any, engine: str, nats: str | None, cluster: str | None, **options: Any
    ) -> Any:
        return function(*arguments, machines=Machines(engine, nats, cluster), **options)

    engine_option = click.option(
        "--engine",
        type=click.Choice(ENGINES),
        envvar="MAGSAG_ENGINE",
        default="local",
        help=f"{what} [env: MAGSAG_ENGINE; default: local]",
    )
    for add in (*reversed(_NATS_OPTIONS), engine_option):
        gathered = add(gathered)
    return gathered


def nats_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--nats`` and ``--cluster`` to a command of a cluster; it gets ``machines``."""

    @functools.wraps(function)
    def gathered(*arguments: Any, nats: str | None, cluster: str | None, **options: Any) -> Any:
        return function(*arguments, machines=Machines("nats", nats, cluster), **options)

    for add in reversed(_NATS_OPTIONS):
        gathered = add(gathered)
    return gathered
