"""``up``: be a node of a cluster."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runtime.cli.machines import nats_options
from runtime.cli.options import (
    Positive,
    Session,
    catalog_option,
    db_option,
    debug_option,
    loudness_options,
)

if TYPE_CHECKING:
    from decimal import Decimal

UP_HELP = """Be a node of a cluster: the home of runs, and at work on what others delegate.

All nodes of a cluster share a journal, which holds the truth, and the servers of NATS, which carry
work and answers. Where no --nats is named and none listens on this machine, a nats-server is
started on loopback, and ends with this node. Nodes read one catalog each, and it should be the same
one; `nodes` shows whose code differs.

\b
One machine, then three:
  python -m runtime up
  python -m runtime run --engine nats hello
  python -m runtime up --nats nats://one:4222,nats://two:4222 --db postgresql://magsag@db/magsag

The first Ctrl-C or SIGTERM drains the node: it takes nothing new, what it has begun may end for
--grace seconds, and the rest goes on at other nodes, from the records. The second one kills it.
Nothing is lost either way. TLS and credentials of NATS: an address tls://..., MAGSAG_NATS_CA,
MAGSAG_NATS_CERT and MAGSAG_NATS_KEY, MAGSAG_NATS_CREDS, or user:password@ in the address.
"""


@debug_option
@click.command(help=UP_HELP)
@nats_options
@db_option
@catalog_option
@click.option(
    "--agents",
    metavar="NAME[,NAME...]",
    help="What it serves. [default: all agents of the catalog]",
)
@click.option(
    "--capacity",
    type=click.IntRange(min=1),
    help="How many bodies of each agent run here at once, at most. [default: as the catalog says]",
)
@click.option(
    "--spread",
    is_flag=True,
    help="Let whichever node is first do what a body here delegates. [default: it is done here"
    " while there is room, by other nodes beyond that]",
)
@click.option(
    "--grace",
    type=Positive("SECONDS"),
    default="30",
    help="What has begun gets so long to end when the node is drained. [default: 30]",
)
@click.option(
    "--alive",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Touch this file every few seconds until the node has left, for probes.",
)
@loudness_options(quiet="Log nothing but errors.")
@click.pass_obj
def up(
    session: Session, /, agents: str | None, capacity: int | None, grace: Decimal, **choices: Any
) -> int:
    """Be a node; see ``UP_HELP``."""
    from runtime.cli.serving import Service, serve  # noqa: PLC0415  # 0.4 s, not for --help

    names = None if agents is None else tuple(filter(None, map(str.strip, agents.split(","))))
    if names == ():
        raise click.UsageError(f"--agents {agents!r} names no agent; leave it out to serve all")
    return serve(
        Service(
            session=session,
            agents=names,
            capacity=capacity,
            grace_s=float(grace),
            live=sys.stderr.isatty() and not choices["quiet"],
            **choices,
        )
    )
