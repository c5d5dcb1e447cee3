"""What travels between actors: frozen data without behaviour, the same on one machine and on many.

``Delegation`` and ``Result`` go between agents, ``ModelRequest`` and ``ModelReply`` between an
agent and a provider actor. Everything in them can be pickled; nothing in them is shared.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, NoReturn, Protocol, TypeVar

from runtime.errors import DelegationFailed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from anyio.streams.memory import MemoryObjectSendStream

    from otel.log_scope import Scope

T = TypeVar("T")

Status = Literal["success", "failure", "partial"]
FinishReason = Literal[
    "stop",
    "length",
    "tool_calls",
    "content_filter",
    "refusal",
    "pause",
    "pending",
    "error",
    "other",
    "unknown",
]
Role = Literal["user", "assistant", "tool"]
ToolChoice = Literal["auto", "none", "required"]
EventKind = Literal["text", "reasoning", "refusal", "tool_call", "usage"]
UsageSource = Literal["provider", "partial", "estimated"]
HeldBy = Literal["backoff", "circuit", "pause", "concurrency", "limits", "pace", "queue"]
TOKEN_COUNTS = (  # of ``Usage``, as answers, spans and the journal name them
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)


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
        trace_id: the trace that its spans are in, 32 hex digits; empty for its caller's.
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
    trace_id: str = field(default="", kw_only=True)


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
        cache_write_1h_tokens: the part of the cache writes that is kept for an hour, where a
            vendor charges more for that; None when not said.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_write_1h_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """A picture in a prompt.

    Attributes:
        url: an http(s) address, or a ``data:`` URL with base64 content.
        detail: how closely the model shall look, where the vendor has such a choice.
    """

    url: str = field(repr=False)
    detail: Literal["auto", "low", "high"] | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """Something that a model may call.

    Attributes:
        name: its name, as the model says it.
        description: what it does, for the model.
        parameters: the JSON Schema of its arguments, an object.
        strict: whether the vendor shall hold the model to the schema; None leaves it to the vendor.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    strict: bool | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model wants a tool called.

    Attributes:
        id: the server's id of the call; a made-up one where the dialect has none.
        name: the tool's.
        arguments: the arguments; ``{}`` when the wire has none; None when they are no JSON object.
        arguments_raw: the arguments as the wire has them, as text.
    """

    id: str
    name: str
    arguments: Mapping[str, Any] | None
    arguments_raw: str = field(default="", repr=False)


def parsed_arguments(text: str) -> dict[str, Any] | None:
    """Return the arguments of a tool call: ``{}`` for no text, None when it is no JSON object."""
    if not text.strip():
        return {}
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _refuse(constant: str) -> NoReturn:
    """Refuse what Python reads as JSON although it is none: NaN and the infinities."""
    raise ValueError(constant)


@dataclass(frozen=True, slots=True)
class ProviderState:
    """What one provider wants to see again and nobody else can read, e.g. encrypted reasoning.

    Attributes:
        provider: whose it is; sent to that provider only.
        dialect: the wire dialect that it is in.
        data: an assistant's turn as the wire had it; JSON data.
    """

    provider: str
    dialect: str
    data: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation with a model.

    Attributes:
        role: who speaks; ``tool`` answers one tool call.
        content: text, or texts and images in order.
        tool_calls: of an assistant, the tools that it wants called.
        call_id: of a tool, the id of the call that it answers.
        name: of a tool, its name.
        is_error: of a tool, whether it failed; its content then says how.
        state: of an assistant, what its provider wants to see again.
    """

    role: Role
    content: str | tuple[str | Image, ...] = ""
    tool_calls: tuple[ToolCall, ...] = field(default=(), kw_only=True)
    call_id: str = field(default="", kw_only=True)
    name: str = field(default="", kw_only=True)
    is_error: bool = field(default=False, kw_only=True)
    state: ProviderState | None = field(default=None, kw_only=True)

    @property
    def text(self) -> str:
        """The text without the images."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part for part in self.content if isinstance(part, str))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasoning:
    """How much a model shall think before it answers.

    Attributes:
        effort: in the vendor's own word, e.g. ``none``, ``minimal``, ``low``, ``medium``, ``high``.
        budget_tokens: the most tokens to think with, for vendors that count instead.
        summary: whether to send (a summary of) the thoughts along.
    """

    effort: str | None = None
    budget_tokens: int | None = None
    summary: bool = False


@dataclass(frozen=True, kw_only=True)  # no slots: changed copies of it are made at every call
class ModelRequest:
    """One call of a model, in no vendor's dialect. What is None or empty is left to the model.

    Attributes:
        provider: the provider's name in the catalog.
        model: the model's name as that provider knows it.
        messages: the turns, oldest first; at least one.
        system: the system prompt.
        schema: the JSON Schema that the answer must satisfy; None for plain text.
        schema_name: a short name for the schema, as some dialects want one.
        schema_strict: whether the vendor shall hold the model to it; None: wherever it can.
        json_object: whether the answer must be some JSON object; a schema says more.
        tools: what the model may call.
        tool_choice: whether it may, must not or must call one.
        forced_tool: the name of the tool that it must call; goes before ``tool_choice``.
        parallel_tool_calls: whether one answer may hold several calls.
        max_output_tokens: the most that may be generated; also the bound of what it may cost.
        temperature: how freely to sample; this and the next five as the vendors define them.
        reasoning: how much to think.
        stop: texts that end the answer.
        stream: whether the answer comes in pieces.
        extra_headers: header fields to send along; none of them may be a credential's.
        extra_body: fields to send along at the top of the body.
        max_attempts: the most attempts at this target, the first included.
        wait_for_circuit: whether to wait for a target that is left alone for a while, in its time.
        deadline: when the answer must be there, in seconds of the event loop's clock.
        run_id: the run that asks, for fairness between runs.
        task_id: the task that asks.
        account: the account to ask where it is not simply the provider's own.
    """

    provider: str
    model: str
    messages: tuple[Message, ...]
    system: str | None = None
    schema: Mapping[str, Any] | None = None
    schema_name: str = "answer"
    schema_strict: bool | None = None
    json_object: bool = False
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    forced_tool: str | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = 4096
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    reasoning: Reasoning | None = None
    stop: tuple[str, ...] = ()
    stream: bool = False
    extra_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    extra_body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    max_attempts: int = 3
    wait_for_circuit: bool = True
    deadline: float | None = None
    run_id: str = ""
    task_id: str = ""
    account: str = ""

    def changed(self, **fields: Any) -> ModelRequest:
        """Return a copy with other values in some fields.

        It is ``dataclasses.replace`` at a twentieth of its price, which was a seventh of a call's.

        Raises:
            TypeError: there is no such field.
        """
        if not fields.keys() <= vars(self).keys():
            raise TypeError(f"a request has no {', '.join(sorted(fields.keys() - vars(self)))}")
        copy = object.__new__(ModelRequest)
        vars(copy).update(vars(self), **fields)
        return copy


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReply:
    """A model's answer, in no vendor's dialect.

    Attributes:
        text: the visible text.
        usage: the tokens; None when the server did not say.
        model: the model that answered, as the server names it.
        tool_calls: the tools that it wants called by us, in order.
        reasoning: what it shows of its thoughts.
        refusal: its own words when it refused.
        state: what its provider wants to see again in the next turn.
        finish_reason: why it stopped, normalised.
        finish_reason_raw: the same in the server's own word.
        finish_detail: the server's further word, e.g. the stop sequence or why it is incomplete.
        response_id: the server's id of the answer.
        request_id: the server's id of the HTTP exchange.
        service_tier: the tier that served it, as the server names it; some cost more.
        usage_source: whether the usage is the server's last word, its word before the answer was
            cut off, or our estimate.
        provider: the provider that answered.
        endpoint: the dialect that it answered in, e.g. ``responses`` or ``chat``.
        attempts: how many attempts it took at this target.
        lost_usage: about what earlier attempts have used whose fate nobody knows; it may be billed.
        fallen_from: what the targets before this one failed with, one line each.
        warnings: what was left out or changed on the way.
    """

    text: str
    usage: Usage | None
    model: str
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: str = ""
    refusal: str = ""
    state: ProviderState | None = None
    finish_reason: FinishReason = "stop"
    finish_reason_raw: str | None = None
    finish_detail: str | None = None
    response_id: str | None = None
    request_id: str | None = None
    service_tier: str | None = None
    usage_source: UsageSource = "provider"
    provider: str = ""
    endpoint: str = ""
    attempts: int = 1
    lost_usage: Usage | None = None
    fallen_from: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelEvent:
    """One piece of an answer that comes in pieces.

    Attributes:
        kind: ``text``, ``reasoning`` and ``refusal`` add ``text``; ``tool_call`` adds to the
            arguments of the call ``index``, whose first piece has its id and name; ``usage`` is
            what was used so far.
        text: the piece; of a tool call, of its arguments.
        index: which tool call, from 0.
        call_id: the id of the tool call; in its first piece.
        name: the name of the tool; in its first piece.
        usage: the tokens so far; only in ``usage``.
    """

    kind: EventKind
    text: str = ""
    index: int = 0
    call_id: str = ""
    name: str = ""
    usage: Usage | None = None


class Payer(Protocol):
    """Whoever pays for a request; told of its attempts and its waits while they last."""

    def sent(self) -> None:
        """Hear that an attempt goes out: from now on it may be billed."""

    def ended(self, error: BaseException | None, status: int | None) -> None:
        """Hear that the attempt which went out has ended.

        Args:
            error: what it failed with; None when it was answered.
            status: the HTTP status of its answer; None where there was none.
        """

    def spared(self) -> None:
        """Hear that it failed in a way that nobody bills."""

    def waiting(self, held_by: HeldBy) -> None:
        """Hear that the call waits from now on, perhaps for no time at all, and for what."""

    def went_on(self, *, cut_off: bool = False) -> None:
        """Hear that this wait is over.

        Args:
            cut_off: whether the call was ended in it.
        """

    async def again(self) -> bool:
        """Say whether there is the money for one more, though the last one may be billed, too."""


class LocalRequest(NamedTuple):
    """A request with what only its own process has.

    Attributes:
        request: the request.
        pieces: where the pieces of the answer go, if its ``stream`` is true; its reader's pace is
            the pace of the answer.
        payer: who pays for its attempts; None where nobody counts.
        scope: whose work it is, for the log; None where that is not known.
    """

    request: ModelRequest
    pieces: MemoryObjectSendStream[ModelEvent] | None = None
    payer: Payer | None = None
    scope: Scope | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Nano-USD per million tokens of one model. Integers: money is never a float.

    Attributes:
        input: prompt tokens that no cache served.
        output: generated tokens.
        cached_input: prompt tokens read from a cache.
        cache_write: prompt tokens written to a cache.
        cache_write_1h: prompt tokens written to a cache for an hour; None costs as cache_write.
        reasoning: the generated tokens that were spent on reasoning; None costs as output.
        long_prompts: the prices of calls with more than so many prompt tokens, fewest first.
        service_tiers: the prices by the tier that served a call, as its server names it: ``batch``,
            ``flex``, ``priority``, ``fast``. A tier that is not here costs as usual.
        since: the day from which on it holds, UTC; None since ever.
        before: the price until then; None: nobody knows it.
        source: where the price is from, e.g. ``genai-prices 0.2.3`` or ``catalog/prices.yaml:4``.
    """

    input: int
    output: int
    cached_input: int
    cache_write: int
    source: str
    cache_write_1h: int | None = None
    reasoning: int | None = None
    long_prompts: tuple[LongPrompt, ...] = ()
    service_tiers: Mapping[str, Price] = field(default_factory=dict)
    since: date | None = None
    before: Price | None = None


