"""Reading what servers say about their limits in header fields. Every vendor has its own way.

====================  ========================================  ================================
vendor                fields                                    time until the reset
====================  ========================================  ================================
OpenAI, Groq          ``x-ratelimit-limit-requests`` ...        ``6m0s``, ``120ms``, ``7.2ms``
Azure                 the same; -1 and 0 for "not said"         whole seconds
Anthropic             ``anthropic-ratelimit-tokens-limit`` ...  RFC 3339
Cerebras              ``x-ratelimit-limit-requests-day`` ...    decimal seconds
Mistral               ``x-ratelimit-limit-req-minute`` ...      none
xAI                   as OpenAI                                 none
OpenRouter, Together  ``x-ratelimit-limit`` ...                 Unix milliseconds; seconds
====================  ========================================  ================================

An instant is read against the answer's own ``date``: the clock of this machine may be wrong.
Whatever is not understood is taken as not said.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from providers.admission.headers import Allowance, RateHeaders

if TYPE_CHECKING:
    from collections.abc import Mapping

GO_DURATION = re.compile(r"(?:([0-9]*\.?[0-9]+)h)?(?:([0-9]*\.?[0-9]+)m(?!s))?"
                         r"(?:([0-9]*\.?[0-9]+)s)?(?:([0-9]*\.?[0-9]+)ms)?"
                         r"(?:([0-9]*\.?[0-9]+)(?:us|µs|μs))?(?:([0-9]*\.?[0-9]+)ns)?")  # fmt: skip
UNITS_S = (3600.0, 60.0, 1.0, 1e-3, 1e-6, 1e-9)
UNIX_SECONDS, UNIX_MILLISECONDS = 1e9, 1e11  # no waiting time is that long
LONGEST_MINUTE_S = 3600.0  # a limit whose refill takes longer is no limit of a minute
LONGEST_FIELD = 64
MOST_SERVERS = 256


class Names(NamedTuple):
    """The fields of one limit at one vendor.

    Attributes:
        told_as: the limit's name in ``RateHeaders``.
        limit: the field with the limit itself.
        remaining: the field with what is left of it.
        reset: the field that says when all of it is there again.
    """

    told_as: str
    limit: str
    remaining: str
    reset: str


def _names(told_as: str, pattern: str) -> Names:
    return Names(told_as, *(pattern.format(part) for part in ("limit", "remaining", "reset")))


# Where a limit has several rows, the tightest of those that an answer has counts.
NAMES = (
    _names("requests", "x-ratelimit-{}-requests"),
    _names("requests", "x-ratelimit-{}-project-requests"),
    _names("requests", "x-ratelimit-{}-req-minute"),
    _names("requests", "x-ratelimit-{}-requests-minute"),
    _names("requests", "anthropic-ratelimit-requests-{}"),
    _names("requests_day", "x-ratelimit-{}-requests-day"),
    _names("tokens", "x-ratelimit-{}-tokens"),
    _names("tokens", "x-ratelimit-{}-project-tokens"),
    _names("tokens", "x-ratelimit-{}-tokens-minute"),
    _names("tokens", "anthropic-ratelimit-tokens-{}"),
    _names("input_tokens", "anthropic-ratelimit-input-tokens-{}"),
    _names("output_tokens", "anthropic-ratelimit-output-tokens-{}"),
)
UNNAMED = _names("", "x-ratelimit-{}")


def read_rate_headers(headers: Mapping[str, str]) -> RateHeaders | None:
    """Return what an answer says about limits; None when it says nothing.

    Args:
        headers: its header fields, names in lower case.
    """
    rows = _rows_in(tuple(headers))
    if rows is None:
        return None
    answered_at = _http_date(headers.get("date", ""))
    told: dict[str, Allowance] = {}
    for names in rows:
        allowance = _allowance(names, headers, answered_at)
        if allowance is not None:
            told_as = names.told_as
            if told_as == "requests" and GO_DURATION.fullmatch(headers.get(names.reset, "")):
                told_as = _period_of(allowance)
            told[told_as] = _tighter(told.get(told_as), allowance)
    exhausted_s = _exhausted_s(headers, answered_at)
    return RateHeaders(**told, exhausted_s=exhausted_s) if told or exhausted_s else None


@lru_cache(maxsize=MOST_SERVERS)
def _rows_in(fields: tuple[str, ...]) -> tuple[Names, ...] | None:
    """Return the limits that an answer with these fields names; None where it is about none.

    All answers of a server have the same ones.
    """
    if not any("ratelimit-" in name for name in fields):
        return None
    return tuple(row for row in NAMES if row.limit in fields or row.remaining in fields)


def _allowance(
    names: Names, headers: Mapping[str, str], answered_at: datetime | None
) -> Allowance | None:
    limit, remaining = _count(headers.get(names.limit)), _count(headers.get(names.remaining))
    said_limit = names.limit in headers
    if said_limit and not limit:  # -1 and 0 stand for "not said"; then the rest means nothing
        return None
    if limit is None and remaining is None:
        return None
    return Allowance(limit, remaining, seconds_until(headers.get(names.reset), answered_at))


def _period_of(allowance: Allowance) -> str:
    """Name a limit of requests that may be counted by the day under the name of a minute's.

    Those who write Go durations have a bucket that is filled evenly: the time until all of it is
    there again, for the part that is used, gives its period away.
    """
    if not allowance.limit or not allowance.reset_s:
        return "requests"
    used = allowance.limit - (allowance.remaining or 0)
    if used <= 0:
        return "requests"
    period = allowance.reset_s * allowance.limit / used
    return "requests_day" if period > LONGEST_MINUTE_S else "requests"


def _tighter(one: Allowance | None, other: Allowance) -> Allowance:
    if one is None:
        return other
    return min(one, other, key=_room)


def _room(allowance: Allowance) -> tuple[float, float]:
    remaining, limit = allowance.remaining, allowance.limit
    return (
        math.inf if remaining is None else remaining,
        math.inf if limit is None else limit,
    )


def _exhausted_s(headers: Mapping[str, str], answered_at: datetime | None) -> float | None:
    """Read the limit whose period is not named: all that is sure is when nothing is left."""
    if not _count(headers.get(UNNAMED.limit)) or _count(headers.get(UNNAMED.remaining)) != 0:
        return None
    return seconds_until(headers.get(UNNAMED.reset), answered_at) or None


def _count(text: str | None) -> float | None:
    """Return a count of 0 or more; commas may group its digits."""
    if text is None or len(text) > LONGEST_FIELD:
        return None
    try:
        number = float(text.replace(",", ""))
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def seconds_until(text: str | None, answered_at: datetime | None) -> float | None:
    """Read a reset in any of the vendors' forms.

    Args:
        text: the field.
        answered_at: the answer's ``date``; without it an instant cannot be read.

    Returns:
        Seconds from the answer on, 0 or more; None when it is not said or not understood.
    """
    if not text or len(text) > LONGEST_FIELD:
        return None
    text = text.strip()
    number = _count(text)
    if number is None:
        duration = _go_duration(text)
        return _until(text, answered_at) if duration is None else duration
    if number < UNIX_SECONDS:
        return number
    instant = number / 1000.0 if number >= UNIX_MILLISECONDS else number
    return None if answered_at is None else max(0.0, instant - answered_at.timestamp())


def _go_duration(text: str) -> float | None:
    found = GO_DURATION.fullmatch(text)
    if found is None:
        return None
    return math.fsum(
        float(part) * unit for part, unit in zip(found.groups(), UNITS_S, strict=True) if part
    )


def _until(text: str, answered_at: datetime | None) -> float | None:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    if instant.year <= 1970:  # noqa: PLR2004  # the epoch stands for "not said"
        return None
    instant = instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)
    return None if answered_at is None else max(0.0, (instant - answered_at).total_seconds())


@lru_cache(maxsize=16)  # a second has many answers
def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)
