"""Which models are retired, or soon will be. Pure: the day is given."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from datetime import date

    from runtime.catalog import Catalog, Retirement, Target

SOON = timedelta(days=60)


class Stage(NamedTuple):
    """Where a model stands.

    Attributes:
        word: ``retired``, or ``soon`` within 60 days of it.
        retirement: when, and where that is written.
    """

    word: Literal["retired", "soon"]
    retirement: Retirement

    def __str__(self) -> str:
        tense = "is retired since" if self.word == "retired" else "will be retired on"
        return f"{tense} {self.retirement.day} ({self.retirement.source})"


def stage_of(target: Target, catalog: Catalog, today: date) -> Stage | None:
    """Return where a target's model stands; None while it is far from its end, or nobody knows."""
    entry = catalog.providers.get(target.provider)
    vendor = target.provider if entry is None else entry.vendor or target.provider
    retirement = catalog.retirements.get(f"{vendor}/{target.model}")
    if retirement is None or today < retirement.day - SOON:
        return None
    return Stage("retired" if today >= retirement.day else "soon", retirement)
