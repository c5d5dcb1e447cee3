"""The span of one model call, ``chat {model}``, whoever makes the call.

No words of prompt or answer are in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from otel.attributes import span_name
from otel.chat_attributes import chat_end, chat_start, fallback
from otel.conventions import CHAT
from otel.span import Link
from runtime.dialogues import NOBODYS
from runtime.messages import TOKEN_COUNTS

if TYPE_CHECKING:
    from otel import Span, Tracing
    from otel.attributes import Attributes
    from runtime.dialogues import Dialogue
    from runtime.messages import ModelReply, ModelRequest


_PORTS = {"http": 80, "https": 443}


class Server(NamedTuple):
    """Who is asked over the network.

    Attributes:
        address: the host.
        port: its port; None where nobody knows.
    """

    address: str
    port: int | None


class Instead(NamedTuple):
    """Instead of what a call is made.

    Attributes:
        source: the target that failed, as ``provider/model``.
        reason: the kind of its failure.
        position: how many targets have failed so far.
        span: the span of the call that failed; None where there was no call.
    """

    source: str
    reason: str
    position: int
    span: Span | None


def server_at(base_url: str) -> Server | None:
    """Return the server at an address, without path or user; None where it is no address."""
    try:
        parts = urlsplit(base_url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    return Server(parts.hostname, port) if parts.hostname else None


def start_chat_span(
    tracing: Tracing,
    parent: Span,
    request: ModelRequest,
    *,
    in_process: bool,
    server: Server | None = None,
    instead: Instead | None = None,
    dialogue: Dialogue = NOBODYS,
    start_time_ns: int | None = None,
) -> Span:
    """Start the span of a call.

    Args:
        tracing: where spans come from.
        parent: the span of what asks.
        request: what is asked.
        in_process: whether the model is in this process.
        server: who is asked; None where nobody knows, or for a model in this process.
        instead: instead of what it is made; None where it is nobody's substitute.
        dialogue: which conversation and session it belongs to.
        start_time_ns: when it began, in nanoseconds since the Unix epoch; None for now.
    """
    attributes = chat_start_of(request, server, dialogue) if tracing.is_recording else {}
    links = []
    if instead is not None and tracing.is_recording:
        why = fallback(instead.source, reason=instead.reason, index=instead.position)
        attributes = attributes | why
        links = [Link(instead.span, why)] if instead.span is not None else []
    return tracing.start(
        span_name(CHAT, request.model),
        kind="internal" if in_process else "client",
        parent=parent,
        attributes=attributes,
        links=links,
        start_time_ns=start_time_ns,
    )


def chat_start_of(
    request: ModelRequest, server: Server | None = None, dialogue: Dialogue = NOBODYS
) -> Attributes:
    """Return what the span of a call says at its start."""
    extra = request.extra_body
    return chat_start(
        request.model,
        provider=request.provider,
        server_address=None if server is None else server.address,
        server_port=None if server is None else server.port,
        max_tokens=request.max_output_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=request.top_k,
        frequency_penalty=request.frequency_penalty,
        presence_penalty=request.presence_penalty,
        stop_sequences=request.stop,
        seed=request.seed,
        choice_count=_whole(extra.get("n")) or 1,
        stream=request.stream,
        reasoning_level=request.reasoning.effort if request.reasoning else None,
        previous_response_id=_text(extra.get("previous_response_id")),
        output_type="json" if request.schema is not None or request.json_object else "text",
        conversation_id=dialogue.conversation_id,
        session_id=dialogue.session_id,
        run_id=request.run_id,
        task_id=request.task_id or None,
    )


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def chat_end_of(
    reply: ModelReply,
    cost_nano_usd: int | None,
    first_chunk_s: float | None = None,
    input_cost_nano_usd: int | None = None,
) -> Attributes:
    """Return what the span of a call says at its end; tokens that nobody knows are not in it.

    Args:
        reply: the answer.
        cost_nano_usd: what it cost; None where nobody knows.
        first_chunk_s: seconds until the first piece of it; None where it came in one.
        input_cost_nano_usd: the part of the cost for the prompt.
    """
    counts = {name: getattr(reply.usage, name, None) for name in TOKEN_COUNTS}
    return chat_end(
        response_id=reply.response_id,
        response_model=reply.model,
        finish_reasons=(reply.finish_reason_raw or reply.finish_reason,),
        time_to_first_chunk_s=first_chunk_s,
        cost_nano_usd=cost_nano_usd,
        input_cost_nano_usd=input_cost_nano_usd,
        attempts=reply.attempts,
        input_tokens=counts["input_tokens"],
        output_tokens=counts["output_tokens"],
        cached_input_tokens=counts["cached_input_tokens"],
        cache_write_tokens=counts["cache_write_tokens"],
        reasoning_tokens=counts["reasoning_tokens"],
    )
