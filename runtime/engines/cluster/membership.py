"""A node among the others: it says what it does, and hears when it shall leave.

    up --- asked to leave ---> draining --- nothing in hand, or out of time ---> gone

What a draining node has in hand may end for a while. What has not ended then is left as if the
process had died, and goes on elsewhere from its records.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, NamedTuple

import anyio
import orjson

from otel.resource import runtime_version
from runtime.engines.cluster.entry import Entry
from runtime.engines.cluster.members import Member

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nats.aio.msg import Msg

    from runtime.engines.cluster.members import Duty, Grant, Load
    from runtime.engines.cluster.node import Node

RATE_S = 3.0  # over how long a rate is counted, at least


class Doing(NamedTuple):
    """What a node does at one moment.

    Attributes:
        agents: how much of each that it serves.
        runs: how many are at home there.
        delegations: how many it has done so far for others.
        calls: how many model calls it has made so far.
        grants: what it may ask of provider accounts.
    """

    agents: Mapping[str, Load]
    runs: int
    delegations: int
    calls: int
    grants: Mapping[str, Grant]


class Rate:
    """How quickly a count grows, over the last seconds. Pure."""

    def __init__(self) -> None:
        self._count, self._at = 0, 0.0
        self._rate = 0.0

    def __call__(self, count: int, now: float) -> float:
        """Return how much is added in a second.

        Args:
            count: how much it is now.
            now: when, in seconds of any clock.
        """
        passed = now - self._at
        if passed >= RATE_S:
            self._rate = (count - self._count) / passed
            self._count, self._at = count, now
        return self._rate


class Membership:
    """One node's membership of a cluster.

    Args:
        node: the node.
        code: a digest of its agents and skills.
        tell: says what it does.
        now: the time, in seconds since the Unix epoch.

    Attributes:
        asked: set when somebody wants the node to leave.
    """

    def __init__(
        self, node: Node, code: str, tell: Callable[[], Doing], now: Callable[[], float]
    ) -> None:
        self._node = node
        self._code = code
        self._tell = tell
        self._started_at = now()
        self._duty: Duty = "up"
        self._delegations, self._calls = Rate(), Rate()
        self._entry = Entry(node, self.member)
        self._version = runtime_version()
        self.asked = anyio.Event()

    def __repr__(self) -> str:
        return f"<Membership of {self._node.name} [{self._duty}]>"

    def member(self) -> Member:
        """Return what the node says of itself."""
        doing, now = self._tell(), anyio.current_time()
        return Member(
            id=self._node.name,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=self._version,
            code=self._code,
            duty=self._duty,
            started_at=self._started_at,
            agents=doing.agents,
            runs=doing.runs,
            delegations=doing.delegations,
            calls=doing.calls,
            delegations_per_s=round(self._delegations(doing.delegations, now), 3),
            calls_per_s=round(self._calls(doing.calls, now), 3),
            grants=doing.grants,
        )

    async def enter(self) -> None:
        """Be seen by the others from now on, and hear when the node shall leave."""
        node = self._node
        await node.hear(node.subjects.drain(node.name), self._ask)
        await self._entry.refresh()
        node.start(self._entry.keep(), "says that it is there")

    def _ask(self, message: Msg) -> None:
        answer = "drains already" if self.asked.is_set() else "drains, and leaves then"
        self.asked.set()
        self._node.start(message.respond(orjson.dumps(answer)), "says that it leaves")

    async def drain(self) -> None:
        """Take nothing new from now on, and say so."""
        self._duty = "draining"
        self._node.leave()
        await self._entry.refresh()

    async def leave(self) -> None:
        """Be there no more."""
        await self._entry.end()
