"""The one pipeline of a Delegation.

    send     (at the caller, synchronous once there is room)
             who -> may it -> room -> deadline -> input -> journal "sent" -> engine
    perform  (in the agent's actor)
             span -> journal "started" -> body -> output
    conclude (at the caller, when the engine has an outcome)
             journal "completed" or "failed" -> Result

A body that fails on purpose (a ``RuntimeFault``) has failed; any other exception is a crash, which
the agent's supervisor answers with a restart until the agent's ``max_restarts`` are used up.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio

from otel.log_scope import Scope, handling
from runtime.activation import Activation
from runtime.agent_telemetry import AgentTelemetry
from runtime.bodies import Bodies
from runtime.context import Context
from runtime.delegation_steps import go_on, may_delegate, recall, started_note
from runtime.delivery import (
    Answer,
    addressed,
    arguments_of,
    check,
    check_allowed,
    cycle_of,
    describe_end,
    end_span,
    ended_by,
    fault_of,
    log_fields_of,
    note_sent,
    reason_of,
)
from runtime.engines import Capacity, event_loop
from runtime.errors import Cancelled, PolicyDenied, RuntimeFault, UnknownName
from runtime.messages import Delegation, Result
from runtime.sent import Sent
from runtime.signature import to_json
from runtime.wishes import Sending

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel import Metrics, Tracing
    from runtime.agent import Agent, Skill
    from runtime.approval import Decision
    from runtime.approval_steps import Approvals
    from runtime.directory import Directory, Entry
    from runtime.engines import Engine, Pending, Work
    from runtime.model_stream import ModelStream
    from runtime.models import Models
    from runtime.run import Run
    from runtime.skills import Skills
    from runtime.wishes import ApprovalWish, Question

Submit: TypeAlias = "Callable[[Delegation, Callable[[Work], None]], Work]"
END_S = 2.0  # what the bodies of a run that is over may still take; then they are leaked


class Dispatcher:
    """Carries Delegations from agent to agent.

    Args:
        directory: who is there.
        engine: where bodies run.
        tracing: where spans come from.
        models: asks models.
        skills: runs skills.
        approvals: asks people.
        metrics: where measurements go.
    """

    def __init__(
        self,
        directory: Directory,
        engine: Engine,
        tracing: Tracing,
        *,
        models: Models,
        skills: Skills,
        approvals: Approvals,
        metrics: Metrics,
    ) -> None:
        self._directory = directory
        self._engine = engine
        self._tracing = tracing
        self._models = models
        self._skills = skills
        self._approvals = approvals
        self._telling = AgentTelemetry(tracing, metrics)
        self._bodies = Bodies(directory)
        self._loop = event_loop()
        self._runs: dict[str, Run] = {}
        self._served: dict[str, Entry] = {}

    # --- runs ------------------------------------------------------------------------------------

    @property
    def runs(self) -> int:
        """How many runs are under way."""
        return len(self._runs)

    @property
    def reserved(self) -> int:
        """Nano-USD that model calls under way hold in the budgets of their runs."""
        return sum(run.budget.reserved for run in self._runs.values())

    def run_here(self, run_id: str) -> Run | None:
        """Return a run that is at home here and under way; None for any other."""
        return self._runs.get(run_id)

    async def run_root(self, run: Run, delegation: Delegation) -> Result[Any]:
        """Carry the Delegation at the root of a run, and return its Result."""
        self._runs[run.id] = run
        try:
            if not await self._engine.begin_run(run.id):
                run.leave(Cancelled(f"another process is the home of run {run.id}"))
            run.moves = self._engine.is_shared
            entry = await self._serve(delegation.sag_id)
            submit = self._engine.submit_here
            answered: Result[Any] = await self._submit(run, None, entry, delegation, submit)
            return answered
        finally:
            with anyio.move_on_after(END_S, shield=True):
                await self._engine.forget_run(run.id)
                await run.quiet()
            del self._runs[run.id]

    async def serve(self, agents: Sequence[str] | None) -> list[str]:
        """Start the supervisors of some agents, of all where None is named; return their slugs."""
        slugs = tuple(self._directory.agents if agents is None else agents)
        return [(await self._serve(slug)).agent.name for slug in slugs]

    async def run_guest(self, run: Run, delegation: Delegation) -> None:
        """Carry a Delegation here, of a run that is at home elsewhere, until it is noted."""
        try:
            entry = await self._serve(delegation.sag_id)
            await self._submit(run, None, entry, delegation, self._engine.submit_here)
        finally:
            if not run.is_quiet:
                with anyio.move_on_after(END_S, shield=True):
                    await run.quiet()

    # --- what contexts ask for -------------------------------------------------------------------

    async def ask(self, context: Context, activation: Activation, question: Question) -> Any:
        """Ask a model for an agent."""
        use = partial(self._skills.use, context, activation)
        note = partial(self._skills.note_refused, activation)
        skills = self._directory.skills.values()
        return await self._models.ask(activation, question, skills, use, note)

    def stream(self, activation: Activation, question: Question) -> ModelStream:
        """Return the answer to a question in pieces; see ``Context.stream``."""
        return self._models.stream(activation, question)

    def skill(self, skill: Skill | str) -> Skill:
        """Return a skill by its name."""
        return self._directory.skill(skill)

    async def use(
        self, context: Context, activation: Activation, skill: Skill | str, payload: Any
    ) -> Any:
        """Run a skill for an agent."""
        return await self._skills.use(context, activation, skill, payload)

    async def approve(
        self, context: Context, activation: Activation, question: ApprovalWish
    ) -> Decision:
        """Ask people for an agent."""
        await context.may_begin()
        asked = {"question": question.question, "data": question.data}
        op = activation.run.operation(activation.delegation.op, "approve", asked)
        if activation.run.recorded is not None:
            await activation.run.recorded.may_begin(op)
        return await self._approvals.decision(activation, op, question, context.waiting)

    async def send(
        self,
        activation: Activation,
        agent: Agent | str | Delegation,
        payload: Any,
        how: Sending,
    ) -> Pending:
        """Send a Delegation for an agent, once its receiver's line has room."""
        if isinstance(agent, Delegation):
            payload, context = agent.input, {**agent.context, **how.context}
            how = Sending(how.deadline, context, agent.task_id)
            agent = agent.sag_id
        given = to_json(payload)
        if how.context:
            how = Sending(how.deadline, to_json(dict(how.context)), how.task_id)
        if activation.run.holds_up:
            await activation.run.room()
        if self._tracing.holds_up:
            await self._tracing.room()
        try:
            slug = self._directory.slug(agent)
            check_allowed(activation, slug)
        except (UnknownName, PolicyDenied) as fault:
            name = agent if isinstance(agent, str) else agent.name
            return self._refuse(activation, addressed(activation, name, None, given, how), fault)
        if activation.run.recorded is not None:
            await may_delegate(activation, slug, given, how)
        entry = self._served.get(slug) or await self._serve(slug)
        # A cycle is refused without standing in line: it would wait for itself there, too.
        path = activation.path
        room = None if cycle_of(entry, path) else self._engine.room(slug, len(path))
        if room is None:
            return self._hand_over(activation, entry, given, how)
        sent: list[Pending] = []
        try:
            async with activation.waiting():
                await room
                sent.append(self._hand_over(activation, entry, given, how))
        except BaseException:
            activation.call_off(sent)
            raise
        return sent[0]

    def _hand_over(
        self, activation: Activation, entry: Entry, payload: Any, how: Sending
    ) -> Pending:
        activation.check()
        slug, deadline_s = entry.agent.name, entry.limits.deadline_s
        delegation = addressed(activation, slug, deadline_s, payload, how)
        submit = self._way(activation.run, entry.agent, delegation.op)
        pending = self._submit(activation.run, activation, entry, delegation, submit)
        if not pending.done():
            activation.children.add(pending)
        return pending

    def _way(self, run: Run, agent: Agent, op: str) -> Submit:
        """Return how a Delegation is handed over, by what became of it before.

        One that has its outcome is done again for the state that was kept below it. Nobody gets a
        claim to it any more, so that is done here. What a guest may have other code of than its run
        is for the run's home.
        """
        if run.branch is not None and not run.has_code_of(agent.name):
            return self._engine.submit_home
        recorded = run.recorded
        if recorded is None or not recorded.was_sent(op):
            return self._engine.submit
        if recorded.found(op) is not None and agent.per == "delegation":
            return self._engine.submit_here
        return self._engine.submit_again

    def _refuse(
        self, activation: Activation, delegation: Delegation, fault: RuntimeFault
    ) -> Pending:
        """Nobody may work on it, or there is nobody: a failed Result like any other."""
        run = activation.run
        sent = Sent(run, activation, delegation, self._loop)
        note_sent(run, delegation, fault)
        sent.refused(fault)
        return sent

    # --- at the caller ---------------------------------------------------------------------------

    async def _serve(self, slug: str) -> Entry:
        entry = self._directory.agents[self._directory.slug(slug)]
        agent, limits = entry
        if slug in self._served:
            return entry
        capacity = Capacity(
            concurrency=limits.concurrency,
            queue=limits.mailbox,
            max_restarts=limits.max_restarts,
            backoff=limits.backoff,
            per=agent.per,
        )
        make = agent.body if agent.per != "delegation" else None
        await self._engine.serve(slug, capacity, self._perform, make)
        self._served[slug] = entry
        return entry

    def _submit(
        self,
        run: Run,
        activation: Activation | None,
        entry: Entry,
        delegation: Delegation,
        submit: Submit,
    ) -> Pending:
        """Check, note and hand over; whatever is wrong becomes a failed Result."""
        sent = Sent(run, activation, delegation, self._loop)
        if recall(sent, entry.agent, self._directory.keeps_state):
            return sent
        arguments, fault = check(entry, delegation)
        fault = note_sent(run, delegation, fault)
        if fault is not None:
            sent.refused(fault)
            return sent
        # Of those in a resident's mailbox only one can work: that one counts itself.
        sent.is_counted = entry.agent.per == "delegation"
        if sent.is_counted:
            run.conduct.began()
        work = submit(delegation, sent.answered)
        work.arguments, work.run = arguments, run
        sent.handed_over(self._engine, work)
        return sent

    # --- in the agent's actor --------------------------------------------------------------------

    async def _perform(self, work: Work) -> Answer:
        delegation = work.delegation
        run: Run = work.run
        entry = self._directory.agents[delegation.sag_id]
        span = self._telling.begin(run, entry.agent, work)
        activation = Activation(run, entry.agent, entry.limits, delegation, span, work.place)
        note = started_note(run, entry.agent, work)
        work.body = activation
        run.body_began()
        is_resident = entry.agent.per != "delegation"
        if is_resident:
            run.conduct.began()
        began = self._telling.began(work)
        try:
            run.record("delegation_started", delegation.op, note)
            with handling(Scope(log_fields_of(work), span)), span.attached():
                answer = await self._answer(activation, work)
        except BaseException as error:
            reason, why = ended_by(work, error)
            activation.interrupt(reason)
            describe_end(span, activation)
            span.end(error_type=reason, message=why)
            self._telling.ended(activation, began, reason)
            raise
        finally:
            activation.finish()
            work.body = None
            run.body_ended()
            if is_resident:
                run.conduct.ended()
        end_span(span, activation, answer)
        self._telling.ended(activation, began, answer.reason)
        return answer

    async def _answer(self, activation: Activation, work: Work) -> Answer:
        """Run the body; a failure on purpose is an answer, too."""
        agent, context = activation.agent, Context(activation, self)
        place = work.place
        try:
            if place is not None and not place.inside:
                await place.come_back()  # it crashed, and waited for its restart outside
            if work.attempts > 1:
                await go_on(activation.run, activation.delegation.op)
            checked, work.arguments = work.arguments, None
            args, kwargs = checked or arguments_of(agent, activation.delegation)
            answer = await self._bodies.run(context, activation, work.state, args, kwargs)
            value, output = agent.signature.output(answer)
            if activation.run.recorded is not None:
                await activation.run.recorded.may_answer(activation.delegation.op)
        except Exception as error:
            fault = fault_of(error)
            if fault is None:
                if place is not None:
                    place.leave()  # others may run until this one is started again
                raise
            return Answer(None, {}, activation.totals, reason_of(fault), str(fault))
        except (anyio.get_cancelled_exc_class(), KeyboardInterrupt):
            raise
        except BaseException as exit_:  # noqa: BLE001  # an agent may end itself, never the process
            text = f"the agent raised {exit_!r}"
            return Answer(None, {}, activation.totals, "exited", text)
        return Answer(value, output, activation.totals)
