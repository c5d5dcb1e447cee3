"""Real exchanges of many servers, read by the adapter; they live outside of this repository.

``MAGSAG_RECORDINGS`` names their folder. Each file holds a request, a response and what the
vendor's own client makes of it.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from providers.adapter import HttpResponse
from providers.openai_chat import OpenAIChat
from runtime.errors import (
    AuthFailed,
    ContentFiltered,
    ContextOverflow,
    InvalidRequest,
    ModelUnavailable,
    ProviderError,
    QuotaExhausted,
    RateLimitError,
    ServerError,
    Timeout,
)
from runtime.messages import Message, ModelRequest, ProviderProfile

DEFAULT = Path(__file__).parents[1] / ".." / "shared" / "recordings"
FOLDER = Path(os.environ.get("MAGSAG_RECORDINGS", DEFAULT)) / "dev"

# What an error is, by the vendor's own code where it has one, else by the status.
CLASSES: dict[str | int, type[ProviderError]] = {
    "content_filter": ContentFiltered,
    "insufficient_quota": QuotaExhausted,
    400: InvalidRequest,
    401: AuthFailed,
    404: ModelUnavailable,
    408: Timeout,
    413: InvalidRequest,
    429: RateLimitError,
    500: ServerError,
    503: ServerError,
}
OVERFLOWS = ("maximum context length", "max context length")
FINISH_CLASSES = {"stop", "length", "tool_calls", "content_filter", "refusal", "error"}


def has_only_texts(body: dict[str, Any]) -> bool:
    """Return whether a recorded request is one that we can make: nothing but texts, no tools."""
    turns = body.get("messages", [])
    return bool(turns and "model" in body and "tools" not in body) and all(
        turn.keys() == {"role", "content"}
        and turn["role"] in ("system", "user", "assistant")
        and isinstance(turn["content"], str)
        for turn in turns
    )


def exchanges(*, only_texts: bool = False) -> list[Any]:
    if not FOLDER.is_dir():
        reason = "no recordings here; MAGSAG_RECORDINGS names their folder"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason))]
    files = [json.loads(file.read_text()) for file in sorted(FOLDER.glob("*-chat-plain-*.json"))]
    kept = [file for file in files if not only_texts or has_only_texts(file["request"]["body"])]
    assert len(kept) > 20
    return [pytest.param(file, id=file["id"]) for file in kept]


def request_of(exchange: dict[str, Any]) -> ModelRequest:
    model = exchange["request"]["body"].get("model") or exchange["model"] or "unknown"
    return ModelRequest(
        provider=exchange["server"], model=model, messages=(Message("user", "hello"),)
    )


def response_of(exchange: dict[str, Any]) -> HttpResponse:
    response = exchange["response"]
    body = json.dumps(response["body"]) if "body" in response else response["text"]
    headers = {name.lower(): value for name, value in response["headers"].items()}
    return HttpResponse(response["status"], headers, body.encode())


def expected_class(error: dict[str, Any]) -> type[ProviderError]:
    if any(phrase in error["message"] for phrase in OVERFLOWS):
        return ContextOverflow
    return CLASSES.get(error["code"]) or CLASSES[error["status"]]


@pytest.mark.parametrize("exchange", exchanges())
def test_a_recorded_exchange_is_read_as_the_vendor_s_own_client_reads_it(exchange: Any) -> None:
    adapter = OpenAIChat(ProviderProfile(name="any", dialect="openai_chat"))
    request, response = request_of(exchange), response_of(exchange)
    expected = exchange["expected"]
    if expected["error"] is not None:
        error = adapter.parse_error(response, request)
        assert type(error) is expected_class(expected["error"])
        assert error.http_status == expected["error"]["status"]
        assert error.retry_after == expected.get("retry_after_s")
        azure = response.headers.get("apim-request-id")
        assert error.request_id == (expected.get("request_id") or azure)
        return
    reply = adapter.parse_reply(response, request)
    assert reply.text == expected["text"]
    assert reply.finish_reason == expected["finish_class"]
    assert reply.finish_reason in FINISH_CLASSES
    assert reply.finish_reason_raw == expected["finish_reason_raw"]
    assert (asdict(reply.usage) if reply.usage else None) == expected["usage"]
    assert reply.model == (expected["response_model"] or request.model)
    assert reply.response_id == expected["response_id"]
    assert (
        any(expected["refusal"] in warning for warning in reply.warnings) or not expected["refusal"]
    )


@pytest.mark.parametrize("exchange", exchanges(only_texts=True))
def test_a_request_is_written_as_the_recorded_one_was(exchange: Any) -> None:
    body = exchange["request"]["body"]
    form = body.get("response_format", {})
    sent = form.get("json_schema")
    first, *rest = body["messages"]
    turns = rest if first["role"] == "system" else body["messages"]
    request = ModelRequest(
        provider="any",
        model=body["model"],
        system=first["content"] if first["role"] == "system" else None,
        messages=tuple(Message(turn["role"], turn["content"]) for turn in turns),
        temperature=body.get("temperature"),
        schema=sent["schema"] if sent else None,
        schema_name=sent["name"] if sent else "answer",
        max_output_tokens=body.get("max_completion_tokens") or body.get("max_tokens") or 77,
    )
    adapter = OpenAIChat(ProviderProfile(name="any", dialect="openai_chat"))
    written = json.loads(adapter.to_request(request, "key").body)
    assert written["model"] == body["model"]
    assert written["messages"] == body["messages"]
    limit = written.get("max_completion_tokens") or written.get("max_tokens")
    assert limit == request.max_output_tokens
    if "temperature" in written:
        assert written["temperature"] == body["temperature"]
    if sent:
        expected = {word: part for word, part in sent["schema"].items() if word != "$schema"}
        assert written["response_format"]["json_schema"] == {**sent, "schema": expected}
