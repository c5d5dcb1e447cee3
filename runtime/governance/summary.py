"""What runs came to, added up: the shape that ``flow summarize`` writes and ``flow gate`` reads.

Dollars are numbers with at most nine decimals, so that nano-USD come out of them exactly. A cost is
null where nobody knows the price of any call; beside ``unpriced_calls`` it is a lower bound.
``counted_usd`` is what budgets and limits count: the cost, or the worst case of a call whose bill
nobody knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, Field

Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0)]


class Shape(BaseModel, extra="forbid", strict=True, frozen=True, allow_inf_nan=False):
    """A part of a summary."""


class Errors(Shape):
    """How many failed.

    Attributes:
        total: all of them.
        by_type: by the class of their failure.
    """

    total: Count = 0
    by_type: Mapping[str, Count] = {}


class Tools(Shape):
    """Uses of skills.

    Attributes:
        calls: how many have an outcome.
        errors: how many of them failed.
    """

    calls: Count = 0
    errors: Count = 0


class Tokens(Shape):
    """Tokens of prompts, of answers, and of both."""

    input: Count = 0
    output: Count = 0
    total: Count = 0


class StepSummary(Shape):
    """What the work of one agent came to.

    Attributes:
        name: the agent.
        runs: how many pieces of work have an outcome.
        successes: how many of them it has done.
        errors: how many of them failed.
        success_rate: the share of those that it has done; None without any.
        avg_latency_ms: how long they took on average; None where nobody knows.
        error_types: the failed ones by the class of their failure.
        tools: the skills that it used for them.
        models: the models that it asked, as ``provider/model``.
    """

    name: str
    runs: Count
    successes: Count
    errors: Count
    success_rate: float | None
    avg_latency_ms: float | None
    error_types: Mapping[str, Count]
    tools: Tools
    models: tuple[str, ...] = Field((), strict=False)


class ModelSummary(Shape):
    """What the calls of one model of one provider came to.

    Attributes:
        name: ``provider/model``.
        calls: how many were made and have an outcome.
        errors: how many of them failed, those included whose process died.
        denied: how many more a policy forbade.
        cached: how many more were answered from earlier ones.
        tokens: what they took.
        cost_usd: what they cost.
        unpriced_calls: how many of them nobody knows the price of.
        error_types: the failed ones by the class of their failure.
    """

    name: str
    calls: Count
    errors: Count
    denied: Count
    cached: Count
    tokens: Tokens
    cost_usd: Amount | None
    unpriced_calls: Count
    error_types: Mapping[str, Count]


class ModelStats(Shape):
    """What the calls of one model came to, at whichever provider."""

    calls: Count
    errors: Count
    input_tokens: Count
    output_tokens: Count
    total_tokens: Count
    cost_usd: Amount | None


class Costs(Shape):
    """What all calls cost."""

    cost_usd: Amount | None
    counted_usd: Amount
    unpriced_calls: Count


class RunCost(Shape):
    """What one run cost; a summary has the dearest."""

    run_id: str
    target: str
    cost_usd: Amount | None
    counted_usd: Amount
    unpriced_calls: Count


class Spending(Shape):
    """What all calls of one agent, provider or tenant cost in a day or month of UTC.

    Attributes:
        subject: ``agent``, ``provider`` or ``tenant``.
        name: its name.
        window: the day, ``YYYY-MM-DD``, or the month, ``YYYY-MM``.
        counted_usd: what limits count.
        unpriced_calls: how many calls nobody knows the price of.
    """

    subject: Annotated[str, Field(pattern="^(agent|provider|tenant)$")]
    name: str
    window: Annotated[str, Field(pattern=r"^\d{4}-\d{2}(-\d{2})?$")]
    counted_usd: Amount
    unpriced_calls: Count


class Use(Shape):
    """That a model was asked with data of some kinds.

    Attributes:
        provider: who was asked.
        model: for which model.
        region: where the data went; empty where nobody says.
        data_classes: the kinds of data; empty for none in particular.
        calls: how often.
        unpriced_calls: how many of these nobody knows the price of.
    """

    provider: str
    model: str
    region: str
    data_classes: tuple[str, ...] = Field(strict=False)
    calls: Count
    unpriced_calls: Count


class Summary(Shape):
    """What runs came to.

    Attributes:
        since: only runs and calls that began at or after this time; None for all.
        agent: only those of this agent; None for all.
        workflow: only those of this workflow; None for all.
        runs: how many runs are over, those included whose process died.
        running: how many more are not.
        successes: how many are completed.
        success_rate: the share of those that are completed; None without any.
        avg_latency_ms: how long runs took on average; None without any.
        errors: the runs that failed.
        tools: all uses of skills.
        steps: by agent.
        models: by provider and model.
        model_stats: by model.
        costs: what it all cost.
        run_costs: by run, the dearest first.
        spending: by agent, provider and tenant, in days and months, the dearest first.
        left_out: how many rows of runs and spending more there were than a summary has.
        uses: which models were asked with which data.
    """

    since: str | None
    agent: str | None
    workflow: str | None
    runs: Count
    running: Count
    successes: Count
    success_rate: float | None
    avg_latency_ms: float | None
    errors: Errors
    tools: Tools
    steps: tuple[StepSummary, ...] = Field(strict=False)
    models: tuple[ModelSummary, ...] = Field(strict=False)
    model_stats: Mapping[str, ModelStats]
    costs: Costs
    run_costs: tuple[RunCost, ...] = Field(strict=False)
    spending: tuple[Spending, ...] = Field(strict=False)
    left_out: Count
    uses: tuple[Use, ...] = Field(strict=False)
