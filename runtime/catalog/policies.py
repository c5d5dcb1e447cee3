"""What ``catalog/policies`` says: what may be asked, with which data, for how much."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler

from runtime.catalog.values import (
    Amount,
    Entry,
    Given,
    Name,
    Pattern,
    Text,
    Unique,
    exact_usd,
    refusal,
)

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

MOST_PATTERNS = 200  # of limits, tools or models in one policy
POLICY_KINDS = frozenset(
    {
        *("allowed_models", "thresholds", "requirements"),
        *("residency", "tool_permissions", "retired", "contents"),
    }
)
ANY = "*"

Permission: TypeAlias = Literal["always", "require_approval", "never"]
Keeping: TypeAlias = Literal["keep", "digest"]
Models: TypeAlias = Annotated[Unique[Pattern], Field(max_length=10_000)]


def _by_name(value: Any) -> Any:
    """An amount alone is for everybody."""
    if isinstance(value, dict):
        return value
    if exact_usd(value) < 0:
        raise refusal("must be at least 0", "write a number like 0.50")
    return {ANY: value}


class _OrAnAmount:
    """Tells editors that an amount alone will do."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        named = handler(schema)
        return {"anyOf": [*named["additionalProperties"]["anyOf"], named]}


Limits: TypeAlias = Annotated[
    Mapping[Pattern, Amount],
    Field(min_length=1, max_length=MOST_PATTERNS),
    BeforeValidator(_by_name),
    _OrAnAmount(),
]
"""One amount for each, or amounts by name or pattern."""


_PRICE_IS_DECIDED = {  # the JSON Schema of what `rules.py` says in sentences
    "required": ["on_unknown_price", "unknown_price_usd_per_mtok"],
    "properties": {"on_unknown_price": {"const": "deny"}},
}


class ThresholdsEntry(
    Entry,
    json_schema_extra={"minProperties": 1, "not": _PRICE_IS_DECIDED},
):
    """What may be spent, in US dollars. Days and months are those of UTC.

    Attributes:
        max_cost_per_run_usd: by one run.
        max_cost_per_agent_daily_usd: by all calls of one agent in a day.
        max_cost_per_agent_monthly_usd: the same in a month.
        max_cost_per_provider_daily_usd: by all calls of one provider in a day.
        max_cost_per_provider_monthly_usd: the same in a month.
        max_cost_per_tenant_daily_usd: by all runs of one tenant in a day.
        max_cost_per_tenant_monthly_usd: the same in a month.
        on_unknown_price: whether a model may be asked whose price nobody knows. Without a word it
            may, unless a budget or another limit holds for the call; with ``allow`` it always may,
            and counts nothing.
        unknown_price_usd_per_mtok: what a token of such a model counts against budgets and limits.
    """

    max_cost_per_run_usd: Given[Amount] = None
    max_cost_per_agent_daily_usd: Given[Limits] = None
    max_cost_per_agent_monthly_usd: Given[Limits] = None
    max_cost_per_provider_daily_usd: Given[Limits] = None
    max_cost_per_provider_monthly_usd: Given[Limits] = None
    max_cost_per_tenant_daily_usd: Given[Limits] = None
    max_cost_per_tenant_monthly_usd: Given[Limits] = None
    on_unknown_price: Given[Literal["allow", "deny"]] = None
    unknown_price_usd_per_mtok: Given[Amount] = None


class ToolsEntry(Entry):
    """What holds for tools: in every environment, or in one of them.

    Attributes:
        default: what holds where nothing else fits.
        tools: what holds by name or pattern of the tool.
    """

    default: Given[Permission] = None
    tools: Annotated[Mapping[Pattern, Permission], Field(max_length=MOST_PATTERNS)] = {}


class ToolRuleEntry(Entry):
    """What holds for some uses of a tool.

    Attributes:
        tool: the tool's name, or a pattern.
        agent: of these agents only: a name, or a pattern.
        when: only with such arguments: the argument's name -> a pattern of its value as text.
        permission: what holds then.
    """

    tool: Pattern
    agent: Given[Pattern] = None
    when: Annotated[Mapping[Name, Text], Field(max_length=MOST_PATTERNS)] = {}
    permission: Permission


class ToolPermissionsEntry(ToolsEntry):
    """Which tools may be used. The strictest that fits decides, so ``never`` is absolute.

    Attributes:
        environments: what holds besides by the environment that ``MAGSAG_ENVIRONMENT`` names; its
            ``default`` goes before the general one.
        rules: what holds for some agents or arguments.
    """

    environments: Mapping[Name, ToolsEntry] = {}
    rules: Annotated[tuple[ToolRuleEntry, ...], Field(strict=False, max_length=MOST_PATTERNS)] = ()


class PolicyEntry(
    Entry,
    json_schema_extra={"oneOf": [{"required": [kind]} for kind in sorted(POLICY_KINDS)]},
):
    """One rule, of exactly one kind.

    A model is named as its provider knows it, or with a slash as ``provider/model``, and ``*`` and
    ``?`` stand for any characters and for one. Of amounts by name an exact name goes before a
    pattern, and any pattern before ``*``.

    Attributes:
        name: how refusals call it.
        description: what it is for.
        allowed_models: the only models that may be asked.
        thresholds: what may be spent.
        requirements: data class -> the only models that may be asked with such data. For such
            data they are allowed, whatever ``allowed_models`` say of data in general.
        residency: data class -> the only regions whose providers may be asked with such data.
        tool_permissions: which tools may be used.
        retired: whether models may be asked that their vendor has retired.
        contents: data class, or ``*`` for any -> whether the prompts and replies of model calls are
            kept beside their digests. ``keep`` also puts them into the audit trail, ``digest``
            into no record of a call. Without a word the journal has them, and the audit trail only
            their digests. What agents are given and what they answer is the run's own record,
            which stays in the journal until ``data vacuum`` deletes it.
    """

    name: Name
    description: Given[Text] = None
    allowed_models: Given[Models] = None
    thresholds: Given[ThresholdsEntry] = None
    requirements: Given[Annotated[Mapping[Name, Models], Field(min_length=1)]] = None
    residency: Given[Annotated[Mapping[Name, Unique[Name]], Field(min_length=1)]] = None
    tool_permissions: Given[ToolPermissionsEntry] = None
    retired: Given[Literal["warn", "deny"]] = None
    contents: Given[Annotated[Mapping[Pattern, Keeping], Field(min_length=1)]] = None


class PolicyFile(Entry):
    """The policies of one file."""

    policies: Annotated[tuple[PolicyEntry, ...], Field(strict=False, min_length=1)]
