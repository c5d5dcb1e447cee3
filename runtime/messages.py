"""What travels between actors: frozen data without behaviour, the same on one machine and on many.

``Delegation`` and ``Result`` go between agents, ``ModelRequest`` and ``ModelReply`` between an
agent and a provider actor. Everything in them can be pickled; nothing in them is shared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from runtime.errors import DelegationFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

Status = Literal["success", "failure", "partial"]
FinishReason = Literal[
    "stop", "length", "tool_calls", "content_filter", "refusal", "error", "other"
]
Role = Literal["user", "assistant"]


@dataclass(frozen=True, slots=True)
class Delegation:
    """One piece of work handed to an agent.

    The first four fields are the author's; the keyword-only ones are filled by the runtime.

    Attributes:
        task_id: the name of this piece of work, unique within its run.
        sag_id: the slug of the agent that shall do it.
        input: what the agent gets; JSON data.
        context: hints for the runtime and the agent, e.g. ``{"preferred_model": "gpt-4o"}``.
        run_id: the run this belongs to.
        op: the step of the run that it is, as the journal knows it.
        parent: the task that delegated it; empty for the root of a run.
        ancestors: the slugs of the agents above it, outermost first.
        deadline: when it must be done, in seconds of the event loop's clock.
        traceparent: the W3C trace context of the caller's span.
    """

    task_id: str
    sag_id: str
    input: Any
    context: Mapping[str, Any] = field(default_factory=dict)
    run_id: str = field(default="", kw_only=True)
    op: str = field(default="", kw_only=True)
    parent: str = field(default="", kw_only=True)
    ancestors: tuple[str, ...] = field(default=(), kw_only=True)
    deadline: float | None = field(default=None, kw_only=True)
    traceparent: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class Result(Generic[T]):
    """What became of a Delegation. It never raises by itself; ``unwrap`` does when asked to.

    Attributes:
        task_id: the Delegation's.
        status: ``success`` or ``failure``.
        output: the agent's answer as JSON data; ``{}`` on failure.
        metrics: ``duration_ms``, ``attempts``, ``cost_usd``, ``tokens``, ``calls``.
        error: the reason of a failure, one line; None on success.
        reason: the class of a failure, e.g. ``crashed``, ``deadline``, ``cancelled``, ``killed``,
            ``invalid_input``, ``budget``, ``denied``; None on success.
        value: the answer as the type that the agent declares.
    """

    task_id: str
    status: Status
    output: Any
    metrics: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    reason: str | None = field(default=None, kw_only=True)
    value: T | None = field(default=None, kw_only=True, repr=False, compare=False)

    @property
    def ok(self) -> bool:
        """Whether the agent answered."""
        return self.status == "success"

    def unwrap(self) -> T:
        """Return the typed answer.

        Raises:
            DelegationFailed: there is none; the error carries task, reason and text.
        """
        if not self.ok:
            raise DelegationFailed(self.task_id, self.reason or "failure", self.error or "")
        return self.value  # type: ignore[return-value]  # a success always carries its value


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one model call. The total counts include their subsets.

    Attributes:
        input_tokens: all prompt tokens, cached and cache-written ones included.
        output_tokens: all generated tokens, reasoning included.
        cached_input_tokens: the part of the input read from a cache; None when not said.
        cache_write_tokens: the part of the input written to a cache; None when not said.
        reasoning_tokens: the part of the output spent on reasoning; None when not said.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation with a model."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """One call of a model, in no vendor's dialect.

    Attributes:
        provider: the provider's name in the catalog.
        model: the model's name as that provider knows it.
        messages: the turns, oldest first; at least one.
        system: the system prompt.
        schema: the JSON Schema that the answer must satisfy; None for plain text.
        schema_name: a short name for the schema, as some dialects want one.
        max_output_tokens: the most that may be generated; also the bound of what it may cost.
        temperature: None leaves it to the model.
        deadline: when the answer must be there, in seconds of the event loop's clock.
        run_id: the run that asks, for fairness between runs.
        task_id: the task that asks.
    """

    provider: str
    model: str
    messages: tuple[Message, ...]
    system: str | None = None
    schema: Mapping[str, Any] | None = None
    schema_name: str = "answer"
    max_output_tokens: int = 4096
    temperature: float | None = None
    deadline: float | None = None
    run_id: str = ""
    task_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReply:
    """A model's answer, in no vendor's dialect.

    Attributes:
        text: the visible text.
        usage: the tokens; None when the server did not say.
        model: the model that answered, as the server names it.
        finish_reason: why it stopped, normalised.
        finish_reason_raw: the same in the server's own word.
        response_id: the server's id of the answer.
        request_id: the server's id of the HTTP exchange.
        warnings: what was left out or changed on the way.
    """

    text: str
    usage: Usage | None
    model: str
    finish_reason: FinishReason = "stop"
    finish_reason_raw: str | None = None
    response_id: str | None = None
    request_id: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Nano-USD per million tokens of one model. Integers: money is never a float.

    Attributes:
        input: prompt tokens that no cache served.
        output: generated tokens.
        cached_input: prompt tokens read from a cache.
        cache_write: prompt tokens written to a cache.
        source: where the price is from, e.g. ``genai-prices 0.2.3`` or ``catalog/prices.yaml:4``.
    """

    input: int
    output: int
    cached_input: int
    cache_write: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderProfile:
    """One account of one provider, resolved: what a provider actor needs to be started.

    Attributes:
        name: the provider's name in the catalog, e.g. ``openai``.
        dialect: the wire dialect it speaks, e.g. ``openai_chat`` or ``echo``.
        base_url: where it is; empty for a provider in this process.
        api_key: the credential; never shown.
        key_help: what to do when the key is missing, one sentence.
        concurrency: the most calls in flight.
        max_queue: the most calls waiting for their turn; one more is refused.
        connect_timeout_s: seconds to reach the server.
        first_byte_timeout_s: seconds until the answer begins.
        options: options of the dialect, e.g. echo's ``latency_s``.
    """

    name: str
    dialect: str
    base_url: str = ""
    api_key: str = field(default="", repr=False)
    key_help: str = ""
    concurrency: int = 64
    max_queue: int = 20_000
    connect_timeout_s: float = 5.0
    first_byte_timeout_s: float = 120.0
    options: Mapping[str, Any] = field(default_factory=dict)
