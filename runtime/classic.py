"""The guide's contract: ``run(payload, *, registry=None, skills=None, runner=None, obs=None)``.

Also ``run(payload, **deps)``, sync and async. A plain ``def`` runs in a worker thread, where the
sync methods wait; an ``async def`` awaits those that end in ``_async``. It returns an object, or
the Result of a Delegation as it is.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from runtime.agent import CLASSIC_NAMES
from runtime.blocking import wait, wait_sync
from runtime.errors import DelegationFailed
from runtime.messages import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runtime.context import Context
    from runtime.directory import Directory
    from runtime.messages import Delegation


class ClassicSkills:
    """``skills``: what an agent can do with skills, by their names."""

    def __init__(self, context: Context, directory: Directory) -> None:
        self._context = context
        self._directory = directory

    def exists(self, skill_id: str) -> bool:
        """Whether there is such a skill."""
        return skill_id in self._directory.skills

    def invoke(self, skill_id: str, payload: Mapping[str, Any]) -> Any:
        """Run a skill and wait for what it returns; for plain agents."""
        return wait(self._context, self.invoke_async, skill_id, payload)

    async def invoke_async(self, skill_id: str, payload: Mapping[str, Any]) -> Any:
        """Run a skill and return what it returns."""
        return await self._context.use_payload(skill_id, payload)


class ClassicRunner:
    """``runner``: how an agent delegates."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def invoke_sag(self, delegation: Delegation) -> Result[Any]:
        """Delegate and wait for the Result; for plain agents."""
        return wait(self._context, self.invoke_sag_async, delegation)

    async def invoke_sag_async(self, delegation: Delegation) -> Result[Any]:
        """Delegate and return the Result; never raises for the agent's failure."""
        return await self._context.delegate(delegation)

    def invoke_mag(
        self, slug: str, payload: Mapping[str, Any], context: Mapping[str, Any] | None = None
    ) -> Any:
        """Run a MAG and wait for its output; for plain agents."""
        return wait(self._context, self.invoke_mag_async, slug, payload, context)

    async def invoke_mag_async(
        self, slug: str, payload: Mapping[str, Any], context: Mapping[str, Any] | None = None
    ) -> Any:
        """Run a MAG and return its output.

        Raises:
            DelegationFailed: it failed.
        """
        result = await self._context.delegate(slug, dict(payload), context=context)
        if not result.ok:
            raise DelegationFailed(result.task_id, result.reason or "failure", result.error or "")
        return result.output


class ClassicObservability:
    """``obs``: what an agent may note and know about its run.

    Attributes:
        run_id: the run.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self.run_id = context.run_id

    def log(self, event: str, data: Mapping[str, Any] | None = None) -> None:
        """Note an event with its data."""
        self._note(event, dict(data or {}))

    def metric(self, key: str, value: float) -> None:
        """Note a number."""
        self._note("metric", {"key": key, "value": value})

    def get_current_cost(self) -> float:
        """Return what the run has cost so far, in USD."""
        return self._context.cost_usd

    @property
    def cost_usd(self) -> float:
        """What the run has cost so far, in USD."""
        return self._context.cost_usd

    @property
    def token_count(self) -> int:
        """The tokens of the run so far, prompt and answers together."""
        return self._context.tokens

    def _note(self, event: str, data: dict[str, Any]) -> None:
        if inspect.iscoroutinefunction(self._context.body):
            self._context.log_fields(event, data)
        else:
            wait_sync(self._context.log_fields, event, data)


class ClassicRegistry:
    """``registry``: which agents and skills there are."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def load_agent(self, slug: str) -> dict[str, Any]:
        """Return what is known of an agent.

        Raises:
            UnknownName: there is no such agent.
        """
        agent, limits = self._directory.agents[self._directory.slug(slug)]
        return {
            "slug": slug,
            "role": agent.role,
            "description": agent.description,
            "model": limits.model or agent.model,
            "input_schema": agent.signature.input_schema,
            "output_schema": agent.signature.output_schema,
        }

    def load_skill(self, skill_id: str) -> dict[str, Any]:
        """Return what is known of a skill.

        Raises:
            UnknownName: there is no such skill.
        """
        skill = self._directory.skill(skill_id)
        return {"id": skill_id, "description": skill.description, "input_schema": skill.schema}

    def list_agents(self) -> list[str]:
        """Return the slugs of all agents."""
        return sorted(self._directory.agents)

    def list_skills(self) -> list[str]:
        """Return the names of all skills."""
        return sorted(self._directory.skills)


def dependencies(
    function: Callable[..., Any], context: Context, directory: Directory
) -> dict[str, Any]:
    """Return those of registry, skills, runner and obs that the function takes."""
    offered = {
        "registry": ClassicRegistry(directory),
        "skills": ClassicSkills(context, directory),
        "runner": ClassicRunner(context),
        "obs": ClassicObservability(context),
    }
    parameters = inspect.signature(function).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return offered
    return {name: offered[name] for name in CLASSIC_NAMES if name in parameters}


def answer_of(output: Any) -> Any:
    """Return what a body returns as its answer; a Delegation's Result as the object that it is.

    Raises:
        DelegationFailed: it is the Result of one that failed, so this agent has no answer either.
    """
    if not isinstance(output, Result):
        return output
    output.unwrap()
    return {
        "task_id": output.task_id,
        "status": output.status,
        "output": output.output,
        "metrics": dict(output.metrics),
    }
