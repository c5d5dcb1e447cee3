"""Using a skill: checked, spanned, journalled. A skill is a call, not an actor."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio

from otel.attributes import execute_tool_end, execute_tool_start, span_name
from otel.conventions import EXECUTE_TOOL, TOOL_CALL_ARGUMENTS, TOOL_CALL_RESULT
from otel.log_scope import within
from otel.measurements import tool_ended
from runtime.blocking import BlockingContext
from runtime.engines import current_time
from runtime.errors import DeadlineExceeded, Denied, InvalidInput, InvalidOutput, PolicyDenied
from runtime.explicit import FOR_THE_RUNTIME
from runtime.failed_before import in_doubt
from runtime.signature import to_json
from runtime.skill_steps import (
    begun_note,
    may_have_taken_place,
    note_failed,
    outcome_of_skill,
    question_of_doubt,
    recalled_skill,
    used_again,
)
from runtime.threads import Threads
from runtime.wishes import ApprovalWish

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel import Metrics, Span, Tracing
    from otel.attributes import Attributes
    from otel.contents import Contents
    from runtime.activation import Activation
    from runtime.agent import Skill
    from runtime.approval_steps import Approvals
    from runtime.context import Context
    from runtime.directory import Directory
    from runtime.messages import ToolCall
    from runtime.rules import Rules
    from runtime.run import Run


class Skills:
    """Runs skills for agents.

    Args:
        directory: the skills by name.
        tracing: where spans come from.
        timeouts: by skill, the seconds that one call may take.
        rules: says which may be used.
        approvals: asks people about those that need their approval.
        metrics: where measurements go.
    """

    def __init__(
        self,
        directory: Directory,
        tracing: Tracing,
        timeouts: Mapping[str, float],
        *,
        rules: Rules,
        approvals: Approvals,
        metrics: Metrics,
    ) -> None:
        self._directory = directory
        self._tracing = tracing
        self._timeouts = timeouts
        self._rules = rules
        self._approvals = approvals
        self._metrics = metrics
        self._threads = Threads()

    async def use(
        self,
        context: Context,
        activation: Activation,
        skill: Skill | str,
        payload: Any,
        call_id: str | None = None,
    ) -> Any:
        """Run a skill on an input and return what it returns.

        Args:
            context: what the agent may do.
            activation: the agent at work.
            skill: the skill.
            payload: its input.
            call_id: the id by which a model has called it, and then has written the input: nothing
                in it is for the runtime, as no model decides whom to ask, or how. None where code
                has called it.

        Raises:
            UnknownName: there is no such skill.
            PolicyDenied: the catalog does not let this agent use it, or a policy forbids it.
            Denied: a policy wants it approved, and somebody has denied it.
            InDoubt: it may have taken place before, and somebody has denied to use it again.
            InvalidInput: the input is not what the skill declares.
            InvalidOutput: its answer is not what it declares.
            DeadlineExceeded: it took longer than it may.
            Exception: what the skill raised.
        """
        found = self._directory.skill(skill)
        _check_allowed(activation, found)
        run, delegation = activation.run, activation.delegation
        given = to_json(payload)
        by_model = call_id is not None
        foreign = () if by_model else FOR_THE_RUNTIME
        own = found.signature.without(payload, foreign)
        op = run.operation(delegation.op, found.name, given)
        use = _Use(found, op, payload, given, own, call_id)
        if may_have_taken_place(run, found, use.op):
            use = await self._approved_again(context, activation, use)
        op = use.op
        if (done := outcome_of_skill(run, op)) is not None:
            return await recalled_skill(run, found, done)
        if run.recorded is not None:
            await run.recorded.may_begin(op)
        await self._check_permission(context, activation, use)
        await context.may_begin()
        run.conduct.began()
        try:
            return await self._work(context, activation, use)
        finally:
            run.conduct.ended()

    async def _work(self, context: Context, activation: Activation, use: _Use) -> Any:
        """Run what may run, and note how it begins and ends."""
        run, found, op = activation.run, use.skill, use.op
        await run.room()
        await run.begin("skill_started", op, begun_note(run, found, use.given))
        await run.written(always=found.has_effects)
        span = self._start_span(activation, found.name, use.call_id or op, found.description)
        activation.tool_calls += 1
        began = current_time() if self._metrics.on else 0.0
        reason = None
        by_model = use.call_id is not None
        try:
            contents = self._contents(activation, use.payload, by_model=by_model)
            if contents is not None:
                span.set({TOOL_CALL_ARGUMENTS: contents.value(use.given)})
            with span.attached(), within(span, skill=found.name):
                inner = context.for_skill(op, use.payload, by_model=by_model)
                value, output = await self._call(inner, activation, found, use.own)
            _completed(run, op, found, output)
            await run.written(always=found.has_effects)
            if span.is_recording:
                span.set(execute_tool_end(result_bytes=len(json.dumps(output).encode())))
            if contents is not None:
                span.set({TOOL_CALL_RESULT: contents.value(output)})
            span.end()
        except BaseException as error:
            reason = activation.reason_of(error)
            span.end(error_type=reason, message=str(error))
            note_failed(run, op, found, error, reason)
            raise
        finally:
            if self._metrics.on:
                seconds, agent = current_time() - began, activation.agent.name
                tool_ended(
                    self._metrics, found.name, agent=agent, seconds=seconds, error_type=reason
                )
        return value

    async def _check_permission(self, context: Context, activation: Activation, use: _Use) -> None:
        """Ask policy, and people about what it wants approved: each use is a question of its own.

        Raises:
            PolicyDenied: it must not be used.
            Denied: somebody has said so.
        """
        if not self._rules.rule_on_tools:
            return
        agent, skill = activation.agent.name, use.skill
        ruling = self._rules.tool(skill.name, agent, (use.given, _checked(skill, use.own)))
        if ruling.permission == "always":
            return
        if ruling.permission == "never":
            _note_denied(activation, skill, ruling.source)
            why = f"{ruling.source}: agent {agent} may never use skill {skill.name!r}"
            raise PolicyDenied(why)
        question = f"May agent {agent} use {skill.name}?"
        wish = ApprovalWish(question, use.given, tool=skill.name, policy=ruling.source)
        decision = await self._approvals.decision(
            activation, f"{use.op}/approve", wish, context.waiting
        )
        if not decision:
            raise Denied(
                f"{ruling.source}: agent {agent} may use skill {skill.name!r} only with approval,"
                f" and {decision}"
            )

    async def _approved_again(self, context: Context, activation: Activation, use: _Use) -> _Use:
        """Ask people whether a skill may be used again that may have taken place.

        The question names no tool, so that nobody's general approval of the tool answers it.

        Raises:
            InDoubt: it may not.
        """
        run, skill = activation.run, use.skill
        op, question = question_of_doubt(run, skill, use.op)
        wish = ApprovalWish(question, use.given)
        decision = await self._approvals.decision(activation, op, wish, context.waiting)
        if not decision:
            raise in_doubt(skill.name, decision)
        return use._replace(op=used_again(run, activation.delegation.op, skill, use.given, use.op))

    def note_refused(self, activation: Activation, call: ToolCall, why: str) -> None:
        """Note a model's call that reaches no skill, as the span of a tool that failed."""
        span = self._start_span(activation, call.name, call.id)
        span.end(error_type="invalid_input", message=why)

    def _contents(self, activation: Activation, payload: Any, *, by_model: bool) -> Contents | None:
        """Return what turns arguments and results into attributes; None where they are in none."""
        contents = self._tracing.options.contents
        if contents is None or not self._tracing.is_recording:
            return None
        hints = activation.hints if by_model else activation.hints.within(payload)
        own = activation.limits.data_class
        classes = hints.data_classes | {name for name in (own,) if name}
        return contents if self._rules.contents(classes).in_journal else None

    def _start_span(
        self, activation: Activation, name: str, call_id: str, description: str = ""
    ) -> Span:
        attributes: Attributes | None = None
        if self._tracing.is_recording:
            attributes = execute_tool_start(
                name,
                call_id=call_id,
                description=description or None,
                agent=activation.agent.name,
                run_id=activation.run.id,
                task_id=activation.delegation.task_id,
            )
        title = span_name(EXECUTE_TOOL, name)
        span = self._tracing.start(title, parent=activation.span, attributes=attributes)
        activation.run.spans_began(span.trace_id)
        return span

    async def _call(
        self, inner: Context, activation: Activation, skill: Skill, own: Any
    ) -> tuple[Any, Any]:
        args, kwargs = skill.signature.arguments(own)
        if skill.wants_context:
            args = (BlockingContext(inner) if skill.style == "thread" else inner, *args)
        timeout = self._timeouts.get(skill.name)
        if timeout is None:
            return skill.signature.output(await self._run(activation, skill, args, kwargs))
        with anyio.move_on_after(timeout):
            return skill.signature.output(await self._run(activation, skill, args, kwargs))
        raise DeadlineExceeded(f"skill {skill.name} took longer than its {timeout:g} s")

    async def _run(
        self,
        activation: Activation,
        skill: Skill,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        if skill.style == "async":
            return await skill.function(*args, **kwargs)
        if skill.style == "inline":
            return skill.function(*args, **kwargs)
        return await self._threads.run(activation, partial(skill.function, *args, **kwargs))


class _Use(NamedTuple):
    """One use of a skill.

    Attributes:
        skill: the skill.
        op: the step that it is.
        payload: its input.
        given: the same as JSON data.
        own: the same without what is for the runtime.
        call_id: the id by which a model has called it; None where code has.
    """

    skill: Skill
    op: str
    payload: Any
    given: Any
    own: Any
    call_id: str | None


def _note_denied(activation: Activation, skill: Skill, policy: str) -> None:
    fields = {"tool": skill.name, "agent": activation.agent.name, "policy": policy}
    note = {"event": "tool_denied", "task": activation.delegation.task_id, "fields": fields}
    activation.run.record("log", activation.delegation.op, note)


def _checked(skill: Skill, own: Any) -> Any:
    """Return the arguments as the skill gets them, defaults and all; None where it refuses them."""
    try:
        return skill.signature.named(own)
    except InvalidInput:
        return None  # it is told below what is wrong


def _check_allowed(activation: Activation, skill: Skill) -> None:
    allowed = activation.limits.skills
    if allowed is None and activation.agent.skills:
        allowed = frozenset(activation.agent.skills)
    if allowed is not None and skill.name not in allowed:
        raise PolicyDenied(
            f"agent {activation.agent.name} may not use skill {skill.name!r};"
            " add it to the agent's skills"
        )


def _completed(run: Run, op: str, skill: Skill, output: Any) -> None:
    try:
        run.record("skill_completed", op, {"output": output})
    except (TypeError, ValueError) as error:
        raise InvalidOutput(f"output of skill {skill.name} is no JSON: {error}") from error
