"""From a question to what is asked, of whom, in which order, and on which terms.

Nothing is asked and nothing is waited for here, so that ``explain`` can tell what a question would
come to without asking it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.cascade import Course
from runtime.elsewhere import target_at
from runtime.errors import PolicyDenied
from runtime.estimate import estimate_input
from runtime.invocations.case import Case
from runtime.messages import Image, ModelRequest
from runtime.routing import Needs, Task, Wish, World, plan
from runtime.shapes.tool_shape import SCHEMA_NAME, Choice

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.agent import Limits
    from runtime.answers import AnswerType
    from runtime.catalog import Catalog, RouteEntry, RoutingFile, Target
    from runtime.messages import Price, Tool
    from runtime.routing import Learned, Plan
    from runtime.rules import Rules
    from runtime.shapes.tool_shape import Form
    from runtime.wishes import Question

USUAL_TTL_S = 86_400.0  # of an answer that may be given again
MOST = 2**31  # tokens; more than any model generates


class Who(NamedTuple):
    """Who asks.

    Attributes:
        agent: the agent's slug.
        limits: what the catalog says of it.
        proposal: the model that its code proposes.
        wishes: whom the one who started the run wants asked, strongest first.
        routing: the routing file of the run; None for the catalog's default.
        tenant: for whom the run is; empty for nobody.
        seed: what chance is drawn from.
        now: the time, in seconds of the event loop's clock.
        override: whom a fork wants asked, whatever others wish; None where it is none.
    """

    agent: str
    limits: Limits
    proposal: str | None = None
    wishes: tuple[Wish, ...] = ()
    routing: str | None = None
    tenant: str = ""
    seed: str = ""
    now: float = 0.0
    override: Wish | None = None


class Prepared(NamedTuple):
    """A question that can be asked.

    Attributes:
        request: what is asked; the cascade puts each target in.
        plan: whom to ask, and why.
        course: how to go from target to target.
        data_classes: the kinds of data in it.
        cache_ttl_s: for how long the answer to an equal question may be given again; None: not.
        base_url: where it is asked, if not at its provider's own address.
    """

    request: ModelRequest
    plan: Plan
    course: Course
    data_classes: frozenset[str]
    cache_ttl_s: float | None = None
    base_url: str | None = None


class Planner:
    """Prepares questions.

    Args:
        catalog: routing, providers and policies.
        rules: the policies, asked of today.
        price_of: the price of a target; None when nobody knows it.
        learned: how targets have been.
    """

    def __init__(
        self,
        catalog: Catalog,
        rules: Rules,
        price_of: Callable[[Target], Price | None],
        learned: Learned,
    ) -> None:
        self._catalog = catalog
        self._rules = rules
        self._price_of = price_of
        self._learned = learned

    def prepare(
        self, who: Who, question: Question, answer: AnswerType, tools: tuple[Tool, ...] = ()
    ) -> Prepared:
        """Return what a question comes to.

        Args:
            who: who asks.
            question: the question.
            answer: the type of its answer.
            tools: what the model may call.

        Raises:
            UnknownName: there is no such model.
            PolicyDenied: a rule forbids asking all that would be asked.
        """
        hints = question.hints
        classes = data_classes_of(who, question)
        self._rules.check_classes(classes)
        base_url = hints.first("base_url")
        if base_url is not None:
            self._rules.check_address(base_url)
        request = request_of(who.limits, question, answer, tools)
        forbids = partial(self._forbids, data_classes=classes, base_url=base_url)
        found = self._plan(who, question, request, forbids)
        if base_url is not None:
            found = self._at(found, base_url)
        return Prepared(
            request=_with_route(request, found.route, question),
            plan=found,
            course=self._course(found, self._catalog.routing_of(who.routing)),
            data_classes=classes,
            cache_ttl_s=_cache_ttl(question, found.route),
            base_url=base_url,
        )

    def proposed(self, who: Who, question: Question, answer: AnswerType) -> Plan:
        """Return whom a question would be asked of if no policy forbade anything.

        Raises:
            UnknownName: there is no such model.
        """
        request = request_of(who.limits, question, answer)
        return self._plan(who, question, request, lambda _: None)

    def case_of(self, who: Who, prepared: Prepared, target: Target) -> Case:
        """Return on which terms a target is asked."""
        names = {"agent": who.agent, "provider": target.provider, "tenant": who.tenant}
        route = prepared.plan.route
        return Case(
            price=self._price_of(target),
            terms=self._rules.terms(names, prepared.data_classes),  # type: ignore[arg-type]  # its keys are subjects
            data_classes=prepared.data_classes,
            region=self._rules.region(target.provider, prepared.base_url),
            level=prepared.plan.level,
            route="" if route is None else route.task_type,
            in_process=self._catalog.providers[target.provider].dialect == "echo",
        )

    def check(self, target: Target, prepared: Prepared) -> None:
        """Ask policy once more, just before a target is asked.

        Raises:
            PolicyDenied: it forbids that.
        """
        why = self._forbids(target, data_classes=prepared.data_classes, base_url=prepared.base_url)
        if why is not None:
            raise PolicyDenied(why, denied=((str(target), why),))

    def _plan(
        self,
        who: Who,
        question: Question,
        request: ModelRequest,
        forbids: Callable[[Target], str | None],
    ) -> Plan:
        routing = self._catalog.routing_of(who.routing)
        strict: bool | None = question.hints.first("structured_output")
        needs = _needs(request, strict=strict)
        task = Task(
            type=task_type_of(who, question),
            is_named=(question.task_type or question.hints.task_type) is not None,
            needs=needs,
            has_schema=request.schema is not None and strict is not False,
            input_tokens=needs.context_tokens - (request.max_output_tokens or 0),
            seed=partial(_seed, who, question),
            now=who.now,
        )
        world = World(routing, self._catalog.providers, forbids, self._learned, self._price_of)
        return plan(_strong(who, question), _weak(who), task, world)

    def _forbids(
        self, target: Target, *, data_classes: frozenset[str], base_url: str | None
    ) -> str | None:
        if base_url is not None:
            target = target_at(base_url, target, self._catalog.providers)
        denial = self._rules.forbids(target, data_classes, base_url=base_url)
        return None if denial is None else str(denial)

    def _at(self, found: Plan, base_url: str) -> Plan:
        """Return the plan for a server that a payload names: nobody else has its address."""
        target = target_at(base_url, found.targets[0], self._catalog.providers)
        self._rules.check_home(target.provider, base_url)
        return found._replace(targets=(target,), passed_over=())

    def _course(self, found: Plan, routing: RoutingFile) -> Course:
        route = found.route
        attempts = (route and route.attempts) or routing.attempts
        denied = (one for one in found.passed_over if one.denied)
        return Course(
            targets=found.targets,
            fallback_on=routing.falls_through_in(route) if route else routing.falls_through,
            per_target=attempts.per_target,
            total=attempts.total,
            is_proposed=found.is_proposed,
            windows={target: self._window(target) for target in found.targets},
            passed_over=tuple(
                PolicyDenied(one.why, denied=((str(one.target), one.why),)) for one in denied
            ),
        )

    def _window(self, target: Target) -> int | None:
        entry = self._catalog.providers[target.provider].models.get(target.model)
        return None if entry is None else entry.context_tokens


def data_classes_of(who: Who, question: Question) -> frozenset[str]:
    """Return the kinds of data in a question: all that anybody says."""
    said = (who.limits.data_class, question.data_class)
    return question.hints.data_classes | {name for name in said if name}


def request_of(
    limits: Limits, question: Question, answer: AnswerType, tools: tuple[Tool, ...] = ()
) -> ModelRequest:
    """Return what is asked, whoever will be asked it and by whatever route."""
    hints = question.hints
    form: Form = hints.first("form")
    choice: Choice = hints.first("choice") if tools else Choice()
    temperature = question.temperature
    own = answer.schema is not None  # the type of the answer goes before a form that data names
    schema = answer.schema if own else form.schema
    return ModelRequest(
        provider="",
        model="",
        messages=question.messages,
        system=hints.first("system") if question.system is None else question.system,
        schema=schema,
        schema_name=SCHEMA_NAME if own else form.name,
        schema_strict=None if own else form.strict,
        json_object=form.json_object and schema is None,
        tools=tools,
        tool_choice=choice.choice,
        forced_tool=choice.forced,
        max_output_tokens=min(_wished_output(question) or MOST, limits.max_output_tokens),
        temperature=hints.first("temperature") if temperature is None else temperature,
        reasoning=question.reasoning or hints.first("reasoning"),
        stop=question.stop or hints.first("stop"),
    )


def _with_route(
    request: ModelRequest, route: RouteEntry | None, question: Question
) -> ModelRequest:
    """Return a request with what a route says where the question says nothing."""
    strict = question.hints.first("structured_output")
    if strict is None and route is not None and route.structured_output:
        strict = True
    if strict is not None and request.schema is not None:
        request = request.changed(schema_strict=strict)
    if route is None:
        return request
    if request.temperature is None:
        request = request.changed(temperature=route.temperature)
    if route.max_output_tokens is not None and _wished_output(question) is None:
        allowed = min(route.max_output_tokens, request.max_output_tokens or MOST)
        request = request.changed(max_output_tokens=allowed)
    return request


def _wished_output(question: Question) -> int | None:
    wished: int | None = _first(
        question.max_output_tokens, question.hints.first("max_output_tokens")
    )
    return wished


def _cache_ttl(question: Question, route: RouteEntry | None) -> float | None:
    """Return for how long the answer to an equal question may be given again."""
    hint = question.hints.first("use_cache")
    if not _first(question.use_cache, hint, route and route.use_cache):
        return None
    return (route and route.cache_ttl_s) or USUAL_TTL_S


def task_type_of(who: Who, question: Question) -> str:
    """Return the type of task that routes go by."""
    return question.task_type or question.hints.task_type or who.limits.task_type or who.agent


def wishes_of(who: Who, question: Question) -> tuple[Wish, ...]:
    """Return whom everybody wants asked, strongest first, without what a route says."""
    return (*_strong(who, question), *_weak(who))


def _strong(who: Who, question: Question) -> tuple[Wish, ...]:
    return (
        *(() if who.override is None else (who.override,)),
        Wish(question.model, question.provider, "ask"),
        *question.hints.wishes(),
        *who.wishes,
    )


def _weak(who: Who) -> tuple[Wish, ...]:
    return Wish(who.limits.model, None, "agent"), Wish(who.proposal, None, "proposal")


def _needs(request: ModelRequest, *, strict: bool | None) -> Needs:
    images = (
        part
        for message in request.messages
        if not isinstance(message.content, str)
        for part in message.content
        if isinstance(part, Image)
    )
    return Needs(
        tools=bool(request.tools),
        vision=next(images, None) is not None,
        structured_output=bool(request.schema_strict or (strict and request.schema is not None)),
        context_tokens=estimate_input(request) + (request.max_output_tokens or 0),
    )


def _seed(who: Who, question: Question) -> str:
    """Return what chance is drawn from: an equal question of a task goes the same way again."""
    return f"{who.seed}/{[message.content for message in question.messages]}"


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)
