"""One body at work on one Delegation: its place at the gates, its children, its counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from runtime.dialogues import dialogue_of
from runtime.engines import current_time
from runtime.errors import Cancelled, RuntimeFault
from runtime.explicit import hints_of
from runtime.run import Totals

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel import Span
    from runtime.agent import Agent, Limits
    from runtime.dialogues import Dialogue
    from runtime.engines import Pending, Place
    from runtime.explicit import Hints
    from runtime.messages import Delegation
    from runtime.model_stream import Flow
    from runtime.run import Run


class Activation:
    """One body at work.

    Attributes:
        run: the run it belongs to.
        agent: whose body it is.
        limits: what the catalog says of that agent.
        delegation: what it works on.
        path: the slugs of its agent and of those above it, outermost first.
        span: its ``invoke_agent`` span.
        totals: what it and those below it asked of models.
        children: the delegations that it waits for; cancelled when it ends.
        flows: the answers in pieces that it has not read to their end; cut off when it ends.
        calls: what its worker thread has running on the event loop; cancelled when it ends.
        sub_traces: the traces besides its own that its delegations are in.
        turns: how often it asked a model.
        places: its places at the gates, left while it waits for its delegations.
        ending: whether the body is being ended, so that it can begin nothing more.
        over: whether it has ended, so that a thread that still runs is refused.
        model_calls: model calls that it began itself.
        tool_calls: skills that it used itself.
    """

    __slots__ = (
        "_dialogue",
        "_hints",
        "_waits",
        "agent",
        "calls",
        "children",
        "delegation",
        "ending",
        "flows",
        "limits",
        "model_calls",
        "over",
        "path",
        "places",
        "run",
        "span",
        "sub_traces",
        "tool_calls",
        "totals",
        "turns",
    )

    def __init__(  # noqa: PLR0917  # made so often that names would cost
        self,
        run: Run,
        agent: Agent,
        limits: Limits,
        delegation: Delegation,
        span: Span,
        place: Place | None,
    ) -> None:
        self.run = run
        self.agent = agent
        self.limits = limits
        self.delegation = delegation
        self.path = (*delegation.ancestors, delegation.sag_id)
        self.span = span
        self.totals = Totals()
        self.sub_traces: frozenset[int] = frozenset()
        self.turns = 0
        self.children: set[Pending] = set()
        # Most bodies have none of these: an empty frozenset is one for all, and takes no memory.
        self.flows: frozenset[Flow] = frozenset()
        self.calls: frozenset[anyio.CancelScope] = frozenset()
        self.places: list[Place] = [place] if place is not None else []
        self.ending = False
        self.over = False
        self.model_calls = 0
        self.tool_calls = 0
        self._waits = 0
        self._hints: Hints | None = None
        self._dialogue: Dialogue | None = None

    @property
    def hints(self) -> Hints:
        """What its Delegation says of models.

        Raises:
            InvalidInput: something in it is wrong.
        """
        if self._hints is None:
            self._hints = hints_of(self.delegation.context, self.delegation.input)
        return self._hints

    @property
    def dialogue(self) -> Dialogue:
        """Which conversation and session of a user's it belongs to."""
        if self._dialogue is None:
            given = self.delegation
            self._dialogue = dialogue_of(given.context, given.input, self.run.dialogue)
        return self._dialogue

    def waiting(self, *, in_step: bool = False) -> Waiting:
        """Return ``async with`` around a wait for others: the body does not run in it.

        Args:
            in_step: whether it is a skill of the body that waits, and not at work meanwhile.
        """
        return Waiting(self, in_step=in_step)

    async def may_begin(self, *, in_step: bool = False) -> None:
        """Wait while no new step of the run may begin.

        Args:
            in_step: see ``waiting``.
        """
        while (held := self.run.conduct.held) is not None:
            async with self.waiting(in_step=in_step):
                await held.wait()

    def pause(self) -> None:
        """Leave the gates."""
        self._waits += 1
        if self._waits == 1:
            if not self.over:
                self.run.conduct.ended()
            for place in reversed(self.places):
                place.leave()

    async def resume(self) -> None:
        """Come back to the gates, ahead of those who have not begun.

        A body of which another branch still waits stays outside: what that branch waits for may
        need the very place.
        """
        self._wait_ended()
        for place in self.places:
            if self._waits:
                return
            await place.come_back()

    def give_up_waiting(self) -> None:
        """The wait was cancelled, the body runs on to end or to do without: count it now."""
        self._wait_ended()
        if self._waits or self.ending:
            return
        for place in self.places:
            place.retake()

    def _wait_ended(self) -> None:
        self._waits -= 1
        if not self._waits and not self.over:
            self.run.conduct.began()

    def check(self) -> None:
        """Refuse to begin anything for a body that is being ended.

        Raises:
            Cancelled: it is.
        """
        if self.ending:
            who = f"{self.agent.name}/{self.delegation.task_id}"
            raise Cancelled(f"{who} is over; its context can do nothing more")

    def flow_began(self, flow: Flow) -> None:
        """Keep an answer in pieces until it is read to its end; it is at work as long."""
        self.flows |= {flow}
        self.run.conduct.began()

    def flow_ended(self, flow: Flow) -> None:
        """Forget it."""
        self.flows -= {flow}
        self.run.conduct.ended()

    def call_off(self, futures: Iterable[Pending]) -> None:
        """End delegations that nobody waits for any more."""
        for future in futures:
            self.children.discard(future)
            future.cancel()

    def interrupt(self, reason: str = "cancelled") -> None:
        """The body is being ended, for a reason: so is all that it has under way."""
        self.ending = True
        if self.children:
            self.call_off(tuple(self.children))
        if self.calls:
            for call in self.calls:
                call.cancel()
        if self.flows:
            for flow in self.flows:
                flow.close(None if self.over else reason)

    def finish(self) -> None:
        """The body is over: nothing that it started outlives it, and its context is of no use."""
        if self._waits and not self.over:
            self.run.conduct.began()  # cut off while it waited: its work is counted out as a whole
        self.over = True
        self.interrupt()

    def close(self) -> None:
        """The same for a body that may have been cut off: its span then ends here, too."""
        self.finish()
        self.span.end(error_type="killed", message="its actor was killed")

    def reason_of(self, error: BaseException) -> str:
        """Return the short word for what ended a step of this body."""
        if isinstance(error, RuntimeFault):
            return error.reason
        if not isinstance(error, anyio.get_cancelled_exc_class()):
            return type(error).__name__
        deadline = self.delegation.deadline
        late = deadline is not None and current_time() >= deadline
        halt = self.run.conduct.halt
        return "deadline" if late else halt.status if halt is not None else "cancelled"


class Waiting:
    """A wait for own delegations, for people, or for the end of a pause."""

    __slots__ = ("_activation", "_in_step")

    def __init__(self, activation: Activation, *, in_step: bool) -> None:
        self._activation = activation
        self._in_step = in_step

    async def __aenter__(self) -> None:
        self._activation.pause()
        if self._in_step:
            self._activation.run.conduct.ended()

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._in_step:
            self._activation.run.conduct.began()
        if kind is None or issubclass(kind, Exception):
            await self._activation.resume()
        else:
            self._activation.give_up_waiting()
