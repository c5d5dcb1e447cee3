"""What ``nodes`` does: ask a cluster who is there, and a node to leave."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from runtime.cli.machines import cluster_of
from runtime.cli.node_table import page_of
from runtime.cli.streams import emit, emit_json, say
from runtime.engines.cluster.roster import roster
from runtime.errors import ConfigurationError, UnknownName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.cli.machines import Machines
    from runtime.engines.cluster.members import Sighted
    from runtime.engines.cluster.settings import ClusterSettings

LOOK_S = 1.0


def list_nodes(machines: Machines, *, as_json: bool) -> None:
    """Print the nodes of a cluster.

    Args:
        machines: where the cluster is.
        as_json: print a list of objects instead of a table.

    Raises:
        ConfigurationError: there is no such cluster, or it does not answer.
    """
    settings = cluster_of(machines)
    found = anyio.run(_nodes, settings)
    if as_json:
        emit_json([node.as_json() for node in found])
    elif found:
        emit(page_of(found))
    else:
        say(f"no node in {settings}; python -m runtime up is one")


async def _nodes(settings: ClusterSettings) -> list[Sighted]:
    async with roster(settings) as there:
        return await there.nodes()


def watch_nodes(machines: Machines) -> None:
    """Show the nodes of a cluster on the terminal until Ctrl-C; one that was there stays shown.

    Raises:
        ConfigurationError: there is no such cluster.
        KeyboardInterrupt: at Ctrl-C.
    """
    anyio.run(_watch, cluster_of(machines))


async def _watch(settings: ClusterSettings) -> None:
    from runtime.cli.live_text import LiveText  # noqa: PLC0415  # rich: only for a terminal

    seen = Seen(str(settings))
    async with roster(settings, seen.changed) as there, LiveText().shown(seen.page):
        while True:
            try:
                found = await there.nodes()
            except ConfigurationError:  # they are away; what was seen gets older
                found = []
            seen.take(found, anyio.current_time())
            await anyio.sleep(LOOK_S)


class Seen:
    """Nodes as they were seen over some time; those that have not left in order are down.

    Args:
        title: what they are nodes of.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._is_there = True
        self._nodes: dict[str, tuple[Sighted, float]] = {}

    def changed(self, is_there: bool) -> None:
        """Note whether the servers are there."""
        self._is_there = is_there

    def take(self, found: Sequence[Sighted], now: float) -> None:
        """Note who is there."""
        gone = {
            name: (replace(node, age_s=node.age_s + now - at), now)
            for name, (node, at) in self._nodes.items()
            if node.member.duty == "up"
        }
        self._nodes = gone | {node.member.id: (node, now) for node in found}

    def page(self) -> str:
        """Return them as a table."""
        away = "" if self._is_there else ": no server of NATS answers"
        nodes = [node for node, _ in self._nodes.values()]
        return f"{self._title}{away}\n{page_of(nodes) if nodes else 'no node'}"


def drain_node(machines: Machines, name: str) -> None:
    """Ask a node to leave, and say what it answers.

    Args:
        machines: where the cluster is.
        name: the node's id, or the beginning of it.

    Raises:
        UnknownName: there is no such node, or several.
        ConfigurationError: there is no such cluster, or the node does not answer.
    """
    say(anyio.run(_drain, cluster_of(machines), name))


async def _drain(settings: ClusterSettings, name: str) -> str:
    async with roster(settings) as there:
        node = _the_one(name, [each.member.id for each in await there.nodes()], settings)
        answer = await there.drain(node)
        if answer is None:
            raise ConfigurationError(
                f"node {node} does not answer; `nodes` shows whether it is there still"
            )
        return f"node {node} {answer}"


def _the_one(name: str, found: Sequence[str], settings: ClusterSettings) -> str:
    meant = [node for node in found if node == name] or [
        node for node in found if node.startswith(name)
    ]
    if len(meant) == 1:
        return meant[0]
    some = ", ".join(meant or found) or "none"
    what = "several nodes begin with" if meant else "no node is called"
    raise UnknownName(f"{what} {name!r} in {settings}; there are: {some}")
