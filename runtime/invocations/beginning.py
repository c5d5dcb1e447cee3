"""How a model call begins: checked, reserved, admitted, noted, its span started; or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.catalog import Target
from runtime.chat_contents import input_of
from runtime.chat_spans import start_chat_span
from runtime.described import fingerprint, request_digest
from runtime.engines import current_time
from runtime.governance.cost import worst_case
from runtime.invocations.bounds import check_bounds
from runtime.invocations.denials import denials_noted
from runtime.invocations.endings import Failure, error_type
from runtime.invocations.invocation import Begun, Invocation
from runtime.invocations.notes import asked_note
from runtime.invocations.recall import StepIsDone, step_of
from runtime.invocations.reservation import reserve
from runtime.invocations.trail import Trail
from runtime.invocations.waits import BudgetWait, Clock

if TYPE_CHECKING:
    from otel import Span
    from runtime.invocations.case import Asker, Case
    from runtime.invocations.invocation import Doors
    from runtime.messages import ModelRequest


async def begin(asker: Asker, request: ModelRequest, case: Case, doors: Doors) -> Invocation:
    """Reserve the worst case of a call, note that it begins, and start its span.

    Raises:
        StepIsDone: it was made before, and its outcome is in the journal.
        PolicyDenied: nobody knows its price, and a policy forbids such calls.
        BudgetExceeded: what it may cost does not fit, or nobody knows what that is.
        DeadlineExceeded: the deadline passed while other calls held the budget.
        JournalFailed: the journal cannot be written.
    """
    wait = BudgetWait()
    try:
        begun = await _begin(asker, request, case, doors, wait)
    except StepIsDone:
        raise
    except BaseException as error:
        failure = Failure(error_type(error, asker.reason_of), str(error))
        wait.in_vain(doors.tracing, asker.span, failure)
        raise
    return Invocation(asker, request, case, begun, doors)


async def _begin(
    asker: Asker, request: ModelRequest, case: Case, doors: Doors, wait: BudgetWait
) -> Begun:
    run, target = asker.run, Target(request.provider, request.model)
    await run.room()
    if doors.tracing.holds_up:
        await doors.tracing.room()
    said = fingerprint(request)
    digest = request_digest(request, said)
    op = step_of(asker, digest)
    if run.recorded is not None:
        await run.recorded.may_begin(op)
    body: dict[str, object] = asked_note(asker, target, case) | {
        "expires_at": _wall_time(asker, request.deadline),
        "request_sha256": digest,
        **({"request": said} if case.terms.contents.in_journal else {}),
    }
    limits = case.terms.limits
    with denials_noted(asker, case.data_classes, target, op):
        limited = run.budget.limit is not None or bool(limits)
        check_bounds(target, request, case, limited=limited)
        worst = 0 if case.counted is None else worst_case(request, case.counted)
        await reserve(run, worst, request.deadline, wait)
        try:
            body["reserved_nano_usd"] = worst
            at = await doors.reservations.admit(run, op, body, limits, request.deadline, wait=wait)
            span, trail = _told(asker, request, case, doors, wait)
        except BaseException:
            run.settle(worst, 0)
            raise
    return Begun(op, at, worst, span, trail)


def _told(
    asker: Asker, request: ModelRequest, case: Case, doors: Doors, wait: BudgetWait
) -> tuple[Span, Trail | None]:
    """Start the span of a call, at the time at which it began to wait, and its trail."""
    tracing = doors.tracing
    if not tracing.is_recording:
        return start_chat_span(tracing, asker.span, request, in_process=case.in_process), None
    server = None if case.in_process else doors.server_of(request)
    span = start_chat_span(
        tracing,
        asker.span,
        request,
        in_process=case.in_process,
        server=server,
        instead=case.instead,
        dialogue=asker.dialogue,
        start_time_ns=Clock().ns(wait.began) if wait.is_shown else None,
    )
    if not span.is_recording:
        return span, None
    asker.run.spans_began(span.trace_id)
    contents = tracing.options.contents
    if contents is not None and case.terms.contents.in_journal:
        span.set(input_of(contents, request))
    trail = Trail(tracing, span, request, server)
    trail.waited_for_budget(wait)
    return span, trail


def _wall_time(asker: Asker, deadline: float | None) -> float | None:
    """Return a deadline of the event loop's clock in seconds since the Unix epoch."""
    return None if deadline is None else asker.run.now + deadline - current_time()
