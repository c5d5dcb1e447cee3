"""Why a model is asked: what decided, and where that is written or was said."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runtime.catalog import Target, key_of
from runtime.catalog.source import shown_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from runtime.agent import Agent
    from runtime.catalog import Catalog, RouteEntry, RoutingFile
    from runtime.catalog.route import WeighedEntry
    from runtime.routing import Level, Plan, Wish

SAYS: Mapping[Level, str] = {
    "fork": "the fork asks for",
    "ask": "the code asks for",
    "model_config": "the input's model_config asks for",
    "llm_overrides": "the context's llm_overrides ask for",
    "preferred": "the context prefers",
    "cost_tier": "the context's cost_tier is",
    "command": "the command line asks for",
    "environment": "the environment asks for",
    "workflow": "the workflow asks for",
    "named_route": "the route of the task type that code names asks for",
    "agent": "the agent's entry asks for",
    "route": "the route of the agent's task type asks for",
    "proposal": "the agent's code proposes",
    "default": "the routing file's default is",
}
SAID: Mapping[Level, tuple[str, str]] = {  # where a model and a provider are wished by a person
    "model_config": ("input: model_config.model", "input: model_config.provider"),
    "llm_overrides": ("context: llm_overrides.model", "context: llm_overrides.provider"),
    "preferred": ("context: preferred_model", "context: preferred_provider"),
    "cost_tier": ("context: cost_tier", ""),
    "command": ("--model", "--provider"),
    "environment": ("MAGSAG_MODEL", "MAGSAG_PROVIDER"),
}


SETTINGS = frozenset({  # of a route, that hold whoever is asked
    "needs", "fallback_on", "on_content_filter", "attempts", "max_output_tokens", "temperature",
    "structured_output", "use_cache", "cache_ttl_s",
})  # fmt: skip


class Reason(NamedTuple):
    """One thing that counted.

    Attributes:
        what: what was said, by whom.
        where: ``file:line``, or the option, variable or field that says it.
    """

    what: str
    where: str


class Reasons(NamedTuple):
    """What counted, and what did not.

    Attributes:
        because: what decided, the choice of the model first.
        overruled: wishes that something stronger has overruled.
    """

    because: tuple[Reason, ...]
    overruled: tuple[Reason, ...]


class Decision(NamedTuple):
    """What one choice was made of.

    Attributes:
        agent: the agent that asks.
        workflow: the workflow of the run; empty for none.
        routing: the routing file.
        wishes: all of them, strongest first, without the route's.
    """

    agent: Agent
    workflow: str
    routing: RoutingFile
    wishes: Sequence[Wish]


def reasons_of(decision: Decision, plan: Plan, catalog: Catalog) -> Reasons:
    """Return why a plan is what it is."""
    places = _Places(decision, plan, catalog)
    model, provider = _decisive(decision.wishes, plan)
    because: list[Reason] = []
    overruled: list[Reason] = []
    for wish in decision.wishes:
        of_model, of_provider = wish is model, wish is provider
        because += places.reason(_part(wish, model=of_model, provider=of_provider))
        overruled += places.reason(_part(wish, model=not of_model, provider=not of_provider))
    because += places.rows(model, provider)
    return Reasons(tuple(because), (*overruled, *places.overruled_route()))


def _part(wish: Wish, *, model: bool, provider: bool) -> Wish:
    """Return what a wish says of the model, the provider or both."""
    return wish._replace(
        model=wish.model if model else None, provider=wish.provider if provider else None
    )


def _decisive(wishes: Sequence[Wish], plan: Plan) -> tuple[Wish | None, Wish | None]:
    """Return the wish for a model and the one for a provider that counted."""
    model = next((wish for wish in wishes if wish.model and wish.level == plan.level), None)
    provider = next((wish for wish in wishes if wish.provider), None)
    if provider is not None and provider.provider != plan.targets[0].provider:
        provider = None  # a stronger wish has named a model that others have
    return model, provider


class _Places:
    """Finds where the parts of one choice are written."""

    def __init__(self, decision: Decision, plan: Plan, catalog: Catalog) -> None:
        self._decision = decision
        self._plan = plan
        self._catalog = catalog

    def reason(self, wish: Wish) -> Iterator[Reason]:
        """Yield a wish as a reason; nothing if nothing is wished."""
        if not (wish.model or wish.provider):
            return
        for_model, for_provider = self._wished_at(wish.level)
        named = []
        where = []
        if wish.model:
            named.append(wish.model)
            where.append(for_model)
        if wish.provider:
            named.append(f"provider {wish.provider}")
            where.append(for_provider)
        what = f"{SAYS[wish.level]} {', '.join(named)}"
        yield Reason(what, ", ".join(dict.fromkeys(where)))

    def rows(self, wished: Wish | None, provider: Wish | None) -> Iterator[Reason]:
        """Yield what the routing file says that counted."""
        plan, routing = self._plan, self._decision.routing
        first, route = plan.targets[0], plan.route
        if route is not None and (plan.is_proposed or not _names(route)):
            yield self._of_route(route)
        elif route is not None and route.model_fields_set & SETTINGS:
            what = f"route {route.task_type}: how, not whom"
            yield Reason(what, self._line("routes", routing.routes.index(route)))
        if plan.level == "default":
            yield Reason(f"{SAYS['default']} {routing.default}", self._line("default"))
        name = route.tier or route.model if plan.is_proposed and route else wished and wished.model
        tier = name or (routing.default if plan.level == "default" else "")
        if tier in routing.tiers:
            if provider is None and first.provider == routing.provider:
                what = f"the routing file's provider is {routing.provider}"
                yield Reason(what, self._line("provider"))
            yield Reason(
                f"tier {tier} of {first.provider} is {first.model}",
                self._line("tiers", tier, first.provider),
            )
        if plan.stands_for is not None:
            yield self._of_alias(plan.stands_for, first)
        yield from self._of_fallbacks()

    def overruled_route(self) -> Iterator[Reason]:
        """Yield the route of the task, if it names somebody and something stronger does, too."""
        plan = self._plan
        if plan.route is not None and _names(plan.route) and not plan.is_proposed:
            yield self._of_route(plan.route)

    def _wished_at(self, level: Level) -> tuple[str, str]:
        """Return where a level's model and provider are written or said."""
        if level in SAID:
            return SAID[level]
        catalog, decision = self._catalog, self._decision
        if level == "workflow":
            entry = catalog.workflows[decision.workflow]
            return catalog.line(entry, "model"), catalog.line(entry, "provider")
        if level == "agent":
            return catalog.line(catalog.agents[decision.agent.name], "model"), ""
        return code_of(decision.agent.body), ""

    def _of_route(self, route: RouteEntry) -> Reason:
        ways = {
            "tier": route.tier,
            "targets": ", ".join(map(_shown, route.targets)),
            "model": route.model and f"{route.provider}/{route.model}",
        }
        named = ", ".join(f"{way} {what}" for way, what in ways.items() if what)
        how = "by weight" if route.weighed else f"by {route.prefer}"
        shown = "" if how == "by order" else f", {how}"
        what = f"route {route.task_type}: {named or 'how, not whom'}{shown}"
        return Reason(what, self._line("routes", self._decision.routing.routes.index(route)))

    def _of_alias(self, stands_for: str, first: Target) -> Reason:
        wished = Target.read(stands_for)
        rows = enumerate(self._decision.routing.aliases)
        fitting = (
            number
            for number, row in rows
            if first.provider in row and wished.model in row.get(wished.provider, ())
        )
        what = f"at {first.provider}, {first.model} stands for {stands_for}"
        return Reason(what, self._line("aliases", next(fitting, 0)))

    def _of_fallbacks(self) -> Iterator[Reason]:
        """Yield a reason for each list that names somebody who is asked when another fails."""
        routing, targets = self._decision.routing, self._plan.targets
        told: set[str] = set()
        for target in targets:
            key = key_of(target, routing)
            if key is None or key in told:
                continue
            told.add(key)
            listed = [each for each in routing.fallback[key] if Target.read(each) in targets]
            if listed:
                yield Reason(
                    f"when {key} fails: {', then '.join(listed)}", self._line("fallback", key)
                )

    def _line(self, *path: str | int) -> str:
        return self._catalog.line(self._decision.routing, *path)


def _names(route: RouteEntry) -> bool:
    """Whether a route says who is asked."""
    return bool(route.targets or route.tier or route.model)


def _shown(entry: WeighedEntry) -> str:
    return f"{entry.target} (weight {entry.weight:g})" if entry.weight != 1 else entry.target


def code_of(body: Callable[..., Any]) -> str:
    """Return where a function or class is written, as ``file:line``; empty if nobody knows."""
    try:
        file = inspect.getsourcefile(body) or ""
        return f"{shown_path(Path(file))}:{inspect.getsourcelines(body)[1]}"
    except (OSError, TypeError):
        return ""
