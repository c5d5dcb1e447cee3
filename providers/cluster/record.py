"""What an authority writes before it grants, and all that the next one has to begin with.

What was used is kept by the second (or by a sixtieth of a day), each at the end of the latest grant
in it. Ages are those at the time of writing; whoever reads it takes them for those at the time of
reading, so that what was used counts longer than it must, never shorter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from providers.cluster.amount import NOTHING, Amount

if TYPE_CHECKING:
    from collections.abc import Mapping

    from providers.admission.sliding_log import SlidingLog

GRAINS = 60


class Used(NamedTuple):
    """What was used, and how many seconds ago; fewer than none for a grant that lasts."""

    age_s: float
    amount: Amount


@dataclass(frozen=True, slots=True)
class GroupRecord:
    """One limit group.

    Attributes:
        model: one of its models.
        minute: what counts to the minute, oldest first.
        day: what counts to the day, oldest first.
        advance: what may have been granted since.
        out: the calls that each node may have in flight.
        paused_s: for how many seconds nothing may go out.
    """

    model: str
    minute: tuple[Used, ...] = ()
    day: tuple[Used, ...] = ()
    advance: Amount = NOTHING
    out: Mapping[str, int] = field(default_factory=dict)
    paused_s: float = 0.0

    def as_data(self) -> list[Any]:
        """Return it as JSON can hold it."""
        minute, day = ([[u.age_s, *u.amount] for u in used] for used in (self.minute, self.day))
        return [self.model, minute, day, list(self.advance), dict(self.out), self.paused_s]

    @classmethod
    def from_data(cls, data: list[Any]) -> GroupRecord:
        """Return what ``as_data`` made data of."""
        model, minute, day, advance, out, paused_s = data
        return cls(model, _used(minute), _used(day), Amount(*advance), out, paused_s)


def buckets(log: SlidingLog, now: float) -> tuple[Used, ...]:
    """Return what is in a log, in at most so many parts as there are grains, and two more."""
    grain_s = log.span_s / GRAINS
    merged: dict[int, Used] = {}
    for charge in log.charges():
        grain = int(charge.at // grain_s)
        amount = Amount(charge.requests, charge.tokens_in, charge.tokens_out)
        former = merged[grain].amount if grain in merged else NOTHING
        merged[grain] = Used(round(now - charge.at, 3) - 0.001, former.plus(amount))
    return tuple(merged.values())


def _used(data: list[list[Any]]) -> tuple[Used, ...]:
    return tuple(Used(age_s, Amount(*amount)) for age_s, *amount in data)
