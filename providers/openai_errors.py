"""What the servers of the OpenAI dialects say when something goes wrong, as one of our classes.

``ROWS`` is the whole decision: the first row that fits names the class. A row fits when the status
is among its own and, where it names codes or phrases, one of them is in the answer. Codes come
before phrases because vendors change their prose; quota comes before rate limit because both are
429 and only one of them is worth waiting for; a 5xx stays transient whatever its text says.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from providers.response_hints import request_id, retry_after
from runtime.errors import (
    AuthFailed,
    ContentFiltered,
    ContextOverflow,
    InvalidRequest,
    ModelUnavailable,
    Overloaded,
    ProviderError,
    QuotaExhausted,
    RateLimitError,
    ServerError,
    Timeout,
    TransientError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from providers.adapter import HttpResponse
    from runtime.messages import ModelRequest

CLIENT_ERRORS = range(400, 500)
SERVER_ERRORS = range(500, 600)


class Row(NamedTuple):
    """One row of the table: which answers it fits, and the class that they become."""

    error: Callable[..., ProviderError]
    statuses: Container[int]
    codes: frozenset[str] = frozenset()
    phrases: tuple[str, ...] = ()

    def fits(self, report: Report) -> bool:
        """Return whether this row decides about ``report``."""
        if report.status not in self.statuses:
            return False
        if not self.codes and not self.phrases:
            return True
        return bool(self.codes & report.codes) or any(
            phrase in report.message.lower() for phrase in self.phrases
        )


class Report(NamedTuple):
    """What an error answer says, whatever its shape.

    Attributes:
        status: the status that decides; of an error inside a 200, the one that it names itself.
        code: the wire's own code, else its type.
        codes: every code and type in it, in lower case.
        message: its text, on one line.
    """

    status: int
    code: str | None
    codes: frozenset[str]
    message: str


QUOTA_CODES = frozenset({
    "insufficient_quota", "billing_hard_limit_reached", "billing_error", "credit_balance_exhausted",
    "organization_spend_limit_exceeded", "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded", "billing_not_active",
})  # fmt: skip
MODEL_CODES = frozenset({"model_not_found", "deploymentnotfound", "unknown_model", "invalid_model"})
CONTEXT_CODES = frozenset({
    "context_length_exceeded", "exceed_context_size_error", "context_window_exceeded",
})  # fmt: skip
FILTER_CODES = frozenset({
    "content_filter", "responsibleaipolicyviolation", "content_policy_violation", "bio_policy",
})  # fmt: skip
OVERLOAD_CODES = frozenset({
    "overloaded_error", "server_is_overloaded", "slow_down", "unavailable", "unavailable_error",
})  # fmt: skip
KEY_CODES = frozenset({"invalid_api_key", "authentication_error"})

ROWS = (
    Row(RateLimitError, {402}, frozenset({"openrouter_in_flight_budget"})),
    Row(QuotaExhausted, {402}),
    Row(QuotaExhausted, {400, 403, 429}, QUOTA_CODES, ("credit balance", "spending cap")),
    # Larger than what the account may send in a whole minute: waiting does not help.
    Row(QuotaExhausted, {429}, phrases=("request too large",)),
    Row(Overloaded, {429}, phrases=("high demand", "overloaded")),
    Row(RateLimitError, {429}),
    Row(Overloaded, {529}),
    Row(Overloaded, {503}, OVERLOAD_CODES, ("overloaded", "busy", "loading model", "capacity")),
    Row(partial(Timeout, stage="first_byte"), {408, 504}),
    Row(ServerError, SERVER_ERRORS),
    Row(ModelUnavailable, CLIENT_ERRORS, MODEL_CODES),
    Row(ModelUnavailable, {404}, phrases=("model", "deployment")),
    Row(ModelUnavailable, {410}),
    Row(ContentFiltered, CLIENT_ERRORS, FILTER_CODES, ("content management policy",)),
    Row(ContentFiltered, {403}, phrases=("moderation", "flagged")),
    Row(AuthFailed, {401, 403}),
    Row(AuthFailed, {400}, KEY_CODES, ("api key not valid",)),
    Row(
        ContextOverflow,
        {400, 413, 422},
        CONTEXT_CODES,
        (
            "maximum context length", "max context length", "context window", "context size",
            "prompt is too long", "prompt too long", "maximum number of tokens", "too many tokens",
        ),
    ),
    Row(TransientError, {409}),
)  # fmt: skip

# An error inside a 200 names no status; its type stands for the one it would have had.
STATUS_OF_TYPE = {
    "authentication_error": 401,
    "insufficient_quota": 429,
    "invalid_api_key": 401,
    "invalid_request_error": 400,
    "not_found_error": 404,
    "overloaded_error": 529,
    "permission_error": 403,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "server_is_overloaded": 503,
    "unexpected endpoint": 404,
}
STATUS_OF_UNKNOWN = 500
NEXT_STEPS = {404: " (is base_url right?)", 405: " (is base_url right?)"}


def error_of(response: HttpResponse, request: ModelRequest) -> ProviderError:
    """Classify an error answer of an OpenAI dialect, an error object inside a 200 included."""
    return classified(report_of(response.status, payload_of(response.body)), response, request)


def classified(report: Report, response: HttpResponse, request: ModelRequest) -> ProviderError:
    """Return the error that ``report`` describes, with what the header fields say."""
    make = next((row.error for row in ROWS if row.fits(report)), InvalidRequest)
    said = f" ({report.code})" if report.code not in (None, str(response.status)) else ""
    advice = NEXT_STEPS.get(report.status, "") if make is InvalidRequest else ""
    return make(
        f"{request.provider}/{request.model}: {response.status}{said}{advice}: {report.message}",
        provider=request.provider,
        model=request.model,
        http_status=response.status,
        code=report.code,
        request_id=request_id(response.headers),
        retry_after=retry_after(response.headers),
    )


def payload_of(body: bytes) -> Any:
    """Return the JSON value of ``body``, or else its text."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")


