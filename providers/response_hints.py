"""What an answer's header fields say: how long to wait, and the server's id of the exchange."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

REQUEST_ID_FIELDS = (
    "x-request-id", "request-id", "apim-request-id", "x-ms-request-id", "x-amzn-requestid",
    "x-kong-request-id",
)  # fmt: skip
ANY_REQUEST_ID = frozenset(REQUEST_ID_FIELDS)
MILLISECOND_FIELDS = ("retry-after-ms", "x-ms-retry-after-ms")


def request_id(headers: Mapping[str, str]) -> str | None:
    """Return the server's id of the exchange, or None. Field names are in lower case."""
    if ANY_REQUEST_ID.isdisjoint(headers):
        return None
    return next((headers[field] for field in REQUEST_ID_FIELDS if headers.get(field)), None)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that the server asks to wait, or None.

    Milliseconds win over seconds, as they are the finer hint, unless they are 0: one vendor rounds
    them down to that. A date is read against the answer's own ``date`` field, so that a clock that
    is wrong here does not matter; only without one it is read against this machine's clock.
    """
    for field in MILLISECOND_FIELDS:
        milliseconds = _number(headers.get(field, ""))
        if milliseconds:
            return milliseconds / 1000.0
    hint = headers.get("retry-after", "")
    number = _number(hint)
    return _seconds_until(hint, headers.get("date", "")) if number is None else number


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _seconds_until(hint: str, now: str) -> float | None:
    until = _date(hint)
    if until is None:
        return None
    return max(0.0, (until - (_date(now) or datetime.now(UTC))).total_seconds())


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)
