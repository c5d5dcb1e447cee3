"""What only the home of a run can do for its guests: have state kept, and keep the ledger.

Guests speak to the home directly and again, until it answers; so each wish is done once, however
often it comes.
"""

from __future__ import annotations

import asyncio
import itertools
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
from nats.errors import Error

from runtime.engines.cluster.node import ended

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription

    from runtime.engines.cluster.node import Node
    from runtime.engines.cluster.pipeline import Pipeline

MOST_ANSWERS = 4_096  # of one run, that are kept for whoever has not got them
WORK, MONEY = "work", "money"


class Homestead:
    """The runs that are at home here, for their guests.

    Args:
        node: this node.
        work: does a Delegation that has come.
    """

    pipeline: Pipeline

    def __init__(self, node: Node, work: Callable[[Msg], None]) -> None:
        self._node = node
        self._work = work
        self._subscriptions: dict[str, list[Subscription]] = {}
        self._answers: dict[str, dict[str, asyncio.Task[Any]]] = {}
        self._numbers = itertools.count(1)

    def __repr__(self) -> str:
        return f"<Homestead [{len(self._subscriptions)} runs]>"

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._subscriptions

    async def begin(self, run_id: str) -> None:
        """Hear what guests of a run want."""
        node, subjects = self._node, self._node.subjects
        answers = self._answers[run_id] = {}
        money = partial(self._hear_wish, run_id, answers)
        self._subscriptions[run_id] = [
            await node.hear(subjects.home(run_id, WORK), self._work),
            await node.hear(subjects.home(run_id, MONEY), money),
        ]

    async def end(self, run_id: str) -> None:
        """Hear nothing more of a run; whoever waits still for its money gets none."""
        for subscription in self._subscriptions.pop(run_id, ()):
            await ended(subscription)
        for doing in self._answers.pop(run_id, {}).values():
            doing.cancel()

    async def ask(
        self, run_id: str, wish: Mapping[str, Any], still: Callable[[], None]
    ) -> Mapping[str, Any]:
        """Ask the home of a run, wherever that is, until it answers.

        Args:
            run_id: the run.
            wish: what a guest wishes of its ledger.
            still: raises when the answer is of no use any more.
        """
        number = f"{self._node.name}/{next(self._numbers)}"
        data = orjson.dumps([number, wish])
        subject = self._node.subjects.home(run_id, MONEY)
        answer: Mapping[str, Any] = orjson.loads(await self._node.insist(subject, data, still))
        return answer

    def _hear_wish(self, run_id: str, answers: dict[str, asyncio.Task[Any]], message: Msg) -> None:
        number, wish = orjson.loads(message.data)
        if number not in answers:
            answers[number] = asyncio.ensure_future(self.pipeline.money(run_id, wish))
        self._node.start(self._answer(answers[number], message), "answers a guest")
        _forget_the_oldest(answers)

    async def _answer(self, doing: asyncio.Task[Any], message: Msg) -> None:
        await asyncio.wait((doing,))
        answer = None if doing.cancelled() else doing.result()
        if answer is None:
            return  # it is of another home's time, or its run is over
        try:
            await message.respond(orjson.dumps(dict(answer)))
        except Error:
            return  # it asks again


def _forget_the_oldest(answers: dict[str, asyncio.Task[Any]]) -> None:
    while len(answers) > MOST_ANSWERS:
        oldest = next(iter(answers))
        if not answers[oldest].done():
            return
        del answers[oldest]
