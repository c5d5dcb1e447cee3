"""Whole runs on their way to a home: a client publishes one, the node that pulls it is its home.

    client: published --> told that it is over, or seen in the journal
    node:   pulled --> begun, or gone on with --> over or parked: told, ack
               +-- another has it still: back to the queue, until that one has lost it

The death of a home is therefore a redelivery. A client is only told that it is worth to look into
the journal, or why no node would have the run.
"""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import orjson
from nats.errors import Error

from runtime.engines.cluster.hands import done, give_back
from runtime.engines.cluster.pulling import Puller
from runtime.errors import RuntimeFault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nats.aio.msg import Msg

    from runtime.engines.cluster.hands import Hands
    from runtime.engines.cluster.node import Node
    from runtime.engines.cluster.room import Room

MOST_HOMES = 1_000  # runs that one node is the home of; more wait in the queue
AGAIN_S = 2.0  # before somebody tries again to be the home of a run
logger = logging.getLogger("runtime.cluster")


@dataclass(frozen=True, slots=True)
class Order:
    """A run that some node shall be the home of.

    Attributes:
        run_id: its name.
        agent: the slug of the agent that it begins with.
        start: what it is begun with; None for one that is gone on with.
        resume: how it is gone on with; None for one that is begun.
        expires_at: when nobody wants it begun any more, in seconds since the Unix epoch; None for
            never.
        reply_to: the subject on which its client waits.
        epoch: how many owners it had by then; an order that comes again is known by it.
    """

    run_id: str
    agent: str
    start: Mapping[str, Any] | None
    resume: Mapping[str, Any] | None
    expires_at: float | None
    reply_to: str
    epoch: int = 0


class Refusal(NamedTuple):
    """Why no node has a run.

    Attributes:
        error: the class of the error.
        text: what it says.
    """

    error: str
    text: str


class NotNow(Exception):
    """A run cannot be at home here at the moment: another has it, or this node is leaving."""


class NoOrder(ValueError):
    """A message asks for no run, or is of another version."""


class Household(Protocol):
    """What makes a node the home of runs: it knows workflows and the journal."""

    async def carry_out(self, order: Order) -> None:
        """Begin a run, or go on with it, until it is over or parked; at once if it is that.

        Raises:
            NotNow: another has it still.
            RuntimeFault: it cannot be begun or gone on with by anybody.
        """
        ...


class Homes:
    """The runs that are at home here.

    Args:
        node: this node.
        hands: what it has in hand.
        household: carries runs out.
    """

    def __init__(self, node: Node, hands: Hands, household: Household) -> None:
        self._node = node
        self._hands = hands
        self._household = household
        self._count = 0
        self._left = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Homes [{self._count} runs]>"

    async def pull(self, agent: str, room: Room) -> None:
        """Be the home of runs that begin with an agent, while there is room at its gate."""
        subjects = self._node.subjects
        await Puller(
            self._node,
            subjects.consumer("run", agent),
            subjects.run(agent),
            room=partial(self._free, room),
            admits=lambda: not self._is_full and room.admits(),
            take=self._take,
        ).open()

    @property
    def _is_full(self) -> bool:
        return self._count >= MOST_HOMES

    async def _free(self, room: Room) -> int:
        while self._is_full:
            self._left.clear()
            await self._left.wait()
        return min(await room.free(), MOST_HOMES)

    def _take(self, message: Msg) -> None:
        self._count += 1
        self._node.start(self._keep_house(message), "is the home of a run")

    async def _keep_house(self, message: Msg) -> None:
        try:
            order = _order(message.data)
            with self._hands.holding(message):
                told = await self._carry_out(order)
        except NotNow as why:
            logger.debug("%r", why)
            await give_back(message, AGAIN_S)
        except NoOrder as why:
            logger.warning("left out: %s", why)
            await done(message)
        else:
            await self._tell(order, told)
            await done(message)
        finally:
            self._count -= 1
            self._left.set()

    async def _carry_out(self, order: Order) -> Refusal | None:
        try:
            await self._household.carry_out(order)
        except RuntimeFault as fault:
            return Refusal(type(fault).__name__, str(fault))
        return None

    async def _tell(self, order: Order, told: Refusal | None) -> None:
        try:
            said = orjson.dumps(None if told is None else list(told))
            await self._node.client.publish(order.reply_to, said)
        except Error as error:
            logger.debug("the client of %s is not told: %r", order.run_id, error)


def _order(data: bytes) -> Order:
    try:
        return Order(**json.loads(data))
    except (TypeError, ValueError) as error:
        raise NoOrder(f"a message asks for no run: {error!r}") from error
