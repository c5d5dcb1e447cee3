"""Small worlds for ``routing.plan``: the provider ``home`` with the models ``a`` to ``f``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.catalog import ModelEntry, ProviderEntry, RouteEntry, RoutingFile
from runtime.routing import Learned, Task, Wish, World, plan

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from runtime.messages import Price
    from runtime.routing import Plan

HOME = "home"
MODELS = "abcdef"


def entry(*models: str, known: Mapping[str, ModelEntry] | None = None) -> ProviderEntry:
    listed = {name: ModelEntry() for name in models} | dict(known or {})
    return ProviderEntry(dialect="openai_chat", base_url="https://example.com", models=listed)


def a_world(
    *routes: RouteEntry,
    known: Mapping[str, ModelEntry] | None = None,
    others: Mapping[str, ProviderEntry] | None = None,
    forbidden: Collection[str] = (),
    learned: Learned | None = None,
    prices: Mapping[str, Price] | None = None,
    **routing: Any,
) -> World:
    file = {"tiers": {"usual": {HOME: "a"}, "other": {HOME: "b"}}, "default": "usual"} | routing
    return World(
        RoutingFile(name="default", provider=HOME, routes=routes, **file),
        {HOME: entry(*MODELS, known=known), **(others or {})},
        lambda target: f"{target} is forbidden" if str(target) in forbidden else None,
        learned or Learned(),
        lambda target: (prices or {}).get(target.model),
    )


def route(task_type: str, *models: str, **fields: Any) -> RouteEntry:
    return RouteEntry(task_type=task_type, targets=tuple(f"{HOME}/{m}" for m in models), **fields)


def weighed(**weights: float) -> RouteEntry:
    targets = [{"target": f"{HOME}/{model}", "weight": w} for model, w in weights.items()]
    return RouteEntry(task_type="t", targets=tuple(targets))


def order(world: World, *strong: Wish, **task: Any) -> str:
    return names_of(plan(strong, (), Task("t", **task), world))


def names_of(found: Plan) -> str:
    return "".join(target.model for target in found.targets)
