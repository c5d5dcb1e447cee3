"""The side of a node that has asked: Delegations whose bodies are somewhere in the cluster.

    asked -- published -- answered by inbox ----------------------> settled
                |  ^----- published again: it is in no queue any more
                |-- parked: waits for people, or its run is paused -> published again
                +-- looked up: the journal has the outcome ------> settled
                +-- late, or given up: told to all nodes --------> settled by its asker

What is in NATS may be lost, also all of it. So whoever waits looks into the journal from time to
time, and puts back into the queue what is neither there nor done: a claim to a branch makes it
harmless if that comes twice.
"""

from __future__ import annotations

import itertools
import logging
import random
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import anyio
import orjson
from nats.errors import Error
from nats.js.errors import NotFoundError

from runtime.backoff import Backoff
from runtime.engines.cluster.envelope import (
    PARKED,
    Asked,
    CallOff,
    Outcome,
    decode_outcome,
    encode,
)
from runtime.engines.cluster.far_work import FarWork
from runtime.engines.cluster.streams import MESSAGE_ID, ensure_stream
from runtime.engines.deadlines import Deadlines
from runtime.engines.local import LATE
from runtime.engines.senders import Senders
from runtime.engines.work import Ending
from runtime.errors import RuntimeFault

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from nats.aio.msg import Msg

    from runtime.engines.cluster.node import Node
    from runtime.engines.cluster.pipeline import Pipeline
    from runtime.engines.work import Work
    from runtime.journal import Journal
    from runtime.messages import Delegation

PUBLISH = Backoff(first=0.1, longest=2.0)
LOOK = Backoff(first=5.0, longest=30.0, jitter=0.25)
logger = logging.getLogger("runtime.cluster")


