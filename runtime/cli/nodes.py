"""``nodes``: who is in a cluster, and how one is asked to leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from runtime.cli.machines import nats_options
from runtime.cli.options import debug_option, json_option

if TYPE_CHECKING:
    from runtime.cli.machines import Machines

NODES_HELP = """List the nodes of a cluster, with what they do.

\b
A node is
  up        it takes work
  draining  it takes nothing new, and leaves when what it has has ended, or goes on elsewhere
  suspect   it has not been heard of for five seconds
  down      it has not been heard of for ten; others go on with what it had

--live shows them until Ctrl-C. --json prints a list of objects: id, state, age_s, host, pid,
version, code, duty, started_at, agents {name: {running, waiting, capacity}}, runs, calls,
delegations, calls_per_s, delegations_per_s, grants {account: {held, is_authority}}: the requests
that it may start, of accounts whose limits the nodes share.

--drain asks a node to leave, by its id or the beginning of it, and returns when it has said that it
does.

Exit codes: 0; 1 there is no such cluster or node.
"""


@debug_option
@click.command(help=NODES_HELP)
@nats_options
@click.option("--drain", metavar="ID", help="Ask this node to leave.")
@click.option("--live", is_flag=True, help="Show them until Ctrl-C.")
@json_option
def nodes(machines: Machines, drain: str | None, *, live: bool, as_json: bool) -> int:
    """List nodes, or ask one to leave; see ``NODES_HELP``."""
    if sum((drain is not None, live, as_json)) > 1:
        raise click.UsageError("--drain, --live and --json exclude each other")
    from runtime.cli.node_list import drain_node, list_nodes, watch_nodes  # noqa: PLC0415  # likewise

    if drain is not None:
        drain_node(machines, drain)
    elif live:
        watch_nodes(machines)
    else:
        list_nodes(machines, as_json=as_json)
    return 0