class LongPrompt(NamedTuple):
    """What all of a call costs whose prompt is long.

    Attributes:
        above: of more than so many prompt tokens.
        price: the price then.
    """

    above: int
    price: Price


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one limit group of an account may do. None is: not known, learn it from the server.

    Attributes:
        rpm: requests in any minute.
        tpm: tokens in any minute, prompts and answers together.
        itpm: prompt tokens in any minute.
        otpm: answer tokens in any minute.
        rpd: requests in any day.
        share: the part of these limits that this process takes, to leave room for others and for
            requests that bunch up on their way.
        burst_s: how many seconds' worth of requests may go out at once.
        concurrency: the most calls in flight.
        concurrency_start: how many calls in flight to begin with; grows towards ``concurrency``
            while the server accepts them. None begins with all of them.
        max_queue: the most calls that wait for their turn.
        max_queue_per_run: the most of them that one run may have.
        counts_max_tokens: whether the server counts the whole allowance of output when it admits.
        counts_cached_tokens: whether the server counts prompt tokens that it read from a cache.
    """

    rpm: float | None = None
    tpm: float | None = None
    itpm: float | None = None
    otpm: float | None = None
    rpd: float | None = None
    share: float = 0.95
    burst_s: float = 0.75
    concurrency: int = 512
    concurrency_start: int | None = 4
    max_queue: int = 100_000
    max_queue_per_run: int = 20_000
    counts_max_tokens: bool = False
    counts_cached_tokens: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long to wait for a server, in seconds.

    Attributes:
        connect: until it accepts the connection.
        first_byte: of a streamed answer, until its first event.
        idle: between two events of a streamed answer that say something, and between two pieces
            of a body.
        total: for one attempt, from the first byte sent to the last one read.
    """

    connect: float = 5.0
    first_byte: float = 30.0
    idle: float = 60.0
    total: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderProfile:
    """One account of one provider, resolved: what a provider actor needs to be started.

    Attributes:
        name: the account's name; for the accounts of the catalog the provider's name there.
        dialect: the wire dialect it speaks, e.g. ``openai_chat`` or ``echo``.
        fallback_dialect: the dialect to go on in when the server does not know the first.
        base_url: where it is; empty for a provider in this process.
        region: where its data stays; empty when nobody says.
        api_key: the credential; never shown.
        key_help: what to do when the key is missing, one sentence.
        limits: what each limit group may do, by a pattern of model names (``*`` and ``?``); the
            first that fits decides.
        group_by: what shares a limit: ``model`` (each model has its own), ``pattern`` (all models
            of one pattern of ``limits``), or ``account``.
        timeouts: how long to wait.
        max_pause_s: a server that asks to wait longer is unavailable until then.
        retry_ambiguous: whether to try again when a call may have been executed.
        http: what speaks HTTP: ``asyncio``, our own lean client; ``httpx``, for what that one has
            not, e.g. SOCKS proxies.
        options: options of the dialect, e.g. echo's ``latency_s``.
    """

    name: str
    dialect: str
    fallback_dialect: str = ""
    base_url: str = ""
    region: str = ""
    api_key: str = field(default="", repr=False)
    key_help: str = ""
    limits: Mapping[str, Limits] = field(default_factory=lambda: {"*": Limits()})
    group_by: Literal["model", "pattern", "account"] = "model"
    timeouts: Timeouts = field(default_factory=Timeouts)
    max_pause_s: float = 60.0
    retry_ambiguous: bool = True
    http: Literal["asyncio", "httpx"] = "asyncio"
    options: Mapping[str, Any] = field(default_factory=dict)
