"""From a question to what is asked, of whom, in which order, and on which terms.

Nothing is asked and nothing is waited for here, so that ``explain`` can tell what a question would
come to without asking it.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple

from runtime.cascade import Course
from runtime.elsewhere import target_at
from runtime.errors import PolicyDenied
from runtime.estimate import estimate_input
from runtime.inquiry import (
    Called,
    Sought,
    data_classes_of,
    needs_of,
    seed_of,
    strong_wishes,
    task_type_of,
    weak_wishes,
)
from runtime.invocations.case import Case
from runtime.posing import cache_ttl_s, request_of, with_route
from runtime.routing import Task, World, plan, route_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.answers import AnswerType
    from runtime.catalog import Catalog, RoutingFile, Subject, Target
    from runtime.inquiry import Who
    from runtime.messages import ModelRequest, Price, Tool
    from runtime.routing import Learned, Plan
    from runtime.rules import Rules
    from runtime.wishes import Question

MOST_KEPT = 4_096


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


class Way(NamedTuple):
    """Whom a question goes to, and how from one to the next."""

    plan: Plan
    course: Course


class Planner:
    """Prepares questions. What does not change from call to call is worked out once.

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
        self._kept_way = lru_cache(MOST_KEPT)(self._way)
        self._kept_case = lru_cache(MOST_KEPT)(self._case)
        self._lists_targets = lru_cache(MOST_KEPT)(self._find_list)

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
        classes = data_classes_of(who, question)
        self._rules.check_classes(classes)
        base_url = question.hints.said.base_url
        if base_url is not None:
            self._rules.check_address(base_url)
        request = request_of(who.limits, question, answer, tools)
        found, course = self._way_of(who, question, request, classes)
        return Prepared(
            request=with_route(request, found.route, question),
            plan=found,
            course=course,
            data_classes=classes,
            cache_ttl_s=cache_ttl_s(question, found.route),
            base_url=base_url,
        )

    def proposed(self, who: Who, question: Question, answer: AnswerType) -> Plan:
        """Return whom a question would be asked of if no policy forbade anything.

        Raises:
            UnknownName: there is no such model.
        """
        request = request_of(who.limits, question, answer)
        task = self._task(who, question, request)
        world = self._world(who.routing, lambda _: None)
        return plan(strong_wishes(who, question), weak_wishes(who), task, world)

    def case_of(self, who: Who, prepared: Prepared, target: Target) -> Case:
        """Return on which terms a target is asked."""
        route = prepared.plan.route
        return self._kept_case(
            Called(
                target,
                who.agent,
                who.tenant,
                prepared.plan.level,
                "" if route is None else route.task_type,
                prepared.data_classes,
                prepared.base_url,
                self._rules.today,
            )
        )

    def check(self, target: Target, prepared: Prepared) -> None:
        """Ask policy once more, just before a target is asked.

        Raises:
            PolicyDenied: it forbids that.
        """
        why = self._forbids(target, data_classes=prepared.data_classes, base_url=prepared.base_url)
        if why is not None:
            raise PolicyDenied(why, denied=((str(target), why),))

    def _way_of(
        self, who: Who, question: Question, request: ModelRequest, classes: frozenset[str]
    ) -> Way:
        """Return the way of a question; the same one again, unless it depends on more than names.

        Raises:
            UnknownName: there is no such model.
            PolicyDenied: a rule forbids asking all that would be asked.
        """
        task = self._task(who, question, request)
        sought = Sought(
            strong_wishes(who, question),
            weak_wishes(who),
            task,
            who.routing,
            classes,
            question.hints.said.base_url,
            self._rules.today,
        )
        if self._lists_targets(task.type, who.routing):
            return self._way(sought)
        return self._kept_way(sought)

    def _task(self, who: Who, question: Question, request: ModelRequest) -> Task:
        """Return what routing must know; what only a list of targets goes by only for one."""
        strict = question.hints.said.structured_output
        task = Task(
            type=task_type_of(who, question),
            is_named=(question.task_type or question.hints.task_type) is not None,
            needs=needs_of(request, strict=strict),
            has_schema=request.schema is not None and strict is not False,
        )
        if not self._lists_targets(task.type, who.routing):
            return task
        tokens = estimate_input(request)
        return task._replace(
            needs=task.needs._replace(context_tokens=tokens + (request.max_output_tokens or 0)),
            input_tokens=tokens,
            seed=partial(seed_of, who, question),
            now=who.now,
        )

    def _case(self, call: Called) -> Case:
        target, classes = call.target, call.data_classes
        names: dict[Subject, str] = {
            "agent": call.agent,
            "provider": target.provider,
            "tenant": call.tenant,
        }
        return Case(
            price=self._price_of(target),
            terms=self._rules.terms(names, classes),
            data_classes=classes,
            region=self._rules.region(target.provider, call.base_url),
            level=call.level,
            route=call.route,
            in_process=self._catalog.providers[target.provider].dialect == "echo",
        )

    def _find_list(self, task_type: str, routing: str | None) -> bool:
        """Whether the route of a type of task lists targets, which are ordered for each call."""
        route = route_for(task_type, self._catalog.routing_of(routing))
        return route is not None and bool(route.targets)

    def _way(self, sought: Sought) -> Way:
        classes, base_url = sought.data_classes, sought.base_url
        forbids = partial(self._forbids, data_classes=classes, base_url=base_url)
        world = self._world(sought.routing, forbids)
        found = plan(sought.strong, sought.weak, sought.task, world)
        if base_url is not None:
            found = self._at(found, base_url)
        return Way(found, self._course(found, world.routing))

    def _world(self, routing: str | None, forbids: Callable[[Target], str | None]) -> World:
        file = self._catalog.routing_of(routing)
        return World(file, self._catalog.providers, forbids, self._learned, self._price_of)

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
