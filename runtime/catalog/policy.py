"""One policy as the governance floor reads it: plain data that knows where it is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from runtime.catalog.values import nano_usd

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runtime.catalog.policies import (
        Keeping,
        Permission,
        PolicyEntry,
        ThresholdsEntry,
        ToolPermissionsEntry,
        ToolsEntry,
    )

Subject: TypeAlias = Literal["agent", "provider", "tenant"]
Window: TypeAlias = Literal["day", "month"]
_CAPS: tuple[tuple[str, Subject, Window], ...] = (
    ("max_cost_per_agent_daily_usd", "agent", "day"),
    ("max_cost_per_agent_monthly_usd", "agent", "month"),
    ("max_cost_per_provider_daily_usd", "provider", "day"),
    ("max_cost_per_provider_monthly_usd", "provider", "month"),
    ("max_cost_per_tenant_daily_usd", "tenant", "day"),
    ("max_cost_per_tenant_monthly_usd", "tenant", "month"),
)


class Cap(NamedTuple):
    """What all calls of one agent, provider or tenant may cost in a day or month.

    Attributes:
        subject: whose calls.
        window: in what time, of UTC.
        amounts: nano-dollars by name or pattern; the first that fits decides.
    """

    subject: Subject
    window: Window
    amounts: tuple[tuple[str, int], ...]


class ToolRule(NamedTuple):
    """What holds for some uses of some tools.

    Attributes:
        tool: the tool's name, or a pattern.
        permission: what holds.
        environment: only in this one; None in any.
        agent: only for such agents; None for any.
        when: only with such arguments: name -> a pattern of the value as text.
    """

    tool: str
    permission: Permission
    environment: str | None = None
    agent: str | None = None
    when: tuple[tuple[str, str], ...] = ()


class Tools(NamedTuple):
    """Which tools may be used.

    Attributes:
        rules: all of them; the strictest that fits decides.
        defaults: by environment, None for any: what holds where no rule fits.
    """

    rules: tuple[ToolRule, ...] = ()
    defaults: Mapping[str | None, Permission] = {}


@dataclass(frozen=True, slots=True)
class Policy:
    """One rule. What is None or empty is not what it is about.

    Attributes:
        name: how refusals call it.
        source: where it is written, e.g. ``catalog/policies/model_governance.yaml:3``.
        description: what it is for.
        allowed_models: names or patterns of the only models that may be asked.
        max_cost_per_run: nano-dollars that a run may cost.
        requirements: data class -> the only models that may be asked with such data.
        residency: data class -> the only regions that may see such data.
        caps: what may be spent in a day or a month.
        unknown_price: whether a model without a known price may be asked; None: it does not say.
        unknown_rate: nano-dollars that a million tokens of such a model count; None for none.
        tools: which tools may be used.
        denies_retired: whether retired models must not be asked.
        contents: data class or pattern -> whether prompts and replies are kept.
    """

    name: str
    source: str
    description: str
    allowed_models: frozenset[str] | None
    max_cost_per_run: int | None
    requirements: Mapping[str, frozenset[str]]
    residency: Mapping[str, frozenset[str]] = field(default_factory=dict)
    caps: tuple[Cap, ...] = ()
    unknown_price: Literal["allow", "deny"] | None = None
    unknown_rate: int | None = None
    tools: Tools | None = None
    denies_retired: bool = False
    contents: Mapping[str, Keeping] = field(default_factory=dict)


def policy_of(entry: PolicyEntry, source: str) -> Policy:
    """Return an entry as a policy that is written at ``source``."""
    allowed, spending = entry.allowed_models, entry.thresholds
    per_run = None if spending is None else spending.max_cost_per_run_usd
    rate = None if spending is None else spending.unknown_price_usd_per_mtok
    return Policy(
        name=entry.name,
        source=source,
        description=entry.description or "",
        allowed_models=None if allowed is None else frozenset(allowed),
        max_cost_per_run=None if per_run is None else nano_usd(per_run),
        requirements=_sets(entry.requirements),
        residency=_sets(entry.residency),
        caps=() if spending is None else tuple(_caps(spending)),
        unknown_price=None if spending is None else spending.on_unknown_price,
        unknown_rate=None if rate is None else nano_usd(rate),
        tools=None if entry.tool_permissions is None else _tools(entry.tool_permissions),
        denies_retired=entry.retired == "deny",
        contents=entry.contents or {},
    )


def _sets(named: Mapping[str, tuple[str, ...]] | None) -> dict[str, frozenset[str]]:
    return {name: frozenset(each) for name, each in (named or {}).items()}


def _caps(spending: ThresholdsEntry) -> Iterator[Cap]:
    for key, subject, window in _CAPS:
        amounts = getattr(spending, key)
        if amounts is not None:
            yield Cap(subject, window, tuple((n, nano_usd(a)) for n, a in amounts.items()))


def _tools(entry: ToolPermissionsEntry) -> Tools:
    places: dict[str | None, ToolsEntry] = {None: entry}
    places.update(entry.environments.items())
    named = (
        ToolRule(tool, permission, environment)
        for environment, place in places.items()
        for tool, permission in place.tools.items()
    )
    conditional = (
        ToolRule(rule.tool, rule.permission, None, rule.agent, tuple(rule.when.items()))
        for rule in entry.rules
    )
    defaults = {name: place.default for name, place in places.items() if place.default is not None}
    return Tools((*named, *conditional), defaults)
