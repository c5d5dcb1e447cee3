"""The one pipeline of a Delegation.

    send     (at the caller, synchronous once there is room)
             who -> may it -> room -> deadline -> input -> journal "sent" -> engine
    perform  (in the agent's actor)
             span -> journal "started" -> body -> output
    conclude (at the caller, when the engine has an outcome)
             journal "completed" or "failed" -> Result

A body that fails on purpose (a ``RuntimeFault``) has failed; any other exception is a crash, which
the agent's supervisor answers with a restart until the agent's ``max_restarts`` are used up.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio

from otel.attributes import invoke_agent_end, invoke_agent_start, span_name
from otel.conventions import INVOKE_AGENT
from runtime.activation import Activation
from runtime.bodies import Bodies
from runtime.context import Context, Sending
from runtime.engines import Capacity, Pending, Work, WorkFailed, first_leaf, new_pending
from runtime.errors import (
    DelegationCycle,
    DelegationFailed,
    InvalidInput,
    InvalidOutput,
    PolicyDenied,
    RuntimeFault,
)
from runtime.governance.cost import usd
from runtime.messages import Delegation, Result
from runtime.run import Totals
from runtime.signature import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel import Span, Tracing
    from runtime.agent import Agent, Skill
    from runtime.context import Question
    from runtime.directory import Directory, Entry
    from runtime.engines import Engine
    from runtime.models import Models
    from runtime.run import Run
    from runtime.skills import Skills

END_S = 2.0  # what the bodies of a run that is over may still take; then they are leaked
MAX_DEPTH = 64  # agents above one another; a recursion that does not end is a mistake
CARRIED = frozenset(("budget", "denied", "deadline", "cancelled"))  # reasons a caller passes on


class Answer(NamedTuple):
    """What a body came to: an answer, or a failure on purpose."""

    value: Any
    output: Any
    totals: Totals
    reason: str | None = None
    error: str | None = None


class Dispatcher:
    """Carries Delegations from agent to agent.

    Args:
        directory: who is there.
        engine: where bodies run.
        tracing: where spans come from.
        models: asks models.
        skills: runs skills.
    """

    def __init__(
        self,
        directory: Directory,
        engine: Engine,
        tracing: Tracing,
        *,
        models: Models,
        skills: Skills,
    ) -> None:
        self._directory = directory
        self._engine = engine
        self._tracing = tracing
        self._models = models
        self._skills = skills
        self._bodies = Bodies(directory)
        self._runs: dict[str, Run] = {}
        self._served: set[str] = set()

    # --- runs ------------------------------------------------------------------------------------

    async def run_root(self, run: Run, delegation: Delegation) -> Result[Any]:
        """Carry the Delegation at the root of a run, and return its Result."""
        self._runs[run.id] = run
        try:
            entry = await self._serve(delegation.sag_id)
            answered: Result[Any] = await self._submit(run, None, entry, delegation)
            return answered
        finally:
            with anyio.move_on_after(END_S, shield=True):
                await self._engine.forget_run(run.id)
                await run.quiet()
            del self._runs[run.id]

    # --- what contexts ask for -------------------------------------------------------------------

    async def ask(self, activation: Activation, question: Question) -> Any:
        """Ask a model for an agent."""
        return await self._models.ask(activation, question)

    def skill(self, skill: Skill | str) -> Skill:
        """Return a skill by its name."""
        return self._directory.skill(skill)

    async def use(
        self, context: Context, activation: Activation, skill: Skill | str, payload: Any
    ) -> Any:
        """Run a skill for an agent."""
        return await self._skills.use(context, activation, skill, payload)

    async def send(
        self,
        activation: Activation,
        agent: Agent | str | Delegation,
        payload: Any,
        how: Sending,
    ) -> Pending:
        """Send a Delegation for an agent, once its receiver's line has room."""
        if isinstance(agent, Delegation):
            payload, context = agent.input, {**agent.context, **how.context}
            how = Sending(how.deadline, context, agent.task_id)
            agent = agent.sag_id
        slug = self._directory.slug(agent)
        _check_allowed(activation, slug)
        entry = await self._serve(slug)
        given, context = to_json(payload), to_json(dict(how.context))
        how = Sending(how.deadline, context, how.task_id)
        await activation.run.journal.room()
        # A cycle is refused without standing in line: it would wait for itself there, too.
        ancestors = _ancestors(activation)
        room = None if _cycle(entry, ancestors) else self._engine.room(slug)
        if room is None:
            return self._hand_over(activation, entry, given, how)
        sent: list[Pending] = []
        try:
            async with activation.waiting():
                await room
                sent.append(self._hand_over(activation, entry, given, how))
        except BaseException:
            activation.call_off(sent)
            raise
        return sent[0]

    def _hand_over(
        self, activation: Activation, entry: Entry, payload: Any, how: Sending
    ) -> Pending:
        activation.check()
        delegation = _addressed(activation, entry, payload, how)
        pending = self._submit(activation.run, activation, entry, delegation)
        activation.children.add(pending)
        return pending

    # --- at the caller ---------------------------------------------------------------------------

    async def _serve(self, slug: str) -> Entry:
        entry = self._directory.agents[self._directory.slug(slug)]
        agent, limits = entry
        if slug in self._served:
            return entry
        capacity = Capacity(
            concurrency=limits.concurrency,
            queue=limits.mailbox,
            max_restarts=limits.max_restarts,
            backoff=limits.backoff,
            per=agent.per,
        )
        make = agent.body if agent.per != "delegation" else None
        await self._engine.serve(slug, capacity, self._perform, make)
        self._served.add(slug)
        return entry

    def _submit(
        self, run: Run, activation: Activation | None, entry: Entry, delegation: Delegation
    ) -> Pending:
        """Check, note and hand over; whatever is wrong becomes a failed Result."""
        sent = _Sent(run, activation, entry, delegation, anyio.current_time(), new_pending())
        arguments, fault = _checked(entry, delegation)
        fault = _note_sent(run, delegation, fault)
        if fault is not None:
            self._conclude(sent, Answer(None, {}, Totals(), fault.reason, str(fault)))
            return sent.pending
        work = self._engine.submit(delegation)
        work.arguments = arguments
        work.outcome.add_done_callback(partial(self._answered, sent, work))
        sent.pending.add_done_callback(lambda done: done.cancelled() and work.outcome.cancel())
        return sent.pending

    def _answered(self, sent: _Sent, work: Work, outcome: Pending) -> None:
        """Turn what became of the work into a Result."""
        if outcome.cancelled():
            answer = Answer(None, {}, Totals(), "cancelled", "its caller gave it up")
        elif (error := outcome.exception()) is None:
            answer = outcome.result()
        else:
            reason = error.reason if isinstance(error, WorkFailed) else "crashed"
            answer = Answer(None, {}, Totals(), reason, str(error))
        if sent.activation is not None:
            sent.activation.totals.add(answer.totals)
        self._conclude(sent, answer, work.attempts)

    def _conclude(self, sent: _Sent, answer: Answer, attempts: int = 0) -> None:
        delegation, totals = sent.delegation, answer.totals
        cost = totals.known_cost
        metrics = {
            "duration_ms": round((anyio.current_time() - sent.at) * 1000, 3),
            "attempts": attempts,
            "calls": totals.calls,
            "tokens": totals.input_tokens + totals.output_tokens,
            "cost_usd": None if cost is None else usd(cost),
        }
        try:
            answer = _noted(sent, answer, metrics)
        except RuntimeFault as fault:  # the journal's: who waits must hear of it all the same
            answer = Answer(None, {}, totals, fault.reason, str(fault))
        if not sent.pending.done():
            sent.pending.set_result(_result(delegation.task_id, answer, metrics))

    # --- in the agent's actor --------------------------------------------------------------------

    async def _perform(self, work: Work) -> Answer:
        delegation = work.delegation
        run = self._runs[delegation.run_id]
        entry = self._directory.agents[delegation.sag_id]
        span = self._start_span(run, entry.agent, delegation)
        activation = Activation(
            run, entry.agent, entry.limits, delegation=delegation, span=span, place=work.place
        )
        note = {"agent": delegation.sag_id, "task": delegation.task_id, "attempt": work.attempts}
        work.body = activation
        run.body_began()
        try:
            run.record("delegation_started", delegation.op, note)
            with span.attached():
                answer = await self._answer(activation, work)
        except BaseException as error:
            span.end(error_type=_ended_by(work, error), message=f"{type(error).__name__}: {error}")
            raise
        finally:
            activation.close()
            run.body_ended()
        _end_span(span, activation, answer)
        return answer

    async def _answer(self, activation: Activation, work: Work) -> Answer:
        """Run the body; a failure on purpose is an answer, too."""
        agent, context = activation.agent, Context(activation, self)
        place = work.place
        try:
            if place is not None and not place.inside:
                await place.come_back()  # it crashed, and waited for its restart outside
            checked, work.arguments = work.arguments, None
            args, kwargs = checked or agent.signature.arguments(activation.delegation.input)
            answer = await self._bodies.run(context, activation, work.state, args, kwargs)
            value, output = agent.signature.output(answer)
        except Exception as error:
            fault = _on_purpose(error)
            if fault is None:
                if place is not None:
                    place.leave()  # others may run until this one is started again
                raise
            return Answer(None, {}, activation.totals, _reason(fault), str(fault))
        except (anyio.get_cancelled_exc_class(), KeyboardInterrupt):
            raise
        except BaseException as exit_:  # noqa: BLE001  # an agent may end itself, never the process
            text = f"the agent raised {exit_!r}"
            return Answer(None, {}, activation.totals, "exited", text)
        return Answer(value, output, activation.totals)

    def _start_span(self, run: Run, agent: Agent, delegation: Delegation) -> Span:
        attributes = invoke_agent_start(
            delegation.sag_id,
            run_id=run.id,
            task_id=delegation.task_id,
            description=agent.description or None,
            delegated_by=delegation.ancestors[-1] if delegation.ancestors else None,
            depth=len(delegation.ancestors),
        )
        name = span_name(INVOKE_AGENT, delegation.sag_id)
        return self._tracing.start(name, parent=delegation.traceparent, attributes=attributes)


