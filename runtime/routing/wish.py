"""What is wished, and by whom: the levels of priority, strongest first.

| level | who says it |
|---|---|
| ``fork`` | the one who forks a run, ``fork --model``, of what is asked from the fork on |
| ``ask`` | code, in ``ctx.ask(model=..., provider=...)`` |
| ``model_config`` | code, in the payload of a skill or agent |
| ``llm_overrides`` | code, in the context of a Delegation |
| ``preferred`` | code, ``preferred_model`` or ``preferred_provider`` in that context |
| ``cost_tier`` | code, in that context |
| ``command`` | the one who starts the run, ``--model`` and ``--provider`` |
| ``environment`` | ``MAGSAG_MODEL`` and ``MAGSAG_PROVIDER`` |
| ``workflow`` | the workflow's entry in the catalog |
| ``named_route`` | the route of a type of task that code names |
| ``agent`` | the agent's entry in the catalog |
| ``route`` | the route of the agent's own type of task |
| ``proposal`` | ``@sag(model=...)``: code proposes, the catalog disposes |
| ``default`` | the routing file's default tier and provider |
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias, get_args

Level: TypeAlias = Literal[
    "fork",
    "ask",
    "model_config",
    "llm_overrides",
    "preferred",
    "cost_tier",
    "command",
    "environment",
    "workflow",
    "named_route",
    "agent",
    "route",
    "proposal",
    "default",
]
LEVELS: tuple[Level, ...] = get_args(Level)


class Wish(NamedTuple):
    """What is wished, on one level of priority.

    Attributes:
        model: a tier, ``provider/model`` or a model's name; None for no wish.
        provider: a provider; None for no wish.
        level: who wishes it.
    """

    model: str | None = None
    provider: str | None = None
    level: Level = "ask"
