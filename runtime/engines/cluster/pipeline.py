"""What the cluster asks of the pipeline above it, which knows runs and agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runtime.engines.cluster.envelope import Asked, Outcome
    from runtime.engines.work import Work
    from runtime.journal import Branch


class Pipeline(Protocol):
    """Does Delegations of runs that are at home elsewhere, and speaks for those that are here."""

    def epoch(self, work: Work) -> int:
        """Return the how-manieth owner its run has."""
        ...

    def described(self, work: Work) -> Mapping[str, Any]:
        """Return what another node must know of the run of a piece of work: JSON data."""
        ...

    def answer(self, work: Work, outcome: Outcome) -> Any:
        """Return what an outcome is that another node has noted, as a body here would answer."""
        ...

    async def waits(self, work: Work, outcome: Outcome) -> None:
        """Wait with a piece of work that is parked, until it has to be asked for again."""
        ...

    def is_left(self, work: Work) -> bool:
        """Whether the run of a piece of work was left here, and goes on elsewhere."""
        ...

    def parted(self, work: Work, outcome: Outcome) -> None:
        """Leave the run of a piece of work whose code came to other steps than before."""
        ...

    def ended(self, work: Work) -> None:
        """A piece of work that was done elsewhere has an end, whichever it is."""
        ...

    async def money(self, run_id: str, wish: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Do what a guest wishes of the ledger of a run that is at home here.

        Returns:
            What it is told; None where the home of a later time is meant.
        """
        ...

    def leave(self, number: str) -> bool:
        """Leave what is done here of that number, as if this process had died.

        Returns:
            Whether anything of it has begun.
        """
        ...

    def refusal(self, asked: Asked) -> Outcome | None:
        """Return why a Delegation must not be done here; None where it may be."""
        ...

    async def perform(
        self, asked: Asked, branch: Branch, came: Callable[[], None]
    ) -> Outcome | None:
        """Do a Delegation as the guest of its run.

        Args:
            asked: the Delegation.
            branch: the claim to it, which its records name.
            came: called when it comes to the gate.

        Returns:
            How it ended, once the journal has that; None where that is not ours to say: it was
            given up, or somebody else has the branch now.

        Raises:
            JournalFailed: the journal cannot be read or written.
        """
        ...