class _Sent(NamedTuple):
    """A Delegation on its way, as its caller knows it."""

    run: Run
    activation: Activation | None
    entry: Entry
    delegation: Delegation
    at: float
    pending: Pending


def _addressed(activation: Activation, entry: Entry, payload: Any, how: Sending) -> Delegation:
    """Fill in what the runtime needs besides the author's fields."""
    above, run, slug = activation.delegation, activation.run, entry.agent.name
    now = anyio.current_time()
    ends = [now + s for s in (how.deadline, entry.limits.deadline_s) if s is not None]
    if above.deadline is not None:
        ends.append(above.deadline)
    return Delegation(
        how.task_id or run.task_id(slug),
        slug,
        payload,
        how.context,
        run_id=run.id,
        op=run.operation(above.op, slug, [payload, how.context]),
        parent=above.task_id,
        ancestors=_ancestors(activation),
        deadline=min(ends, default=None),
        traceparent=activation.span.traceparent,
    )


def _check_allowed(activation: Activation, slug: str) -> None:
    allowed = activation.limits.agents
    if allowed is not None and slug not in allowed:
        raise PolicyDenied(
            f"agent {activation.agent.name} may not delegate to {slug!r};"
            " add it to the agent's agents"
        )


def _ancestors(activation: Activation) -> tuple[str, ...]:
    above = activation.delegation
    return (*above.ancestors, above.sag_id)


