"""What is measured of a model call, a tool, an agent and a run: one function for each end.

All arguments are plain, and what is None is left out. The caller has asked ``metrics.on``. No
dimension here grows with the number of runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from otel import conventions as names
from otel.chat_attributes import provider_name

if TYPE_CHECKING:
    from otel.metrics import Metrics

Outcome: TypeAlias = Literal["completed", "failed", "cancelled"]


class Called(NamedTuple):
    """Whom a model call asks."""

    provider: str
    model: str

    def dimensions(self, response_model: str | None = None) -> dict[str, str]:
        """Return what tells its measurements from those of others."""
        return _present(
            {
                names.OPERATION_NAME: names.CHAT,
                names.PROVIDER_NAME: provider_name(self.provider),
                names.REQUEST_MODEL: self.model,
                names.RESPONSE_MODEL: response_model,
            }
        )


class Tokens(NamedTuple):
    """What a model call used; the last three are parts of the first two."""

    input: int
    output: int
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0


def chat_ended(
    metrics: Metrics,
    called: Called,
    *,
    seconds: float,
    attempts: int,
    tokens: Tokens | None = None,
    cost_nano_usd: int | None = None,
    response_model: str | None = None,
    error_type: str | None = None,
) -> None:
    """Measure a model call that ended.

    Args:
        metrics: where to.
        called: whom it asked.
        seconds: how long it took, its retries included.
        attempts: how many requests it took.
        tokens: what it used; None where nobody knows.
        cost_nano_usd: what it cost; None where nobody knows.
        response_model: the model that answered, as the server names it.
        error_type: the class of its failure; None when it was answered.
    """
    dimensions = called.dimensions(response_model)
    with_error = dimensions if error_type is None else dimensions | {names.ERROR_TYPE: error_type}
    metrics.record(names.CLIENT_OPERATION_DURATION, seconds, with_error)
    if attempts:
        metrics.add(names.CLIENT_ATTEMPTS, attempts, dimensions)
    if attempts > 1:
        metrics.add(names.CLIENT_RETRIES, attempts - 1, dimensions)
    if cost_nano_usd is not None:
        metrics.add(names.COST_NANO_USD, cost_nano_usd, dimensions)
    if tokens is not None:
        _count_tokens(metrics, tokens, dimensions)


def _count_tokens(metrics: Metrics, tokens: Tokens, dimensions: dict[str, str]) -> None:
    usage = names.CLIENT_TOKEN_USAGE
    metrics.record(usage, tokens.input, dimensions | {names.TOKEN_TYPE: "input"})
    metrics.record(usage, tokens.output, dimensions | {names.TOKEN_TYPE: "output"})
    metrics.add(names.INFERENCE_INPUT_TOKENS, tokens.input, dimensions)
    metrics.add(names.INFERENCE_OUTPUT_TOKENS, tokens.output, dimensions)
    for name, part in (
        (names.INFERENCE_CACHE_READ_INPUT_TOKENS, tokens.cache_read),
        (names.INFERENCE_CACHE_WRITE_INPUT_TOKENS, tokens.cache_write),
        (names.INFERENCE_REASONING_OUTPUT_TOKENS, tokens.reasoning),
    ):
        if part:
            metrics.add(name, part, dimensions)


def first_chunk_came(metrics: Metrics, called: Called, seconds: float) -> None:
    """Measure how long the first piece of a streamed answer took."""
    metrics.record(names.CLIENT_TIME_TO_FIRST_CHUNK, seconds, called.dimensions())


def call_admitted(metrics: Metrics, called: Called, seconds: float) -> None:
    """Measure how long a call waited until it might go out: circuit, line and limits."""
    metrics.record(names.ADMISSION_WAIT, seconds, called.dimensions())


def call_settled(metrics: Metrics, called: Called, nano_usd: int) -> None:
    """Count what budgets count as spent."""
    metrics.add(names.BUDGET_SPENT, nano_usd, called.dimensions())


def fell_back(metrics: Metrics, called: Called, error_type: str) -> None:
    """Count a failure after which another model is asked."""
    metrics.add(names.CLIENT_FALLBACKS, 1, called.dimensions() | {names.ERROR_TYPE: error_type})


def tool_ended(
    metrics: Metrics, tool: str, *, agent: str, seconds: float, error_type: str | None = None
) -> None:
    """Measure a call of a skill that ended."""
    dimensions = {
        names.OPERATION_NAME: names.EXECUTE_TOOL,
        names.TOOL_NAME: tool,
        names.AGENT_NAME: agent,
        names.ERROR_TYPE: error_type,
    }
    metrics.record(names.EXECUTE_TOOL_DURATION, seconds, _present(dimensions))


def agent_began(metrics: Metrics, agent: str, waited: float) -> None:
    """Measure how many seconds a message waited for its agent."""
    metrics.record(names.MAILBOX_WAIT, waited, {names.AGENT_NAME: agent})


def agent_ended(
    metrics: Metrics,
    agent: str,
    *,
    seconds: float,
    inference_calls: int,
    tool_calls: int,
    error_type: str | None = None,
) -> None:
    """Measure a piece of work that an agent ended.

    Args:
        metrics: where to.
        agent: its slug.
        seconds: how long it took.
        inference_calls: model calls of its own.
        tool_calls: calls of skills of its own.
        error_type: the class of its failure; None when it answered.
    """
    dimensions = {names.OPERATION_NAME: names.INVOKE_AGENT, names.AGENT_NAME: agent}
    with_error = dimensions if error_type is None else dimensions | {names.ERROR_TYPE: error_type}
    metrics.record(names.INVOKE_AGENT_DURATION, seconds, with_error)
    metrics.record(names.INVOKE_AGENT_INFERENCE_CALLS, inference_calls, dimensions)
    metrics.record(names.INVOKE_AGENT_TOOL_CALLS, tool_calls, dimensions)


def run_ended(
    metrics: Metrics, workflow: str, *, seconds: float, error_type: str | None = None
) -> None:
    """Measure a run that ended."""
    dimensions = {names.OPERATION_NAME: names.INVOKE_WORKFLOW, names.WORKFLOW_NAME: workflow}
    with_error = dimensions if error_type is None else dimensions | {names.ERROR_TYPE: error_type}
    metrics.record(names.INVOKE_WORKFLOW_DURATION, seconds, with_error)
    metrics.add(names.RUNS, 1, with_error | {names.OUTCOME: _outcome(error_type)})


def child_restarted(metrics: Metrics, supervisor: str) -> None:
    """Count a restart by a supervisor."""
    metrics.add(names.ACTOR_RESTARTS, 1, {names.SUPERVISOR: supervisor})


def _outcome(error_type: str | None) -> Outcome:
    if error_type is None:
        return "completed"
    return "cancelled" if error_type == "cancelled" else "failed"


def _present(dimensions: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in dimensions.items() if value is not None}
