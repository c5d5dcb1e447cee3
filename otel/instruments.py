"""Every metric that is measured: its name, kind, unit and buckets, in one table."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from otel import conventions as names

Kind: TypeAlias = Literal["counter", "histogram", "gauge", "observed counter"]


class Instrument(NamedTuple):
    """One metric.

    Attributes:
        name: its name.
        kind: ``counter`` and ``histogram`` are told of each event; the other two are read when
            somebody collects.
        unit: in UCUM; in braces what is counted.
        description: for people.
        buckets: the upper bounds of a histogram.
    """

    name: str
    kind: Kind
    unit: str
    description: str
    buckets: tuple[float, ...] | None = None


def _seconds(name: str, buckets: tuple[float, ...], description: str) -> Instrument:
    return Instrument(name, "histogram", "s", description, buckets)


def _tokens(name: str, description: str) -> Instrument:
    return Instrument(name, "counter", "{token}", description)


_CALLS = names.CALL_BUCKETS

OF_THE_CONVENTIONS = (
    _seconds(
        names.CLIENT_OPERATION_DURATION, names.DURATION_BUCKETS, "Model calls, retries included"
    ),
    _seconds(
        names.CLIENT_TIME_TO_FIRST_CHUNK,
        names.DURATION_BUCKETS,
        "Until the first piece of a streamed answer",
    ),
    Instrument(
        names.CLIENT_TOKEN_USAGE,
        "histogram",
        "{token}",
        "Tokens per model call, by type",
        names.TOKEN_BUCKETS,
    ),
    _tokens(names.INFERENCE_INPUT_TOKENS, "Prompt tokens, cached ones included"),
    _tokens(names.INFERENCE_OUTPUT_TOKENS, "Generated tokens, reasoning included"),
    _tokens(names.INFERENCE_CACHE_READ_INPUT_TOKENS, "Prompt tokens read from a cache"),
    _tokens(names.INFERENCE_CACHE_WRITE_INPUT_TOKENS, "Prompt tokens written to a cache"),
    _tokens(names.INFERENCE_REASONING_OUTPUT_TOKENS, "Generated tokens spent on reasoning"),
    _seconds(names.EXECUTE_TOOL_DURATION, names.DURATION_BUCKETS, "Calls of skills"),
    _seconds(names.INVOKE_AGENT_DURATION, names.AGENT_DURATION_BUCKETS, "Agents at work"),
    Instrument(
        names.INVOKE_AGENT_INFERENCE_CALLS,
        "histogram",
        "{inference_call}",
        "Model calls of one piece of work, without those of other agents below it",
        _CALLS,
    ),
    Instrument(
        names.INVOKE_AGENT_TOOL_CALLS,
        "histogram",
        "{tool_call}",
        "Calls of skills of one piece of work, without those of other agents below it",
        _CALLS,
    ),
    _seconds(names.INVOKE_WORKFLOW_DURATION, names.WORKFLOW_DURATION_BUCKETS, "Whole runs"),
)
OUR_OWN = (
    Instrument(names.RUNS, "counter", "{run}", "Runs that ended, by outcome"),
    Instrument(names.RUNS_ACTIVE, "gauge", "{run}", "Runs under way"),
    Instrument(names.MAILBOX_DEPTH, "gauge", "{message}", "Messages that wait for an agent"),
    _seconds(names.MAILBOX_WAIT, names.DURATION_BUCKETS, "Until an agent takes a message up"),
    Instrument(names.ACTORS_ALIVE, "gauge", "{actor}", "Actors of an agent"),
    Instrument(names.ACTOR_RESTARTS, "counter", "{restart}", "Restarts by a supervisor"),
    Instrument(names.DEAD_LETTERS, "observed counter", "{message}", "Messages that reached nobody"),
    Instrument(names.ADMISSION_QUEUE, "gauge", "{call}", "Model calls that wait for their turn"),
    Instrument(names.ADMISSION_IN_FLIGHT, "gauge", "{call}", "Model calls that are out"),
    _seconds(names.ADMISSION_WAIT, names.DURATION_BUCKETS, "Until a model call may go out"),
    Instrument(names.ADMISSION_PAUSE, "gauge", "s", "What is left of an account's longest pause"),
    Instrument(names.CIRCUITS, "gauge", "{circuit}", "Circuit breakers of an account, by state"),
    Instrument(names.CLIENT_ATTEMPTS, "counter", "{attempt}", "Requests that model calls took"),
    Instrument(names.CLIENT_RETRIES, "counter", "{attempt}", "Those after the first of a call"),
    Instrument(names.CLIENT_FALLBACKS, "counter", "{fallback}", "Failures that another model met"),
    Instrument(names.BUDGET_RESERVED, "gauge", "{nano_usd}", "Held for calls under way"),
    Instrument(names.BUDGET_SPENT, "counter", "{nano_usd}", "What budgets count as spent"),
    Instrument(names.COST_NANO_USD, "counter", "{nano_usd}", "What model calls are known to cost"),
    Instrument(names.JOURNAL_PENDING, "gauge", "{record}", "Records that are not yet written"),
    Instrument(names.SPOOL_PENDING, "gauge", "{span}", "Spans that have not arrived"),
)
INSTRUMENTS = (*OF_THE_CONVENTIONS, *OUR_OWN)
