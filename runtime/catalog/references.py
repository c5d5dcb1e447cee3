"""What the entries of a catalog say about each other, checked before anything runs.

Each check yields the faults of one kind of reference. A name that only a faulty file can have
raises no fault here: the file's own is enough.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from runtime.catalog.entrypoints import entrypoint_problem
from runtime.catalog.faults import suggestion
from runtime.catalog.providers import LOCAL
from runtime.catalog.route_references import DEFAULT_ROUTING, price_faults, route_faults
from runtime.catalog.routes import find_targets
from runtime.patterns import is_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.catalog.agents import WorkflowEntry
    from runtime.catalog.contents import Contents, Shelf
    from runtime.catalog.document import Origin
    from runtime.catalog.faults import Fault
    from runtime.catalog.providers import ProviderEntry

_ALMOST_EQUAL = 0.8  # of two names, as difflib counts it: one is a misspelling of the other


def reference_faults(contents: Contents) -> Iterator[Fault]:
    """Yield every fault in what the entries say about each other."""
    for check in _CHECKS:
        yield from check(contents)


# --- agents and skills ---------------------------------------------------------------------------


def _bodies(contents: Contents) -> Iterator[Fault]:
    """Entry points are files of the workspace; import finds out about the rest."""
    shelves: tuple[Shelf[Any], ...] = (contents.agents, contents.skills)
    for shelf in shelves:
        for entry, origin in shelf.written():
            problem = entry.entrypoint and entrypoint_problem(entry.entrypoint, contents.workspace)
            if problem:
                what, todo = problem
                yield origin.fault("entrypoint", what=what, todo=todo)


def _agents(contents: Contents) -> Iterator[Fault]:
    for entry, origin in contents.agents.written():
        stem = PurePath(origin.document.file).stem
        if entry.name not in (stem, None):
            what = f"agent {entry.name!r} is in a file called {stem!r}"
            yield origin.fault("name", what=what, todo="give both the same name")
        for index, skill in enumerate(entry.skills or ()):
            yield from contents.skills.unknown(skill, origin, "skills", index)
        for index, agent in enumerate(entry.agents or ()):
            yield from contents.agents.unknown(agent, origin, "agents", index)
        if entry.model is not None:
            yield from _model(entry.model, contents, origin)


def _data_classes(contents: Contents) -> Iterator[Fault]:
    """A class without a policy is free; one that almost has a policy is a misspelling."""
    required = {name for _, policy, _ in contents.policies for name in policy.requirements or ()}
    for entry, origin in contents.agents.written():
        written = entry.data_class or ""
        near = get_close_matches(written, required - {written}, n=1, cutoff=_ALMOST_EQUAL)
        if near and written not in required:
            what = f"no policy mentions the data class {written!r}"
            yield origin.fault("data_class", what=what, todo=f"did you mean {near[0]!r}?")


# --- policies ------------------------------------------------------------------------------------


def _policies(contents: Contents) -> Iterator[Fault]:
    """Who is named exactly in a limit, and where data must stay, has to be there."""
    if not contents.providers.whole:
        return
    places = {entry.place for entry in contents.providers.entries.values()} | {LOCAL}
    for _, policy, origin in contents.policies:
        for key in ("max_cost_per_provider_daily_usd", "max_cost_per_provider_monthly_usd"):
            for name in getattr(policy.thresholds, key, None) or ():
                if not is_pattern(name) and name not in contents.providers.entries:
                    todo = suggestion(name, contents.providers.entries, kind="providers")
                    what = f"there is no provider {name!r}"
                    yield origin.fault("thresholds", key, name, what=what, todo=todo, key=True)
        for data_class, regions in (policy.residency or {}).items():
            for index, region in enumerate(regions):
                if region not in places:
                    what = f"no provider is in the region {region!r}"
                    todo = suggestion(region, places - {""}, kind="regions")
                    yield origin.fault("residency", data_class, index, what=what, todo=todo)


# --- models --------------------------------------------------------------------------------------


def _model(text: str, contents: Contents, origin: Origin) -> Iterator[Fault]:
    """A model is a tier, ``provider/model``, or the name of one provider's model."""
    routing = contents.routing.entries.get(DEFAULT_ROUTING)
    if routing is None or not contents.providers.whole:
        return
    targets = find_targets(text, contents.providers.entries)
    if text in routing.tiers or len(targets) == 1:
        return
    if targets:
        what = f"several providers list the model {text!r}"
        todo = "write " + " or ".join(f"{target.provider}/{target.model}" for target in targets)
    else:
        what = f"{text!r} is neither a tier nor a model of a provider"
        todo = suggestion(text, [*routing.tiers, *_listed(contents)], kind="tiers and models")
    yield origin.fault("model", what=what, todo=todo)


def _listed(contents: Contents) -> Iterator[str]:
    for name, provider, _ in contents.providers:
        for model in provider.models:
            yield model
            yield f"{name}/{model}"


# --- workflows -----------------------------------------------------------------------------------


def _workflows(contents: Contents) -> Iterator[Fault]:
    for entry, origin in contents.workflows.written():
        yield from contents.agents.unknown(entry.agent, origin, "agent")
        if entry.name in contents.agents.entries:
            place = contents.agents.origins[entry.name].place()
            what = f"an agent is called {entry.name!r}, too, at {place}"
            yield origin.fault("name", what=what, todo="rename the workflow")
        yield from contents.routing.unknown(entry.routing, origin, "routing")
        if entry.provider is None and entry.model is not None:
            yield from _model(entry.model, contents, origin)
        if entry.provider is not None:
            yield from contents.providers.unknown(entry.provider, origin, "provider")
            yield from _provider(entry, entry.provider, contents, origin)


def _provider(
    entry: WorkflowEntry, provider: str, contents: Contents, origin: Origin
) -> Iterator[Fault]:
    """A workflow's provider has the workflow's model, or else its agent's tier."""
    routing = contents.routing.entries.get(DEFAULT_ROUTING)
    agent = contents.agents.entries.get(entry.agent)
    offered = contents.providers.entries.get(provider)
    if routing is None or offered is None or (agent is None and entry.model is None):
        return
    text = entry.model or (agent.model if agent else None) or routing.default
    at = "provider" if entry.model is None else "model"
    if text in routing.tiers and provider not in routing.tiers[text]:
        what = f"the tier {text!r} names no model of {provider!r}"
        yield origin.fault(at, what=what, todo=f"add '{provider}: MODEL' to it")
    elif text not in routing.tiers and entry.model and not _offers(provider, offered, text):
        what = f"the provider {provider!r} has no model {text!r}"
        yield origin.fault(at, what=what, todo=suggestion(text, offered.models, kind="models"))


def _offers(name: str, provider: ProviderEntry, text: str) -> bool:
    return provider.offers(text) or bool(find_targets(text, {name: provider}))


_CHECKS = (_bodies, _agents, _data_classes, _policies, _workflows, route_faults, price_faults)
