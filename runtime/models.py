"""A question to a model from the agent's side: prepare, allow, ask in order, read the answer.

Whom a question goes to and on which terms is the planner's (``planner``, ``routing``), the walk
from target to target is ``cascade``'s, what one call costs and notes is ``invocation``'s, tools are
``tool_loop``'s, pieces are ``model_stream``'s. Rate limits, retries and connections are the
provider actor's affair.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from otel.log_scope import within
from otel.measurements import Called, fell_back
from runtime.answers import answer_type
from runtime.asking import Asking, NotInherited, asker_of, who_asks
from runtime.cascade import Cascade, Walked
from runtime.catalog import Target
from runtime.errors import AllTargetsFailed, PolicyDenied, UnknownName
from runtime.inquiry import Who, data_classes_of
from runtime.invocations.beginning import begin
from runtime.invocations.denials import denials_noted
from runtime.invocations.recall import StepIsDone, pieces_of, recalled
from runtime.invocations.waits import sleep_until_circuit
from runtime.messages import ModelEvent, ModelReply
from runtime.model_stream import BUFFER, Flow, ModelStream, RecalledFlow
from runtime.plan_spans import planning
from runtime.replies import Replies, Wanted
from runtime.tool_loop import converse, offered

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from otel import Span
    from runtime.accounts import Accounts
    from runtime.activation import Activation
    from runtime.agent import Skill
    from runtime.answers import AnswerType
    from runtime.cascade import Fallen
    from runtime.elsewhere import Elsewhere
    from runtime.invocations.case import Asker
    from runtime.invocations.invocation import Doors, Invocation
    from runtime.messages import ModelRequest, Tool, ToolCall
    from runtime.planner import Planner, Prepared
    from runtime.wishes import Question

T = TypeVar("T")


class Models:
    """Asks models for agents.

    Args:
        planner: prepares questions.
        accounts: hands requests to their providers' actors.
        elsewhere: accounts at addresses that payloads name.
        doors: what calls go out by.
    """

    def __init__(
        self, planner: Planner, accounts: Accounts, elsewhere: Elsewhere, doors: Doors
    ) -> None:
        self._planner = planner
        self._accounts = accounts
        self._elsewhere = elsewhere
        self._doors = doors
        self._replies = Replies(doors.tracing)

    async def ask(
        self,
        activation: Activation,
        question: Question,
        skills: Iterable[Skill],
        use: Callable[[Skill, Any, str], Awaitable[Any]],
        note: Callable[[ToolCall, str], None],
    ) -> Any:
        """Ask a model and return its answer as the type that the question names.

        Args:
            activation: whose question it is.
            question: the question.
            skills: the skills that its payload may name as tools.
            use: runs a skill that the model calls by an id.
            note: notes a call of the model's that reaches no skill, and why.

        Raises:
            UnknownName: there is no such model.
            ConfigurationError: the type of the answer has no JSON Schema.
            PolicyDenied: a rule forbids asking it.
            BudgetExceeded: what it may cost does not fit.
            ProviderError: the call failed.
            InvalidOutput: the answer is not what was asked for.
        """
        if not question.is_plan:
            return await self._ask(activation, question, skills, use, note, below=activation.span)
        with planning(self._doors.tracing, activation) as span:
            return await self._ask(activation, question, skills, use, note, below=span)

    async def _ask(
        self,
        activation: Activation,
        question: Question,
        skills: Iterable[Skill],
        use: Callable[[Skill, Any, str], Awaitable[Any]],
        note: Callable[[ToolCall, str], None],
        *,
        below: Span,
    ) -> Any:
        """Ask below a span."""
        whole = question.returns is ModelReply
        answer = answer_type(str if whole else question.returns)
        offers, others = offered(question.tools, question.hints.said.tools, skills)
        tools = (*[offer.tool for offer in offers.values()], *others)
        asking = self._prepare(activation, question, answer, below, tools)

        async def once(request: ModelRequest) -> ModelReply:
            nonlocal asking  # who has answered once goes on: it knows its own thoughts
            activation.turns += 1
            while True:
                try:
                    walked = await self._answered(asking, request)
                    break
                except NotInherited:
                    asking = self._override(asking, question, answer, tools)
            asking = asking.from_target(walked.target)
            if not walked.failures:
                return walked.answer
            return replace(walked.answer, fallen_from=walked.failures)

        request, turns = asking.request, question.max_turns
        if tools:
            reply = await converse(
                request, offers, others=others, ask=once, use=use, note=note, turns=turns
            )
        else:
            reply = await once(request)
        return reply if whole else answer.parse(_said(reply), str(asking.first))

    def stream(self, activation: Activation, question: Question) -> ModelStream:
        """Return the answer to a question in pieces; its first piece asks. Raises what ask does."""

        async def start() -> Flow | RecalledFlow:
            activation.check()
            activation.turns += 1
            answer = answer_type(str)
            asking = self._prepare(activation, question, answer, activation.span)
            request = asking.request.changed(stream=True)
            while True:
                asking = self._as_before(asking, request)
                try:
                    walked = await self._walk(asking, request, partial(self._open, asking))
                except NotInherited:
                    asking = self._override(asking, question, answer)
                else:
                    return walked.answer

        return ModelStream(start)

    def _prepare(
        self,
        activation: Activation,
        question: Question,
        answer: AnswerType,
        below: Span,
        tools: tuple[Tool, ...] = (),
    ) -> Asking:
        """Prepare a question, and note that policy forbids it, if it does."""
        who, asker, overrides = (
            who_asks(activation),
            asker_of(activation, below),
            activation.run.overrides,
        )
        with denials_noted(asker, data_classes_of(who, question)):
            for number, override in enumerate((None, *overrides)):
                try:
                    own = who if override is None else who._replace(override=override)
                    prepared = self._planner.prepare(own, question, answer, tools)
                    return self._asking(activation, own, asker, prepared, number)
                except (PolicyDenied, UnknownName):
                    if number == len(overrides):
                        raise
        raise AssertionError

    def _override(
        self,
        asking: Asking,
        question: Question,
        answer: AnswerType,
        tools: tuple[Tool, ...] = (),
    ) -> Asking:
        """Prepare a question once more, for whom a fork wants asked."""
        activation, asker, number = asking.activation, asking.asker, asking.overridden
        who = asking.who._replace(override=activation.run.overrides[number])
        with denials_noted(asker, data_classes_of(who, question)):
            prepared = self._planner.prepare(who, question, answer, tools)
        return self._asking(activation, who, asker, prepared, number + 1)

    @staticmethod
    def _asking(
        activation: Activation, who: Who, asker: Asker, prepared: Prepared, overridden: int
    ) -> Asking:
        deadline = activation.delegation.deadline
        run_id, task_id = asker.run.id, asker.task_id
        request = prepared.request.changed(deadline=deadline, run_id=run_id, task_id=task_id)
        denied = [one for one in prepared.plan.passed_over if one.denied]
        return Asking(activation, who, asker, prepared, request, denied, {}, overridden)

    async def _answered(self, asking: Asking, request: ModelRequest) -> Walked[ModelReply]:
        """Ask, or give again what was answered to an equal question."""
        asking = self._as_before(asking, request)
        walk = partial(self._walk, asking, request, partial(self._call, asking))
        ttl_s = asking.prepared.cache_ttl_s
        if ttl_s is None:
            return await walk()
        walked: list[Walked[ModelReply]] = []

        async def ask() -> ModelReply:
            walked.append(await walk())
            return walked[0].answer

        first = self._at(asking, asking.first, request)
        asking.check_inherited(first, "chat", "cached")
        case = self._planner.case_of(asking.who, asking.prepared, asking.first)
        reply = await self._replies.reply(Wanted(asking.asker, first, case, ttl_s), ask)
        return walked[0] if walked else Walked(reply, asking.first, ())

    def _as_before(self, asking: Asking, request: ModelRequest) -> Asking:
        """Return it with the target first that was asked first before the run was interrupted.

        What targets have been like meanwhile may have changed the order of a route.
        """
        recorded, course = asking.activation.run.recorded, asking.prepared.course
        if recorded is None or not course.is_proposed or len(course.targets) == 1:
            return asking
        asked = {
            step.seq: target
            for target in course.targets
            for step in asking.steps_of(self._at(asking, target, request), "chat", "cached")
        }
        return asking.from_target(asked[min(asked)]) if asked else asking

    async def _walk(
        self,
        asking: Asking,
        request: ModelRequest,
        ask: Callable[[ModelRequest, Fallen | None], Awaitable[T]],
    ) -> Walked[T]:
        asker, tracing = asking.asker, self._doors.tracing
        sleep_until = partial(sleep_until_circuit, tracing, asker.span, asker.reason_of)
        check = partial(self._check, asking)
        cascade = Cascade(asking.prepared.course, check, self._fell, sleep_until)
        try:
            return await cascade.walk(request, ask)
        except AllTargetsFailed:
            asking.note_denied_before(None)
            raise

    def _check(self, asking: Asking, target: Target) -> None:
        asking.note_denied_before(target)
        with denials_noted(asking.asker, asking.prepared.data_classes):
            self._planner.check(target, asking.prepared)

    def _fell(self, target: Target, error_type: str) -> None:
        if self._doors.metrics.on:
            fell_back(self._doors.metrics, Called(*target), error_type)

    def _at(self, asking: Asking, target: Target, request: ModelRequest) -> ModelRequest:
        """Return a request to a target, at the address that its payload names, if any."""
        base_url = asking.prepared.base_url
        account = "" if base_url is None else self._elsewhere.account(target.provider, base_url)
        return request.changed(provider=target.provider, model=target.model, account=account)

    async def _call(
        self, asking: Asking, request: ModelRequest, fallen: Fallen | None
    ) -> ModelReply:
        await asking.activation.may_begin()
        conduct = asking.asker.run.conduct
        conduct.began()
        try:
            return await self._called(asking, request, fallen)
        finally:
            conduct.ended()

    async def _called(
        self, asking: Asking, request: ModelRequest, fallen: Fallen | None
    ) -> ModelReply:
        try:
            invocation = await self._begin(asking, request, fallen)
        except StepIsDone as done:
            return await recalled(asking.asker, request, done.event)
        try:
            await asking.asker.run.written()
            with invocation.span.attached(), within(invocation.span):
                reply = await self._accounts.ask(invocation.request, payer=invocation).reply()
        except BaseException as error:
            invocation.failed(error)
            raise
        invocation.completed(reply)
        await asking.asker.run.written()
        return reply

    async def _open(
        self, asking: Asking, request: ModelRequest, fallen: Fallen | None
    ) -> Flow | RecalledFlow:
        """Ask for an answer in pieces, and return once there is a first one."""
        await asking.activation.may_begin()
        try:
            invocation = await self._begin(asking, request, fallen)
        except StepIsDone as done:
            body, reply = done.event.body, await recalled(asking.asker, request, done.event)
            return RecalledFlow(reply, pieces_of(body), is_endless="ended_by" in body)
        send, receive = anyio.create_memory_object_stream[ModelEvent](BUFFER)
        try:
            await asking.asker.run.written()
            with within(invocation.span):
                asked = self._accounts.ask(invocation.request, send, payer=invocation)
        except BaseException as error:
            send.close()
            receive.close()
            invocation.failed(error)
            raise
        asked.when_done(send.close)  # whoever was to send may have died before it began
        flow = Flow(invocation, asked, receive, asking.activation.flow_ended)
        asking.activation.flow_began(flow)
        try:
            await flow.begin()
        except BaseException:
            flow.close()
            raise
        return flow

    async def _begin(
        self, asking: Asking, request: ModelRequest, fallen: Fallen | None
    ) -> Invocation:
        target = Target(request.provider, request.model)
        here = request if asking.prepared.base_url is None else self._at(asking, target, request)
        asking.check_inherited(here, "chat")
        case = self._planner.case_of(asking.who, asking.prepared, target)
        asking.activation.model_calls += 1
        if fallen is not None:
            case = case._replace(instead=asking.instead_of(fallen))
        invocation = await begin(asking.asker, here, case, self._doors)
        asking.chats[target] = invocation.span
        return invocation


def _said(reply: ModelReply) -> str:
    """Return the text of a reply; of one that only calls tools of others, these calls as JSON."""
    if reply.text or not reply.tool_calls:
        return reply.text
    calls = [{"name": call.name, "arguments": call.arguments} for call in reply.tool_calls]
    return json.dumps(calls, ensure_ascii=False)
