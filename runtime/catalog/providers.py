"""What ``catalog/providers.yaml`` says: the accounts that can be asked, and where they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, get_args

from pydantic import Field

from runtime.catalog.allowances import LOCAL_CONCURRENCY, LimitsEntry, TimeoutsEntry
from runtime.catalog.values import (
    BaseUrl,
    Entry,
    Given,
    ModelName,
    Name,
    Pattern,
    Seconds,
    Text,
    Unique,
    UrlSuffix,
    Variable,
)
from runtime.patterns import fits

if TYPE_CHECKING:
    from runtime.messages import Limits, Timeouts

LOCAL = "local"  # the region of this machine
IN_PROCESS = "echo"
MOST_PATTERNS = 200  # of limits or names of one account
ECHO_CONCURRENCY = 512  # nothing is to be spared in this process

HttpDialect: TypeAlias = Literal["openai_responses", "openai_chat", "anthropic", "google", "ollama"]
Dialect: TypeAlias = Literal[
    "openai_responses", "openai_chat", "anthropic", "google", "ollama", "echo"
]

SERVER_KEYS = frozenset(
    {
        *("base_url", "base_url_env", "base_url_suffix", "api_key_env", "api_key_required"),
        *("fallback_dialect", "http"),
    }
)
_RULES = [  # the JSON Schema of what `rules.py` says in sentences
    {
        "if": {"properties": {"dialect": {"const": IN_PROCESS}}, "required": ["dialect"]},
        "then": {"not": {"anyOf": [{"required": [key]} for key in sorted(SERVER_KEYS)]}},
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
            {"required": ["model_names"], "properties": {"model_names": {"minItems": 1}}},
            {"required": ["any_model"], "properties": {"any_model": {"const": True}}},
        ]
    },
    *(
        {
            "if": {"properties": {"dialect": {"const": dialect}}, "required": ["dialect"]},
            "then": {"properties": {"fallback_dialect": {"not": {"const": dialect}}}},
        }
        for dialect in get_args(HttpDialect)
    ),
]


class ModelEntry(Entry):
    """One model of a provider. What it does not say is not known.

    Attributes:
        description: what it is good for.
        context_tokens: how many tokens fit into prompt and answer together.
        tools: whether it can call tools.
        vision: whether it can see images.
        structured_output: whether it can be held to a JSON Schema.
        base_model: which model it is, where its name does not say so, e.g. of a deployment; its
            vendor's prices and dates hold.
    """

    description: Given[Text] = None
    context_tokens: Given[Annotated[int, Field(ge=1, le=100_000_000)]] = None
    tools: Given[bool] = None
    vision: Given[bool] = None
    structured_output: Given[bool] = None
    base_model: Given[ModelName] = None


class ProviderEntry(Entry, json_schema_extra={"allOf": _RULES}):
    """One account at one provider.

    Attributes:
        dialect: the wire dialect it speaks; ``echo`` answers in this process.
        fallback_dialect: the dialect to go on in when the server does not know the first.
        description: what it is.
        region: where its data stays; ``local`` is this machine.
        base_url: where it is.
        base_url_env: environment variables; the first one that is set wins over ``base_url``.
        base_url_suffix: appended to a base URL that does not end with it.
        api_key_env: environment variables; the first one that is set holds the key.
        api_key_required: whether nothing can be asked without a key.
        vendor: whose models these are, if not those of its own name: prices and dates of
            retirement are looked up under that name.
        models: its models.
        model_names: patterns of the names that other models of it have. What fits may be asked,
            and such a name alone is enough to mean this provider.
        any_model: whether any other model may be asked, too.
        limits: what it may be asked at most.
        model_limits: the same for some models only, by a pattern of their names; the first that
            fits decides, and ``limits`` where it says nothing.
        group_by: what shares a limit: each model its own, all models of one pattern, or all.
        timeouts: how long to wait for it.
        max_pause_s: a server that asks to wait longer counts as unavailable until then.
        retry_ambiguous: whether to try again when a call may have been executed.
        http: what speaks HTTP: our own lean ``asyncio`` client, or ``httpx``.
        options: options of the dialect.
    """

    dialect: Dialect
    fallback_dialect: Given[HttpDialect] = None
    description: Given[Text] = None
    region: Given[Name] = None
    base_url: Given[BaseUrl] = None
    base_url_env: Unique[Variable] = ()
    base_url_suffix: Given[UrlSuffix] = None
    api_key_env: Unique[Variable] = ()
    api_key_required: bool = False
    vendor: Given[Name] = None
    models: Mapping[ModelName, ModelEntry] = {}
    model_names: Annotated[Unique[Pattern], Field(max_length=MOST_PATTERNS)] = ()
    any_model: bool = False
    limits: LimitsEntry = LimitsEntry.model_construct()
    model_limits: Annotated[Mapping[Pattern, LimitsEntry], Field(max_length=MOST_PATTERNS)] = {}
    group_by: Literal["model", "pattern", "account"] = "model"
    timeouts: TimeoutsEntry = TimeoutsEntry.model_construct()
    max_pause_s: Seconds = 60.0
    retry_ambiguous: bool = True
    http: Literal["asyncio", "httpx"] = "asyncio"
    options: Mapping[str, Any] = {}

    @property
    def place(self) -> str:
        """Where its data stays; empty when nobody says."""
        return self.region or (LOCAL if self.dialect == IN_PROCESS else "")

    def claims(self, model: str) -> bool:
        """Whether a model's name alone is enough to mean this provider."""
        return model in self.models or any(fits(pattern, model) for pattern in self.model_names)

    def offers(self, model: str) -> bool:
        """Whether this provider may be asked for a model."""
        return self.claims(model) or (self.any_model and bool(model))

    def all_limits(self) -> dict[str, Limits]:
        """Return the limits by pattern; the first that fits decides, and one always does."""
        fixed = _FIXED.get(IN_PROCESS if self.dialect == IN_PROCESS else self.place)
        found = {
            pattern: own.over(self.limits).resolve(fixed=fixed)
            for pattern, own in self.model_limits.items()
        }
        found.setdefault("*", self.limits.resolve(fixed=fixed))
        return found

    def resolved_timeouts(self) -> Timeouts:
        """Return how long to wait, with the defaults of the place where it is."""
        return self.timeouts.resolve(local=self.place == LOCAL)


_FIXED = {IN_PROCESS: ECHO_CONCURRENCY, LOCAL: LOCAL_CONCURRENCY}


class ProvidersFile(Entry):
    """All providers, by name."""

    providers: Annotated[Mapping[Name, ProviderEntry], Field(min_length=1)]
