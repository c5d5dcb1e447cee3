"""What came of a line, as an object of the output."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from runtime.bulk.outcome import Asked, Outcome, answered, failed
from runtime.errors import (
    DeadlineExceeded,
    PolicyDenied,
    RateLimitError,
    ServerError,
    StreamInterrupted,
)
from runtime.messages import ModelReply, Price, ToolCall, Usage

FIELDS = [
    *("id", "ok", "text", "tool_calls", "finish_reason", "finish_reason_raw", "usage", "cost_usd"),
    *("model", "provider", "endpoint", "attempts", "warnings", "request_id", "error"),
]
PRICE = Price(input=2_000_000_000, output=8_000_000_000, cached_input=0, cache_write=0, source="t")
ASKED = Asked(id="a", provider="openai", model="gpt-4o", endpoint="chat", price=PRICE)


def body_of(outcome: Outcome) -> dict[str, Any]:
    assert outcome.record.endswith(b"\n")
    assert outcome.record.count(b"\n") == 1
    body: dict[str, Any] = json.loads(outcome.record)
    assert list(body) == FIELDS
    assert body["ok"] is outcome.ok
    return body


def test_an_answer_has_everything_that_the_reply_says() -> None:
    usage = Usage(input_tokens=10, output_tokens=5, cached_input_tokens=4, reasoning_tokens=0)
    reply = ModelReply(
        text="Grüße",
        usage=usage,
        model="gpt-4o-2024",
        finish_reason="length",
        finish_reason_raw="max_tokens",
        request_id="req_1",
        provider="openai",
        endpoint="responses",
        attempts=2,
        warnings=("w",),
    )
    outcome = answered(ASKED, reply)
    assert "Grüße".encode() in outcome.record
    assert body_of(outcome) == {
        "id": "a",
        "ok": True,
        "text": "Grüße",
        "tool_calls": [],
        "finish_reason": "length",
        "finish_reason_raw": "max_tokens",
        "usage": {
            "input_tokens": 10,
            "output_tokens": 5,
            "cached_input_tokens": 4,
            "cache_write_tokens": None,
            "reasoning_tokens": 0,
        },
        "cost_usd": (6 * 2_000 + 5 * 8_000) / 1e9,
        "model": "gpt-4o-2024",
        "provider": "openai",
        "endpoint": "responses",
        "attempts": 2,
        "warnings": ["w"],
        "request_id": "req_1",
        "error": None,
    }
    assert (outcome.tokens, outcome.cost_nano_usd) == (15, 52_000)


def test_arguments_of_a_tool_call_are_an_object_or_null_with_the_wires_text() -> None:
    calls = (ToolCall("1", "f", {"a": 1}, '{"a": 1}'), ToolCall("2", "g", None, '{"a": '))
    body = body_of(answered(ASKED, ModelReply(text="", usage=None, model="m", tool_calls=calls)))
    assert body["tool_calls"] == [
        {"id": "1", "name": "f", "arguments": {"a": 1}},
        {"id": "2", "name": "g", "arguments": None, "arguments_raw": '{"a": '},
    ]


def test_what_nobody_knows_is_null_and_never_zero() -> None:
    body = body_of(answered(ASKED, ModelReply(text="", usage=None, model="m")))
    assert (body["usage"], body["cost_usd"]) == (None, None)
    unpriced = Asked(id="a", provider="p", model="m")
    body = body_of(answered(unpriced, ModelReply(text="", usage=Usage(), model="m")))
    assert (body["usage"]["input_tokens"], body["cost_usd"]) == (0, None)


def test_doubts_about_the_count_are_warnings() -> None:
    lost = Usage(input_tokens=1200, output_tokens=7)
    reply = ModelReply(text="", usage=Usage(), model="m", usage_source="estimated", lost_usage=lost)
    assert body_of(answered(ASKED, reply))["warnings"] == [
        "the server did not say what was used; it is estimated",
        "earlier attempts may be billed, too: about 1,200 tokens of prompts and 7 of answers",
    ]


def test_the_words_of_a_refusal_are_a_warning_and_the_text_stays_what_it_is() -> None:
    reply = ModelReply(text="", refusal="No.", usage=None, model="m", finish_reason="refusal")
    outcome = answered(ASKED, reply)
    body = body_of(outcome)
    assert (body["text"], body["finish_reason"]) == ("", "refusal")
    assert body["warnings"] == ["the model refused: No."]
    assert outcome.refusal == "No."
    body = body_of(answered(ASKED, replace(reply, text="Well.")))
    assert (body["text"], body["warnings"]) == ("Well.", ["the model refused: No."])


def test_a_failure_has_the_class_which_is_ours_and_the_words_which_are_the_wires() -> None:
    error = RateLimitError(
        "openai/gpt-4o: slow down",
        http_status=429,
        type="requests",
        code="rate_limit_exceeded",
        wire_message="Rate limit reached",
        request_id="req_2",
        retry_after=1.5,
        attempts=3,
    )
    body = body_of(failed(ASKED, error))
    assert body["error"] == {
        "class": "RateLimitError",
        "status": 429,
        "type": "requests",
        "code": "rate_limit_exceeded",
        "message": "Rate limit reached",
        "retryable": True,
        "retry_after": 1.5,
    }
    assert (body["attempts"], body["request_id"]) == (3, "req_2")
    assert (body["provider"], body["model"], body["endpoint"]) == ("openai", "gpt-4o", "chat")
    assert (body["text"], body["finish_reason"], body["usage"]) == ("", None, None)


def test_a_stream_that_broke_off_leaves_what_had_come_and_what_it_cost() -> None:
    error = StreamInterrupted(
        "broke off", partial="Once upon", usage=Usage(input_tokens=1, output_tokens=2), attempts=1
    )
    outcome = failed(ASKED, error)
    body = body_of(outcome)
    assert body["text"] == "Once upon"
    assert body["usage"]["output_tokens"] == 2
    assert body["cost_usd"] == outcome.cost_nano_usd / 1e9 == 18_000 / 1e9  # type: ignore[operator]  # it has a price
    assert outcome.tokens == 3


def test_a_deadline_in_the_middle_of_a_stream_leaves_what_had_come_and_what_it_cost() -> None:
    error = DeadlineExceeded(
        "no time",
        stage="total",
        attempts=2,
        partial="Once upon",
        usage=Usage(input_tokens=1, output_tokens=2),
        lost_usage=Usage(input_tokens=3, output_tokens=4),
    )
    outcome = failed(ASKED, error)
    body = body_of(outcome)
    assert (body["attempts"], body["text"]) == (2, "Once upon")
    assert body["usage"]["output_tokens"] == 2
    assert body["cost_usd"] == 18_000 / 1e9  # what was lost before it nobody knows the cost of
    assert body["warnings"] == [
        "earlier attempts may be billed, too: about 3 tokens of prompts and 4 of answers"
    ]
    assert outcome.tokens == 3


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (DeadlineExceeded("no time", stage="queue"), False),
        (PolicyDenied("policy p: no"), False),
        (ServerError("it broke"), True),
        (ValueError(), False),
    ],
)
def test_every_error_is_told_in_the_same_shape(error: Exception, *, retryable: bool) -> None:
    told = body_of(failed(ASKED, error))["error"]
    assert told["class"] == type(error).__name__
    assert told["message"] == (str(error) or "ValueError")
    assert told["retryable"] is retryable
    assert told["status"] is None


def test_half_a_character_is_written_in_escapes() -> None:
    outcome = answered(ASKED, ModelReply(text="a\ud83d", usage=None, model="m"))
    assert outcome.record.isascii()
    assert body_of(outcome)["text"] == "a\ud83d"
