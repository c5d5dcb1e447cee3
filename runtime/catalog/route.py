"""One route of a routing file: which models are asked for tasks of one type, and how."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler, Strict

from runtime.catalog.values import (
    Entry,
    Given,
    ModelName,
    Name,
    Pattern,
    Seconds,
    TargetName,
    Text,
    Unique,
    refusal,
)
from runtime.patterns import is_pattern

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

MOST_TARGETS = 20  # of one route
WAYS = ("tier", "targets", "model")  # to say who is asked

OnFilter: TypeAlias = Literal["fail", "fallback"]
FallbackWord: TypeAlias = Literal[
    "rate_limited",
    "overloaded",
    "transient",
    "quota",
    "auth",
    "region",
    "model_gone",
    "context_overflow",
    "content_filtered",
    "malformed",
    "circuit_open",
]
FALLBACK_ON: tuple[FallbackWord, ...] = (
    "rate_limited",
    "overloaded",
    "transient",
    "quota",
    "auth",
    "region",
    "model_gone",
    "context_overflow",
    "malformed",
    "circuit_open",
)
"""What another target may mend; to ask it what a filter stopped is a decision of its own."""


class AttemptsEntry(Entry):
    """How often one question is asked.

    Attributes:
        per_target: the most attempts at one target.
        total: the most attempts at all targets together.
    """

    per_target: Annotated[int, Field(ge=1, le=100)] = 3
    total: Annotated[int, Field(ge=1, le=1_000)] = 6


def words(listed: tuple[FallbackWord, ...], on_filter: OnFilter) -> frozenset[FallbackWord]:
    """Return the failures after which the next target is asked, a filter's verdict included."""
    found = frozenset(listed)
    return found | {"content_filtered"} if on_filter == "fallback" else found


# The JSON Schemas of what `routing_rules.py` says in sentences.
FILTER_IS_DECIDED = {
    "if": {
        "properties": {"fallback_on": {"contains": {"const": "content_filtered"}}},
        "required": ["fallback_on"],
    },
    "then": {
        "properties": {"on_content_filter": {"const": "fallback"}},
        "required": ["on_content_filter"],
    },
}
_ONE_WAY = [
    *({"not": {"required": list(two)}} for two in combinations(WAYS, 2)),
    {"dependentRequired": {"provider": ["model"], "model": ["provider"]}},
    {
        "if": {"required": ["cache_ttl_s"]},
        "then": {"required": ["use_cache"], "properties": {"use_cache": {"const": True}}},
    },
    {
        "if": {"required": ["prefer"], "properties": {"prefer": {"not": {"const": "order"}}}},
        "then": {
            "properties": {
                "targets": {"items": {"not": {"type": "object", "required": ["weight"]}}}
            }
        },
    },
    FILTER_IS_DECIDED,
]


class WeighedEntry(Entry):
    """One target of a route.

    Attributes:
        target: the model, as ``provider/model``.
        weight: its share of the questions, beside the other targets' weights.
    """

    target: TargetName
    weight: Annotated[float, Field(gt=0, le=1_000_000)] = 1.0


def _long_form(value: Any) -> Any:
    return {"target": value} if isinstance(value, str) else value


class _OrItsName:
    """Tells editors that a target's name alone will do."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        long_form = handler(schema)
        name = handler.resolve_ref_schema(long_form)["properties"]["target"]
        return {"anyOf": [name, long_form]}


Weighed: TypeAlias = Annotated[WeighedEntry, BeforeValidator(_long_form), _OrItsName()]


def _each_once(targets: tuple[WeighedEntry, ...]) -> tuple[WeighedEntry, ...]:
    seen: set[str] = set()
    for index, entry in enumerate(targets):
        if entry.target in seen:
            raise refusal("has the same target twice", "remove one of the two", index)
        seen.add(entry.target)
    return targets


class NeedsEntry(Entry):
    """What a model must be able to do. A target that is known not to is passed over.

    Attributes:
        tools: whether it must call tools.
        vision: whether it must see images.
        structured_output: whether it must be held to a JSON Schema.
        context_tokens: how many tokens must fit into prompt and answer together.
    """

    tools: bool = False
    vision: bool = False
    structured_output: bool = False
    context_tokens: Annotated[int, Field(ge=0, le=100_000_000)] = 0


class RouteEntry(Entry, json_schema_extra={"allOf": _ONE_WAY}):
    """Who is asked for tasks of one type, and how.

    Attributes:
        task_type: the type of task: a name, or a pattern. A name goes before a pattern, and any
            pattern before ``*``; then the higher ``priority``, then the order of the file.
        description: what it is for.
        priority: of several routes that fit equally well the one with the highest is taken.
        tier: ask this tier.
        targets: ask these in order, each when the one before it fails.
        provider: with ``model``: ask this provider.
        model: with ``provider``: ask for this model.
        prefer: ``order`` asks the targets as they are listed, ``cost`` the cheapest first,
            ``latency`` the one that has been answering fastest.
        needs: what a model must be able to do.
        fallback_on: the failures after which the next one is asked; as in the file if not given.
        on_content_filter: what to do when a content filter stops prompt or answer; likewise.
        attempts: how often one question is asked; likewise.
        max_output_tokens: the most that may be generated, where the question does not say.
        temperature: how freely to sample, where the question does not say.
        structured_output: whether the vendor shall hold the model to the type of the answer, and
            targets that are known not to be able to are passed over.
        use_cache: whether the answer to an equal question may be given again.
        cache_ttl_s: the seconds for which it may; a day if not given.
    """

    task_type: Pattern
    description: Given[Text] = None
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = 0
    tier: Given[Name] = None
    targets: Annotated[
        tuple[Weighed, ...],
        Strict(False),  # YAML has lists, an entry has tuples
        Field(min_length=1, max_length=MOST_TARGETS),
        AfterValidator(_each_once),
    ] = ()
    provider: Given[Name] = None
    model: Given[ModelName] = None
    prefer: Literal["order", "cost", "latency"] = "order"
    needs: NeedsEntry = NeedsEntry.model_construct()
    fallback_on: Given[Unique[FallbackWord]] = None
    on_content_filter: Given[OnFilter] = None
    attempts: Given[AttemptsEntry] = None
    max_output_tokens: Given[Annotated[int, Field(ge=1, le=10_000_000)]] = None
    temperature: Given[Annotated[float, Field(ge=0, le=10)]] = None
    structured_output: bool = False
    use_cache: bool = False
    cache_ttl_s: Given[Seconds] = None

    @property
    def rank(self) -> int:
        """How exactly it says its type of task: 0 by name, 1 by a pattern, 2 for all."""
        return (2 if self.task_type == "*" else 1) if is_pattern(self.task_type) else 0

    @property
    def weighed(self) -> bool:
        """Whether its targets share the questions: one that says a weight has said so, even 1."""
        return any("weight" in entry.model_fields_set for entry in self.targets)
