"""What a running agent may do: ask a model, use a skill, delegate, log; and what it may know.

notes = await ctx.use(search, "actors")                    # a skill: checked, journalled
plan = await ctx.plan("Split ...", returns=Plan)           # a model: routed, budgeted
text = await ctx.ask("Sum up ...")                         # the same, but no plan
one = await ctx.delegate(writer, plan)                     # Result; never raises for the child
async for event in ctx.stream("Tell ..."): ...             # the same in pieces
many = await ctx.fan_out(writer, plan.parts)               # list[Result] in input order
some = await ctx.map(writer, plan.parts, concurrency=8)    # the same, eight at a time
fastest = await ctx.first([writer, editor], plan)          # the first success; the rest ends
if await ctx.approve("May I publish it?", text): ...       # people; the run parks meanwhile
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, Unpack, overload

import anyio
import anyio.lowlevel

from runtime.agent import Agent
from runtime.engines import any_done, current_time, first_leaf
from runtime.errors import Cancelled
from runtime.governance.cost import usd
from runtime.messages import Message
from runtime.signature import to_json
from runtime.wishes import ApprovalWish, BudgetView, Question, Sending

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from anyio.abc import TaskGroup

    from runtime.activation import Activation, Waiting
    from runtime.agent import Skill
    from runtime.approval import Decision
    from runtime.engines import Pending
    from runtime.explicit import Hints
    from runtime.messages import Delegation, Result
    from runtime.model_stream import ModelStream
    from runtime.wishes import AskOptions, Services, StreamOptions

logger = logging.getLogger("runtime.agents")
T = TypeVar("T")
Prompt: TypeAlias = "str | Sequence[Message]"
DEFAULT_CONCURRENCY = 16
BURST = 50  # delegations sent in one turn of the event loop; then everybody else has a turn


class Context:
    """What a running agent may do.

    Attributes:
        run_id: the run.
        task_id: the Delegation that is being worked on.
        agent: the agent's slug.
        hints: the Delegation's ``context``, as its sender gave it.
    """

    def __init__(
        self,
        activation: Activation,
        services: Services,
        hints: Hints | None = None,
        step: str | None = None,
    ) -> None:
        self._activation = activation
        self._services = services
        self._own_hints = hints
        self._step = step
        self.run_id = activation.delegation.run_id
        self.task_id = activation.delegation.task_id
        self.agent = activation.agent.name
        self.hints = activation.delegation.context

    def __repr__(self) -> str:
        return f"<Context {self.agent}/{self.task_id} of run {self.run_id}>"

    # --- what it may know ------------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        """The seconds that are left; infinity without a deadline."""
        deadline = self._activation.delegation.deadline
        return math.inf if deadline is None else max(0.0, deadline - current_time())

    @property
    def budget(self) -> BudgetView:
        """What the run may still spend."""
        budget = self._activation.run.budget
        return BudgetView(
            limit_usd=None if budget.limit is None else usd(budget.limit),
            spent_usd=usd(budget.spent),
            reserved_usd=usd(budget.reserved),
            left_usd=None if budget.left is None else usd(budget.left),
        )

    @property
    def tokens(self) -> int:
        """The tokens of the run so far, of prompts and answers together."""
        totals = self._activation.run.totals
        return totals.input_tokens + totals.output_tokens

    @property
    def body(self) -> Callable[..., Any]:
        """The function or class of the agent."""
        return self._activation.agent.body

    @property
    def cost_usd(self) -> float:
        """What the run has cost so far, in USD, without calls whose price nobody knows."""
        return usd(self._activation.run.totals.cost)

    @property
    def idempotency_key(self) -> str:
        """A UUID for whoever does something for the skill or agent that this context is of.

        It is the same whenever this very step is done once more, after a kill or a crash; so who
        keeps it does the same thing only once. Every other step, of this run or another, has
        another one, the same skill with the same input included.
        """
        activation = self._activation
        return activation.run.idempotency_key(self._step or activation.delegation.op)

    def log(self, event: str, /, **fields: Any) -> None:
        """Note something in the run's journal and in the log; ``fields`` are JSON data."""
        self.log_fields(event, fields)

    def log_fields(self, event: str, fields: Mapping[str, Any]) -> None:
        """Note something whose fields have any names; see ``log``.

        A body that is being ended may still note what it does about it.
        """
        if self._activation.over:
            self._activation.check()
        note = {"event": event, "task": self.task_id, "fields": to_json(fields)}
        self._activation.run.record("log", self._activation.delegation.op, note)
        logger.info(event, extra={"agent": self.agent, "task_id": self.task_id, "fields": fields})

    # --- what it may do --------------------------------------------------------------------------

    @overload
    async def ask(
        self, prompt: Prompt, /, *, returns: type[T], **options: Unpack[AskOptions]
    ) -> T: ...
    @overload
    async def ask(self, prompt: Prompt, /, **options: Unpack[AskOptions]) -> str: ...
    async def ask(
        self, prompt: Prompt, /, *, returns: Any = str, **options: Unpack[AskOptions]
    ) -> Any:
        """Ask a model and return its answer.

        With ``tools`` the model may call skills: what it calls is run side by side, checked and
        journalled like ``use``, and what it gets wrong goes back to it as the tool's error.

        Args:
            prompt: the text, or the turns of a conversation.
            returns: the type of the answer; ``str`` for plain text.
            options: see ``AskOptions``: which model, how, and with which tools.

        Raises:
            ProviderError: the call failed; the subclass says how.
            InvalidOutput: the answer is not what ``returns`` says, or still calls tools after
                ``max_turns``.
            PolicyDenied: a rule forbids asking that model, or using a tool.
            BudgetExceeded: what it may cost does not fit into the run's budget.
            UnknownName: no such model, provider or skill is in the catalog.
        """
        self._activation.check()
        question = self._question(prompt, returns, options)
        return await self._services.ask(self, self._activation, question)

    @overload
    async def plan(
        self, prompt: Prompt, /, *, returns: type[T], **options: Unpack[AskOptions]
    ) -> T: ...
    @overload
    async def plan(self, prompt: Prompt, /, **options: Unpack[AskOptions]) -> str: ...
    async def plan(
        self, prompt: Prompt, /, *, returns: Any = str, **options: Unpack[AskOptions]
    ) -> Any:
        """Ask a model what to do next: ``ask``, which traces show as the agent's planning.

        The model call is below a span ``plan {agent}``. What the plan leads to, the tools and
        delegations, stands beside it, below the agent.

        Args:
            prompt: the text, or the turns of a conversation.
            returns: the type of the plan; ``str`` for plain text.
            options: see ``AskOptions``.

        Raises:
            RuntimeFault: what ``ask`` raises.
        """
        self._activation.check()
        question = self._question(prompt, returns, options)._replace(is_plan=True)
        return await self._services.ask(self, self._activation, question)

    def stream(self, prompt: Prompt, /, **options: Unpack[StreamOptions]) -> ModelStream:
        """Return a model's answer in pieces: ``async for event in ctx.stream(prompt)``.

        Each piece is a ``ModelEvent``: ``text``, ``reasoning``, ``refusal`` or ``tool_call``. At
        most 64 pieces wait for their reader, then the provider's connection is not read. Whoever
        stops early closes the connection and pays for what was generated. After the end,
        ``stream.reply`` is the whole answer. Raises what ``ask`` raises, at the first piece; an
        answer that breaks off later raises ``StreamInterrupted``.

        Args:
            prompt: the text, or the turns of a conversation.
            options: see ``StreamOptions``.
        """
        self._activation.check()
        return self._services.stream(self._activation, self._question(prompt, str, options))

    def _question(
        self, prompt: Prompt, returns: Any, options: AskOptions | StreamOptions
    ) -> Question:
        messages = (Message("user", prompt),) if isinstance(prompt, str) else tuple(prompt)
        given: dict[str, Any] = dict(options)
        if given.get("max_turns", 1) < 1:
            raise ValueError(f"max_turns is at least 1, not {given['max_turns']}")
        if "tools" in given:
            given["tools"] = tuple(map(self._services.skill, given["tools"]))
        if "stop" in given:
            given["stop"] = tuple(given["stop"])
        return Question(messages=messages, returns=returns, hints=self._hints, **given)

    @property
    def _hints(self) -> Hints:
        return self._own_hints or self._activation.hints

    async def use(self, skill: Skill | str, /, *args: Any, **kwargs: Any) -> Any:
        """Run a skill and return what it returns.

        Raises:
            InvalidInput: the arguments are not what the skill declares.
            InvalidOutput: its answer is not what it declares.
            UnknownName: there is no such skill.
            PolicyDenied: the catalog does not let this agent use it.
            Exception: what the skill raised.
        """
        found = self._services.skill(skill)
        return await self.use_payload(found, found.signature.bind(args, kwargs))

    async def use_payload(self, skill: Skill | str, payload: Any) -> Any:
        """Run a skill on one input, as JSON data or of its declared type; see ``use``."""
        self._activation.check()
        return await self._services.use(self, self._activation, skill, payload)

    async def approve(
        self, question: str, data: Any = None, *, expires: float | None = None
    ) -> Decision:
        """Ask people whether something may be done, and return what they decide.

        The decision is true if that is a yes: ``if await ctx.approve("May I?", data)``. People
        answer with ``python -m runtime approve RUN_ID TICKET``, or ``deny``, from any process.
        Other branches of the run go on meanwhile. When nothing can go on but by a decision, the
        run *parks*: its process is free, its deadline stands still, and whoever decides goes on
        with it, after minutes or days. An answer is kept: the same question at the same place is
        not asked again. Not in a skill with side effects: ask before you use it.

        Args:
            question: what people read; a line or two.
            data: what it is about, JSON data; they see that, too.
            expires: after how many seconds it counts as denied. Nobody wakes a parked run for
                that: it counts as soon as the run goes on.

        Raises:
            InvalidInput: the data is no JSON.
            ValueError: ``expires`` is not above 0.
        """
        if expires is not None and not expires > 0:
            raise ValueError(f"expires is above 0 seconds, not {expires}")
        self._activation.check()
        wish = ApprovalWish(question, to_json(data), expires)
        return await self._services.approve(self, self._activation, wish)

    def waiting(self) -> Waiting:
        """Return ``async with`` around a wait for others; for the runtime's own use."""
        return self._activation.waiting(in_step=self._step is not None)

    async def may_begin(self) -> None:
        """Wait while no new step of the run may begin; for the runtime's own use."""
        if self._activation.run.conduct.held is not None:
            await self._activation.may_begin(in_step=self._step is not None)
            self._activation.check()

    async def delegate(
        self,
        agent: Agent | str | Delegation,
        payload: Any = None,
        /,
        *,
        deadline: float | None = None,
        context: Mapping[str, Any] | None = None,
        task_id: str | None = None,
    ) -> Result[Any]:
        """Hand work to another agent and wait for its Result; never raises for the child.

        An agent that is not there, or that the catalog does not allow, is a failed Result, too.

        Args:
            agent: a decorated agent, a slug, or a whole ``Delegation``.
            payload: its input: what its hints say, or JSON data.
            deadline: the seconds it gets; never more than are left here.
            context: hints for it, e.g. ``{"preferred_model": "gpt-4o"}``.
            task_id: what to call this piece of work; None for a name of its own.

        Raises:
            InvalidInput: the payload is no JSON.
        """
        how = Sending(deadline, context or {}, task_id)
        return (await self._gather([await self._send(agent, payload, how)]))[0]

    async def fan_out(
        self,
        agent: Agent | str | Sequence[Delegation],
        payloads: Iterable[Any] | None = None,
        /,
        *,
        deadline: float | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> list[Result[Any]]:
        """Delegate everything at once; the Results are in input order.

        As many bodies run side by side as the agents' concurrency allows; ``map`` bounds it
        further. Raises only what ``delegate`` raises.

        Args:
            agent: one agent for all payloads; or whole ``Delegation``s, and no payloads.
            payloads: the inputs.
            deadline: the seconds that each gets.
            context: hints for each.
        """
        how = Sending(deadline, context or {})
        if not isinstance(agent, Agent | str):
            return await self._gather(await self._send_all((one, None, how) for one in agent))
        if payloads is None:
            raise TypeError("fan_out(agent, payloads) needs the payloads")
        return await self._gather(await self._send_all((agent, one, how) for one in payloads))

    async def map(
        self,
        agent: Agent | str,
        payloads: Iterable[Any],
        /,
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        deadline: float | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> list[Result[Any]]:
        """Delegate every payload, at most ``concurrency`` at a time; Results in input order."""
        if concurrency < 1:
            raise ValueError(f"concurrency is at least 1, not {concurrency}")
        how = Sending(deadline, context or {})
        wishes = enumerate((agent, payload, how) for payload in payloads)
        results: dict[int, Result[Any]] = {}
        async with self.waiting():
            try:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._work_off, wishes, results, tasks, concurrency - 1)
            except ExceptionGroup as group:
                raise first_leaf(group) from None
        return [results[number] for number in range(len(results))]

    async def first(
        self,
        agents: Agent | str | Sequence[Agent | str],
        payload: Any = None,
        /,
        *,
        deadline: float | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> Result[Any]:
        """Delegate one payload to several agents: the first success; the rest is ended.

        Without any success it is the last failure.

        Raises:
            ValueError: there is nobody to delegate to.
        """
        how = Sending(deadline, context or {})
        racers: list[Any] = list(agents) if isinstance(agents, list | tuple) else [agents]
        if not racers:
            raise ValueError("first needs at least one agent")
        pending = await self._send_all((racer, payload, how) for racer in racers)
        try:
            async with self.waiting():
                while True:
                    done = await any_done(pending)
                    result: Result[Any] = done.result()
                    pending.remove(done)
                    if result.ok or not pending:
                        return result
        finally:
            self._activation.call_off(pending)

    def for_skill(self, step: str, payload: Any, *, by_model: bool) -> Context:
        """Return the context of a skill that works on a payload for this body.

        Args:
            step: the step of the run that it is.
            payload: its input.
            by_model: whether a model has written that, so that nothing in it is for the runtime.

        Raises:
            InvalidInput: the payload's ``model_config`` is wrong.
        """
        hints = self._own_hints if by_model else self._hints.within(payload)
        return Context(self._activation, self._services, hints, step)

    # --- how -------------------------------------------------------------------------------------

    async def for_thread(
        self, function: Callable[..., Awaitable[T]], /, *args: Any, **kwargs: Any
    ) -> T:
        """Run a coroutine function for a worker thread of the body; it ends with the body.

        Raises:
            Cancelled: the body is being ended.
        """
        self._activation.check()
        with anyio.CancelScope() as scope:
            self._activation.calls |= {scope}
            try:
                return await function(*args, **kwargs)
            finally:
                self._activation.calls -= {scope}
        raise Cancelled(f"{self.agent}/{self.task_id} was ended while it waited")

    async def _send(self, agent: Agent | str | Delegation, payload: Any, how: Sending) -> Pending:
        self._activation.check()
        if self._activation.run.conduct.held is not None:
            await self.may_begin()
        own = self._activation.limits.data_class
        if own or self._hints.data_classes:
            classes = self._hints.data_classes | {name for name in (own,) if name}
            how = how.with_data_classes(classes, agent)
        dialogue = self._activation.dialogue
        if dialogue != self._activation.run.dialogue:
            how = how.within(dialogue.as_context(), agent)
        return await self._services.send(self._activation, agent, payload, how)

    async def _send_all(
        self, wishes: Iterable[tuple[Agent | str | Delegation, Any, Sending]]
    ) -> list[Pending]:
        pending: list[Pending] = []
        try:
            for number, wish in enumerate(wishes, 1):
                if number % BURST == 0:
                    await anyio.lowlevel.checkpoint()
                pending.append(await self._send(*wish))
        except BaseException:
            self._activation.call_off(pending)
            raise
        return pending

    async def _work_off(
        self,
        wishes: Iterable[tuple[int, tuple[Agent | str, Any, Sending]]],
        results: dict[int, Result[Any]],
        tasks: TaskGroup,
        others: int,
    ) -> None:
        """Delegate one after another, beside ``others`` who do the same."""
        for number, wish in wishes:
            future = await self._send(*wish)
            if others:  # one worker a payload, not one for each that there might be
                tasks.start_soon(self._work_off, wishes, results, tasks, others - 1)
                others = 0
            results[number] = await future

    async def _gather(self, pending: list[Pending]) -> list[Result[Any]]:
        """Wait for all of them; when that is cancelled, all end."""
        try:
            async with self.waiting():
                return [await future for future in pending]
        except BaseException:
            self._activation.call_off(pending)
            raise
