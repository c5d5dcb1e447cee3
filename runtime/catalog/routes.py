"""What ``catalog/routing`` and ``catalog/providers.yaml`` say: who is asked, and where it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

from pydantic import BaseModel, Field

from runtime.catalog.values import (
    BaseUrl,
    Given,
    ModelName,
    Name,
    Seconds,
    Text,
    Unique,
    UrlSuffix,
    Variable,
)

Offered: TypeAlias = Annotated[Mapping[Name, ModelName], Field(min_length=1)]
"""The model that each provider offers for one tier."""

ADDRESS_KEYS = frozenset(
    {"base_url", "base_url_env", "base_url_suffix", "api_key_env", "api_key_required"}
)
_RULES = [  # the JSON Schema of what `rules.py` says in sentences
    {
        "if": {"properties": {"dialect": {"const": "echo"}}, "required": ["dialect"]},
        "then": {"not": {"anyOf": [{"required": [key]} for key in sorted(ADDRESS_KEYS)]}},
        "else": {
            "anyOf": [
                {"required": ["base_url"]},
                {"required": ["base_url_env"], "properties": {"base_url_env": {"minItems": 1}}},
            ]
        },
    },
    {
        "if": {
            "properties": {"api_key_required": {"const": True}},
            "required": ["api_key_required"],
        },
        "then": {"required": ["api_key_env"], "properties": {"api_key_env": {"minItems": 1}}},
    },
    {
        "anyOf": [
            {"required": ["models"], "properties": {"models": {"minProperties": 1}}},
            {"required": ["any_model"], "properties": {"any_model": {"const": True}}},
        ]
    },
]


class RoutingFile(BaseModel, extra="forbid", strict=True, frozen=True):
    """Which model stands behind each tier, at each provider.

    Attributes:
        name: the file's name in the catalog; the one called ``default`` is used.
        description: what it is for.
        provider: the provider that is asked unless a person chooses another.
        tiers: tier -> provider -> model.
        default: the tier of the agents that name none.
    """

    name: Name
    description: Given[Text] = None
    provider: Name
    tiers: Annotated[Mapping[Name, Offered], Field(min_length=1)]
    default: Name


class ModelEntry(BaseModel, extra="forbid", strict=True, frozen=True):
    """One model of a provider.

    Attributes:
        description: what it is good for.
        context_tokens: how many tokens fit into prompt and answer together.
    """

    description: Given[Text] = None
    context_tokens: Given[Annotated[int, Field(ge=1, le=100_000_000)]] = None


class ProviderEntry(
    BaseModel, extra="forbid", strict=True, frozen=True, json_schema_extra={"allOf": _RULES}
):
    """One account at one provider.

    Attributes:
        dialect: the wire dialect it speaks; ``echo`` answers in this process.
        description: what it is.
        base_url: where it is.
        base_url_env: environment variables; the first one that is set wins over ``base_url``.
        base_url_suffix: appended to a base URL that does not end with it.
        api_key_env: environment variables; the first one that is set holds the key.
        api_key_required: whether nothing can be asked without a key.
        models: its models.
        any_model: whether models that are not listed may be asked, too.
        concurrency: the most calls in flight.
        max_queue: the most calls that wait for their turn.
        connect_timeout_s: seconds to reach the server.
        first_byte_timeout_s: seconds until an answer begins.
        options: options of the dialect.
    """

    dialect: Literal["openai_chat", "echo"]
    description: Given[Text] = None
    base_url: Given[BaseUrl] = None
    base_url_env: Unique[Variable] = ()
    base_url_suffix: Given[UrlSuffix] = None
    api_key_env: Unique[Variable] = ()
    api_key_required: bool = False
    models: Mapping[ModelName, ModelEntry] = {}
    any_model: bool = False
    concurrency: Annotated[int, Field(ge=1, le=100_000)] = 64
    max_queue: Annotated[int, Field(ge=0, le=1_000_000)] = 20_000
    connect_timeout_s: Seconds = 5.0
    first_byte_timeout_s: Seconds = 120.0
    options: Mapping[str, Any] = {}

    def offers(self, model: str) -> bool:
        """Whether this provider may be asked for a model."""
        return model in self.models or (self.any_model and bool(model))


class ProvidersFile(BaseModel, extra="forbid", strict=True, frozen=True):
    """All providers, by name."""

    providers: Annotated[Mapping[Name, ProviderEntry], Field(min_length=1)]


class Target(NamedTuple):
    """One model of one provider, by their names."""

    provider: str
    model: str


def find_targets(text: str, providers: Mapping[str, ProviderEntry]) -> tuple[Target, ...]:
    """Return every model that a text may mean, as ``provider/model`` or as a model's bare name.

    Returns:
        One target if the text is clear, none if no provider has such a model, several if a bare
        name is listed by several providers. ``provider/model`` goes before a bare name with a
        slash in it.
    """
    provider, _, model = text.partition("/")
    if provider in providers and providers[provider].offers(model):
        return (Target(provider, model),)
    return tuple(Target(name, text) for name, entry in providers.items() if text in entry.models)
