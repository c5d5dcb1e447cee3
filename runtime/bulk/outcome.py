"""What came of a line, as an object of the output."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from runtime.errors import ProviderError
from runtime.governance.cost import usd
from runtime.invocations.fate import total
from runtime.messages import TOKEN_COUNTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runtime.bulk.line import LineId
    from runtime.messages import ModelReply, Price, ToolCall, Usage

NOT_THE_SERVERS = {
    "estimated": "the server did not say what was used; it is estimated",
    "partial": "the answer was cut off; what was used is the server's word before that",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One object of the output, and what of it is counted.

    Attributes:
        record: the object, as one line of JSON in UTF-8.
        ok: whether the model answered.
        tokens: those of prompt and answer; 0 where nobody knows.
        cost_nano_usd: what it cost; None where nobody knows.
        refusal: the model's words when it refused.
    """

    record: bytes
    ok: bool
    tokens: int = 0
    cost_nano_usd: int | None = None
    refusal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who was asked, for an answer that does not say so.

    Attributes:
        id: the line's own name.
        provider: the provider; None where nobody was named.
        model: the model; likewise.
        endpoint: the endpoint; likewise.
        price: what the model costs; None where nobody knows.
        tier: the tier of service that the line asks for; None where it leaves that open.
        warnings: what happened before it was asked.
    """

    id: LineId
    provider: str | None = None
    model: str | None = None
    endpoint: str | None = None
    price: Price | None = None
    tier: str | None = None
    warnings: tuple[str, ...] = ()


def answered(asked: Asked, reply: ModelReply) -> Outcome:
    """Return the outcome of a line that was answered; the words of a refusal are a warning."""
    cost = total(asked.price, reply.usage, reply.service_tier)
    body = {
        "id": asked.id,
        "ok": True,
        "text": reply.text,
        "tool_calls": [tool_call_json(call) for call in reply.tool_calls],
        "finish_reason": reply.finish_reason,
        "finish_reason_raw": reply.finish_reason_raw,
        "usage": usage_json(reply.usage),
        "cost_usd": None if cost is None else usd(cost),
        "model": reply.model,
        "provider": reply.provider or asked.provider,
        "endpoint": reply.endpoint or asked.endpoint,
        "attempts": reply.attempts,
        "warnings": [*asked.warnings, *reply.warnings, *_refusal(reply), *_doubts(reply)],
        "request_id": reply.request_id,
        "error": None,
    }
    return replace(_outcome(body, reply.usage, cost, ok=True), refusal=reply.refusal)


def failed(asked: Asked, error: Exception) -> Outcome:
    """Return the outcome of a line that was not answered.

    Whatever the error knows is in it: ``text`` is what had come of an answer, ``usage`` what that
    took, and ``attempts`` is 0 when nothing was sent.
    """
    known = error if isinstance(error, ProviderError) else None
    usage: Usage | None = getattr(error, "usage", None)
    cost = total(asked.price, usage, asked.tier)
    body = {
        "id": asked.id,
        "ok": False,
        "text": getattr(error, "partial", ""),
        "tool_calls": [],
        "finish_reason": None,
        "finish_reason_raw": None,
        "usage": usage_json(usage),
        "cost_usd": None if cost is None else usd(cost),
        "model": asked.model,
        "provider": asked.provider,
        "endpoint": asked.endpoint,
        "attempts": getattr(error, "attempts", 0),
        "warnings": [*asked.warnings, *_lost(getattr(error, "lost_usage", None))],
        "request_id": None if known is None else known.request_id,
        "error": error_json(error),
    }
    return _outcome(body, usage, cost, ok=False)


def error_json(error: Exception) -> dict[str, Any]:
    """Return an error: ``class`` is ours; ``status``, ``type``, ``code`` are the wire's own."""
    known = error if isinstance(error, ProviderError) else None
    return {
        "class": type(error).__name__,
        "status": None if known is None else known.http_status,
        "type": None if known is None else known.type,
        "code": None if known is None else known.code,
        "message": (known.wire_message if known else None) or str(error) or type(error).__name__,
        "retryable": known is not None and known.retryable,
        "retry_after": None if known is None else known.retry_after,
    }


def usage_json(usage: Usage | None) -> dict[str, int | None] | None:
    """Return the tokens of a call; None where nobody knows."""
    return None if usage is None else {name: getattr(usage, name) for name in TOKEN_COUNTS}


def tool_call_json(call: ToolCall) -> dict[str, Any]:
    """Return a tool call; arguments that are no JSON object are null, and raw beside it."""
    arguments = None if call.arguments is None else dict(call.arguments)
    body = {"id": call.id, "name": call.name, "arguments": arguments}
    return body if arguments is not None else {**body, "arguments_raw": call.arguments_raw}


def record_of(body: Mapping[str, Any]) -> bytes:
    """Return an object as a line of JSON.

    A model's words may have half a character in them; such a line is written in escapes.
    """
    try:
        return json.dumps(body, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(body).encode() + b"\n"


def _outcome(
    body: Mapping[str, Any], usage: Usage | None, cost: int | None, *, ok: bool
) -> Outcome:
    tokens = 0 if usage is None else usage.input_tokens + usage.output_tokens
    return Outcome(record=record_of(body), ok=ok, tokens=tokens, cost_nano_usd=cost)


def _refusal(reply: ModelReply) -> Sequence[str]:
    return (f"the model refused: {reply.refusal}",) if reply.refusal else ()


def _doubts(reply: ModelReply) -> Sequence[str]:
    """Return what to know about the count of an answer's tokens."""
    doubt = NOT_THE_SERVERS.get(reply.usage_source) if reply.usage is not None else None
    return [*([doubt] if doubt else []), *_lost(reply.lost_usage)]


def _lost(lost: Usage | None) -> Sequence[str]:
    if lost is None:
        return ()
    told = (
        f"earlier attempts may be billed, too: about {lost.input_tokens:,} tokens of prompts"
        f" and {lost.output_tokens:,} of answers"
    )
    return (told,)
