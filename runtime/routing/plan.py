"""Whom to ask for one task, in order: the wishes, the route, what policy allows.

A model that somebody named is what is asked; where policy forbids it, nobody is, because whoever
named it must hear of that. What a route names is only a proposal: those that policy forbids, and
those that are known not to be able to, are passed over. Fallbacks likewise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runtime.catalog import Target, fallbacks
from runtime.errors import PolicyDenied, UnknownName
from runtime.routing.choice import decide, translate
from runtime.routing.match import route_for
from runtime.routing.needs import Needs, lack_of
from runtime.routing.order import by_cost, by_latency, by_weight
from runtime.routing.wish import Wish

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from runtime.catalog import ProviderEntry, RouteEntry, RoutingFile
    from runtime.messages import Price
    from runtime.routing.choice import Chosen
    from runtime.routing.learned import Learned
    from runtime.routing.wish import Level

FOR_ALL = 2  # the rank of a route that does not say what type of task it is for
OF_A_ROUTE = ("named_route", "route")


class Task(NamedTuple):
    """What routing must know of a question.

    Attributes:
        type: the type of the task.
        is_named: whether code has named the type; else it is the agent's own.
        needs: what the question needs.
        has_schema: whether its answer has a JSON Schema.
        input_tokens: about how long its prompt is.
        seed: returns what chance is drawn from.
        now: the time, in seconds of the clock of ``Learned``.
    """

    type: str
    is_named: bool = False
    needs: Needs = Needs()
    has_schema: bool = False
    input_tokens: int = 0
    seed: Callable[[], str] = str
    now: float = 0.0


class World(NamedTuple):
    """What routing goes by.

    Attributes:
        routing: the routing file.
        providers: all providers by name.
        forbids: why policy forbids a target; None if it does not.
        learned: how targets have been.
        price_of: what targets cost.
    """

    routing: RoutingFile
    providers: Mapping[str, ProviderEntry]
    forbids: Callable[[Target], str | None]
    learned: Learned
    price_of: Callable[[Target], Price | None]


class PassedOver(NamedTuple):
    """A target that is not asked.

    Attributes:
        target: the target.
        why: why not.
        denied: whether policy forbids it.
        before: who is asked next instead; None if nobody.
    """

    target: Target
    why: str
    denied: bool
    before: Target | None = None


class Plan(NamedTuple):
    """Whom to ask.

    Attributes:
        targets: in order; at least one, none of which policy forbids.
        level: on which level of priority that was decided.
        route: the route of the task, whose settings hold whoever decided.
        stands_for: the model that the first target stands for as an alias; None if for none.
        passed_over: who is not asked, in the order in which they would have been.
    """

    targets: tuple[Target, ...]
    level: Level
    route: RouteEntry | None
    stands_for: str | None = None
    passed_over: tuple[PassedOver, ...] = ()

    @property
    def is_proposed(self) -> bool:
        """Whether a route proposes these targets; else somebody has named the first."""
        return self.level in OF_A_ROUTE


def plan(strong: Sequence[Wish], weak: Sequence[Wish], task: Task, world: World) -> Plan:
    """Return whom to ask.

    Args:
        strong: wishes down to the level ``workflow``, strongest first.
        weak: wishes of the levels ``agent`` and ``proposal``, strongest first.
        task: what is asked.
        world: what is there.

    Raises:
        UnknownName: there is no such provider, tier or model.
        PolicyDenied: policy forbids the model that is named, or all that a route names.
    """
    route = route_for(task.type, world.routing)
    wishes = _with_route([*strong], [*weak], route, task)
    first = next((n for n, wish in enumerate(wishes) if wish.model), None)
    listed = next((n for n, wish in enumerate(wishes) if wish.level in OF_A_ROUTE), None)
    named = len(wishes) if first is None else first
    if route is not None and route.targets and listed is not None and listed < named:
        return _from_list(wishes[:listed], route, wishes[listed].level, task, world)
    chosen = decide(wishes, world.routing, world.providers)
    level = "default" if first is None else wishes[first].level
    task = task._replace(needs=task.needs._replace(context_tokens=0))  # the cascade knows better
    if route is not None and level in OF_A_ROUTE:
        return _from_choice(chosen, route, level, task, world)
    why = world.forbids(chosen.target)
    if why is not None:
        raise PolicyDenied(why, denied=((str(chosen.target), why),))
    order = fallbacks(chosen.target, world.routing)
    targets, passed_over = _sifted(order[1:], task.needs, world)
    return Plan((chosen.target, *targets), level, route, chosen.stands_for, passed_over)


def _with_route(
    strong: list[Wish], weak: list[Wish], route: RouteEntry | None, task: Task
) -> list[Wish]:
    """Put the route's wish where it belongs: above the agent's entry if code named the task."""
    if route is None or not (route.targets or route.tier or route.model):
        return strong + weak
    named = task.is_named and route.rank < FOR_ALL
    wish = Wish(route.tier or route.model, route.provider, "named_route" if named else "route")
    if named:
        return [*strong, wish, *weak]
    agents = [one for one in weak if one.level == "agent"]
    return [*strong, *agents, wish, *(one for one in weak if one.level != "agent")]


def _from_list(
    stronger: Sequence[Wish], route: RouteEntry, level: Level, task: Task, world: World
) -> Plan:
    """Return the plan of a route that lists targets, for the provider that is wished, if any."""
    provider = next((wish.provider for wish in stronger if wish.provider), None)
    if provider is not None and provider not in world.providers:
        decide([Wish(None, provider)], world.routing, world.providers)  # raises what is wrong
    order = _ordered(route, task, world)
    stands_for = None
    if provider is not None:
        order, stands_for = _at_provider(order, provider, world)
    needs = _needs(route, task)
    further = (target for one in order for target in fallbacks(one, world.routing)[1:])
    targets, passed_over = _sifted(dict.fromkeys((*order, *further)), needs, world)
    if not targets:
        raise _nobody(passed_over)
    return Plan(targets, level, route, stands_for, passed_over)


def _from_choice(chosen: Chosen, route: RouteEntry, level: Level, task: Task, world: World) -> Plan:
    """Return the plan of a route that names one model, or a tier."""
    order = fallbacks(chosen.target, world.routing)
    targets, passed_over = _sifted(order, _needs(route, task), world)
    if not targets:
        raise _nobody(passed_over)
    stands_for = chosen.stands_for if targets[0] == chosen.target else None
    return Plan(targets, level, route, stands_for, passed_over)


def _needs(route: RouteEntry, task: Task) -> Needs:
    """Return what a question needs that goes by a route."""
    needs = task.needs.and_those(route.needs)
    if route.structured_output and task.has_schema:
        return needs._replace(structured_output=True)
    return needs


def _ordered(route: RouteEntry, task: Task, world: World) -> tuple[Target, ...]:
    targets = tuple(Target.read(entry.target) for entry in route.targets)
    if route.prefer == "latency":
        return by_latency(targets, world.learned, task.now)
    if route.prefer == "cost":
        return by_cost(targets, world.learned, world.price_of, task.input_tokens)
    if route.weighed:
        return by_weight({Target.read(e.target): e.weight for e in route.targets}, task.seed())
    return targets


def _at_provider(
    order: tuple[Target, ...], provider: str, world: World
) -> tuple[tuple[Target, ...], str | None]:
    """Return what stands for a route's targets at the provider that somebody chose."""
    own = tuple(target for target in order if target.provider == provider)
    if own:
        return own, None
    found, wrong = [], None
    for target in order:
        try:
            found.append(translate(str(target), provider, world.routing, world.providers))
        except UnknownName as error:
            wrong = wrong or error
    if not found:
        raise wrong or UnknownName(f"no model of {provider!r} stands for any of the route's")
    return tuple(dict.fromkeys(chosen.target for chosen in found)), found[0].stands_for


def _sifted(
    targets: Iterable[Target], needs: Needs, world: World
) -> tuple[tuple[Target, ...], tuple[PassedOver, ...]]:
    """Return those that may be asked, and those that are passed over."""
    kept: list[Target] = []
    passed_over: list[PassedOver] = []
    next_one: Target | None = None
    for target in reversed(tuple(targets)):
        denial = world.forbids(target)
        lack = lack_of(world.providers[target.provider].models.get(target.model), needs)
        if denial is not None or lack is not None:
            why = denial or f"{target} {lack}"
            passed_over.append(PassedOver(target, why, denial is not None, next_one))
        else:
            kept.append(target)
            next_one = target
    return tuple(reversed(kept)), tuple(reversed(passed_over))


def _nobody(passed_over: Sequence[PassedOver]) -> PolicyDenied | UnknownName:
    """Return the error of a route none of whose targets may be asked."""
    told = "; ".join(one.why for one in passed_over)
    denied = tuple((str(one.target), one.why) for one in passed_over if one.denied)
    if denied:
        return PolicyDenied(f"none of the route's models may be asked: {told}", denied=denied)
    return UnknownName(f"none of the route's models will do: {told}")
