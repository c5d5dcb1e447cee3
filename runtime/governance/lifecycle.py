"""Which models are retired, or soon will be. Pure: the day is given."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple

from runtime.catalog import Target, find_targets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from runtime.catalog import AgentEntry, Catalog, Retirement, RoutingFile, WorkflowEntry

SOON = timedelta(days=60)
MOST_TOLD = 2  # warnings at each start


class Stage(NamedTuple):
    """Where a model stands.

    Attributes:
        word: ``retired``, or ``soon`` within 60 days of it.
        retirement: when, and where that is written.
    """

    word: Literal["retired", "soon"]
    retirement: Retirement

    def __str__(self) -> str:
        tense = "is retired since" if self.word == "retired" else "will be retired on"
        return f"{tense} {self.retirement.day} ({self.retirement.source})"


def stage_of(target: Target, catalog: Catalog, today: date) -> Stage | None:
    """Return where a target's model stands; None while it is far from its end, or nobody knows."""
    entry = catalog.providers.get(target.provider)
    vendor = target.provider if entry is None else entry.vendor or target.provider
    listed = None if entry is None else entry.models.get(target.model)
    base = target.model if listed is None else listed.base_model or target.model
    retirement = catalog.retirements.get(f"{vendor}/{base}")
    if retirement is None or today < retirement.day - SOON:
        return None
    return Stage("retired" if today >= retirement.day else "soon", retirement)


def warnings_of(catalog: Catalog, today: date) -> list[str]:
    """Return a line for each place of a catalog that names a model which is retired or soon is.

    Args:
        catalog: the catalog.
        today: the day, UTC.
    """
    if not catalog.retirements:
        return []
    found: dict[str, None] = {}
    for where, target in _named(catalog):
        stage = stage_of(target, catalog, today)
        if stage is not None:
            found[f"{where}: {target} {stage}; name another model"] = None
    return list(found)


def in_short(warnings: Sequence[str]) -> list[str]:
    """Return the first of them, and how many more there are, for whoever wants to do other things.

    Args:
        warnings: what ``warnings_of`` returns.
    """
    more = len(warnings) - MOST_TOLD
    if more <= 0:
        return list(warnings)
    rest = f"{more} more places name models that are retired or soon are"
    return [*warnings[:MOST_TOLD], f"{rest}; `python -m runtime catalog validate` lists them"]


def _named(catalog: Catalog) -> Iterator[tuple[str, Target]]:
    """Yield every target that a catalog names, and where."""
    for routing in catalog.routings.values():
        for path, name in _names_of(routing):
            yield _line(catalog, routing, *path), Target.read(name)
    named: tuple[AgentEntry | WorkflowEntry, ...]
    named = (*catalog.agents.values(), *catalog.workflows.values())
    for entry in named:
        where = _line(catalog, entry, "model")
        for target in _meant(entry.model, catalog):
            yield where, target
    for policy in catalog.policies:
        for names in (policy.allowed_models or (), *policy.requirements.values()):
            for name in sorted(names):
                yield from ((policy.source, target) for target in _meant(name, catalog))


def _names_of(routing: RoutingFile) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield every ``provider/model`` that a routing file may have asked, and its path there."""
    for tier, offered in routing.tiers.items():
        for provider, model in offered.items():
            yield ("tiers", tier, provider), f"{provider}/{model}"
    for number, route in enumerate(routing.routes):
        for place, each in enumerate(route.targets):
            yield ("routes", number, "targets", place), each.target
        if route.model is not None:
            yield ("routes", number, "model"), f"{route.provider}/{route.model}"
    for number, row in enumerate(routing.aliases):
        for provider, models in row.items():  # the first is what is asked, the others are history
            yield ("aliases", number, provider), f"{provider}/{models[0]}"
    for key, names in routing.fallback.items():
        for place, name in enumerate(names):
            yield ("fallback", key, place), name


def _meant(name: str | None, catalog: Catalog) -> tuple[Target, ...]:
    """Return the targets that a name means; none if it is a tier."""
    if name is None or any(name in routing.tiers for routing in catalog.routings.values()):
        return ()
    return find_targets(name, catalog.providers)


def _line(catalog: Catalog, entry: object, *path: str | int) -> str:
    try:
        return catalog.line(entry, *path)
    except LookupError:  # it was made in code
        return "the catalog"
