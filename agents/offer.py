"""``offer-orchestrator-mag``: one offer, or many tasks side by side, merged into one package."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from agents.compensation import Advice
from agents.offer_request import OfferRequest
from agents.pay import Offer
from runtime import Context, Delegation, mag
from runtime.errors import DelegationFailed

VERSION = "0.1.0"


class Metadata(BaseModel):
    """How a package came to be; ``timestamp`` is ISO 8601 in UTC."""

    generated_by: str
    run_id: str
    timestamp: str
    version: str = VERSION
    task_count: int
    successful_tasks: int


class TaskResult(BaseModel):
    """What came of one task; without an output, ``error`` says why."""

    task_id: str
    status: str
    output: dict[str, Any]
    error: str | None


class Aggregates(BaseModel):
    """Sums over all tasks."""

    numbers_total: int
    tasks_processed: int


class OfferPackage(BaseModel):
    """The first offer, and what came of every task."""

    offer: Offer
    metadata: Metadata
    mag: str
    results: list[TaskResult]
    aggregates: Aggregates


@mag(name="offer-orchestrator-mag")
async def offer(ctx: Context, request: OfferRequest) -> OfferPackage:
    """Have every candidate's offer worked out, and put the offers together."""
    results = await ctx.fan_out(_delegations(ctx, request))
    advice = [Advice.model_validate(result.output) for result in results if result.ok]
    if not advice:
        first = results[0]
        error = f"no offer: all of {len(results):,} tasks failed; the first one: {first.error}"
        raise DelegationFailed(first.task_id, first.reason or "failure", error)
    return OfferPackage(
        offer=advice[0].offer,
        metadata=Metadata(
            generated_by=ctx.agent,
            run_id=ctx.run_id,
            timestamp=datetime.now(UTC).isoformat(),
            task_count=len(results),
            successful_tasks=len(advice),
        ),
        mag=ctx.agent,
        results=[
            TaskResult(task_id=one.task_id, status=one.status, output=one.output, error=one.error)
            for one in results
        ],
        aggregates=Aggregates(
            numbers_total=sum(one.analysis.summary.numbers_total for one in advice),
            tasks_processed=len(results),
        ),
    )


def _delegations(ctx: Context, request: OfferRequest) -> list[Delegation]:
    ours = request.own_profile()
    named = request.named_tasks()
    return [
        Delegation(
            name,
            task.sag_id,
            {**task.input, "candidate_profile": task.profile() or ours},
            {"requested_by": ctx.agent, "task_index": index, "total_tasks": len(named)},
        )
        for index, (name, task) in enumerate(named)
    ]
