"""Who makes a model call, and what is known of it besides its request."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runtime.dialogues import NOBODYS, Dialogue
from runtime.messages import Price
from runtime.rules import Terms

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel import Span
    from runtime.chat_spans import Instead
    from runtime.run import Run, Totals


class Asker(NamedTuple):
    """Who makes a call.

    Attributes:
        run: the run.
        agent: the agent.
        path: that agent and those above it, outermost first.
        op: the step of the run that asks.
        task_id: the piece of work.
        totals: where calls are counted, besides the run's own.
        span: the span of what asks.
        reason_of: the short word for what ended a step.
        dialogue: which conversation and session of a user's it is about.
    """

    run: Run
    agent: str
    path: tuple[str, ...]
    op: str
    task_id: str
    totals: tuple[Totals, ...]
    span: Span
    reason_of: Callable[[BaseException], str]
    dialogue: Dialogue = NOBODYS


class Case(NamedTuple):
    """What is known of a call besides its request.

    Attributes:
        price: what its model costs; None when nobody knows.
        terms: what policies say.
        data_classes: the kinds of data in it.
        region: where its provider's data stays; empty where nobody says.
        level: on which level of priority its model was chosen.
        route: the type of task whose route it goes by; empty for none.
        in_process: whether the model is in this process.
        instead: instead of what it is made; None where it is nobody's substitute.
    """

    price: Price | None
    terms: Terms = Terms()
    data_classes: frozenset[str] = frozenset()
    region: str = ""
    level: str = ""
    route: str = ""
    in_process: bool = False
    instead: Instead | None = None

    @property
    def counted(self) -> Price | None:
        """The price that budgets count: the known one, or what a policy says of unknown ones."""
        rate = self.terms.unknown_rate
        if self.price is not None or rate is None:
            return self.price
        source = self.terms.unknown_source
        return Price(input=rate, output=rate, cached_input=rate, cache_write=rate, source=source)
