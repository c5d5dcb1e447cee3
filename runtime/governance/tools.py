"""Whether a tool may be used: always, with approval, never. Pure.

The strictest of what fits decides, so ``never`` is absolute: no environment, agent or argument
makes it less. Where nothing fits, the environment's default holds, else the general one, else the
tool may be used; of several policies the strictest again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.patterns import fits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from runtime.catalog import Policy, ToolRule, Tools
    from runtime.catalog.policies import Permission

STRICTER: tuple[Permission, ...] = ("always", "require_approval", "never")


class Ruling(NamedTuple):
    """What holds for one use of a tool.

    Attributes:
        permission: what holds.
        source: the policy that says so; empty if none does.
    """

    permission: Permission
    source: str = ""


class Use(NamedTuple):
    """One use of a tool.

    Attributes:
        tool: its name.
        agent: who uses it.
        environment: where.
        arguments: with what; only objects have arguments with names.
    """

    tool: str
    agent: str
    environment: str
    arguments: Any


def ruling(policies: Iterable[Policy], use: Use) -> Ruling:
    """Return what holds for one use of a tool."""
    rulings = [
        Ruling(_of_one(policy.tools, use), f"policy {policy.name} ({policy.source})")
        for policy in policies
        if policy.tools is not None
    ]
    return strictest(rulings)


def strictest(rulings: Iterable[Ruling]) -> Ruling:
    """Return the strictest of some rulings; ``always`` if there is none."""
    return max(rulings, key=lambda one: STRICTER.index(one.permission), default=Ruling("always"))


def _of_one(tools: Tools, use: Use) -> Permission:
    fitting = [rule.permission for rule in tools.rules if _fits(rule, use)]
    if fitting:
        return max(fitting, key=STRICTER.index)
    return tools.defaults.get(use.environment) or tools.defaults.get(None) or "always"


def _fits(rule: ToolRule, use: Use) -> bool:
    return (
        fits(rule.tool, use.tool)
        and rule.environment in (None, use.environment)
        and (rule.agent is None or fits(rule.agent, use.agent))
        and all(_has(use.arguments, name, pattern) for name, pattern in rule.when)
    )


def _has(arguments: Any, name: str, pattern: str) -> bool:
    """Whether an argument is there and its value, as text, is one that a pattern stands for."""
    named: Mapping[str, Any] = arguments if isinstance(arguments, dict) else {}
    return name in named and fits(pattern, _as_text(named[name]))


def _as_text(value: Any) -> str:
    """Return a value as a policy writes it: ``true`` and ``null`` as in JSON, not as in Python."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
