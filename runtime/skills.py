"""Using a skill: checked, spanned, journalled. A skill is a call, not an actor."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from otel.attributes import execute_tool_end, execute_tool_start, span_name
from otel.conventions import EXECUTE_TOOL
from runtime.errors import DeadlineExceeded, PolicyDenied, RuntimeFault
from runtime.signature import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel import Span, Tracing
    from runtime.activation import Activation
    from runtime.agent import Skill
    from runtime.context import Context
    from runtime.directory import Directory

THREADS = 40  # plain skills that run at once; they are short, and never wait for one another


class Skills:
    """Runs skills for agents.

    Args:
        directory: the skills by name.
        tracing: where spans come from.
        timeouts: by skill, the seconds that one call may take.
    """

    def __init__(
        self, directory: Directory, tracing: Tracing, timeouts: Mapping[str, float]
    ) -> None:
        self._directory = directory
        self._tracing = tracing
        self._timeouts = timeouts
        self._threads = anyio.CapacityLimiter(THREADS)

    async def use(
        self, context: Context, activation: Activation, skill: Skill | str, payload: Any
    ) -> Any:
        """Run a skill on an input and return what it returns.

        Raises:
            UnknownName: there is no such skill.
            PolicyDenied: the catalog does not let this agent use it.
            InvalidInput: the input is not what the skill declares.
            InvalidOutput: its answer is not what it declares.
            DeadlineExceeded: it took longer than it may.
            Exception: what the skill raised.
        """
        found = self._directory.skill(skill)
        _check_allowed(activation, found)
        run, delegation = activation.run, activation.delegation
        given = to_json(payload)
        op = run.operation(delegation.op, found.name, given)
        attributes = execute_tool_start(
            found.name,
            call_id=op,
            description=found.description or None,
            agent=activation.agent.name,
            run_id=run.id,
            task_id=delegation.task_id,
        )
        name = span_name(EXECUTE_TOOL, found.name)
        span = self._tracing.start(name, parent=activation.span, attributes=attributes)
        run.record("skill_started", op, {"skill": found.name, "input": given})
        try:
            with span.attached():
                value, output = await self._call(context, found, payload)
        except BaseException as error:
            _failed(run, op, span, error)
            raise
        run.record("skill_completed", op, {"output": output})
        span.set(execute_tool_end())
        span.end()
        return value

    async def _call(self, context: Context, skill: Skill, payload: Any) -> tuple[Any, Any]:
        args, kwargs = skill.signature.arguments(payload)
        if skill.wants_context:
            args = (context, *args)
        timeout = self._timeouts.get(skill.name)
        with anyio.move_on_after(timeout) as scope:
            return skill.signature.output(await self._run(skill, args, kwargs))
        if scope.cancelled_caught:
            raise DeadlineExceeded(f"skill {skill.name} took longer than its {timeout:g} s")
        raise AssertionError  # the scope either returns or was cancelled

    async def _run(self, skill: Skill, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if skill.style == "async":
            return await skill.function(*args, **kwargs)
        if skill.style == "inline":
            return skill.function(*args, **kwargs)
        return await anyio.to_thread.run_sync(
            partial(skill.function, *args, **kwargs),
            abandon_on_cancel=True,
            limiter=self._threads,
        )


def _check_allowed(activation: Activation, skill: Skill) -> None:
    allowed = activation.limits.skills
    if allowed is None and activation.agent.skills:
        allowed = frozenset(activation.agent.skills)
    if allowed is not None and skill.name not in allowed:
        raise PolicyDenied(
            f"agent {activation.agent.name} may not use skill {skill.name!r};"
            " add it to the agent's skills"
        )


def _failed(run: Any, op: str, span: Span, error: BaseException) -> None:
    reason = error.reason if isinstance(error, RuntimeFault) else type(error).__name__
    run.record("skill_failed", op, {"error": str(error), "reason": reason})
    span.end(error_type=reason, message=str(error))
