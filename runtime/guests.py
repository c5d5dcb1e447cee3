"""The pipeline's side of a cluster: Delegations of runs that are at home elsewhere are done here.

And those of runs that are here are described for others, and what others have noted is understood.

A run that wants no other code than its own says so to its guests, with a digest of what each shall
do and may come to by that. A node that has other code refuses it, and the home of the run does it,
whose code is the run's: it was compared when the run began there or went on. What a guest comes to
that the digest did not foresee it leaves to the home likewise.
"""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import anyio

from runtime.approval import ApprovalRequest
from runtime.code import NOT_FORESEEN, CodeOfRun
from runtime.delegation_steps import answer_of
from runtime.engines.cluster.envelope import REFUSED, Outcome
from runtime.errors import Cancelled, CodeChanged
from runtime.guest_run import GuestRun
from runtime.journal import Fenced, JournalFailed
from runtime.purses import GONE, Ledger, as_data
from runtime.recorded import Recorded, events_of
from runtime.run import Totals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from runtime.code import Codes
    from runtime.conduct import Asked as Question
    from runtime.control import Control
    from runtime.delivery import Answer
    from runtime.directory import Directory
    from runtime.dispatch import Dispatcher
    from runtime.engines import Work
    from runtime.engines.cluster.envelope import Asked
    from runtime.guest_run import AskHome
    from runtime.journal import Branch, Journal
    from runtime.messages import Delegation
    from runtime.run import Run


logger = logging.getLogger("runtime.cluster")


