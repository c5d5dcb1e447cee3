"""Names in policies that stand for nobody in the catalog: perhaps for code, perhaps a slip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.patterns import is_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.catalog import Catalog, Policy

COMMAND = "invoke"  # who asks models without an agent


def doubts_of(catalog: Catalog) -> list[str]:
    """Return a line for each agent and tool that a policy names and the catalog does not have."""
    known = {"agent": {*catalog.agents, COMMAND}, "skill": {*catalog.skills}}
    return [
        f"{policy.source}: policy {policy.name} names {kind} {name!r}, which the catalog does not"
        " have; correct the name, unless only code has it"
        for policy in catalog.policies
        for kind, name in dict.fromkeys(_named(policy))
        if not is_pattern(name) and name not in known[kind]
    ]


def _named(policy: Policy) -> Iterator[tuple[str, str]]:
    for cap in policy.caps:
        if cap.subject == "agent":
            yield from (("agent", name) for name, _ in cap.amounts)
    for rule in policy.tools.rules if policy.tools is not None else ():
        yield "skill", rule.tool
        if rule.agent is not None:
            yield "agent", rule.agent
