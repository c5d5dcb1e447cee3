"""Times as people type them: a while ago, or a date."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from runtime.errors import ConfigurationError

UNITS = {"m": "minutes", "h": "hours", "d": "days"}
AGO = re.compile(r"([0-9]{1,6})([mhd])")


def moment(option: str, text: str | None, now: datetime) -> float | None:
    """Return a time as seconds since the Unix epoch; None for none.

    Args:
        option: the option that it was given for.
        text: ``30m``, ``12h`` or ``7d`` ago, or an ISO 8601 date or time; UTC unless it says so.
        now: the time now, with its zone.

    Raises:
        ConfigurationError: it is neither.
    """
    if text is None:
        return None
    ago = AGO.fullmatch(text)
    try:
        if ago is not None:
            return (now - timedelta(**{UNITS[ago[2]]: int(ago[1])})).timestamp()
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ConfigurationError(
            f"{option} {text!r} is no time; write it like 30m, 12h, 7d or 2026-11-22"
        ) from None
