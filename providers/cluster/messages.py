"""What nodes and the authority of an account tell each other, and how that is data.

A *report* goes from a node to the authority and is answered at once by a *reply*; more replies may
follow to the same report, as limits open. Both are numbered by their sender; a receiver heeds no
number that is not higher than the last one. Each also names the epoch of the authority.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from providers.admission import Allowance, RateHeaders
from providers.cluster.amount import NOTHING, Amount

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOLD = ("requests", "tokens", "input_tokens", "output_tokens", "requests_day")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a node wants of one limit group, and what it has of it.

    Attributes:
        model: one of the group's models, which its limits can be looked up by.
        head: what its next call lacks, tokens only perhaps; nothing when none waits.
        rest: what those calls lack that could start after it.
        ahead: what it will need by the time that a further grant can be here.
        in_flight: calls that are out.
        held: requests that it may still start without another grant.
        runs: the weight of runs that have calls waiting, by run; the first of them.
        weight: the weight of the other runs that have.
        uses: what its grants count for now, by number; those that changed.
        told: what the server said of its limits, newest; None when it said nothing new.
    """

    model: str
    head: Amount = NOTHING
    rest: Amount = NOTHING
    ahead: Amount = NOTHING
    in_flight: int = 0
    held: int = 0
    runs: Mapping[str, float] = field(default_factory=dict)
    weight: float = 0.0
    uses: Mapping[int, Amount] = field(default_factory=dict)
    told: RateHeaders | None = None

    def wanting_nothing(self) -> Wish:
        """Return what is said of grants, and that no more are needed."""
        return replace(self, head=NOTHING, rest=NOTHING, ahead=NOTHING, runs={}, weight=0.0)

    def as_data(self) -> list[Any]:
        """Return it as JSON can hold it."""
        uses = [[number, *amount] for number, amount in self.uses.items()]
        return [
            self.model,
            [list(self.head), list(self.rest), list(self.ahead)],
            self.in_flight,
            self.held,
            dict(self.runs),
            self.weight,
            uses,
            _headers_as_data(self.told),
        ]

    @classmethod
    def from_data(cls, data: list[Any]) -> Wish:
        """Return what ``as_data`` made data of."""
        model, (head, rest, ahead), in_flight, held, runs, weight, uses, told = data
        return cls(
            model,
            Amount(*head),
            Amount(*rest),
            Amount(*ahead),
            in_flight,
            held,
            runs,
            weight,
            {number: Amount(*amount) for number, *amount in uses},
            _headers_from_data(told),
        )


@dataclass(frozen=True, slots=True)
class Report:
    """What a node tells the authority.

    Attributes:
        node: who.
        epoch: of the authority that it heard last; 0 for none.
        number: of this report.
        heard: the number of the last reply that it heard in that epoch.
        way_s: how many seconds lately lay between a report and its reply, at the most.
        wishes: by limit group.
        is_last: whether the node leaves: it heeds no reply any more, and starts nothing.
    """

    node: str
    epoch: int
    number: int
    heard: int
    way_s: float
    wishes: Mapping[str, Wish]
    is_last: bool = False

    def as_data(self) -> list[Any]:
        """Return it as JSON can hold it."""
        wishes = {group: wish.as_data() for group, wish in self.wishes.items()}
        numbers = self.epoch, self.number, self.heard
        return [self.node, *numbers, self.way_s, wishes, self.is_last]

    @classmethod
    def from_data(cls, data: list[Any]) -> Report:
        """Return what ``as_data`` made data of."""
        node, epoch, number, heard, way_s, wishes, is_last = data
        read = {group: Wish.from_data(wish) for group, wish in wishes.items()}
        return cls(node, epoch, number, heard, way_s, read, is_last)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a node may use of one limit group.

    Attributes:
        amount: requests and tokens, in addition to what it has.
        for_s: for how many seconds, from when the authority said so.
        paused_s: for how many seconds nothing may go out; 0.0 for no pause.
        scarce: whether somebody waits for what others give back.
        spread: on how many nodes a run waits, for this node's runs that wait on several.
    """

    amount: Amount = NOTHING
    for_s: float = 0.0
    paused_s: float = 0.0
    scarce: bool = False
    spread: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the authority tells a node.

    Attributes:
        epoch: of the authority; a later one always has a higher one.
        number: of this reply to the node.
        answers: the number of the report that it answers.
        held_s: for how many seconds the authority has had that report.
        spacing_s: how many seconds to leave between two reports at least.
        grants: by limit group.
    """

    epoch: int
    number: int
    answers: int
    held_s: float
    spacing_s: float
    grants: Mapping[str, Grant]

    def as_data(self) -> list[Any]:
        """Return it as JSON can hold it."""
        grants = {
            group: [list(g.amount), g.for_s, g.paused_s, g.scarce, dict(g.spread)]
            for group, g in self.grants.items()
        }
        return [self.epoch, self.number, self.answers, self.held_s, self.spacing_s, grants]

    @classmethod
    def from_data(cls, data: list[Any]) -> Reply:
        """Return what ``as_data`` made data of."""
        epoch, number, answers, held_s, spacing_s, grants = data
        read = {name: Grant(Amount(*amount), *rest) for name, (amount, *rest) in grants.items()}
        return cls(epoch, number, answers, held_s, spacing_s, read)


def _headers_as_data(told: RateHeaders | None) -> list[Any] | None:
    if told is None:
        return None
    known = (getattr(told, name) for name in _TOLD)
    return [each and [each.limit, each.remaining, each.reset_s] for each in known]


def _headers_from_data(data: list[Any] | None) -> RateHeaders | None:
    if data is None:
        return None
    known: dict[str, Any] = {
        name: Allowance(*each) for name, each in zip(_TOLD, data, strict=True) if each
    }
    return RateHeaders(**known)
