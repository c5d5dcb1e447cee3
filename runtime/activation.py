"""One body at work on one Delegation: its place at the gates, its children, its counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.run import Totals

if TYPE_CHECKING:
    from otel import Span
    from runtime.agent import Agent, Limits
    from runtime.engines import Pending, Place
    from runtime.messages import Delegation
    from runtime.run import Run


class Activation:
    """One body at work.

    Attributes:
        run: the run it belongs to.
        agent: whose body it is.
        limits: what the catalog says of that agent.
        delegation: what it works on.
        span: its ``invoke_agent`` span.
        totals: what it and those below it asked of models.
        children: the delegations that it waits for; cancelled when it ends.
        places: its places at the gates, left while it waits for its delegations.
        cancelled: whether the body is over, so that a thread that still runs is refused.
    """

    __slots__ = (
        "_waits",
        "agent",
        "cancelled",
        "children",
        "delegation",
        "limits",
        "places",
        "run",
        "span",
        "totals",
    )

    def __init__(
        self,
        run: Run,
        agent: Agent,
        limits: Limits,
        *,
        delegation: Delegation,
        span: Span,
        place: Place | None,
    ) -> None:
        self.run = run
        self.agent = agent
        self.limits = limits
        self.delegation = delegation
        self.span = span
        self.totals = Totals()
        self.children: set[Pending] = set()
        self.places: list[Place] = [place] if place is not None else []
        self.cancelled = False
        self._waits = 0

    def waiting(self) -> Waiting:
        """Return ``async with`` around a wait for own delegations: the body does not run in it."""
        return Waiting(self)

    def pause(self) -> None:
        """Leave the gates."""
        self._waits += 1
        if self._waits == 1:
            for place in reversed(self.places):
                place.leave()

    async def resume(self) -> None:
        """Come back to the gates, ahead of those who have not begun."""
        self._waits -= 1
        for place in self.places:
            await place.come_back()

    def give_up_waiting(self) -> None:
        """The wait was cancelled: the body is about to end and needs no place for it."""
        self._waits -= 1

    def close(self) -> None:
        """The body is over: nothing that it started outlives it."""
        self.cancelled = True
        for child in tuple(self.children):
            child.cancel()
        for place in self.places[1:]:
            place.abandon()  # the first one is the engine's, which knows when the actor is gone


class Waiting:
    """A wait for own delegations."""

    __slots__ = ("_activation",)

    def __init__(self, activation: Activation) -> None:
        self._activation = activation

    async def __aenter__(self) -> None:
        self._activation.pause()

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or issubclass(kind, Exception):
            await self._activation.resume()
        else:
            self._activation.give_up_waiting()
