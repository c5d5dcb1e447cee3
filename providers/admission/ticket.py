"""One call that wants to go out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from providers.admission.epoch import BEFORE_ALL, Epoch

if TYPE_CHECKING:
    from providers.admission.sliding_log import Charge


@dataclass(slots=True, eq=False)
class Ticket:
    """One attempt at a call: what it may use, and what it holds while it is out.

    The fields after ``estimated`` are the group's own. ``order`` may be read once it was started.

    Attributes:
        run_id: whose it is; runs share a group fairly.
        tokens_in: prompt tokens to reserve, 0 or more.
        tokens_out: answer tokens to reserve, 0 or more.
        arrived: when the call first asked, in the caller's monotonic seconds.
        weight: how much of a fair share it counts for; 2.0 gets twice the tokens of 1.0.
        retry: whether it was out before; it goes to the front of its run.
        latest: when it must be started at the latest to be of any use, in the same seconds.
        estimated: the tokens of its prompt before what was learned of such estimates.
        order: its number among all that were started; higher was sent later.
        started: when it was started; None while it waits.
        epoch: the epoch that it was started in.
        charges: what it holds in the minute's log and in the day's.
    """

    requests: ClassVar[int] = 1

    run_id: str
    tokens_in: int
    tokens_out: int
    arrived: float
    weight: float = 1.0
    retry: bool = False
    latest: float = math.inf
    estimated: float = 0.0
    order: int = field(default=0, init=False)
    started: float | None = field(default=None, init=False)
    epoch: Epoch = field(default=BEFORE_ALL, init=False, repr=False)
    charges: tuple[Charge, ...] = field(default=(), init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse what would upset the sums.

        Raises:
            ValueError: tokens are negative, or the weight is not positive and finite.
        """
        if self.tokens_in < 0 or self.tokens_out < 0:
            raise ValueError(f"a call reserves 0 tokens or more: {self}")
        if not 0 < self.weight < math.inf:
            raise ValueError(f"the weight of a call is positive and finite: {self}")
