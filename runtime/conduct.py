"""How a run is under way: what is at work in it, what it waits for, and what others want of it.

    at work --- every branch waits for people ---> waiting   (parked)
       |    --- pause: begins no new step, ------> paused    (parked)
       |        what is in flight ends
       +------- cancel ---------------------------> cancelled

A run is *quiet* when nothing of it that is known is at work: bodies, but not those that wait for
their delegations, for people or for the end of a pause; model calls; skills. What a body awaits on
its own (a sleep, a connection) nobody can know of: a run that has something to wait for is
therefore only parked when it stays quiet for a moment, and what was awaited so is awaited again.

A parked run is one whose process has died on purpose: nothing more is noted of it, its bodies are
ended, and it goes on from its records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.approval import ApprovalRequest, Decision


class Halt(NamedTuple):
    """Why a run is ended, or left, before it comes to its end.

    Attributes:
        status: where it stands then.
        by: who wanted that; empty for nobody.
        why: what they say about it; empty for nothing.
    """

    status: Literal["cancelled", "waiting", "paused"]
    by: str = ""
    why: str = ""

    def __str__(self) -> str:
        """Return it as a sentence."""
        said = f"it was {self.status} by {self.by}" if self.by else f"it was {self.status}"
        return f"{said}: {self.why}" if self.why else said


class Asked:
    """A question that waits for its decision.

    Attributes:
        request: what is asked.
        decision: what somebody has decided; None until then.
    """

    __slots__ = ("_made", "decision", "request")

    def __init__(self, request: ApprovalRequest) -> None:
        self.request = request
        self.decision: Decision | None = None
        self._made = anyio.Event()

    def decide(self, decision: Decision) -> None:
        """Hand the decision to who waits for it."""
        self.decision = decision
        self._made.set()

    async def decided(self) -> Decision:
        """Wait for the decision."""
        while self.decision is None:
            await self._made.wait()
        return self.decision


class Conduct:
    """What is at work in a run, and what becomes of it.

    Attributes:
        scope: what the run is in; cancelled to end it or to leave it.
        halt: why that was; None while it was not.
        pausing: who wants it paused; None for nobody.
        held: what every new step has to wait for; None where it may begin at once.
        open: the questions that wait, by their steps.
        left: those that waited when the run was parked.
        heard: decisions about questions that the code has not come to yet, likewise.
        seen: the ``seq`` of the last request of others that was heard.
        moves: grows whenever something begins to work.
        is_watched: whether somebody waits already for it to stay quiet.
        over: set when the run is not under way any more.
        on_quiet: called when it is quiet and has something to park for.
    """

    def __init__(self) -> None:
        self.scope = anyio.CancelScope()
        self.halt: Halt | None = None
        self.pausing: Halt | None = None
        self.left: tuple[ApprovalRequest, ...] = ()
        self.open: dict[str, Asked] = {}
        self.heard: dict[str, Decision] = {}
        self.seen = 0
        self.moves = 0
        self.is_watched = False
        self.over = anyio.Event()
        self.on_quiet: Callable[[], None] = _nothing
        self._at_work = 0
        self.held: anyio.Event | None = None

    def __repr__(self) -> str:
        return f"<Conduct [{self._at_work} at work, {len(self.open)} asked, halt {self.halt}]>"

    def began(self) -> None:
        """Count something that is at work."""
        self._at_work += 1
        self.moves += 1

    def ended(self) -> None:
        """Count it out again."""
        self._at_work -= 1
        if not self._at_work and self.may_park:
            self.on_quiet()

    @property
    def may_park(self) -> bool:
        """Whether it is quiet and has something to park for."""
        has_reason = bool(self.open) or self.pausing is not None
        return has_reason and not self._at_work and self.halt is None

    @property
    def is_parked(self) -> bool:
        """Whether it has been left, so that nothing more of it may be noted here."""
        return self.halt is not None and self.halt.status != "cancelled"

    # --- steps that may not begin ----------------------------------------------------------------

    def hold(self) -> None:
        """Let no new step begin."""
        if self.held is None:
            self.held = anyio.Event()

    def release(self) -> None:
        """Let steps begin again, unless the run is being paused."""
        if self.held is not None and self.pausing is None:
            self.held.set()
            self.held = None

    # --- what others want ------------------------------------------------------------------------

    def pause(self, halt: Halt) -> None:
        """Begin no new step, and park when what is in flight has ended."""
        if self.pausing is None:
            self.pausing = halt
            self.hold()
        if self.may_park:
            self.on_quiet()

    def stop(self, halt: Halt) -> None:
        """End the run; the first reason stands."""
        if self.halt is None:
            self.halt = halt
            self.scope.cancel()

    def park(self, halt: Halt) -> None:
        """Note that the run is parked; whoever calls this then leaves it."""
        self.halt = halt
        self.left = tuple(asked.request for asked in self.open.values())

    def ask(self, op: str, request: ApprovalRequest) -> Asked:
        """Note that a question waits for its decision."""
        asked = self.open[op] = Asked(request)
        return asked

    def decide(self, op: str, decision: Decision) -> None:
        """Hand a decision to who waits for it, whose step counts as at work from now on."""
        asked = self.open.pop(op, None)
        if asked is None:
            self.heard[op] = decision
            return
        self.began()
        asked.decide(decision)

    def take_back(self, op: str, asked: Asked) -> None:
        """Nobody waits for a decision any more, or whoever did has it now."""
        if asked.decision is not None:
            self.ended()
        elif self.open.get(op) is asked:
            del self.open[op]


def _nothing() -> None:
    """Nobody cares whether it is quiet."""
