"""What an engine must do. ``LocalEngine`` does it with actors of this process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from runtime.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from runtime.engines.work import Ending, Work
    from runtime.messages import Delegation


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """How much of one agent an engine runs.

    Attributes:
        concurrency: how many bodies run at once.
        queue: how many Delegations wait for their turn before senders have to wait.
        max_restarts: how often a crashed body is started again.
        backoff: how long to wait before that.
        per: ``delegation``, or how long one actor lives that keeps its state.
    """

    concurrency: int = 1_000
    queue: int = 1_000
    max_restarts: int = 1
    backoff: Backoff = field(default_factory=Backoff)
    per: Literal["delegation", "run", "process"] = "delegation"


class Engine(Protocol):
    """Runs Delegations, supervised.

    Attributes:
        is_shared: whether another process goes on with a run that is left here.
    """

    is_shared: bool

    async def serve(
        self,
        agent: str,
        capacity: Capacity,
        perform: Callable[[Work], Awaitable[Any]],
        make: Callable[[], Any] | None = None,
    ) -> None:
        """Run ``perform`` for each Delegation to ``agent``; idempotent.

        Args:
            agent: its slug.
            capacity: its limits.
            perform: does the work; an exception is a crash.
            make: makes the object that keeps the state of an agent that has one.
        """
        ...

    def submit(self, delegation: Delegation, settled: Callable[[Work], None]) -> Work:
        """Hand a Delegation over.

        Args:
            delegation: what is to be done.
            settled: called once, in the event loop, with what became of it.

        Returns:
            The work. Its ``arguments`` and ``run`` are filled in before anything else is awaited.
        """
        ...

    def submit_again(self, delegation: Delegation, settled: Callable[[Work], None]) -> Work:
        """Hand a Delegation over that was handed over before, and has no outcome; see ``submit``.

        What was done of it is in the journal, and somebody may be at work on it still.
        """
        ...

    def submit_home(self, delegation: Delegation, settled: Callable[[Work], None]) -> Work:
        """Hand a Delegation over whose body has to run at the home of its run; see ``submit``."""
        ...

    def submit_here(self, delegation: Delegation, settled: Callable[[Work], None]) -> Work:
        """Hand a Delegation over whose body has to run in this process; see ``submit``."""
        ...

    def room(self, agent: str, depth: int) -> Coroutine[Any, Any, None] | None:
        """Return None when the agent's queue has room, else a wait for that.

        Whoever has waited submits at once, without awaiting anything else in between.

        Args:
            agent: its slug.
            depth: how many agents are above the Delegation. What is under way must not keep those
                below it from being sent.
        """
        ...

    def cancel(self, work: Work, ending: Ending) -> None:
        """End a piece of work now, wherever it is."""
        ...

    async def begin_run(self, run_id: str) -> bool:
        """Be the home of a run from now on; return whether it is this process's."""
        ...

    async def forget_run(self, run_id: str) -> None:
        """Stop the actors that kept state for a run."""
        ...
