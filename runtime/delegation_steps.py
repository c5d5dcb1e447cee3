"""Delegations as steps of a run: what was answered before an interruption is answered again."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from runtime.delivery import Answer, result_of, room_given_back
from runtime.errors import InvalidOutput
from runtime.identity import digest_of
from runtime.recorded import Recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runtime.activation import Activation
    from runtime.agent import Agent
    from runtime.engines import Work
    from runtime.run import Run, Totals
    from runtime.sent import Sent
    from runtime.wishes import Sending

logger = logging.getLogger("runtime.dispatch")


def recall(sent: Sent, agent: Agent, keeps_state: Callable[[str], bool]) -> bool:
    """Answer a Delegation as it was answered before, and return whether that could be.

    An agent that keeps its state has lost it with its process: its bodies run again, from their
    steps, and so do those of whoever has delegated to it.

    Args:
        sent: the Delegation.
        agent: whose answer it is.
        keeps_state: whether an agent, by its slug, keeps state from one Delegation to the next.
    """
    recorded, op = sent.run.recorded, sent.delegation.op
    done = None if recorded is None else recorded.delegated(op)
    if recorded is None or done is None:
        return False
    if any(map(keeps_state, recorded.agents(op))):
        recorded.works_again(op)
        return False
    if sent.activation is not None:
        sent.activation.totals.add(recorded.totals(op))
        room_given_back(sent.run, sent.delegation)
    sent.run.totals.add(recorded.newly_counted(op))
    metrics = done.body.get("metrics") or {}
    answer = answer_of(agent, done.kind, done.body, recorded.totals(op))
    sent.set_result(result_of(sent.delegation.task_id, answer, metrics))
    return True


def answer_of(agent: Agent, kind: str, body: Mapping[str, Any], totals: Totals) -> Answer:
    """Return what the record of an outcome says, as a body would answer.

    Args:
        agent: whose answer it was.
        kind: the kind of the record.
        body: what it says.
        totals: what models were asked for it.
    """
    if kind == "delegation_failed":
        return Answer(None, {}, totals, body.get("reason"), body.get("error"))
    output = body.get("output")
    try:
        return Answer(agent.signature.restore(output), output, totals)
    except ValidationError as error:
        text = f"what {agent.name} has answered is no answer any more: {error}"
        return Answer(None, {}, totals, InvalidOutput.reason, text)


def started_note(run: Run, agent: Agent, work: Work) -> dict[str, Any]:
    """Return who begins to work, on what, and for the how-manieth time."""
    note = {"agent": agent.name, "task": work.delegation.task_id, "attempt": work.attempts}
    return note if run.code is None else note | run.code.note(agent)


async def may_delegate(activation: Activation, slug: str, payload: Any, how: Sending) -> None:
    """Return when a Delegation may be sent; see ``Recorded.may_begin``.

    Args:
        activation: the body that sends it.
        slug: to whom.
        payload: the input, JSON data.
        how: how it is sent.
    """
    run, above = activation.run, activation.delegation.op
    if run.recorded is not None and run.recorded.is_strict:
        step = run.next_step(above, slug, digest_of([payload, how.context]))
        await run.recorded.may_begin(step)


async def go_on(run: Run, op: str) -> None:
    """Let a body that has crashed go on where it was: what it had done by then is not done again.

    What it had delegated, and was not answered yet, goes on from its own steps, too.

    Args:
        run: its run, which lives.
        op: its Delegation.

    Raises:
        JournalFailed: the journal cannot be read.
    """
    await run.journal.flush()
    outcomes = await run.journal.outcomes(run.id, op)
    if run.recorded is None:
        run.recorded = Recorded()
    run.recorded.crashed(op, outcomes, run.steps_again(op))
