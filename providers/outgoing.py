"""What the writing of a request has in common in all dialects."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from runtime.errors import InvalidRequest

if TYPE_CHECKING:
    from runtime.messages import ModelRequest

    Check = Callable[[ModelRequest], object]

JSON_TYPE = "application/json"

# The header field that carries the key, and its form, by what an account's option `auth` says.
CREDENTIALS = {
    "api-key": ("api-key", "{}"),
    "bearer": ("authorization", "Bearer {}"),
    "x-api-key": ("x-api-key", "{}"),
    "x-goog-api-key": ("x-goog-api-key", "{}"),
}

# A request's own header fields may not replace these: the key, and what frames the message.
PROTECTED_FIELDS = frozenset({
    "api-key", "authorization", "connection", "content-length", "cookie", "host",
    "proxy-authorization", "transfer-encoding", "x-api-key", "x-goog-api-key",
})  # fmt: skip


def json_body(value: Any) -> bytes:
    """Return ``value`` as compact JSON; any mapping is an object.

    Raises:
        InvalidRequest: it holds something that JSON has no word for.
    """
    try:
        text = ENCODER.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"the request cannot be written as JSON: {error}") from None
    return text.encode(errors="replace")


def _object(value: Any) -> dict[Any, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no JSON")


ENCODER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_object
)


def credential(auth: str, api_key: str) -> dict[str, str]:
    """Return the header field with the key, or none without one.

    Args:
        auth: one of ``CREDENTIALS``.
        api_key: the key; empty for none.
    """
    field, form = CREDENTIALS[auth]
    return {field: form.format(api_key)} if api_key else {}


def headers_with(own: Mapping[str, str], request: ModelRequest) -> dict[str, str]:
    """Return a dialect's header fields with the request's own ones, names in lower case."""
    extra = {name.lower(): value for name, value in request.extra_headers.items()}
    return {**own, **{name: extra[name] for name in extra if name not in PROTECTED_FIELDS}}


def header_warnings(request: ModelRequest) -> tuple[str, ...]:
    """Return what ``headers_with`` left out, as warnings."""
    kept = sorted(PROTECTED_FIELDS.intersection(name.lower() for name in request.extra_headers))
    return (f"extra_headers: {', '.join(kept)} may not be set and was left out",) if kept else ()


def left_out(request: ModelRequest, checks: Mapping[str, Check]) -> tuple[str, ...]:
    """Return a warning for everything in a request that its dialect has no field for.

    Args:
        request: the request.
        checks: whether the request has it, by what it is.
    """
    return tuple(
        f"{what} was left out: this API has no field for it"
        for what, is_asked_for in checks.items()
        if is_asked_for(request)
    )


def has_detail(request: ModelRequest) -> bool:
    """Return whether a request says how closely to look at some picture."""
    parts = (
        part
        for turn in request.messages
        if isinstance(turn.content, tuple)
        for part in turn.content
    )
    return any(not isinstance(part, str) and part.detail in ("low", "high") for part in parts)


def has_unreadable_arguments(request: ModelRequest) -> bool:
    """Return whether a tool call of an earlier turn has arguments that are no JSON object."""
    return any(call.arguments is None for turn in request.messages for call in turn.tool_calls)
