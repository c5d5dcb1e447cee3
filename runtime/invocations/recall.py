"""A model call that was made before, as the journal has it: its answer is given again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.failed_before import denial_of, failure_of
from runtime.messages import ModelEvent, ModelReply, ProviderState, ToolCall, parsed_arguments
from runtime.sums import usage_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.invocations.case import Asker
    from runtime.journal import EventRow
    from runtime.messages import ModelRequest

FROM_THE_JOURNAL = "this answer is from the journal: it was given before the run was interrupted"


class StepIsDone(Exception):  # no error: the step need not be done again
    """A step of the run has an outcome already.

    Attributes:
        event: the outcome.
    """

    def __init__(self, event: EventRow) -> None:
        super().__init__(event.op)
        self.event = event


def step_of(asker: Asker, digest: str) -> str:
    """Return the id of a model call.

    Raises:
        StepIsDone: it was made before.
    """
    run = asker.run
    while True:
        op = run.step(asker.op, "chat", digest)
        event = None if run.recorded is None else run.recorded.outcome(op)
        if event is None:
            return op
        if event.kind != "invocation_completed" or "text" in event.body:
            raise StepIsDone(event)  # else nobody has kept its words: it is made again


async def recalled(asker: Asker, request: ModelRequest, event: EventRow) -> ModelReply:
    """Return what a model answered before, or raise what went wrong.

    Raises:
        Exception: what it failed with.
    """
    recorded = asker.run.recorded
    if recorded is not None:
        await recorded.turn(event)
    if event.kind == "invocation_denied":
        raise denial_of(event)
    _count(asker, event)
    if event.kind == "invocation_failed":
        raise failure_of(event)
    return reply_of(event.body, request)


def reply_of(body: dict[str, Any], request: ModelRequest) -> ModelReply:
    """Return an answer as the journal has it."""
    state = body.get("state")
    return ModelReply(
        text=body["text"],
        usage=usage_of(body),
        usage_source=body.get("usage_source") or "provider",
        model=str(body.get("model") or request.model),
        tool_calls=tuple(
            ToolCall(id_, name, parsed_arguments(raw), raw)
            for id_, name, raw in body.get("tool_calls") or ()
        ),
        finish_reason=body["finish_reason"],
        provider=request.provider,
        request_id=body.get("request_id"),
        attempts=int(body.get("attempts") or 0),
        state=None if state is None else ProviderState(**state),
        warnings=(*(body.get("warnings") or ()), FROM_THE_JOURNAL),
    )


def pieces_of(body: dict[str, Any]) -> Iterator[ModelEvent]:
    """Yield a streamed answer in the pieces in which its reader got it."""
    text, noted = body["text"], body.get("pieces") or []
    at, read = 0, body.get("read", len(noted))
    if sum(piece for piece in noted if isinstance(piece, int)) > len(text) or not noted:
        noted, read = [len(text)] if text else [], 1  # as one, where nobody has noted them
    for piece in noted[:read]:
        if isinstance(piece, int):
            yield ModelEvent("text", text[at : at + piece])
            at += piece
        else:
            yield ModelEvent(*piece)
            at += len(piece[1]) if body.get("cut_off") else 0  # then they are in the text


def _count(asker: Asker, event: EventRow) -> None:
    """Count a call that was made before; in its run only where this process has not made it."""
    if "inherited" in event.body:
        return  # the run that this one was forked from has paid for it
    recorded = asker.run.recorded
    cost = None if event.body.get("unpriced") else event.cost_nano_usd
    for totals in asker.totals:
        totals.add_call(usage_of(event.body), cost, failed=event.kind == "invocation_failed")
    if recorded is not None:
        asker.run.totals.add(recorded.newly_counted(event.op))
