"""The engine of many processes: Delegations go through a work queue of NATS JetStream.

What keeps state stays where its run is at home, and so does the body at the root of a run. All
else is done near, at the node that asks, while that has room; or it goes to whichever node has. Its
asker decides, once: what was asked for before may be in hand somewhere, so a claim has to decide
who does it, and that is what those make who take it out of the queue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.engines.cluster.asking import Asker
from runtime.engines.cluster.far_work import FarWork
from runtime.engines.cluster.hands import Hands
from runtime.engines.cluster.homestead import WORK, Homestead
from runtime.engines.cluster.members import Load
from runtime.engines.cluster.room import Room
from runtime.engines.cluster.runs import Homes
from runtime.engines.cluster.streams import found_stream
from runtime.engines.cluster.worker import Worker
from runtime.journal.liveness import owner_note

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from runtime.engines.cluster.node import Node
    from runtime.engines.cluster.pipeline import Pipeline
    from runtime.engines.cluster.runs import Household
    from runtime.engines.engine import Capacity
    from runtime.engines.local import EngineStatistics, LocalEngine
    from runtime.engines.work import Ending, Work
    from runtime.journal import Journal
    from runtime.messages import Delegation


class NatsEngine:
    """Runs Delegations anywhere in a cluster.

    Args:
        local: runs the bodies that are here.
        node: this process in the cluster.
        journal: the one that all nodes share.
    """

    is_shared = True

    def __init__(self, local: LocalEngine, node: Node, journal: Journal) -> None:
        self._journal = journal
        self._local = local
        self._node = node
        self._asker = Asker(node, journal)
        self._hands = Hands(node)
        self._worker = Worker(node, self._hands, journal)
        self._homestead = Homestead(node, self._worker.take)
        self.ask_home = self._homestead.ask
        self._capacities: dict[str, Capacity] = {}
        self._near: dict[str, Room] = {}
        self._done_near = 0
        self.submit_here = local.submit_here

    def __repr__(self) -> str:
        return f"<NatsEngine {self._node!r} {self._asker!r} {self._worker!r}>"

    async def open(self, pipeline: Pipeline) -> None:
        """Join the cluster, and do nothing for others yet.

        Args:
            pipeline: what knows runs and agents.

        Raises:
            ConfigurationError: the servers do not take what waits to be done.
            nats.errors.Error: the cluster takes nobody now.
        """
        self._asker.pipeline = self._worker.pipeline = self._homestead.pipeline = pipeline
        await found_stream(self._node)
        await self._asker.open()

    async def work(
        self, agents: Sequence[str], household: Household, most: int | None, *, spread: bool
    ) -> None:
        """Do from now on what others ask of agents that are served here, and be a home for runs.

        Args:
            agents: their slugs.
            household: carries out the runs that are at home here.
            most: how many bodies of each run at once at most; None as their capacities say.
            spread: whether what is asked for here is for all, also while there is room for it.

        Raises:
            nats.errors.Error: the cluster takes nobody now.
        """
        homes = Homes(self._node, self._hands, household)
        await self._worker.open()
        self._node.start(self._hands.keep(), "keeps what is in hand")
        for agent in agents:
            if most is not None:
                self._local.limit(agent, most)
            room = Room(self._local.gate(agent))
            await homes.pull(agent, room)
            if self._capacities[agent].per == "delegation":
                await self._worker.pull(agent, room)
                if not spread:
                    self._near[agent] = room

    async def idle(self) -> None:
        """Wait until nothing is in hand of what others have asked, nor any run."""
        await self._hands.empty()

    def loads(self, agents: Sequence[str]) -> dict[str, Load]:
        """Return how much of some agents is done here."""
        running = {each.agent: each for each in self._local.statistics()}
        return {
            agent: Load(found.running, found.waiting, self._local.gate(agent).capacity)
            for agent in agents
            if (found := running.get(agent)) is not None
        }

    @property
    def done(self) -> int:
        """How many Delegations were done here, those that were asked for here counted at once."""
        return self._worker.done + self._done_near

    async def serve(
        self,
        agent: str,
        capacity: Capacity,
        perform: Callable[[Work], Awaitable[Any]],
        make: Callable[[], Any] | None = None,
    ) -> None:
        """Start the agent's supervisor; see ``Engine``."""
        await self._local.serve(agent, capacity, perform, make)
        self._capacities[agent] = capacity
        self._asker.limit(agent, capacity.queue + capacity.concurrency)

    def submit(self, delegation: Delegation, settled: Callable[[Work], None]) -> Work:
        """Have a Delegation done here while there is room, or by the cluster."""
        near = self._near.get(delegation.sag_id)
        if near is None or not near.is_for_near:
            return self._submit(delegation, settled, is_again=False)
        self._done_near += 1
        return self._local.submit(delegation, settled)

    def submit_again(self, delegation: Delegation, settled: Callable[[Work], None]) -> Work:
        """Have a Delegation done by whoever gets the claim to it."""
        return self._submit(delegation, settled, is_again=True)

    def _submit(
        self, delegation: Delegation, settled: Callable[[Work], None], *, is_again: bool
    ) -> Work:
        """Hand a Delegation to the cluster, or to what keeps its state at the home of its run."""
        subjects, agent = self._node.subjects, delegation.sag_id
        if self._capacities[agent].per == "delegation":
            queue = subjects.work(agent)
            return self._asker.submit(delegation, settled, queue, is_queued=True, is_again=is_again)
        if delegation.run_id in self._homestead:
            return self._local.submit(delegation, settled)
        return self._send_home(delegation, settled, is_again=is_again)

    def submit_home(self, delegation: Delegation, settled: Callable[[Work], None]) -> Work:
        """Have a Delegation done at the home of its run, which looks whether it was before."""
        return self._send_home(delegation, settled, is_again=True)

    def _send_home(
        self, delegation: Delegation, settled: Callable[[Work], None], *, is_again: bool
    ) -> Work:
        home = self._node.subjects.home(delegation.run_id, WORK)
        return self._asker.submit(delegation, settled, home, is_queued=False, is_again=is_again)

    def room(self, agent: str, depth: int) -> Coroutine[Any, Any, None] | None:
        """Return None when another Delegation may be sent, else a wait for that."""
        keeps_state = self._capacities[agent].per != "delegation"
        return (self._local if keeps_state else self._asker).room(agent, depth)

    def cancel(self, work: Work, ending: Ending) -> None:
        """End a piece of work now, wherever it is."""
        side = self._asker if isinstance(work, FarWork) else self._local
        side.cancel(work, ending)

    async def begin_run(self, run_id: str) -> bool:
        """Be the home of a run that is entered into the journal as this process's."""
        await self._journal.flush()
        row = await self._journal.run(run_id)
        if row is None or row.owner != owner_note()["owner"]:
            return False
        await self._homestead.begin(run_id)
        return True

    async def forget_run(self, run_id: str) -> None:
        """Be the home of a run no more, and stop the actors that kept state for it."""
        await self._homestead.end(run_id)
        await self._local.forget_run(run_id)

    def statistics(self) -> list[EngineStatistics]:
        """Return a snapshot of every agent that was served."""
        return self._local.statistics()
