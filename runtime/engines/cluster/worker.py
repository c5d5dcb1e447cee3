"""The side of a node that does what others ask: it pulls Delegations while it has room for bodies.

    pulled -- claimed -- done here, as the guest of its run --> outcome in the journal, answer, ack
         |-- refused: the code here is not its run's: answer, ack
         |-- settled: answer from the journal, ack
         |-- held by another: ask again, until that one has an outcome or is lost
         +-- gone: its run is over, or is somebody else's now: ack

A node that dies or hangs loses what it has in hand to another one, which goes on from the records.
"""

from __future__ import annotations

import logging
import math
from functools import partial
from typing import TYPE_CHECKING

import anyio
import orjson
from nats.errors import Error

from runtime.engines.cluster.envelope import CallOff, Outcome, decode, encode_outcome
from runtime.engines.cluster.hands import done, give_back
from runtime.engines.cluster.pulling import Puller
from runtime.errors import RuntimeFault
from runtime.journal import Gone, Held, Settled

if TYPE_CHECKING:
    from collections.abc import Callable

    from nats.aio.msg import Msg

    from runtime.engines.cluster.envelope import Asked
    from runtime.engines.cluster.hands import Hands
    from runtime.engines.cluster.node import Node
    from runtime.engines.cluster.pipeline import Pipeline
    from runtime.engines.cluster.room import Room
    from runtime.journal import Journal, Ours

HELD_S = 1.0  # between two claims to what another has
AGAIN_S = 2.0  # before somebody tries again what could not be done here
BACKSTOP_S = 1.0  # after a deadline: its asker has ended it by then, or is gone
logger = logging.getLogger("runtime.cluster")


class Errand:
    """One Delegation in hand.

    Attributes:
        asked: what is to be done.
        scope: what does it, or will.
    """

    __slots__ = ("asked", "scope")

    def __init__(self, asked: Asked) -> None:
        due = asked.delegation.deadline
        self.asked = asked
        self.scope = anyio.CancelScope(deadline=math.inf if due is None else due + BACKSTOP_S)


class Worker:
    """Does Delegations of runs that are at home elsewhere.

    Args:
        node: this node.
        hands: what it has in hand.
        journal: where claims and outcomes are.

    Attributes:
        done: how many it has done so far.
    """

    pipeline: Pipeline

    def __init__(self, node: Node, hands: Hands, journal: Journal) -> None:
        self._node = node
        self._hands = hands
        self._journal = journal
        self._errands: set[Errand] = set()
        self.done = 0

    def __repr__(self) -> str:
        return f"<Worker of {self._node.name} [{len(self._errands)} in hand]>"

    async def open(self) -> None:
        """Hear from now on what is given up."""
        await self._node.hear(self._node.subjects.cancel, self._hear_cancel)

    async def pull(self, agent: str, room: Room) -> None:
        """Do Delegations to an agent, as many as there is room for, until the node ends.

        Args:
            agent: its slug.
            room: the room at its gate.
        """
        subjects = self._node.subjects
        await Puller(
            self._node,
            subjects.consumer("work", agent),
            subjects.work(agent),
            room=room.free,
            admits=room.admits,
            take=partial(self._pulled, room),
        ).open()

    def _pulled(self, room: Room, message: Msg) -> None:
        self._take(message, room.coming())

    def take(self, message: Msg) -> None:
        """Do what came to the home of a run, and to no queue."""
        self._take(message, _nothing)

    def _take(self, message: Msg, came: Callable[[], None]) -> None:
        """Begin with an errand, which may be called off from now on."""
        try:
            errand = Errand(decode(message.data, self._node.now))
        except ValueError as error:
            logger.warning("left out: %s", error)
            came()
            self._node.start(done(message), "leaves out what nobody understands")
            return
        if not message.reply and self._of(errand.asked.number):
            return  # in no queue, its asker asks again and again while it waits
        self._errands.add(errand)
        self._node.start(self._do(errand, message, came), "does what another node has asked")

    async def _do(self, errand: Errand, message: Msg, came: Callable[[], None]) -> None:
        with self._hands.holding(message):
            is_over = await self._try(errand, came)
        await (done(message) if is_over else give_back(message, AGAIN_S))

    async def _try(self, errand: Errand, came: Callable[[], None]) -> bool:
        """Do what is asked; return whether nobody has to do it any more."""
        try:
            with errand.scope:
                return await self._settle(errand.asked, came)
        except (RuntimeFault, Error, TimeoutError) as error:
            logger.warning("%s cannot be done here now: %s", errand.asked.delegation.op, error)
            return False
        finally:
            came()
            self._errands.remove(errand)
        return True  # nobody waits for it any more

    async def _settle(self, asked: Asked, came: Callable[[], None]) -> bool:
        """Claim it, do it, and answer; see ``_try``."""
        refusal = self.pipeline.refusal(asked)
        if refusal is not None:
            await self._answer(asked, refusal)
            return True
        claim = await self._claim(asked)
        if isinstance(claim, Gone):
            return True
        if isinstance(claim, Settled):
            outcome: Outcome | None = Outcome(claim.outcome.kind, claim.outcome.body)
        else:
            outcome = await self.pipeline.perform(asked, claim.branch, came)
        if outcome is None:
            return False
        self.done += 1
        await self._answer(asked, outcome)
        return True

    async def _answer(self, asked: Asked, outcome: Outcome) -> None:
        data = encode_outcome(outcome, self._node.most_bytes)
        await self._node.client.publish(asked.reply_to, data)

    async def _claim(self, asked: Asked) -> Ours | Settled | Gone:
        given = asked.delegation
        while True:
            claim = await self._journal.claim(given.run_id, given.op, asked.epoch)
            if not isinstance(claim, Held):
                return claim
            left_s = HELD_S if claim.left_s is None else min(HELD_S, claim.left_s)
            await anyio.sleep(max(0.05, left_s))

    def _hear_cancel(self, message: Msg) -> None:
        told = CallOff(*orjson.loads(message.data))
        if told.is_left and self.pipeline.leave(told.number):
            return
        for errand in self._of(told.number):
            errand.scope.cancel()

    def _of(self, number: str) -> list[Errand]:
        return [errand for errand in self._errands if errand.asked.number == number]


def _nothing() -> None:
    """It has come to no gate that anybody pulls for."""
