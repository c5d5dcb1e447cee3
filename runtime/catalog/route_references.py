"""What routing files and prices say about providers, and fallbacks about each other."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from runtime.catalog.fallback import circles
from runtime.catalog.faults import shown, suggestion
from runtime.catalog.routes import Target, find_targets, owner_of
from runtime.patterns import covers, fits, is_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.catalog.contents import Contents
    from runtime.catalog.document import Origin
    from runtime.catalog.fallback import Link
    from runtime.catalog.faults import Fault
    from runtime.catalog.providers import ProviderEntry
    from runtime.catalog.routes import RoutingFile

DEFAULT_ROUTING = "default"
_MOST_CIRCLES = 20  # of one file that are told at once
_MOST_STEPS = 6  # of a circle that a fault repeats; a longer one is cut in its middle


def price_faults(contents: Contents) -> Iterator[Fault]:
    """Yield a fault for each price of what cannot be asked."""
    for name, _, origin in contents.prices:
        yield from _offered(Target.read(name), contents, origin, key=True)


def route_faults(contents: Contents) -> Iterator[Fault]:
    """Yield a fault for each route and fallback that does not lead to a model."""
    default = contents.routing.entries.get(DEFAULT_ROUTING)
    for routing, origin in contents.routing.written():
        yield from contents.providers.unknown(routing.provider, origin, "provider")
        yield from _tiers(routing, default, contents, origin)
        yield from _routes(routing, contents, origin)
        yield from _aliases(routing, contents, origin)
        yield from _fallbacks(routing, contents, origin)
    for _, routing, origin in contents.routing:
        yield from (_circle(steps, origin) for steps in islice(circles(routing), _MOST_CIRCLES))
    if default is None and contents.routing.whole:
        for _, _, origin in contents.routing:
            what = f"no routing file is called {DEFAULT_ROUTING!r}"
            yield origin.fault("name", what=what, todo="call the one that shall be used so")
            return


def _tiers(
    routing: RoutingFile, default: RoutingFile | None, contents: Contents, origin: Origin
) -> Iterator[Fault]:
    tiers = routing.tiers or {}
    for tier, models in tiers.items():
        for provider, model in models.items():
            path = ("tiers", tier, provider)
            yield from _offered(Target(provider, model), contents, origin, *path)
    for tier in default.tiers if default and tiers else ():
        if tier not in tiers:
            what = f"routing {routing.name!r} has no tier {tier!r}, which the default one has"
            yield origin.fault("tiers", what=what, todo="add it", key=True)


def _offered(
    target: Target, contents: Contents, origin: Origin, *path: str | int, key: bool = False
) -> Iterator[Fault]:
    """Yield a fault if a target's provider is unknown or does not have the model.

    Args:
        target: what is named.
        contents: what there is.
        origin: where it is named.
        path: where in there.
        key: whether it is a key that names it; a tier's key names the provider alone.
    """
    provider = contents.providers.entries.get(target.provider)
    if provider is None:
        at_key = key or path[-1:] == (target.provider,)
        yield from contents.providers.unknown(target.provider, origin, *path, key=at_key)
    elif (owner := owner_of(target, contents.providers.entries)) is not None:
        what = f"{shown(target.model)} is a model of {owner!r}, not of {target.provider!r}"
        todo = "name the other provider, or another model"
        yield origin.fault(*path, what=what, todo=todo, key=key)
    elif not provider.offers(target.model):
        what = f"the provider {target.provider!r} has no model {target.model!r}"
        todo = suggestion(target.model, provider.models, kind="models")
        yield origin.fault(*path, what=what, todo=todo, key=key)


# --- routes and aliases ---------------------------------------------------------------------------


def _routes(routing: RoutingFile, contents: Contents, origin: Origin) -> Iterator[Fault]:
    for index, route in enumerate(routing.routes or ()):
        path = ("routes", index)
        if route.tier is not None and routing.tiers is not None and route.tier not in routing.tiers:
            todo = suggestion(route.tier, routing.tiers, kind="tiers")
            yield origin.fault(*path, "tier", what=f"unknown tier {route.tier!r}", todo=todo)
        for place, entry in enumerate(route.targets):
            yield from _offered(
                Target.read(entry.target), contents, origin, *path, "targets", place
            )
        if route.provider is not None and route.model is not None:
            target = Target(route.provider, route.model)
            yield from _offered(target, contents, origin, *path, "model")


def _aliases(routing: RoutingFile, contents: Contents, origin: Origin) -> Iterator[Fault]:
    """Only what a row begins with is ever asked; the rest may have been offered once."""
    for index, row in enumerate(routing.aliases or ()):
        for provider, models in row.items():
            path = ("aliases", index, provider)
            yield from _offered(Target(provider, models[0]), contents, origin, *path)


# --- fallbacks -----------------------------------------------------------------------------------


def _fallbacks(routing: RoutingFile, contents: Contents, origin: Origin) -> Iterator[Fault]:
    earlier: list[str] = []
    for key, names in (routing.fallback or {}).items():
        yield from _fallback_key(key, routing, contents, origin)
        for index, name in enumerate(names):
            yield from _offered(Target.read(name), contents, origin, "fallback", key, index)
        if is_pattern(key):
            yield from _unreached(key, earlier, origin)
            earlier.append(key)


def _fallback_key(
    key: str, routing: RoutingFile, contents: Contents, origin: Origin
) -> Iterator[Fault]:
    """A key is a target, a pattern that fits one, or a tier of the same file."""
    if is_pattern(key):
        if contents.providers.whole and not _fits_any(key, contents.providers.entries):
            what = f"the pattern {shown(key)} fits no model of any provider"
            todo = "write it like 'openai/*'; " + suggestion(
                key.partition("/")[0], contents.providers.entries, kind="providers"
            )
            yield origin.fault("fallback", key, what=what, todo=todo, key=True)
    elif "/" in key:
        yield from _offered(Target.read(key), contents, origin, "fallback", key, key=True)
    elif routing.tiers is not None and key not in routing.tiers:
        found = find_targets(key, contents.providers.entries)
        todo = suggestion(key, routing.tiers, kind="tiers")
        if found:
            todo = f"write {' or '.join(map(str, found))}"
        what = f"{shown(key)} is neither a tier nor provider/model"
        yield origin.fault("fallback", key, what=what, todo=todo, key=True)


def _fits_any(pattern: str, providers: dict[str, ProviderEntry]) -> bool:
    """Whether a pattern fits a listed model, or may fit one that a provider does not list."""
    of_provider, slash, _ = pattern.partition("/")
    return any(
        any(fits(pattern, f"{name}/{model}") for model in entry.models)
        or (entry.any_model and (fits(of_provider, name) if slash else pattern.endswith("*")))
        for name, entry in providers.items()
    )


def _unreached(key: str, earlier: list[str], origin: Origin) -> Iterator[Fault]:
    before = next((pattern for pattern in earlier if covers(pattern, key)), None)
    if before is not None:
        what = f"{shown(key)} is never reached: {shown(before)} above it fits all of it"
        yield origin.fault("fallback", key, what=what, todo="move it further up", key=True)


def _circle(steps: tuple[Link, ...], origin: Origin) -> Fault:
    """Return the fault that names a circle, at the step that closes it."""
    *_, last = steps
    told = [shown(str(last.target)), *(_step(link, origin) for link in steps)]
    if len(told) > _MOST_STEPS:
        told[_MOST_STEPS // 2 : -_MOST_STEPS // 2] = ["…"]
    what = f"the fallbacks go round in a circle: {' -> '.join(told)}"
    todo = f"remove one of the steps, or end them with '{last.target}: []'"
    return origin.fault("fallback", last.key, last.place, what=what, todo=todo)


def _step(link: Link, origin: Origin) -> str:
    line = origin.at("fallback", link.key, link.place).line
    return f"{shown(str(link.target))} (line {line})"
