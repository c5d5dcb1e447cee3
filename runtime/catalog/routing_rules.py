"""What a routing file must satisfy as a whole, beyond the types of its fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runtime.catalog.breach import Breach, Data, Rule, out_of_order
from runtime.catalog.faults import shown, suggestion
from runtime.catalog.route import WAYS, AttemptsEntry
from runtime.patterns import covers, is_pattern


def _each_route(rule: Rule) -> Rule:
    """Return a rule of one route's data as a rule of the whole file."""

    def of_the_file(data: Data) -> Iterator[Breach]:
        for index, route in _routes(data):
            for breach in rule(route):
                yield breach._replace(path=("routes", index, *breach.path))

    return of_the_file


def _routes(data: Data) -> Iterator[tuple[int, Mapping[str, Any]]]:
    routes = data.get("routes")
    for index, route in enumerate(routes if isinstance(routes, list) else ()):
        if isinstance(route, Mapping):
            yield index, route


def _default_tier(data: Data) -> Iterator[Breach]:
    default, tiers = data.get("default"), data.get("tiers")
    if isinstance(default, str) and isinstance(tiers, Mapping) and default not in tiers:
        what = f"the default tier {shown(default)} is not among the tiers"
        yield Breach(("default",), what, suggestion(default, tiers, kind="tiers"))


def _tiers_offer_the_provider(data: Data) -> Iterator[Breach]:
    provider, tiers = data.get("provider"), data.get("tiers")
    if not isinstance(provider, str) or not isinstance(tiers, Mapping):
        return
    for tier, models in tiers.items():
        if isinstance(models, Mapping) and provider not in models:
            what = f"tier {shown(tier)} has no model of the provider that is asked"
            yield Breach(("tiers", tier), what, f"add one for {shown(provider)}", key=True)


def _attempts_fit(data: Data) -> Iterator[Breach]:
    most = {"total": AttemptsEntry().total}
    yield from out_of_order(data, ("attempts",), "per_target", "total", most)


def _filter_is_decided(data: Data) -> Iterator[Breach]:
    """To ask somebody else what one refused is typed out, never slipped in with a list."""
    words = data.get("fallback_on")
    if data.get("on_content_filter", "fail") != "fail" or not isinstance(words, list):
        return
    for index, word in enumerate(words):
        if word == "content_filtered":
            what = "'content_filtered' is listed, but 'on_content_filter' is 'fail'"
            todo = "write 'on_content_filter: fallback', or remove it from the list"
            yield Breach(("fallback_on", index), what, todo)


# --- routes --------------------------------------------------------------------------------------


def _one_way(route: Data) -> Iterator[Breach]:
    """Who is asked stands in one place."""
    ways = [way for way in WAYS if way in route]
    if len(ways) > 1:
        what = f"a route has one of {', '.join(WAYS)}, not {' and '.join(ways)}"
        yield Breach((ways[1],), what, "remove all but one", key=True)
    for one, other in (("provider", "model"), ("model", "provider")):
        if one in route and other not in route:
            what = f"a route with {one!r} needs {other!r}, too"
            yield Breach((one,), what, "add it, or name both in 'targets'", key=True)


def _one_order(route: Data) -> Iterator[Breach]:
    """Weights say whom to ask first, and so does a preference."""
    targets = route.get("targets")
    weighed = isinstance(targets, list) and any(
        isinstance(entry, Mapping) and "weight" in entry for entry in targets
    )
    if weighed and route.get("prefer", "order") != "order":
        what = "the targets have weights, and 'prefer' orders them otherwise"
        yield Breach(("prefer",), what, "remove the weights, or 'prefer'", key=True)


def _cache_is_used(route: Data) -> Iterator[Breach]:
    if "cache_ttl_s" in route and route.get("use_cache") is not True:
        what = "'cache_ttl_s' means nothing without a cache"
        yield Breach(("cache_ttl_s",), what, "write 'use_cache: true', or remove it", key=True)


def _routes_are_reached(data: Data) -> Iterator[Breach]:
    """Of two routes that fit alike only the one with the higher priority is ever taken."""
    earlier: list[str] = []
    for index, route in sorted(_routes(data), key=lambda each: -_priority(each[1])):
        name = route.get("task_type")
        if not isinstance(name, str):
            continue
        before = next((other for other in earlier if _takes_all(other, name)), None)
        if before is not None:
            what = f"{shown(name)} is never reached: {shown(before)} fits all of it already"
            yield Breach(("routes", index, "task_type"), what, "remove it, or raise its priority")
        earlier.append(name)


def _takes_all(earlier: str, later: str) -> bool:
    if earlier == "*" or not is_pattern(later) or not is_pattern(earlier):
        return earlier == later
    return later != "*" and covers(earlier, later)


def _priority(route: Mapping[str, Any]) -> int:
    value = route.get("priority", 0)
    return value if isinstance(value, int) else 0


ROUTING_RULES: tuple[Rule, ...] = (
    _default_tier,
    _tiers_offer_the_provider,
    _attempts_fit,
    _filter_is_decided,
    _routes_are_reached,
    *map(_each_route, (_one_way, _one_order, _cache_is_used, _attempts_fit, _filter_is_decided)),
)