class Asker:
    """Has Delegations done by the cluster.

    Args:
        node: this node.
        journal: where outcomes are.
    """

    pipeline: Pipeline

    def __init__(self, node: Node, journal: Journal) -> None:
        self._node = node
        self._journal = journal
        self._numbers = itertools.count(1)
        self._asked: dict[str, FarWork] = {}
        self._senders: dict[str, Senders] = {}
        self._deadlines = Deadlines(partial(self.cancel, ending=LATE))
        node.back.append(self._look_at_all)

    def __repr__(self) -> str:
        return f"<Asker [{len(self._asked)} asked]>"

    async def open(self) -> None:
        """Hear answers from now on."""
        node = self._node
        await node.hear(node.subjects.reply(node.name, "*"), self._hear)

    def limit(self, agent: str, most: int) -> None:
        """Let at most so many Delegations to an agent be under way before senders wait."""
        self._senders.setdefault(agent, Senders(most))

    def room(self, agent: str) -> Coroutine[Any, Any, None] | None:
        """Return None when another Delegation may be sent, else a wait for that."""
        return self._senders[agent].room()

    def submit(
        self,
        delegation: Delegation,
        settled: Callable[[Work], None],
        subject: str,
        *,
        is_queued: bool,
    ) -> FarWork:
        """Have a Delegation done.

        Args:
            delegation: what is to be done.
            settled: called once with what became of it.
            subject: who is asked.
            is_queued: whether that is a queue, and not the home of a run.
        """
        name = f"{self._node.name}/{next(self._numbers)}"
        work = FarWork(
            delegation,
            cast("Callable[[Work], None]", partial(self._settled, settled)),
            name=name,
            subject=subject,
            is_queued=is_queued,
        )
        self._asked[work.number] = work
        self._senders[delegation.sag_id].entered()
        if delegation.deadline is not None:
            work.due = self._deadlines.add(delegation.deadline, work)
        self._node.start(self._carry(work), f"asks for {delegation.op}")
        return work

    def cancel(self, work: Work, ending: Ending) -> None:
        """End a piece of work now: its asker waits no longer, and whoever does it is told."""
        if not isinstance(work, FarWork) or work.ending is not None:
            return
        work.ending = ending
        work.end()

    def _settled(self, settled: Callable[[Work], None], work: FarWork) -> None:
        del self._asked[work.number]
        self._senders[work.delegation.sag_id].left()
        work.scope.cancel()
        self.pipeline.ended(work)
        if work.ending is not None:
            self._node.start(self._call_off(work), f"calls off {work.delegation.op}")
        settled(work)

    # --- asking ----------------------------------------------------------------------------------

    async def _carry(self, work: FarWork) -> None:
        """Publish a piece of work, and look for its outcome until it is settled."""
        with work.scope:
            try:
                await self._journal.flush()  # nothing leaves that is not on the disk
                await self._publish(work)
                for look in itertools.count():
                    work.answered.clear()
                    with anyio.move_on_after(_soon(LOOK, look)):
                        await work.answered.wait()
                    await self._go_on(work)
            except RuntimeFault as fault:
                self.cancel(work, Ending("killed", f"it cannot be asked for: {fault}"))
            except Exception as error:
                self.cancel(work, Ending("killed", f"it cannot be asked for: {error!r}"))
                raise

    async def _go_on(self, work: FarWork) -> None:
        """Do what there is to do for a piece of work that is not settled."""
        parked, work.parked = work.parked, None
        if parked is None:
            await self._look(work)
        else:
            await self.pipeline.waits(work, parked)
            await self._publish(work)

    async def _publish(self, work: FarWork) -> None:
        """Put a piece of work where it is done, however long that takes."""
        node, pipeline = self._node, self.pipeline
        asked = Asked(
            work.delegation,
            pipeline.described(work),
            pipeline.epoch(work),
            work.name,
            node.subjects.reply(node.name, work.number),
        )
        work.times += 1
        for attempt in itertools.count():
            data = encode(asked, node.now, node.most_bytes)
            try:
                if work.is_queued:
                    await self._queue(work, data)
                else:
                    await node.client.publish(work.subject, data)
            except (Error, TimeoutError) as error:
                logger.debug("%r cannot be sent yet: %r", work, error)
                await anyio.sleep(_soon(PUBLISH, attempt))
            else:
                return

    async def _queue(self, work: FarWork, data: bytes) -> None:
        headers = {MESSAGE_ID: work.message_id}
        try:
            told = await self._node.jetstream.publish(work.subject, data, headers=headers)
        except Error:
            await ensure_stream(self._node)  # maybe it is not there, or not any more
            raise
        work.sequence = told.seq

    async def _look(self, work: FarWork) -> None:
        """Look for the outcome in the journal; put back what is lost."""
        given = work.delegation
        event = await self._journal.outcome(given.run_id, given.op)
        if event is not None:
            self._answer(work, Outcome(event.kind, event.body))
        elif not work.is_queued or await self._is_lost(work):
            await self._publish(work)

    async def _is_lost(self, work: FarWork) -> bool:
        """Whether a piece of work is in the stream no more; where nobody can say, it is not."""
        try:
            stream, sequence = self._node.subjects.stream, work.sequence
            message = await self._node.jetstream.get_msg(stream, sequence)
        except NotFoundError:
            return True
        except (Error, TimeoutError):
            return False
        return (message.headers or {}).get(MESSAGE_ID) != work.message_id

    # --- answers ---------------------------------------------------------------------------------

    def _hear(self, message: Msg) -> None:
        work = self._asked.get(message.subject.rpartition(".")[2])
        if work is None:
            return
        outcome = decode_outcome(message.data)
        if outcome is None:
            work.answered.set()  # it is in the journal
        else:
            self._answer(work, outcome)

    def _answer(self, work: FarWork, outcome: Outcome) -> None:
        if outcome.kind == PARKED:
            work.parked = outcome
            work.answered.set()
        elif not work.is_settled:
            work.attempts = outcome.body.get("metrics", {}).get("attempts", 0)
            work.answer(self.pipeline.answer(work, outcome))

    def _look_at_all(self) -> None:
        """NATS is back: answers may have been lost meanwhile."""
        for work in self._asked.values():
            work.answered.set()

    async def _call_off(self, work: FarWork) -> None:
        """Tell all nodes that nobody waits for a piece of work; take it out of the queue.

        What is called off as its run has another home soon is not over: that one asks again, and
        it goes on from the records.
        """
        node = self._node
        try:
            told = CallOff(work.name, is_left=self.pipeline.is_left(work))
            await node.client.publish(node.subjects.cancel, orjson.dumps(list(told)))
            if work.sequence is not None:
                await node.jetstream.delete_msg(node.subjects.stream, work.sequence)
        except (Error, TimeoutError) as error:
            logger.debug("%r cannot be called off: %r", work, error)  # its deadline ends it


def _soon(backoff: Backoff, number: int) -> float:
    return backoff.delay(number, random.random())  # noqa: S311  # no secret
