"""What a question of one agent comes to, and whether its limits have room for it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from runtime.invocations.reservation import refused
from runtime.journal.ledger import Ledger
from runtime.run import claims_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.catalog import Target
    from runtime.errors import RuntimeFault
    from runtime.explain.reasons import Reason
    from runtime.governance.policy import SpendingLimit
    from runtime.journal import Balance, Scope
    from runtime.messages import Price


class Choice(NamedTuple):
    """A target that is asked when those before it fail, or one that is passed over.

    Attributes:
        target: the target.
        why_not: why it is passed over; None if it is asked.
    """

    target: Target
    why_not: str | None = None


@dataclass(slots=True)
class Explanation:
    """What a question of one agent comes to.

    Attributes:
        agent: the agent.
        where: the place of its entry, or of its code.
        task_type: the type of task that routes go by.
        fault: why nobody may be asked; None if somebody may.
        targets: who is asked, in order, and who is passed over.
        is_drawn: whether chance decides which of them is asked first.
        is_proposed: whether a route proposes them, and nobody has named the first.
        fallback_on: the failures after which the next one is asked.
        cache_ttl_s: for how long the answer to an equal question is given again; None: not.
        because: what decided.
        overruled: wishes that something stronger has overruled.
        price: what the first target costs; None when nobody knows.
        needed_nano_usd: what a call of the first target may cost at most, as limits count it.
        most_nano_usd: what one call may cost at most, whoever of the targets is asked; None when
            nobody knows.
        most_prompt_tokens: the most prompt tokens that this counts.
        most_output_tokens: the most tokens of an answer that this counts.
        data_classes: the kinds of data.
        policies: what each policy that is about it says.
        budget: what the run may cost; None for no limit.
        limits: what the agent, the providers and the tenant may spend.
        warnings: what will go wrong, or soon: missing keys, models that are retired.
    """

    agent: str
    where: str
    task_type: str
    fault: RuntimeFault | None = None
    targets: list[Choice] = field(default_factory=list)
    is_drawn: bool = False
    is_proposed: bool = False
    fallback_on: tuple[str, ...] = ()
    cache_ttl_s: float | None = None
    because: tuple[Reason, ...] = ()
    overruled: tuple[Reason, ...] = ()
    price: Price | None = None
    needed_nano_usd: int = 0
    most_nano_usd: int | None = None
    most_prompt_tokens: int = 0
    most_output_tokens: int = 0
    data_classes: frozenset[str] = frozenset()
    policies: list[Reason] = field(default_factory=list)
    budget: Reason | None = None
    limits: tuple[SpendingLimit, ...] = ()
    warnings: list[str] = field(default_factory=list)

    @property
    def asked(self) -> list[Target]:
        """Who is asked, in order."""
        return [one.target for one in self.targets if one.why_not is None]


def check_limits(told: Explanation, balances: Mapping[Scope, Balance], at: float) -> None:
    """Note in an explanation whether a limit has no room for its first call.

    Args:
        told: the explanation.
        balances: what each scope has spent and reserved, as far as anybody knows.
        at: the time, in seconds since the Unix epoch.
    """
    if told.fault is not None:
        return
    first, *others = told.asked
    limits = [one for one in told.limits if one.subject != "provider" or one.name == first.provider]
    ledger = Ledger(balances.__getitem__)
    claims = [claim for claim in claims_of(limits, at) if claim.scope in balances]
    short = ledger.shortfall(claims, told.needed_nano_usd)
    if short is None or short.may_pass:
        return
    if told.is_proposed and others and short.claim.scope.subject == "provider":
        told.warnings.append(f"{first} is passed over: {refused(short)}")
    else:
        told.fault = refused(short)