class Guests:
    """Does Delegations of runs that are at home elsewhere, and speaks for those that are here.

    Args:
        dispatcher: carries the Delegations.
        directory: who is there.
        journal: where everything is noted.
        control: hears what others ask of runs.
        codes: the code of the agents.
        clock: the time, in seconds since the Unix epoch.
        ask_home: asks the home of a run about its budget, until that answers.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        directory: Directory,
        journal: Journal,
        control: Control,
        *,
        codes: Codes,
        clock: Callable[[], float],
        ask_home: AskHome,
    ) -> None:
        self._dispatcher = dispatcher
        self._directory = directory
        self._journal = journal
        self._control = control
        self._codes = codes
        self._clock = clock
        self._ask_home = ask_home
        self._ledgers: WeakKeyDictionary[Run, Ledger] = WeakKeyDictionary()
        self._runs: dict[str, GuestRun] = {}

    def epoch(self, work: Work) -> int:
        """Return the how-manieth owner its run has."""
        run: Run = work.run
        return run.epoch

    def described(self, work: Work) -> Mapping[str, Any]:
        """Return what another node must know of a run: JSON data."""
        run: Run = work.run
        return {
            "target": run.target,
            "wishes": [list(wish) for wish in run.wishes],
            "routing": run.routing,
            "tenant": run.tenant,
            "dialogue": list(run.dialogue),
            "durability": run.durability,
            "overrides": [list(wish) for wish in run.overrides],
            "budget": as_data(run.budget),
            **self._code_of(run, work.delegation.sag_id),
        }

    def _code_of(self, run: Run, slug: str) -> Mapping[str, Any]:
        """Return what another node must know of the code by which an agent works for a run."""
        agent = self._directory.agents[slug].agent
        is_any = run.on_code_change == "continue"
        return {
            "on_code_change": run.on_code_change,
            "code": None if is_any else self._codes.of(slug).digest,
            "is_foreseen": run.code is None or run.code.foresees(agent),
        }

    def answer(self, work: Work, outcome: Outcome) -> Answer:
        """Return what an outcome is that another node has noted, as a body here would answer."""
        run, op = work.run, work.delegation.op
        if run.recorded is None:
            run.recorded = Recorded()
        run.recorded.answered(outcome.kind, op)
        run.recorded.newly_counted(op)  # the totals below have it all
        totals = Totals(*outcome.body.get("totals", ()))
        new = totals.without(run.recorded.counted_here(op))
        run.totals.add(new)
        if run.budget.limit is None:  # else its ledger was told of each call
            run.budget.settle(0, new.cost)
        agent = self._directory.agents[work.delegation.sag_id].agent
        return answer_of(agent, outcome.kind, outcome.body, totals)

    async def waits(self, work: Work, outcome: Outcome) -> None:
        """Wait with a piece of work that is parked; its run may be parked meanwhile."""
        run: Run = work.run
        conduct = run.conduct
        asked = {
            op: conduct.ask(op, ApprovalRequest.of_body(run.id, at, body))
            for op, at, body in outcome.body["asked"]
            if op not in conduct.heard
        }
        is_decided = len(asked) < len(outcome.body["asked"])
        conduct.ended()  # last, as the run may be quiet by that
        try:
            if not is_decided:
                await _first_decided(asked.values(), run.now)
        finally:
            conduct.began()
            for op, each in asked.items():
                conduct.take_back(op, each)

    def is_left(self, work: Work) -> bool:
        """Whether the run of a piece of work was left here, and goes on elsewhere."""
        run: Run = work.run
        return run.left is not None

    def parted(self, work: Work, outcome: Outcome) -> None:
        """Leave the run of a piece of work; see ``Pipeline``."""
        run: Run = work.run
        run.leave(CodeChanged(outcome.body["why"]))

    def ended(self, work: Work) -> None:
        """A piece of work has an end: what was granted for it and not settled counts as spent."""
        home = self._dispatcher.run_here(work.delegation.run_id)
        ledger = None if home is None else self._ledgers.get(home)
        if ledger is not None:
            ledger.close(work.delegation.op)

    async def money(self, run_id: str, wish: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Do what a guest wishes of the ledger of a run that is at home here; see ``Pipeline``."""
        home = self._dispatcher.run_here(run_id)
        if home is None or home.epoch < wish["epoch"]:
            return None
        if home.epoch > wish["epoch"]:
            return GONE
        ledger = self._ledgers.get(home)
        if ledger is None:
            ledger = self._ledgers[home] = Ledger(home)
        return await ledger.take(wish)

    def leave(self, number: str) -> bool:
        """Leave what is done here of that number; see ``Pipeline``."""
        run = self._runs.get(number)
        if run is not None:
            run.leave(Cancelled("its run has another home soon, which asks for it again"))
        return run is not None

    def refusal(self, asked: Asked) -> Outcome | None:
        """Return why a Delegation must not be done here; see ``Pipeline``."""
        given, wanted = asked.delegation, asked.run["code"]
        is_ours = wanted is None or wanted == self._codes.of(given.sag_id).digest
        if is_ours or self._dispatcher.run_here(given.run_id) is not None:
            return None
        why = f"the code of {given.sag_id} or of what it may reach is not that of its run here"
        logger.info("%s is left to its home: %s", given.op, why, extra={"run_id": given.run_id})
        return Outcome(REFUSED, {"why": why})

    async def perform(
        self, asked: Asked, branch: Branch, came: Callable[[], None]
    ) -> Outcome | None:
        """Do a Delegation as the guest of its run; see ``Pipeline``."""
        run = GuestRun(asked, branch, self._journal, self._clock, self._ask_home)
        self._runs[asked.number] = run
        try:
            await self._do(run, asked, came)
            is_ours = await self._leave(run, branch)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._leave(run, branch)
            raise
        finally:
            self._runs.pop(asked.number, None)
        return run.outcome if is_ours else None

    async def _do(self, run: GuestRun, asked: Asked, came: Callable[[], None]) -> None:
        given = asked.delegation
        try:
            if not asked.is_whole:
                given = await self._whole(given)
            run.compared = self._codes.of(given.sag_id)
            foreseen = run.compared if asked.run["is_foreseen"] else NOT_FORESEEN
            run.code = CodeOfRun(foreseen, self._codes)
            await run.recall()
            came()
            await self._carry(run, given)
        except Fenced as fault:
            logger.debug("%s", fault)

    async def _leave(self, run: GuestRun, branch: Branch) -> bool:
        return await self._journal.leave(run.id, run.epoch, branch, is_settled=run.is_settled)

    async def _carry(self, run: GuestRun, delegation: Delegation) -> None:
        self._control.add(run)
        try:
            async with run.settling():
                with run.conduct.scope:
                    await self._dispatcher.run_guest(run, delegation)
        finally:
            self._control.remove(run)

    async def _whole(self, given: Delegation) -> Delegation:
        """Return a Delegation with what was too large to travel."""
        async for event in events_of(self._journal, given.run_id, branch=given.op):
            if event.kind == "delegation_sent" and event.op == given.op:
                said = {name: event.body[name] for name in ("input", "context")}
                return replace(given, **said)
        raise JournalFailed(f"nothing says what {given.op} of run {given.run_id} is about")


async def _first_decided(asked: Iterable[Question], now: float) -> None:
    """Wait until one of some questions is decided, or has expired; for ever where there is none."""
    async with anyio.create_task_group() as waits:

        async def wait(one: Question) -> None:
            expires_at = one.request.expires_at
            with anyio.move_on_after(math.inf if expires_at is None else expires_at - now):
                await one.decided()
            waits.cancel_scope.cancel()

        for each in asked:
            waits.start_soon(wait, each)
        await anyio.sleep_forever()
