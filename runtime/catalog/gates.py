"""What a policy of ``flow gate`` says: rules for summaries, or the policies of a catalog."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from runtime.catalog.policies import PolicyEntry
from runtime.catalog.values import Entry, Given, Pattern, Text, Unique

Share = Annotated[float, Field(ge=0, le=1)]
Milliseconds = Annotated[float, Field(ge=0, le=1e12)]
FOR_ALL = "default"  # the step whose rules hold for those that are not named


class StepRules(Entry):
    """Rules for the work of one agent.

    Attributes:
        max_error_rate: the share of its work that may fail.
        max_avg_latency_ms: how long it may take on average.
        max_mcp_error_rate: the share of its uses of skills that may fail; tools are skills here.
    """

    max_error_rate: Given[Share] = None
    max_avg_latency_ms: Given[Milliseconds] = None
    max_mcp_error_rate: Given[Share] = None


class ToolRules(Entry):
    """Rules for all uses of skills.

    Attributes:
        max_error_rate: the share of them that may fail.
    """

    max_error_rate: Given[Share] = None


class ModelRules(Entry):
    """Which models may have been asked: names or patterns of ``model`` or ``provider/model``.

    Attributes:
        denylist: none of these.
        allowlist: only these.
    """

    denylist: Given[Unique[Pattern]] = None
    allowlist: Given[Unique[Pattern]] = None


class GateFile(Entry):
    """A policy of ``flow gate``.

    Attributes:
        description: what it is for.
        min_runs: how many runs there must be.
        min_success_rate: the share of them that must be completed.
        max_avg_latency_ms: how long they may take on average.
        required_steps: agents that must have worked.
        per_step: rules by agent; a named agent's replace those of ``default``.
        mcp: rules for tools.
        models: rules for models.
        policies: policies as in ``catalog/policies``.
    """

    description: Given[Text] = None
    min_runs: Given[Annotated[int, Field(ge=0)]] = None
    min_success_rate: Given[Share] = None
    max_avg_latency_ms: Given[Milliseconds] = None
    required_steps: Given[Unique[Text]] = None
    per_step: Given[Annotated[Mapping[Text, StepRules], Field(min_length=1)]] = None
    mcp: Given[ToolRules] = None
    models: Given[ModelRules] = None
    policies: Annotated[tuple[PolicyEntry, ...], Field(strict=False, min_length=1)] = ()
