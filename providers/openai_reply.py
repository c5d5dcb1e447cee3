"""Reading a chat completion: tolerant of what is missing or new, strict about what must be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from providers.openai_errors import classified, payload_of, report_of
from providers.response_hints import request_id
from runtime.errors import MalformedResponse
from runtime.messages import ModelReply, Usage

if TYPE_CHECKING:
    from providers.adapter import HttpResponse
    from runtime.messages import FinishReason, ModelRequest

FINISH_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "refusal",
    "error": "error",
    "insufficient_system_resource": "error",
}
FENCED = re.compile(r"\s*```[\w-]*\s*\n(.*?)\n?\s*```\s*", re.DOTALL)
SHOWN = 120


def read_reply(
    response: HttpResponse, request: ModelRequest, *, fenced: bool, warnings: tuple[str, ...]
) -> ModelReply:
    """Return the reply that a chat completion holds.

    Args:
        response: the answer, of a status below 400.
        request: what it answers.
        fenced: whether a Markdown fence around the whole text is to be taken off.
        warnings: what was changed on the way there.

    Raises:
        ProviderError: the answer holds an error in spite of its status.
        MalformedResponse: it is no chat completion.
    """
    payload = payload_of(response.body)
    if not isinstance(payload, dict):
        raise _malformed("is no JSON object", response, request)
    choice = _first_choice(payload, response, request)
    message = _object(choice.get("message"))
    refusal = _refusal(message)
    raw = choice.get("finish_reason")
    raw = raw if isinstance(raw, str) else None
    return ModelReply(
        text=_without_fence(_text(message)) if fenced else _text(message),
        usage=_usage(payload.get("usage")),
        model=_name(payload.get("model")) or request.model,
        finish_reason="refusal" if refusal else FINISH_REASONS.get(raw or "", "other"),
        finish_reason_raw=raw,
        response_id=_name(payload.get("id")),
        request_id=request_id(response.headers),
        warnings=(*warnings, f"the model refused: {refusal}") if refusal else warnings,
    )


def _first_choice(
    payload: dict[str, Any], response: HttpResponse, request: ModelRequest
) -> dict[str, Any]:
    choices = payload.get("choices")
    choice = _object(choices[0]) if isinstance(choices, list) and choices else {}
    for place in (payload, choice):
        if place.get("error"):
            raise classified(report_of(response.status, place), response, request)
    if not isinstance(choice.get("message"), dict):
        raise _malformed("has no choices with a message", response, request)
    return choice


def _malformed(what: str, response: HttpResponse, request: ModelRequest) -> MalformedResponse:
    size = len(response.body)
    kind = response.headers.get("content-type", "no content type")[:SHOWN]
    return MalformedResponse(
        f"{request.provider}/{request.model}: the answer ({size} bytes, {kind}) {what}",
        provider=request.provider,
        model=request.model,
        http_status=response.status,
        request_id=request_id(response.headers),
    )


def _text(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(_part_text(part) for part in parts)


def _part_text(part: Any) -> str:
    if isinstance(part, str):
        return part
    text = _object(part).get("text") if _object(part).get("type", "text") == "text" else None
    return text if isinstance(text, str) else ""


def _refusal(message: dict[str, Any]) -> str:
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    spoken = [message.get("refusal"), *(_object(part).get("refusal") for part in parts)]
    return " ".join(" ".join(text for text in spoken if isinstance(text, str)).split())


def _usage(usage: Any) -> Usage | None:
    spent = _object(usage)
    asked, answered = _count(spent.get("prompt_tokens")), _count(spent.get("completion_tokens"))
    if asked is None and answered is None:
        return None
    prompt = _object(spent.get("prompt_tokens_details"))
    completion = _object(spent.get("completion_tokens_details"))
    return Usage(
        input_tokens=asked or 0,
        output_tokens=answered or 0,
        cached_input_tokens=_count(prompt.get("cached_tokens")),
        cache_write_tokens=_count(prompt.get("cache_write_tokens")),
        reasoning_tokens=_count(completion.get("reasoning_tokens")),
    )


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _without_fence(text: str) -> str:
    match = FENCED.fullmatch(text)
    return match.group(1) if match else text