def report_of(status: int, payload: Any) -> Report:
    """Read an error answer in any of the shapes that servers use.

    Args:
        status: the HTTP status.
        payload: the JSON value of the body, or its text.
    """
    if isinstance(payload, list) and payload:
        payload = payload[0]
    envelope = payload if isinstance(payload, dict) else {"message": payload}
    error = envelope.get("error") or envelope
    if not isinstance(error, dict):
        error = {**envelope, "message": error}
    spoken = [_word(error.get("code")), _word(error.get("type")), _word(error.get("status"))]
    words = [word for word in (*spoken, *_inner_codes(error)) if word]
    codes = frozenset(word.lower() for word in words)
    message = _line(error.get("message") or error.get("detail") or "no message")
    if status not in CLIENT_ERRORS and status not in SERVER_ERRORS:
        status = _status_within(codes, message)
    return Report(status, next(iter(words), None), codes, message)


def _word(value: Any) -> str | None:
    return str(value) if isinstance(value, str | int) and value != "" else None


def _inner_codes(error: dict[str, Any]) -> list[str]:
    places = (("innererror", "code"), ("metadata", "limit_source"), ("details", "error_code"))
    inner = ((error.get(outer), name) for outer, name in places)
    return [
        word for place, name in inner if isinstance(place, dict) if (word := _word(place.get(name)))
    ]


def _line(message: Any) -> str:
    text = message if isinstance(message, str) else json.dumps(message)
    return " ".join(text.split())


def _status_within(codes: frozenset[str], message: str) -> int:
    numbers = [int(code) for code in codes if code.isdecimal() and 400 <= int(code) < 600]  # noqa: PLR2004  # the span of HTTP's error statuses
    known = [status for word, status in STATUS_OF_TYPE.items() if word in codes]
    spoken = [status for word, status in STATUS_OF_TYPE.items() if word in message.lower()]
    return next(iter((*numbers, *known, *spoken)), STATUS_OF_UNKNOWN)
