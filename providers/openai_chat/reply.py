"""Reading a whole chat completion: tolerant of what is missing or new, strict about what must be.

A streamed answer is put together to the same shape (``assembly``) and read here too, so both ways
give the same reply.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from providers.classification import classified, report_of
from providers.json_values import count_of, json_or_text, list_of, name_of, object_of
from providers.openai_chat.message import pieces_of, thoughts_of, tool_calls_of
from providers.openai_chat.state import DIALECT, state_of
from providers.response_hints import request_id
from runtime.errors import MalformedResponse
from runtime.messages import ModelReply, ProviderState, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from providers.adapter import HttpResponse
    from runtime.messages import FinishReason, ModelRequest, UsageSource

ENDPOINT = "chat"
FINISH_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "refusal",
    "abort": "error",
    "error": "error",
    "insufficient_system_resource": "error",
}
FENCED = re.compile(r"\s*```[\w-]*\s*\n(.*?)\n?\s*```\s*", re.DOTALL)
SHOWN = 120
FILTER_RESULTS = ("content_filter_results", "content_filter_result")
FILTERED = frozenset({"prompt_filter_results", *FILTER_RESULTS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How the answer to one request is read.

    Attributes:
        request: what is answered.
        reasoning_fields: the fields that may hold thoughts.
        fenced: whether a Markdown fence around the whole text is to be taken off.
        warnings: what was changed or left out on the way there.
    """

    request: ModelRequest
    reasoning_fields: tuple[str, ...]
    fenced: bool
    warnings: tuple[str, ...]


def read_body(response: HttpResponse, reading: Reading) -> ModelReply:
    """Return the reply that a complete answer holds.

    Raises:
        ProviderError: the answer holds an error in spite of its status.
        MalformedResponse: it is no chat completion.
    """
    payload = json_or_text(response.body)
    if not isinstance(payload, dict):
        raise malformed("is no JSON object", response, reading.request)
    return read_completion(payload, response, reading)


def read_completion(
    payload: dict[str, Any],
    response: HttpResponse,
    reading: Reading,
    usage_source: UsageSource = "provider",
) -> ModelReply:
    """Return the reply that a chat completion holds; raises what ``read_body`` raises."""
    request = reading.request
    choice = first_choice(payload)
    for place in (payload, choice):
        if place.get("error"):
            raise classified(report_of(response.status, place), response, request)
    message = choice.get("message")
    if not isinstance(message, dict):
        raise malformed("has no choices with a message", response, request)
    said = _words(message, reading)
    response_id = name_of(payload.get("id"))
    calls = tool_calls_of(message, response_id or "")
    raw = name_of(choice.get("finish_reason"))
    thoughts = thoughts_of(message, reading.reasoning_fields)[0] if said["reasoning"] else ""
    state = state_of(message, tuple(call.id for call in calls), thoughts)
    return ModelReply(
        text=_without_fence(said["text"]) if reading.fenced else said["text"],
        reasoning=said["reasoning"],
        refusal=said["refusal"],
        tool_calls=calls,
        usage=usage_of(payload),
        usage_source=usage_source,
        model=name_of(payload.get("model")) or request.model,
        state=None if state is None else ProviderState(request.provider, DIALECT, state),
        finish_reason="refusal" if said["refusal"] else finish_reason_of(raw),
        finish_reason_raw=raw,
        response_id=response_id,
        request_id=request_id(response.headers),
        service_tier=_service_tier(payload),
        provider=request.provider,
        endpoint=ENDPOINT,
        warnings=(*reading.warnings, *_outages(payload, choice)),
    )


def first_choice(payload: dict[str, Any]) -> dict[str, Any]:
    """Return the choice 0 of a completion or a chunk; an empty one when there is none."""
    choices = [object_of(choice) for choice in list_of(payload.get("choices"))]
    return next((choice for choice in choices if (choice.get("index") or 0) == 0), {})


def finish_reason_of(raw: str | None) -> FinishReason:
    """Return a server's word for why it stopped in our words."""
    return "unknown" if raw is None else FINISH_REASONS.get(raw.lower(), "other")


def usage_of(payload: dict[str, Any]) -> Usage | None:
    """Return the tokens that a completion or a chunk reports, or None."""
    spent = object_of(payload.get("usage"))
    asked, answered = count_of(spent.get("prompt_tokens")), count_of(spent.get("completion_tokens"))
    if asked is None and answered is None:
        return None
    prompt = object_of(spent.get("prompt_tokens_details"))
    completion = object_of(spent.get("completion_tokens_details"))
    return Usage(
        input_tokens=asked or 0,
        output_tokens=answered or 0,
        cached_input_tokens=count_of(prompt.get("cached_tokens")),
        cache_write_tokens=count_of(prompt.get("cache_write_tokens")),
        reasoning_tokens=count_of(completion.get("reasoning_tokens")),
    )


def malformed(
    what: str, response: HttpResponse, request: ModelRequest, size: int | None = None
) -> MalformedResponse:
    """Return the error for an answer that is not what the API promises; quotes nothing of it.

    Args:
        what: what is wrong with it.
        response: the answer.
        request: what it answers.
        size: of its body, in bytes, where that is not in ``response``.
    """
    kind = response.headers.get("content-type", "no content type")[:SHOWN]
    return MalformedResponse(
        f"{request.provider}/{request.model}: the answer"
        f" ({len(response.body) if size is None else size} bytes, {kind}) {what}",
        provider=request.provider,
        model=request.model,
        http_status=response.status,
        request_id=request_id(response.headers),
    )


def _words(message: dict[str, Any], reading: Reading) -> dict[str, str]:
    said: dict[str, list[str]] = {"text": [], "reasoning": [], "refusal": []}
    for piece in pieces_of(message, reading.reasoning_fields):
        said[piece.kind].append(piece.text)
    return {kind: "".join(texts) for kind, texts in said.items()}


def _service_tier(payload: dict[str, Any]) -> str | None:
    usage = object_of(payload.get("usage"))
    return name_of(payload.get("service_tier")) or name_of(usage.get("service_tier"))


def _outages(payload: dict[str, Any], choice: dict[str, Any]) -> Iterator[str]:
    """Yield a warning where Azure's content filter says that it did not run."""
    if FILTERED.isdisjoint(payload) and FILTERED.isdisjoint(choice):
        return
    prompts = [object_of(one) for one in list_of(payload.get("prompt_filter_results"))]
    for what, places in (("prompt", prompts), ("answer", [choice])):
        results = (object_of(place.get(name)) for place in places for name in FILTER_RESULTS)
        if any(result.get("error") for result in results):
            yield f"the server's content filter did not run on the {what}"


def _without_fence(text: str) -> str:
    match = FENCED.fullmatch(text)
    return match.group(1) if match else text
