"""Questions to people as steps of a run: asked once, decided once, answered again from the journal.

An answer is looked for where it may be already: in the records of former processes, among what
others have decided since, with whoever started the run. Then the branch waits, outside the gates,
and counts as not at work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from otel.approval_attributes import approval_end, approval_start
from otel.attributes import span_name
from otel.conventions import APPROVAL_PARKED, APPROVE
from runtime.approval import ApprovalRequest, Decision, ticket_of
from runtime.identity import whoami
from runtime.journal import Record

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from otel import Span, Tracing
    from runtime.activation import Activation
    from runtime.conduct import Asked
    from runtime.run import Run
    from runtime.wishes import ApprovalWish

EXPIRED = "nobody has decided in time"
AT_ITS_START = "as the run was started"


class Approvals:
    """Asks people.

    Args:
        tracing: where spans come from.
    """

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    async def decision(
        self,
        activation: Activation,
        op: str,
        wish: ApprovalWish,
        waiting: Callable[[], AbstractAsyncContextManager[None]],
    ) -> Decision:
        """Return what somebody has decided, or decides now.

        Args:
            activation: the body that asks.
            op: the step that the question is.
            wish: the question.
            waiting: around the wait.

        Raises:
            JournalFailed: the journal cannot be written.
        """
        run = activation.run
        request = _request(activation, op, wish)
        known = await _recorded(run, op)
        if known is not None:
            if run.recorded is not None and run.recorded.is_fresh(op):
                _end(self._span(activation, request), request, known)
            return known
        span = self._span(activation, request)
        try:
            decision = await _asked(run, op, request, waiting)
        except BaseException as error:
            if run.conduct.is_parked:
                span.set({APPROVAL_PARKED: True})
                span.end()
            else:
                span.end(error_type=activation.reason_of(error), message=str(error))
            raise
        _end(span, request, decision)
        return decision

    def _span(self, activation: Activation, request: ApprovalRequest) -> Span:
        """Start the span of a question, at the time at which it was first asked."""
        attributes = approval_start(
            request.agent,
            run_id=request.run_id,
            task_id=request.task_id,
            ticket=request.ticket,
            tool=request.tool,
        )
        span = self._tracing.start(
            span_name(APPROVE, request.tool or request.agent),
            parent=activation.span,
            attributes=attributes,
            start_time_ns=round(request.asked_at * 1e9),
        )
        activation.run.spans_began(span.trace_id)
        return span


def _end(span: Span, request: ApprovalRequest, decision: Decision) -> None:
    seconds = max(0.0, decision.at - request.asked_at)
    span.set(approval_end(approved=decision.approved, by=decision.by, wait_s=seconds))
    span.end()


def _request(activation: Activation, op: str, wish: ApprovalWish) -> ApprovalRequest:
    """Return the question, with its first time of asking."""
    run = activation.run
    earlier = None if run.recorded is None else run.recorded.asked(op)
    if earlier is not None:
        return ApprovalRequest.of_body(run.id, earlier.at, earlier.body)
    now = run.now
    return ApprovalRequest(
        run_id=run.id,
        ticket=ticket_of(op),
        agent=activation.agent.name,
        task_id=activation.delegation.task_id,
        question=wish.question,
        data=wish.data,
        tool=wish.tool,
        policy=wish.policy,
        asked_at=now,
        expires_at=None if wish.expires_s is None else now + wish.expires_s,
    )


async def _recorded(run: Run, op: str) -> Decision | None:
    """Return what was decided before the code came here."""
    recorded = run.recorded
    if recorded is not None and (event := recorded.outcome(op)) is not None:
        await recorded.turn(event)
        return Decision.of_body(event.at, event.body)
    return run.conduct.heard.get(op)


async def _asked(
    run: Run,
    op: str,
    request: ApprovalRequest,
    waiting: Callable[[], AbstractAsyncContextManager[None]],
) -> Decision:
    """Ask whoever started the run, and then people."""
    if run.recorded is not None and run.recorded.asked(op) is None:
        await run.recorded.may_begin(op)
    await run.begin("approval_requested", op, request.as_body())
    asked = run.conduct.ask(op, request)
    try:
        if run.approve is not None and (said := await run.approve(request)) is not None:
            await _decide(run, op, Decision(said, whoami(), run.now, AT_ITS_START))
        if asked.decision is not None:
            return asked.decision
        async with waiting():
            return await _wait(run, op, asked)
    finally:
        run.conduct.take_back(op, asked)


async def _wait(run: Run, op: str, asked: Asked) -> Decision:
    expires_at = asked.request.expires_at
    if expires_at is not None:
        with anyio.move_on_after(max(0.0, expires_at - run.now)):
            return await asked.decided()
        late = Decision(approved=False, by="the clock", at=run.now, comment=EXPIRED)
        await _decide(run, op, late)
    return await asked.decided()


async def _decide(run: Run, op: str, decision: Decision) -> None:
    """Decide here, unless somebody was faster, of whom the owner of the run will hear."""
    record = Record(run.id, "approval_decided", op, decision.as_body(), decision.at, epoch=0)
    if await run.journal.request(record):
        run.conduct.decide(op, decision)
