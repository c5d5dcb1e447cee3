"""The side of a node that has asked: Delegations whose bodies are somewhere in the cluster.

    asked -- published -- answered by inbox ----------------------> settled
                |  ^----- published again: it is in no queue any more
                |-- parked: waits for people, or its run is paused -> published again
                |-- refused: that node has other code ---> asked of the home of its run
                |-- parted: its code is not the same each time --> its run is left
                +-- looked up: the journal has the outcome ------> settled
                +-- late, or given up: told to all nodes --------> settled by its asker

What is in NATS may be lost, also all of it. So whoever waits looks into the journal from time to
time, and puts back into the queue what is neither there nor done: a claim to a branch makes it
harmless if that comes twice. One task sends for all, and one looks: a piece of work needs none.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import math
import random
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import anyio
import orjson
from nats.errors import Error
from nats.js.errors import NotFoundError

from runtime.actors import current_time
from runtime.backoff import Backoff
from runtime.engines.cluster.envelope import (
    PARKED,
    PARTED,
    REFUSED,
    Asked,
    CallOff,
    Outcome,
    decode_outcome,
    encode,
)
from runtime.engines.cluster.far_work import FarWork
from runtime.engines.cluster.homestead import WORK
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

KEPT_S = 2.0  # by which a server says that it has what it was sent
LOOK = Backoff(first=5.0, longest=30.0, jitter=0.25)
SWEEP_S = 0.5
AGAIN_S = 1.0  # before what the journal could not take is tried again
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
        self._most: dict[str, int] = {}
        self._senders: dict[tuple[str, int], Senders] = {}
        self._deadlines = Deadlines(partial(self.cancel, ending=LATE))
        self._outbox: list[FarWork] = []
        self._is_waited_for = asyncio.Event()
        node.back.append(self._look_at_all)

    def __repr__(self) -> str:
        return f"<Asker [{len(self._asked)} asked]>"

    async def open(self) -> None:
        """Ask, and hear answers, from now on."""
        node = self._node
        await node.hear(node.subjects.reply(node.name, "*"), self._hear)
        await node.hear(node.subjects.kept(node.name, "*"), self._hear_kept)
        node.start(self._send(), "sends what is to be done")
        node.start(self._sweep(), "looks for outcomes")

    def limit(self, agent: str, most: int) -> None:
        """Let at most so many Delegations to an agent be under way before senders wait.

        Those are counted by how many agents are above them: what is under way may wait for those
        below it, to the same agent, and then these must not wait for what is above them.
        """
        self._most[agent] = most

    def room(self, agent: str, depth: int) -> Coroutine[Any, Any, None] | None:
        """Return None when another Delegation may be sent, else a wait for that."""
        return self._senders_of(agent, depth).room()

    def _senders_of(self, agent: str, depth: int) -> Senders:
        found = self._senders.get((agent, depth))
        if found is None:
            found = self._senders[agent, depth] = Senders(self._most[agent])
        return found

    def submit(
        self,
        delegation: Delegation,
        settled: Callable[[Work], None],
        subject: str,
        *,
        is_queued: bool,
        is_again: bool,
    ) -> FarWork:
        """Have a Delegation done.

        Args:
            delegation: what is to be done.
            settled: called once with what became of it.
            subject: who is asked.
            is_queued: whether that is a queue, and not the home of a run.
            is_again: whether it was handed over before, to whomever.
        """
        name = f"{self._node.name}/{next(self._numbers)}"
        work = FarWork(
            delegation,
            cast("Callable[[Work], None]", partial(self._settled, settled)),
            name=name,
            subject=subject,
            is_queued=is_queued,
            is_again=is_again,
        )
        self._asked[work.number] = work
        self._senders_of(delegation.sag_id, len(delegation.ancestors)).entered()
        if delegation.deadline is not None:
            work.due = self._deadlines.add(delegation.deadline, work)
        self._ask(work)
        return work

    def cancel(self, work: Work, ending: Ending) -> None:
        """End a piece of work now: its asker waits no longer, and whoever does it is told."""
        if not isinstance(work, FarWork) or work.ending is not None:
            return
        work.ending = ending
        work.end()

    def _settled(self, settled: Callable[[Work], None], work: FarWork) -> None:
        del self._asked[work.number]
        self._senders_of(work.delegation.sag_id, len(work.delegation.ancestors)).left()
        if work.scope is not None:
            work.scope.cancel()
        self.pipeline.ended(work)
        if work.ending is not None:
            self._node.start(self._call_off(work), f"calls off {work.delegation.op}")
        settled(work)

    # --- asking ----------------------------------------------------------------------------------

    def _ask(self, work: FarWork) -> None:
        """Let a piece of work be sent with all that waits for that."""
        work.times += 1
        work.sequence, work.look_at = None, math.inf
        self._outbox.append(work)
        self._is_waited_for.set()

    async def _send(self) -> None:
        """Send what waits for that, for ever; nothing leaves that is not on the disk."""
        while True:
            await self._is_waited_for.wait()
            self._is_waited_for.clear()
            works, self._outbox = self._outbox, []
            try:
                await self._journal.flush()
            except RuntimeFault as fault:  # their runs are left soon, if that lasts
                logger.debug("nothing can be asked for now: %s", fault)
                self._outbox[:0] = works
                self._is_waited_for.set()
                await asyncio.sleep(AGAIN_S)
                continue
            for work in works:
                if not work.is_settled:
                    await self._publish(work)

    async def _publish(self, work: FarWork) -> None:
        """Send a piece of work where it is done; the server says on ``kept`` that it has it."""
        node, pipeline = self._node, self.pipeline
        reply_to = node.subjects.reply(node.name, work.number)
        described, epoch = pipeline.described(work), pipeline.epoch(work)
        asked = Asked(
            work.delegation, described, epoch, work.name, reply_to, is_again=work.is_again
        )
        kept = node.subjects.kept(node.name, work.number) if work.is_queued else ""
        headers = {MESSAGE_ID: work.message_id} if work.is_queued else None
        self._look_later(work, KEPT_S if work.is_queued else LOOK.first)
        try:
            data = encode(asked, node.now, node.most_bytes)
            await node.client.publish(work.subject, data, kept, headers)
        except Error as error:
            logger.debug("%r cannot be sent yet: %r", work, error)
        except TypeError as error:
            self.cancel(work, Ending("killed", f"it cannot be asked for: {error}"))

    def _hear_kept(self, message: Msg) -> None:
        """Note that a piece of work is in the stream, or that there is none."""
        work = self._asked.get(message.subject.rpartition(".")[2])
        if work is None:
            return
        said = json.loads(message.data or b"{}")
        if "seq" in said:
            work.sequence = said["seq"]
            self._look_later(work, LOOK.first)
        else:
            logger.debug("%r is not taken: %r", work, said)
            self._node.start(self._mend(), "makes the stream")

    async def _mend(self) -> None:
        """Make the stream, which is not there, or not any more."""
        try:
            await ensure_stream(self._node)
        except (Error, TimeoutError) as error:
            logger.debug("the stream cannot be made yet: %r", error)

    # --- looking ---------------------------------------------------------------------------------

    def _look_later(self, work: FarWork, seconds: float) -> None:
        work.look_at = current_time() + seconds

    def _look_at_all(self) -> None:
        """NATS is back: answers may have been lost meanwhile."""
        for work in self._asked.values():
            if work.scope is None:
                self._look_later(work, 0)

    async def _sweep(self) -> None:
        """Look for what is due, for ever, one after the other."""
        while True:
            await asyncio.sleep(SWEEP_S)
            now = current_time()
            for work in [work for work in self._asked.values() if work.look_at <= now]:
                if not work.is_settled:
                    await self._look(work)

    async def _look(self, work: FarWork) -> None:
        """Look for the outcome in the journal; put back what is lost."""
        given = work.delegation
        self._look_later(work, LOOK.delay(work.looks, random.random()))  # noqa: S311  # no secret
        work.looks += 1
        try:
            event = await self._journal.outcome(given.run_id, given.op)
        except RuntimeFault as fault:
            logger.debug("%r cannot be looked for now: %s", work, fault)
            return
        if event is not None:
            self._answer(work, Outcome(event.kind, event.body))
        elif work.is_queued and work.sequence is None:
            await self._publish(work)  # the same message: the server may have it
        elif not work.is_queued or await self._is_lost(work):
            self._ask(work)

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
            self._look_later(work, 0)  # it is in the journal
        else:
            self._answer(work, outcome)

    def _answer(self, work: FarWork, outcome: Outcome) -> None:
        if work.is_settled:
            return
        if outcome.kind == PARKED:
            self._park(work, outcome)
        elif outcome.kind == REFUSED:
            self._ask_home(work)
        elif outcome.kind == PARTED:
            self.pipeline.parted(work, outcome)
        else:
            work.attempts = outcome.body.get("metrics", {}).get("attempts", 0)
            work.answer(self.pipeline.answer(work, outcome))

    def _ask_home(self, work: FarWork) -> None:
        """Have a piece of work done where its run's own code is; it was taken out of the queue."""
        if work.is_queued:
            work.is_queued = False
            work.subject = self._node.subjects.home(work.delegation.run_id, WORK)
            self._ask(work)

    def _park(self, work: FarWork, outcome: Outcome) -> None:
        if work.scope is None:
            work.look_at = math.inf
            work.scope = anyio.CancelScope()
            self._node.start(self._wait(work, work.scope, outcome), "waits with what is parked")

    async def _wait(self, work: FarWork, scope: anyio.CancelScope, outcome: Outcome) -> None:
        with scope:
            await self.pipeline.waits(work, outcome)
        work.scope = None
        if not work.is_settled:
            self._ask(work)

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
