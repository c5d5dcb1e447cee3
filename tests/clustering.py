"""Clusters of the tests' own: nodes in this process, a real NATS, one Store."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from runtime import running
from runtime.engines.cluster.settings import ClusterSettings, cluster_settings
from tests.stores import open_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from otel import Tracing
    from runtime import Agent
    from runtime.agent import Limits
    from runtime.catalog import Catalog
    from runtime.system import System

QUEUE_BYTES = 8 << 20
ACK_WAIT_S = 1.5  # a node that dies is not missed for long


def settings_of(url: str, name: str) -> ClusterSettings:
    return replace(cluster_settings(url, {}, name), ack_wait_s=ACK_WAIT_S, queue_bytes=QUEUE_BYTES)


@asynccontextmanager
async def member(
    settings: ClusterSettings,
    where: str,
    agents: Mapping[Agent, Limits],
    *,
    catalog: Catalog | None = None,
    tracing: Tracing | None = None,
    serves: bool,
    spread: bool = True,
) -> AsyncIterator[System]:
    """Yield a member of a cluster: a node that serves, or a client.

    Nodes spread what they delegate, unless told otherwise: a test that asks two or three times
    would see nothing but its home.
    """
    journal = await open_at(where)
    async with running(
        catalog, environ={}, journal=journal, cluster=settings, tracing=tracing
    ) as system:
        for agent, limits in agents.items():
            system.directory.add_agent(agent, limits)
        if serves:
            await system.serve(spread=spread)
        yield system


@asynccontextmanager
async def cluster(
    settings: ClusterSettings,
    where: str,
    agents: Mapping[Agent, Limits],
    *,
    catalog: Catalog | None = None,
    nodes: int = 2,
    spread: bool = True,
) -> AsyncIterator[System]:
    """Yield a client of a cluster whose nodes are in this process."""
    async with AsyncExitStack() as stack:
        for number in range(nodes + 1):
            serves = number < nodes
            one = member(settings, where, agents, catalog=catalog, serves=serves, spread=spread)
            system = await stack.enter_async_context(one)
        yield system
