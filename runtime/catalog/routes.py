"""What ``catalog/routing`` says: which model is asked, and which one when that fails."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler, Strict

from runtime.catalog.providers import LOCAL
from runtime.catalog.route import (
    FALLBACK_ON,
    FILTER_IS_DECIDED,
    AttemptsEntry,
    FallbackWord,
    OnFilter,
    RouteEntry,
    words,
)
from runtime.catalog.values import (
    Entry,
    Given,
    ModelName,
    Name,
    Pattern,
    TargetName,
    Text,
    Unique,
    unique,
)
from runtime.patterns import fits

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

    from runtime.catalog.providers import ProviderEntry

Offered: TypeAlias = Annotated[Mapping[Name, ModelName], Field(min_length=1)]
"""The model that each provider offers for one tier."""

MOST_LISTS = 200  # of fallbacks in one file
Fallbacks: TypeAlias = Annotated[
    tuple[TargetName, ...],
    Strict(False),  # YAML has lists, an entry has tuples
    Field(max_length=20, json_schema_extra={"uniqueItems": True}),
    AfterValidator(unique),
]
"""Who is asked in turn."""

MOST_ALIASES = 500  # rows of one file


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class _OrOne:
    """Tells editors that a name alone will do."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        several = handler(schema)
        return {"anyOf": [several["items"], several]}


Alike: TypeAlias = Annotated[
    tuple[ModelName, ...],
    Strict(False),  # YAML has lists, an entry has tuples
    Field(min_length=1, max_length=100, json_schema_extra={"uniqueItems": True}),
    AfterValidator(unique),
    BeforeValidator(_several),
    _OrOne(),
]
"""Models of one provider that stand for each other; the first is asked for the others."""


class RoutingFile(
    Entry,
    json_schema_extra={"allOf": [FILTER_IS_DECIDED]},
):
    """Which model stands behind each tier, at each provider.

    Attributes:
        name: the file's name in the catalog; the one called ``default`` is used.
        description: what it is for.
        provider: the provider that is asked unless a person chooses another.
        tiers: tier -> provider -> model.
        default: the tier of the agents that name none.
        routes: who is asked by the type of the task; see ``RouteEntry``.
        aliases: models of several providers that stand for each other, a row of
            ``provider: model`` or ``provider: [model, ...]``. Where a person chooses a provider and
            no model, the first row with the model that would be asked and with that provider says
            what is asked there.
        fallback: who is asked, in this order, when a target fails. A key is ``provider/model``, a
            tier (all its models), or a pattern such as ``openai/*``; the first of these three that
            fits decides, and among patterns the first. An empty list is the end.
        fallback_on: the failures after which the next one is asked.
        on_content_filter: what to do when a content filter stops prompt or answer; ``fallback``
            asks the next one.
        attempts: how often one question is asked.
    """

    name: Name
    description: Given[Text] = None
    provider: Name
    tiers: Annotated[Mapping[Name, Offered], Field(min_length=1)]
    default: Name
    routes: Annotated[tuple[RouteEntry, ...], Field(strict=False, max_length=MOST_LISTS)] = ()
    aliases: Annotated[
        tuple[Annotated[Mapping[Name, Alike], Field(min_length=2)], ...],
        Field(strict=False, max_length=MOST_ALIASES),
    ] = ()
    fallback: Annotated[Mapping[Pattern, Fallbacks], Field(max_length=MOST_LISTS)] = {}
    fallback_on: Unique[FallbackWord] = FALLBACK_ON
    on_content_filter: OnFilter = "fail"
    attempts: AttemptsEntry = AttemptsEntry.model_construct()

    @property
    def falls_through(self) -> frozenset[FallbackWord]:
        """The failures after which the next target is asked, a filter's verdict included."""
        return words(self.fallback_on, self.on_content_filter)

    def falls_through_in(self, route: RouteEntry) -> frozenset[FallbackWord]:
        """Return them for the tasks of one route; what it says goes before the file."""
        on_filter = route.on_content_filter or self.on_content_filter
        listed = self.fallback_on if route.fallback_on is None else route.fallback_on
        return words(listed, on_filter)


class Target(NamedTuple):
    """One model of one provider, by their names."""

    provider: str
    model: str

    def __str__(self) -> str:
        """Return it as the catalog writes it."""
        return f"{self.provider}/{self.model}"

    @classmethod
    def read(cls, text: str) -> Target:
        """Return what ``provider/model`` names; a model may have a slash in its name."""
        provider, _, model = text.partition("/")
        return cls(provider, model)


def stands_for(pattern: str, target: Target) -> bool:
    """Return whether a name or a pattern of a policy stands for a target.

    With a slash it is ``provider/model``, without one a model of any provider; so a model that has
    a slash in its name is written with its provider in front.
    """
    return fits(pattern, str(target) if "/" in pattern else target.model)


def owner_of(target: Target, providers: Mapping[str, ProviderEntry]) -> str | None:
    """Return the vendor that a model belongs to, if it cannot be one of its target's provider.

    Only who says what its models' names look like is a vendor; a server on this machine may have
    models of any name.
    """
    entry = providers[target.provider]
    if not entry.model_names or entry.place == LOCAL or entry.claims(target.model):
        return None
    others = (name for name, other in providers.items() if other.claims(target.model))
    return next(others, None)


def find_targets(text: str, providers: Mapping[str, ProviderEntry]) -> tuple[Target, ...]:
    """Return every model that a text may mean, as ``provider/model`` or as a model's bare name.

    Returns:
        One target if the text is clear, none if no provider has such a model, several if a bare
        name is listed by several providers. ``provider/model`` goes before a bare name with a
        slash in it, a listed name before one that a pattern of names fits, and of the providers
        whose patterns fit the first.
    """
    named = Target.read(text)
    if named.provider in providers and providers[named.provider].offers(named.model):
        return (named,)
    listed = tuple(Target(name, text) for name, entry in providers.items() if text in entry.models)
    fitting = (Target(name, text) for name, entry in providers.items() if entry.claims(text))
    return listed or tuple(islice(fitting, 1))
