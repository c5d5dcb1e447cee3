"""The engine of one process: a supervisor per agent, an actor per Delegation.

    root (one_for_one)
      agents/<slug> (simple_one_for_one)    one Worker per Delegation, or one Resident per run

Handing a Delegation over is a synchronous call: it finds the agent's supervisor and, if the gate
has room, starts the child; no hop, no global queue.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import anyio

from runtime.actors import (
    ActorError,
    ActorGone,
    ActorRef,
    ChildSpec,
    Mailbox,
    Supervisor,
    SupervisorRef,
)
from runtime.engines.actors import Resident, Worker
from runtime.engines.deadlines import Deadlines
from runtime.engines.gate import Gate
from runtime.engines.place import Place
from runtime.engines.senders import Line
from runtime.engines.work import Ending, Work, WorkFailed, crash
from runtime.errors import UnknownName

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Coroutine

    from runtime.actors import SupervisorStatistics
    from runtime.engines.engine import Capacity
    from runtime.messages import Delegation

LATE = Ending("deadline", "its deadline passed")
SHUTDOWN_S = 5.0  # what a running body gets to end by itself when the process stops


class Served:
    """One agent on this node: its supervisor, its gate, its line, its residents."""

    def __init__(self, slug: str, capacity: Capacity, supervisor: SupervisorRef) -> None:
        self.slug = slug
        self.capacity = capacity
        self.supervisor = supervisor
        self.gate = Gate(capacity.concurrency)
        self.residents: dict[str, ActorRef] = {}
        self.asked = 0  # pieces of work that residents have, the ones being done included
        self.senders = Line(self.is_full, self.is_half_free)

    @property
    def waiting(self) -> int:
        """How many Delegations wait for their turn."""
        in_mailboxes = self.asked - len(self.residents)
        return self.gate.waiting + in_mailboxes if in_mailboxes > 0 else self.gate.waiting

    def is_full(self) -> bool:
        """Whether the line has no room for one more."""
        return self.waiting >= self.capacity.queue

    def is_half_free(self) -> bool:
        """Whether senders are called: a sender of many then sends many at each turn."""
        return self.waiting <= self.capacity.queue // 2


class EngineStatistics(NamedTuple):
    """A snapshot of one agent on this node."""

    agent: str
    running: int
    waiting: int
    residents: int
    supervision: SupervisorStatistics


class LocalEngine:
    """Runs every Delegation in this process.

    Args:
        root: the supervisor under which the agents' supervisors stand.
    """

    is_shared = False

    def __init__(self, root: SupervisorRef) -> None:
        self._root = root
        self._served: dict[str, Served] = {}
        self._lock = anyio.Lock()
        self._deadlines = Deadlines(partial(self.cancel, ending=LATE))

    def __repr__(self) -> str:
        running = sum(served.gate.inside for served in self._served.values())
        waiting = sum(served.waiting for served in self._served.values())
        return f"<LocalEngine [{len(self._served)} agents, {running} running, {waiting} waiting]>"

    async def serve(
        self,
        agent: str,
        capacity: Capacity,
        perform: Callable[[Work], Awaitable[Any]],
        make: Callable[[], Any] | None = None,
    ) -> None:
        """Start the agent's supervisor unless it is there."""
        if agent in self._served:
            return
        async with self._lock:
            if agent in self._served:
                return
            start = partial(Resident, perform, make) if make else partial(Worker, perform)
            spec = ChildSpec(
                f"agents/{agent}",
                _supervisor(agent, capacity, start),
                type="supervisor",
                keep_address=True,
            )
            supervisor = cast("SupervisorRef", await self._root.start_child(spec))
            self._served[agent] = Served(agent, capacity, supervisor)

    def submit(self, delegation: Delegation, settled: Callable[[Work], None]) -> Work:
        """Start the Delegation's actor, or stand it in line."""
        served = self._find(delegation.sag_id)
        work = Work(delegation, settled, self._root.now)
        if delegation.deadline is not None:
            work.due = self._deadlines.add(delegation.deadline, work)
        if served.capacity.per != "delegation":
            self._ask_resident(served, work)
        elif not served.gate.walk_in():
            served.gate.enter(partial(self._launch, served, work))
        elif not self._launch(served, work):
            served.gate.leave()
        return work

    def submit_again(self, delegation: Delegation, settled: Callable[[Work], None]) -> Work:
        """Start the Delegation's actor, or stand it in line: whoever was at work on it is gone."""
        return self.submit(delegation, settled)

    def submit_home(self, delegation: Delegation, settled: Callable[[Work], None]) -> Work:
        """Start the Delegation's actor, or stand it in line: every run is at home here."""
        return self.submit(delegation, settled)

    def submit_here(self, delegation: Delegation, settled: Callable[[Work], None]) -> Work:
        """Start the Delegation's actor, or stand it in line: every body runs here."""
        return self.submit(delegation, settled)

    def gate(self, agent: str) -> Gate:
        """Return what lets the bodies of an agent in that is served."""
        return self._find(agent).gate

    def limit(self, agent: str, most: int) -> None:
        """Let no more bodies of an agent run at once than this."""
        gate = self.gate(agent)
        gate.capacity = min(gate.capacity, most)

    def room(self, agent: str, depth: int) -> Coroutine[Any, Any, None] | None:
        """Return None when the agent's line has room, else a wait for that."""
        del depth  # who waits for those below stands in no line
        return self._find(agent).senders.room()

    def cancel(self, work: Work, ending: Ending) -> None:
        """End a piece of work now: in the line, in its actor, or in a resident's mailbox."""
        if work.ending is not None:
            return
        work.ending = ending
        if work.body is not None:
            work.body.interrupt()
        served = self._find(work.delegation.sag_id)
        if work.ref is None:
            work.end()
        elif served.capacity.per == "delegation":
            served.supervisor.dismiss(work.ref)
        else:
            if isinstance(work.ref.actor, Resident):
                work.ref.actor.interrupt(work)
            work.end()

    async def begin_run(self, run_id: str) -> bool:
        """Return True: every run is at home here."""
        del run_id
        return True

    async def forget_run(self, run_id: str) -> None:
        """Stop the residents of a run, each after what it does now."""
        for served in self._served.values():
            resident = served.residents.pop(run_id, None) if served.capacity.per == "run" else None
            if resident is not None:
                await served.supervisor.terminate_child(resident)

    def statistics(self) -> list[EngineStatistics]:
        """Return a snapshot of every agent that was served."""
        return [
            EngineStatistics(
                agent=served.slug,
                running=served.gate.inside,
                waiting=served.waiting,
                residents=len(served.residents),
                supervision=served.supervisor.supervision(),
            )
            for served in self._served.values()
            if served.supervisor.actor is not None
        ]

    def _find(self, agent: str) -> Served:
        served = self._served.get(agent)
        if served is None:
            raise UnknownName(f"agent {agent} is not served here")
        return served

    # --- an actor per Delegation -----------------------------------------------------------------

    def _launch(self, served: Served, work: Work) -> bool:
        served.senders.call()
        if work.is_settled:
            return False
        work.place = Place(served.gate, True)
        try:
            work.ref = served.supervisor.spawn(work)
        except ActorError as error:
            work.fail(WorkFailed("killed", str(error), error))
            return False
        work.ref.owner = work.down
        return True

    # --- an actor that keeps its state -----------------------------------------------------------

    def _ask_resident(self, served: Served, work: Work) -> None:
        key = work.delegation.run_id if served.capacity.per == "run" else ""
        resident = served.residents.get(key)
        if resident is None or not resident.alive:
            try:
                resident = served.supervisor.spawn()
            except ActorError as error:
                work.fail(WorkFailed("killed", str(error), error))
                return
            served.residents[key] = resident
        work.ref = resident
        served.asked += 1
        resident.ask(work).add_done_callback(partial(_relay, served, work))


def _relay(served: Served, work: Work, reply: asyncio.Future[Any]) -> None:
    """Turn a resident's reply into the work's outcome."""
    served.asked -= 1
    served.senders.call()
    error = reply.exception()
    if work.body is not None:
        work.body.close()
    work.end()
    if work.is_settled:
        return
    if error is None:
        work.answer(reply.result())
        return
    crashed = work.ref.exit if work.ref is not None else None
    if isinstance(error, ActorGone) and crashed is not None and crashed.error is not None:
        error = crashed.error  # it crashed before it came to this piece of work
    killed = WorkFailed("killed", str(error), error)
    work.fail(killed if isinstance(error, ActorError) else crash(error))


def _supervisor(
    agent: str, capacity: Capacity, start: Callable[..., Any]
) -> Callable[[], Supervisor]:
    template = ChildSpec(
        agent,
        start,
        restart="transient",
        shutdown=SHUTDOWN_S,
        keep_address=True,
        max_restarts=capacity.max_restarts,
        mailbox=partial(Mailbox, capacity.queue),
    )
    return partial(
        Supervisor,
        (template,),
        strategy="simple_one_for_one",
        backoff=capacity.backoff,
        max_children=max(100_000, capacity.concurrency),
    )
