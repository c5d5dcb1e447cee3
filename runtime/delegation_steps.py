"""Delegations as steps of a run: what was answered before an interruption is answered again."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pydantic import ValidationError

from runtime.delivery import Answer, result_of
from runtime.errors import InvalidOutput
from runtime.recorded import Recorded, events_of

if TYPE_CHECKING:
    from runtime.agent import Agent
    from runtime.delivery import Sent
    from runtime.journal import EventRow
    from runtime.run import Run

logger = logging.getLogger("runtime.dispatch")


def recall(sent: Sent, agent: Agent, done: EventRow, recorded: Recorded) -> None:
    """Answer a Delegation as it was answered before.

    Args:
        sent: the Delegation.
        agent: whose answer it is.
        done: its outcome.
        recorded: what the run has done.
    """
    totals = recorded.totals(done.op)
    if sent.activation is not None:
        sent.activation.totals.add(totals)
    if not recorded.of_live_run:
        sent.run.totals.add(totals)
    answer = _answer(agent, done, recorded)
    metrics = done.body.get("metrics") or {}
    sent.pending.set_result(result_of(sent.delegation.task_id, answer, metrics))


def _answer(agent: Agent, done: EventRow, recorded: Recorded) -> Answer:
    body, totals = done.body, recorded.totals(done.op)
    if done.kind == "delegation_failed":
        return Answer(None, {}, totals, body.get("reason"), body.get("error"))
    output = body.get("output")
    try:
        return Answer(agent.signature.restore(output), output, totals)
    except ValidationError as error:
        text = f"what {agent.name} answered before the interruption is no answer any more: {error}"
        return Answer(None, {}, totals, InvalidOutput.reason, text)


async def go_on(run: Run, op: str) -> None:
    """Let a body that has crashed go on where it was: what it had done by then is not done again.

    Args:
        run: its run, which lives.
        op: its Delegation.

    Raises:
        JournalFailed: the journal cannot be read.
    """
    await run.journal.flush()
    run.recorded = Recorded(await events_of(run.journal, run.id), of_live_run=True)
    run.steps_again(op)
