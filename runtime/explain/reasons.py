"""Why a model is asked: what decided, and where that is written or was said."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runtime.catalog import Target, fallbacks
from runtime.catalog.source import shown_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from runtime.agent import Agent
    from runtime.catalog import Catalog, RouteEntry, RoutingFile
    from runtime.routing import Level, Plan, Wish

SAYS: Mapping[Level, str] = {
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
        plan: what they came to.
    """

    agent: Agent
    workflow: str
    routing: RoutingFile
    wishes: Sequence[Wish]
    plan: Plan


def reasons_of(decision: Decision, catalog: Catalog) -> Reasons:
    """Return why a plan is what it is."""
    places = _Places(decision, catalog)
    route, plan = decision.plan.route, decision.plan
    wishes = [wish for wish in decision.wishes if wish.model or wish.provider]
    model = next((wish for wish in wishes if wish.model and wish.level == plan.level), None)
    provider = next((wish for wish in wishes if wish.provider), None)
    decisive = {id(wish) for wish in (model, provider) if _counts(wish, plan)}
    because = [places.reason(wish) for wish in wishes if id(wish) in decisive]
    because += places.rows(model, route)
    overruled = [places.reason(wish) for wish in wishes if id(wish) not in decisive]
    return Reasons(tuple(because), tuple(overruled))


def _counts(wish: Wish | None, plan: Plan) -> bool:
    """Whether a wish is the one for the model, or one for the provider that is asked."""
    if wish is None:
        return False
    return wish.level == plan.level or wish.provider == plan.targets[0].provider


class _Places:
    """Finds where the parts of one choice are written."""

    def __init__(self, decision: Decision, catalog: Catalog) -> None:
        self._decision = decision
        self._catalog = catalog

    def reason(self, wish: Wish) -> Reason:
        """Return a wish as a reason."""
        for_model, for_provider = self._wished_at(wish.level)
        named = []
        where = []
        if wish.model:
            named.append(wish.model)
            where.append(for_model)
        if wish.provider:
            named.append(f"provider {wish.provider}")
            where.append(for_provider)
        return Reason(f"{SAYS[wish.level]} {', '.join(named)}", ", ".join(dict.fromkeys(where)))

    def rows(self, wished: Wish | None, route: RouteEntry | None) -> Iterator[Reason]:
        """Yield what the routing file says that counted."""
        plan, routing = self._decision.plan, self._decision.routing
        first = plan.targets[0]
        if route is not None:
            yield self._of_route(route)
        if plan.level == "default":
            yield Reason(f"{SAYS['default']} {routing.default}", self._line("default"))
        by_route = route is not None and plan.level in ("route", "named_route")
        name = route.tier or route.model if by_route and route else wished and wished.model
        tier = name or (routing.default if plan.level == "default" else "")
        if tier in routing.tiers:
            if not any(wish.provider for wish in self._decision.wishes):
                what = f"the routing file's provider is {routing.provider}"
                yield Reason(what, self._line("provider"))
            yield Reason(
                f"tier {tier} of {first.provider} is {first.model}",
                self._line("tiers", tier, first.provider),
            )
        if plan.stands_for is not None:
            yield self._of_alias(plan.stands_for, first)
        yield from self._of_fallbacks()

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
            "targets": ", ".join(each.target for each in route.targets),
            "model": route.model and f"{route.provider}/{route.model}",
        }
        named = ", ".join(f"{way} {what}" for way, what in ways.items() if what)
        how = "" if route.prefer == "order" else f", by {route.prefer}"
        what = f"route {route.task_type}: {named or 'how, not whom'}{how}"
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
        first, *further = self._decision.plan.targets
        others = [each for each in fallbacks(first, self._decision.routing) if each in further]
        if others:
            then = ", then ".join(map(str, others))
            yield Reason(f"when {first} fails: {then}", self._line("fallback"))

    def _line(self, *path: str | int) -> str:
        return self._catalog.line(self._decision.routing, *path)


def code_of(body: Callable[..., Any]) -> str:
    """Return where a function or class is written, as ``file:line``; empty if nobody knows."""
    try:
        file = inspect.getsourcefile(body) or ""
        return f"{shown_path(Path(file))}:{inspect.getsourcelines(body)[1]}"
    except (OSError, TypeError):
        return ""