def _cycle(entry: Entry, ancestors: tuple[str, ...]) -> str | None:
    """Return why a Delegation would never come to its turn; None when it may."""
    if entry.agent.per != "delegation" and entry.agent.name in ancestors:
        return f"{entry.agent.name} would wait for itself: it is busy further up"
    if len(ancestors) >= MAX_DEPTH:
        return f"{MAX_DEPTH} agents wait for one another already"
    return None


def _checked(entry: Entry, delegation: Delegation) -> tuple[Any, RuntimeFault | None]:
    """Return the arguments that an input means, or what is wrong with it."""
    cycle = _cycle(entry, delegation.ancestors)
    if cycle is not None:
        return None, DelegationCycle(cycle)
    try:
        return entry.agent.signature.arguments(delegation.input), None
    except InvalidInput as fault:
        return None, fault


def _note_sent(run: Run, delegation: Delegation, fault: RuntimeFault | None) -> RuntimeFault | None:
    """Note a Delegation and what is wrong with it; return that, also if it only shows now."""
    try:
        run.record("delegation_sent", delegation.op, _envelope(delegation, fault))
    except (TypeError, ValueError) as error:
        return InvalidInput(f"input of {delegation.sag_id} is no JSON: {error}")
    return fault


def _noted(sent: _Sent, answer: Answer, metrics: Mapping[str, Any]) -> Answer:
    """Note the outcome of a Delegation; an answer that the journal cannot hold is a failure."""
    op, note = sent.delegation.op, {"task": sent.delegation.task_id, "metrics": metrics}
    if answer.reason is None:
        try:
            sent.run.record("delegation_completed", op, note | {"output": answer.output})
        except (TypeError, ValueError) as error:
            text = f"output of {sent.delegation.sag_id} is no JSON: {error}"
            answer = Answer(None, {}, answer.totals, InvalidOutput.reason, text)
        else:
            return answer
    why = {"error": answer.error, "reason": answer.reason}
    sent.run.record("delegation_failed", op, note | why)
    return answer


def _on_purpose(error: Exception) -> RuntimeFault | None:
    """Return the fault that a body failed with; None for a crash, also one among faults."""
    if isinstance(error, ExceptionGroup) and error.split(RuntimeFault)[1] is not None:
        return None
    leaf = first_leaf(error)
    return leaf if isinstance(leaf, RuntimeFault) else None


def _ended_by(work: Work, error: BaseException) -> str:
    if work.ending is not None:
        return work.ending.reason
    return "crashed" if isinstance(error, Exception) else "killed"


def _envelope(delegation: Delegation, fault: RuntimeFault | None) -> Mapping[str, Any]:
    note = {
        "agent": delegation.sag_id,
        "task": delegation.task_id,
        "parent": delegation.parent,
        "input": delegation.input,
        "context": delegation.context,
    }
    return note if fault is None else note | {"error": str(fault)}


def _reason(fault: RuntimeFault) -> str:
    if isinstance(fault, DelegationFailed):
        return fault.cause if fault.cause in CARRIED else "delegation"
    return fault.reason


def _result(task_id: str, answer: Answer, metrics: Mapping[str, Any]) -> Result[Any]:
    if answer.reason is None:
        return Result(task_id, "success", answer.output, metrics, value=answer.value)
    return Result(task_id, "failure", {}, metrics, answer.error, reason=answer.reason)


def _end_span(span: Span, activation: Activation, answer: Answer) -> None:
    totals = activation.totals
    span.set(
        invoke_agent_end(
            calls=totals.calls,
            input_tokens=totals.input_tokens,
            output_tokens=totals.output_tokens,
            cost_nano_usd=totals.known_cost,
        )
    )
    span.end(error_type=answer.reason, message=answer.error)
