"""A running system: what may be asked of it. ``launch`` puts it together."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.approval import ApprovalRequest, Decision
from runtime.code import Codes, sources_of
from runtime.conduct import Halt
from runtime.engines import LocalEngine, current_time
from runtime.errors import ConfigurationError, UnknownName
from runtime.identity import digest_of, whoami
from runtime.outcome import ForkOptions, ResumeOptions, RunOptions, RunOutcome
from runtime.recorded import events_of
from runtime.requests import decide, halt, tickets_of
from runtime.start import check, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from otel import Metrics, Tracing
    from runtime.accounts import Accounts
    from runtime.actors import ActorSystem, SystemStatistics
    from runtime.agent import Agent
    from runtime.catalog import Catalog
    from runtime.clustered import Clustered
    from runtime.directory import Directory
    from runtime.dispatch import Dispatcher
    from runtime.engines import EngineStatistics
    from runtime.engines.cluster.membership import Membership
    from runtime.engines.nats import NatsEngine
    from runtime.gauges import Snapshot
    from runtime.invocations.reservation import Reservations
    from runtime.journal import EventRow, Journal, JournalStatistics, RunRow
    from runtime.pricing import Pricing
    from runtime.replay import Replayed
    from runtime.rules import Rules
    from runtime.start import Start
    from runtime.workflow import Workflows

HALT_S = 90.0  # what a run gets to end or to pause; more than what is in flight may take


class Ground(NamedTuple):
    """What a system stands on before its actors live; its clock counts from the Unix epoch."""

    catalog: Catalog
    directory: Directory
    journal: Journal
    tracing: Tracing
    metrics: Metrics
    environ: Mapping[str, str]
    clock: Callable[[], float]


class Statistics(NamedTuple):
    """A snapshot of a system: its actors, its agents, its provider accounts, its journal."""

    actors: SystemStatistics
    agents: list[EngineStatistics]
    accounts: Mapping[str, Any]
    journal: JournalStatistics


class System:
    """A running system; made by ``running``.

    Attributes:
        catalog: what it runs by.
        directory: its agents and skills.
        journal: what was done.
        tracing: where its spans go.
        metrics: where its measurements go.
        actors: its actors.
        accounts: its provider accounts, for calls that belong to no run.
        price_of: what a provider's model costs; None when nobody knows.
        rules: its policies, asked of today.
        reservations: what lets calls begin whose worst case fits.
        cluster: its part in a cluster; None where it is in none.
    """

    def __init__(
        self,
        ground: Ground,
        *,
        actors: ActorSystem,
        engine: LocalEngine | NatsEngine,
        dispatcher: Dispatcher,
        workflows: Workflows,
        codes: Codes,
        accounts: Accounts,
        price_of: Pricing,
        rules: Rules,
        reservations: Reservations,
        cluster: Clustered | None,
    ) -> None:
        self.catalog = ground.catalog
        self.directory = ground.directory
        self.journal = ground.journal
        self.tracing = ground.tracing
        self.metrics = ground.metrics
        self._environ = ground.environ
        self._clock = ground.clock
        self.actors = actors
        self.accounts = accounts
        self.price_of = price_of
        self.rules = rules
        self.reservations = reservations
        self.cluster = cluster
        self._engine = engine
        self._dispatcher = dispatcher
        self._workflows = workflows
        self._codes = codes

    def __repr__(self) -> str:
        return f"<System {self.directory!r} {self._engine!r} {self.actors!r}>"

    async def run(
        self, target: Agent | str, payload: Any = None, options: RunOptions | None = None
    ) -> RunOutcome:
        """Run a workflow or an agent, and return what came of it. Cancelling it ends the run.

        Args:
            target: a workflow's or agent's name, or a decorated agent.
            payload: its input; None for the workflow's own, or for none.
            options: how; None for the workflow's own limits.

        Raises:
            UnknownName: there is no such workflow, agent, provider or model.
            ConfigurationError: a key or address of the provider is missing, or the run's code
                cannot be kept as its options say.
        """
        start = resolve(
            target,
            payload,
            options or RunOptions(),
            catalog=self.catalog,
            directory=self.directory,
            environ=self._environ,
        )
        check(start, self.catalog, self._environ)
        if self.cluster is not None:
            return await self.cluster.client.run(start)
        return await self._begin(start)

    async def _begin(self, start: Start) -> RunOutcome:
        is_pinned = start.options.on_code_change == "pin"
        files = sources_of(self.catalog, start.agent) if is_pinned else None
        return await self._workflows.run(*start, files=files)

    async def resume(self, run_id: str, options: ResumeOptions | None = None) -> RunOutcome:
        """Go on with a run that is parked or whose process has died; return what came of it.

        Steps that were done are answered from the journal; those that were in flight are done once
        more.

        Args:
            run_id: the run.
            options: how; None for what it had left of its limits.

        Raises:
            UnknownName: there is no such run, or its agent or routing file is not here.
            ConfigurationError: it is over, its process has it, or it was not begun by ``run``.
            CodeChanged: its code has changed, and it is told to refuse that.
            LimitReached: its time or money is used up, and the options give it no more.
        """
        options = options or ResumeOptions()
        if self.cluster is not None:
            return await self.cluster.client.resume(run_id, options)
        return await self._go_on(run_id, options)

    async def _go_on(
        self, run_id: str, options: ResumeOptions, *, left_here: bool = False
    ) -> RunOutcome:
        from runtime.resume_rules import check_again  # noqa: PLC0415  # for runs that are resumed

        check = partial(
            check_again,
            run_id,
            options=options,
            catalog=self.catalog,
            directory=self.directory,
            codes=self._codes,
        )
        return await self._workflows.resume(run_id, options, check, left_here=left_here)

    async def fork(self, run_id: str, at: str, options: ForkOptions | None = None) -> RunOutcome:
        """Begin a new run with what another one had done before a step, and work live from there.

        What began before that step is answered from copies of the other's records; that step and
        all that began after it are done anew. The other run may be under way, over or dead.

        Args:
            run_id: the other run.
            at: the step, by its number or its id.
            options: how.

        Raises:
            UnknownName: there is no such run, step or model, or its agent is not here.
            ConfigurationError: it was not begun by ``run``, or skills with side effects would be
                used again, and the options do not say to do that.
        """
        from runtime.fork_plan import plan_fork  # noqa: PLC0415  # for runs that are forked

        options = options or ForkOptions()
        row, events = await self._records_of(run_id)
        plan = plan_fork(row, events, at, options, catalog=self.catalog, directory=self.directory)
        return await self._workflows.fork(*plan)

    async def _records_of(self, run_id: str) -> tuple[RunRow, list[EventRow]]:
        await self.journal.flush()
        row = await self.journal.run(run_id)
        if row is None:
            raise UnknownName(f"no run {run_id!r} is in the journal")
        return row, [event async for event in events_of(self.journal, run_id)]

    async def replay(self, run_id: str) -> Replayed:
        """Run the code of a run that is over again, offline, on its records, and compare.

        Models and skills are answered from the journal, the bodies of all agents run. Nothing is
        asked, done, noted, exported or paid.

        Args:
            run_id: the run.

        Raises:
            UnknownName: there is no such run, or its agent or routing file is not here.
            ConfigurationError: it is not over, or its records do not have what is needed.
            DeadlineExceeded: the replay did not come to an end in an hour.
        """
        from runtime.replay import Stage, replay  # noqa: PLC0415  # for runs that are replayed

        row, events = await self._records_of(run_id)
        return await replay(Stage(self.catalog, self.directory, self._environ), row, events)

    async def cancel(self, run_id: str, why: str = "", *, by: str = "") -> RunRow:
        """End a run, here or in another process, and return it as it stands then.

        Args:
            run_id: the run.
            why: what to say about it.
            by: who wants that; empty for whoever runs this process.

        Raises:
            UnknownName: there is no such run.
            ConfigurationError: it is over, or its process hears no requests.
        """
        return await self._halt(run_id, Halt("cancelled", by or whoami(), why))

    async def pause(self, run_id: str, why: str = "", *, by: str = "") -> RunRow:
        """Begin no new step of a run, and park it; ``resume`` goes on with it. See ``cancel``."""
        return await self._halt(run_id, Halt("paused", by or whoami(), why))

    async def _halt(self, run_id: str, wanted: Halt) -> RunRow:
        return await halt(self.journal, run_id, wanted, self._clock, wait_s=HALT_S)

    async def approve(
        self, run_id: str, ticket: str, comment: str = "", *, by: str = ""
    ) -> Decision:
        """Say yes to what a run has asked. A run that is parked does not go on by that: resume it.

        Args:
            run_id: the run.
            ticket: the question's ticket, as ``RunOutcome.waits_for`` and ``approvals`` have it.
            comment: what to say about it; the agent sees that.
            by: who decides; empty for whoever runs this process.

        Raises:
            UnknownName: there is no such run or question.
            ConfigurationError: it is decided already, or has expired, or the run is over.
        """
        decision = Decision(approved=True, by=by or whoami(), at=self._clock(), comment=comment)
        await decide(self.journal, run_id, ticket, decision)
        return decision

    async def deny(self, run_id: str, ticket: str, comment: str = "", *, by: str = "") -> Decision:
        """Say no to what a run has asked; see ``approve``."""
        decision = Decision(approved=False, by=by or whoami(), at=self._clock(), comment=comment)
        await decide(self.journal, run_id, ticket, decision)
        return decision

    async def approvals(self) -> list[ApprovalRequest]:
        """Return what runs have asked, of any process, and nobody has decided yet."""
        now, tickets = self._clock(), await tickets_of(self.journal)
        return [each.request for each in tickets if each.is_open(now)]

    async def serve(
        self,
        agents: Sequence[str] | None = None,
        capacity: int | None = None,
        *,
        spread: bool = False,
    ) -> Membership:
        """Be a node of the cluster from now on: work for all of it, and be the home of runs.

        Args:
            agents: what it serves; None for all agents.
            capacity: how many bodies of each run here at once at most; None as the catalog says.
            spread: whether what bodies here delegate is done by whichever node is the first to
                take it out of the queue, instead of here while there is room.

        Returns:
            Its place among the nodes: what it says of itself, and whether it shall leave.

        Raises:
            UnknownName: there is no such agent.
            ConfigurationError: the system is in no cluster, or the cluster takes nobody now.
        """
        from runtime.clustered import Part  # noqa: PLC0415  # an extra

        part = Part(agents, capacity, spread, self._code, self.accounts.statistics)
        cluster = self._clustered
        await cluster.serve(self._begin, self._go_on, part)
        return cluster.membership

    async def drain(self, grace_s: float) -> int:
        """Leave the cluster in order, and return how many runs go on at other nodes.

        Args:
            grace_s: how long what was begun here may take to end.

        Raises:
            ConfigurationError: the system is in no cluster.
        """
        return await self._clustered.drain(grace_s)

    @property
    def _clustered(self) -> Clustered:
        if self.cluster is None:
            raise ConfigurationError("only what is in a cluster serves one; say --engine nats")
        return self.cluster

    def _code(self) -> str:
        return digest_of([list(self._codes.of(agent)) for agent in sorted(self.directory.agents)])

    async def close(self) -> None:
        """Begin no more runs and end those that are under way; ``running`` does it on leaving."""
        await self._workflows.close()
        if self.cluster is not None:
            await self.cluster.close()

    def statistics(self) -> Statistics:
        """Return a snapshot of the system."""
        return Statistics(
            actors=self.actors.statistics(),
            agents=self._engine.statistics(),
            accounts=self.accounts.statistics(),
            journal=self.journal.statistics(),
        )

    def snapshot(self) -> Snapshot:
        """Return what the gauges of its metrics show."""
        from runtime.gauges import Snapshot  # noqa: PLC0415  # for metrics that somebody collects

        now, spans = self.statistics(), self.tracing.statistics()
        return Snapshot(
            now=current_time(),
            agents=now.agents,
            accounts=now.accounts,
            dead_letters=self.actors.dead_letters.counts.copy(),
            journal=now.journal,
            runs=self._dispatcher.runs,
            reserved=self._dispatcher.reserved,
            spans=spans.pending,
        )
