"""The control channel: what other processes ask of the runs that are under way in this one.

One task for all runs of a system: while any is under way it waits until somebody may have written
requests into the journal, reads those of its runs, and acts on them. And it parks runs: one that
stays quiet for a moment, because it waits for people or is being paused, is left to whoever goes on
with it. See ``Journal.request`` for how requests come in, and ``conduct`` for what quiet means.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio

from runtime.approval import Decision
from runtime.conduct import Halt
from runtime.errors import RuntimeFault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from anyio.abc import TaskGroup

    from runtime.journal import EventRow, Journal
    from runtime.run import Run

SETTLE_S = 0.2  # how long a run has to be quiet before it is parked
AGAIN_S = 1.0  # between two tries where the journal cannot be read or written
GRACE_S = 60.0  # what is in flight may still take when a run is paused, unless who pauses it says
logger = logging.getLogger("runtime.run")


class Control:
    """Acts on what others ask of runs.

    Args:
        journal: where they ask it.
        spawn: runs a coroutine in a task that lives at most as long as the system.
    """

    def __init__(self, journal: Journal, spawn: Callable[..., object]) -> None:
        self._journal = journal
        self._spawn = spawn
        self._runs: dict[str, list[Run]] = {}  # one that is at home here may be a guest, too
        self._some: anyio.Event | None = None
        self._quiet: set[Run] = set()
        self._is_quiet: anyio.Event | None = None
        self._is_served = False
        self._is_behind = False
        self._tasks: TaskGroup
        self._acts: Mapping[str, Callable[[Run, EventRow], None]] = {
            "cancel_requested": self._cancel,
            "pause_requested": self._pause,
            "approval_decided": self._decide,
        }

    def __repr__(self) -> str:
        return f"<Control [{len(self._runs)} runs]>"

    def add(self, run: Run) -> None:
        """Listen for a run that is under way from now on."""
        self._runs.setdefault(run.id, []).append(run)
        run.conduct.on_quiet = lambda: self._became_quiet(run)
        self._is_behind = self._is_behind or run.recorded is not None
        if self._some is not None:
            self._some.set()
        if not self._is_served:
            self._is_served = True
            self._spawn(self._serve(), name="control")

    def remove(self, run: Run) -> None:
        """Listen for it no more."""
        self._runs[run.id].remove(run)
        if not self._runs[run.id]:
            del self._runs[run.id]
        run.conduct.on_quiet = _nothing
        run.conduct.over.set()

    def leave(self, why: RuntimeFault) -> None:
        """Leave all runs to other processes, where they go on from what was noted."""
        for runs in tuple(self._runs.values()):
            for run in tuple(runs):
                run.leave(why)

    async def _serve(self) -> None:
        async with anyio.create_task_group() as self._tasks:
            self._tasks.start_soon(self._listen)
            while True:
                self._is_quiet = anyio.Event()
                while self._quiet:
                    self._tasks.start_soon(self._park_when_settled, self._quiet.pop())
                await self._is_quiet.wait()

    async def _listen(self) -> None:
        is_well = True
        while True:
            if not self._runs:
                self._some = anyio.Event()
                await self._some.wait()
            try:
                if await self._journal.changed() or self._is_behind:
                    await self._look()
                is_well = True
            except RuntimeFault as error:
                if is_well:
                    logger.warning("requests to runs cannot be read", extra={"error": str(error)})
                is_well = False
                await anyio.sleep(AGAIN_S)

    async def _look(self) -> None:
        """Act on the requests that are new."""
        self._is_behind = False
        for request in await self._journal.requests(tuple(self._runs)):
            event = request.event
            act = self._acts.get(event.kind)
            for run in tuple(self._runs.get(request.run_id, ())):
                if act is not None and event.seq > run.conduct.seen:
                    run.conduct.seen = event.seq
                    act(run, event)

    def _cancel(self, run: Run, event: EventRow) -> None:
        run.conduct.stop(Halt("cancelled", *_said(event)))

    def _pause(self, run: Run, event: EventRow) -> None:
        if run.conduct.pausing is None:
            grace_s = event.body.get("grace_s", GRACE_S)
            self._tasks.start_soon(self._wait_no_longer, run, float(grace_s))
        run.conduct.pause(Halt("paused", *_said(event)))

    def _decide(self, run: Run, event: EventRow) -> None:
        run.conduct.decide(event.op, Decision.of_body(event.at, event.body))

    # --- parking ---------------------------------------------------------------------------------

    def _became_quiet(self, run: Run) -> None:
        """Note it, maybe in a callback, where no task can be started."""
        if not run.conduct.is_watched:
            run.conduct.is_watched = True
            self._quiet.add(run)
            if self._is_quiet is not None:
                self._is_quiet.set()

    async def _park_when_settled(self, run: Run) -> None:
        conduct = run.conduct
        while conduct.may_park and not conduct.over.is_set():
            moves = conduct.moves
            await anyio.sleep(SETTLE_S)
            if conduct.moves == moves and conduct.may_park and await self._park(run):
                return
        conduct.is_watched = False

    async def _wait_no_longer(self, run: Run, grace_s: float) -> None:
        """Park a run that is being paused, though something of it is in flight still."""
        with anyio.move_on_after(grace_s):
            await run.conduct.over.wait()
        while not run.conduct.over.is_set() and run.conduct.halt is None:
            await self._park(run)

    async def _park(self, run: Run) -> bool:
        """Leave a run, unless somebody has asked something of it that was not heard yet."""
        conduct = run.conduct
        conduct.hold()
        try:
            if not await run.park(conduct.pausing or Halt("waiting")):
                await self._look()
                return False
        except RuntimeFault as error:
            logger.warning("a run cannot be parked", extra={"run_id": run.id, "error": str(error)})
            await anyio.sleep(AGAIN_S)
            return False
        finally:
            if not conduct.is_parked:
                conduct.release()
        return True


def _said(event: EventRow) -> tuple[str, str]:
    return str(event.body.get("by") or ""), str(event.body.get("why") or "")


def _nothing() -> None:
    """A run that is not under way is not parked."""
