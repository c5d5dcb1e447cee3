"""Which models refuse which fields: one table, because no server can be asked for it.

A refused field is an HTTP 400, so it is left out and the reply says so. Every rule that fits a
model counts. Names are matched without the vendor's prefix, as gateways put one before them
(``openai/o3``).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

SAMPLING = ("temperature", "top_p", "top_k", "seed", "presence_penalty", "frequency_penalty")
PENALTIES = frozenset({"presence_penalty", "frequency_penalty"})
FIXED_SAMPLING = PENALTIES | {"temperature", "top_p"}
MOST_KEPT = 4_096
NO_FIELD = frozenset({"top_k", "reasoning.budget_tokens", "reasoning.summary"})

# They refuse max_tokens, because it never counted hidden reasoning; most other servers know only
# that one.
COUNTS_REASONING = re.compile(r"(?:o[1-9]|gpt-[5-9])(?=[.:_-]|$)(?!.*-chat)")


class Rule(NamedTuple):
    """One row of the table.

    Attributes:
        models: which models it is about, matched at the beginning of the name.
        refused: the fields that they refuse.
        thinking_only: whether they refuse them only while they think; effort ``none`` is not.
    """

    models: re.Pattern[str]
    refused: frozenset[str]
    thinking_only: bool = False


RULES = (
    Rule(re.compile(r"o[1-9](?=[.:_-]|$)"), FIXED_SAMPLING | {"parallel_tool_calls"}),
    Rule(re.compile(r"o(?:3(?!-mini)|[4-9])(?=[.:_-]|$)"), frozenset({"stop"})),
    Rule(re.compile(r"gpt-5\.[1-5](?![0-9])(?!.*-chat)"), FIXED_SAMPLING, thinking_only=True),
    Rule(
        re.compile(r"gpt-(?:5(?!\.[1-5](?![0-9]))|[6-9])(?=[.:_-]|$)(?!.*-chat)"),
        FIXED_SAMPLING,
    ),
    Rule(re.compile(r"gpt-[5-9](?=[.:_-]|$)(?!.*-chat)"), frozenset({"stop"})),
    Rule(re.compile(r"gpt-(?:3|4)|chatgpt-4o|gpt-5.*-chat"), frozenset({"reasoning_effort"})),
    Rule(re.compile(r"gpt-4o(?:-mini)?-search"), FIXED_SAMPLING | {"seed", "parallel_tool_calls"}),
    Rule(re.compile(r"grok-(?:3-mini|4|code)(?!.*non-reasoning)"), PENALTIES | {"stop"}),
    Rule(re.compile(r"grok-(?:2|3(?!-mini)|4(?!\.[3-9])|code)"), frozenset({"reasoning_effort"})),
)

# Beside tools these models take in this dialect no effort but none; the newer ones think unless
# they are told not to, and refuse that too. The Responses API has no such limit.
EFFORT_BESIDE_TOOLS: tuple[tuple[re.Pattern[str], str | None], ...] = (
    (re.compile(r"gpt-5\.[45](?![0-9])(?!.*-chat)"), None),
    (re.compile(r"gpt-5\.[6-9](?![0-9])(?!.*-chat)"), "none"),
)


def effort_beside_tools(model: str, effort: str | None) -> str | None:
    """Return the effort to send beside tools: the one that is asked for, wherever that works."""
    if effort == "none":
        return effort
    name = _bare(model)
    allowed = (only for models, only in EFFORT_BESIDE_TOOLS if models.match(name))
    return next(allowed, effort)


@lru_cache(MOST_KEPT)
def refuses(model: str, field: str, effort: str | None) -> bool:
    """Return whether a model is known to refuse a field of the request.

    Args:
        model: its name.
        field: the field's name on the wire.
        effort: how much it shall think, if that is asked.
    """
    name = _bare(model)
    return any(
        field in rule.refused and not (rule.thinking_only and effort == "none")
        for rule in RULES
        if rule.models.match(name)
    )


@lru_cache(MOST_KEPT)
def max_tokens_field(model: str) -> str:
    """Return the field in which a model takes the most tokens that it may generate."""
    counts = COUNTS_REASONING.match(_bare(model)) is not None
    return "max_completion_tokens" if counts else "max_tokens"


def _bare(model: str) -> str:
    return model.rpartition("/")[2]
