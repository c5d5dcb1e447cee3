"""What a question of an agent would come to, and why: told without asking anybody.

It goes the way of a real question, through ``start``, ``explicit`` and ``planner``. What code
decides while it runs is not known: ``ctx.ask(model=...)``, the type of the answer, and the prompt,
for which the agent's input stands in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runtime.answers import answer_type
from runtime.catalog import NotConfigured, Target, profile_of
from runtime.errors import PolicyDenied, RuntimeFault
from runtime.explain.explanation import Choice, Explanation
from runtime.explain.reasons import Decision, Reason, code_of, reasons_of
from runtime.explicit import FOR_THE_RUNTIME, hints_of
from runtime.governance.cost import dollars, most_input, worst_case
from runtime.governance.lifecycle import stage_of
from runtime.inquiry import Who, task_type_of, wishes_of
from runtime.invocations.bounds import check_bounds
from runtime.messages import Message
from runtime.registration import budget_of
from runtime.wishes import Question

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.agent import Agent, Limits
    from runtime.catalog import Catalog
    from runtime.directory import Directory
    from runtime.messages import ModelRequest
    from runtime.planner import Planner, Prepared
    from runtime.rules import Rules
    from runtime.start import Start

MOST_AGENTS = 200  # of one explanation


class Explainer:
    """Explains what agents would ask.

    Args:
        catalog: what they run by.
        directory: the agents.
        planner: prepares their questions.
        rules: the policies.
        environ: the environment variables.
    """

    def __init__(
        self,
        catalog: Catalog,
        directory: Directory,
        planner: Planner,
        rules: Rules,
        environ: Mapping[str, str],
    ) -> None:
        self._catalog = catalog
        self._directory = directory
        self._planner = planner
        self._rules = rules
        self._environ = environ

    def explain(self, start: Start, context: Mapping[str, Any]) -> list[Explanation]:
        """Explain the agent that a run begins with, and those that it may delegate to.

        Args:
            start: what the run is started with.
            context: the hints of its Delegation.

        Raises:
            UnknownName: there is no such provider or model.
            InvalidInput: context or input are wrong.
        """
        told = []
        for slug, classes in self._reached(start, hints_of(context, start.payload).data_classes):
            is_root = slug == start.agent
            said = {**context} if is_root else {"data_class": sorted(classes)}
            told.append(self._explain(slug, start, said, start.payload if is_root else None))
        return told

    def _reached(
        self, start: Start, classes: frozenset[str]
    ) -> Iterator[tuple[str, frozenset[str]]]:
        """Yield the agents, as far as the catalog names them, with the kinds of data they get."""
        seen: set[str] = set()
        waiting = [(start.agent, classes)]
        while waiting and len(seen) < MOST_AGENTS:
            slug, classes = waiting.pop(0)
            if slug in seen:
                continue
            seen.add(slug)
            yield slug, classes
            limits = self._directory.agents[slug].limits
            own = (limits.data_class,) if limits.data_class else ()
            waiting += ((each, classes.union(own)) for each in sorted(limits.agents or ()))

    def _explain(
        self, slug: str, start: Start, context: Mapping[str, Any], payload: Any
    ) -> Explanation:
        agent, limits = self._directory.agents[slug]
        if payload is not None:
            agent.signature.arguments(agent.signature.without(payload, FOR_THE_RUNTIME))
        hints = hints_of(context, payload)
        who = _who(agent, limits, start)
        question = Question(messages=(Message("user", self._prompt(slug, payload)),), hints=hints)
        told = Explanation(slug, self._place(agent), task_type_of(who, question))
        wishes = wishes_of(who, question)
        routing = self._catalog.routing_of(start.options.routing)
        decision = Decision(agent, start.name, routing, wishes)
        try:
            prepared = self._planner.prepare(who, question, answer_type(str))
        except PolicyDenied as error:
            told.fault = error
            told.targets = [Choice(Target.read(name), why) for name, why in error.denied]
            proposed = self._planner.proposed(who, question, answer_type(str))
            told.because, told.overruled = reasons_of(decision, proposed, self._catalog)
            return told
        told.because, told.overruled = reasons_of(decision, prepared.plan, self._catalog)
        told.targets = [Choice(target) for target in prepared.plan.targets]
        told.targets += [Choice(one.target, one.why) for one in prepared.plan.passed_over]
        told.warnings += self._warnings(prepared.plan.targets)
        self._tell_way(told, prepared)
        self._tell_terms(told, start, prepared, who)
        return told

    def _prompt(self, slug: str, payload: Any) -> str:
        """Return what stands in for the prompt: the input, and what the catalog says is asked."""
        entry = self._catalog.agents.get(slug)
        said = () if entry is None else (entry.system, entry.prompt)
        given = payload
        if isinstance(payload, Mapping):
            given = {name: payload[name] for name in payload if name not in FOR_THE_RUNTIME}
        text = "" if given is None else json.dumps(given, ensure_ascii=False)
        return "\n".join(part for part in (*said, text) if part)

    def _place(self, agent: Agent) -> str:
        entry = self._catalog.agents.get(agent.name)
        return code_of(agent.body) if entry is None else self._catalog.line(entry)

    def _warnings(self, targets: tuple[Target, ...]) -> Iterator[str]:
        for provider in dict.fromkeys(target.provider for target in targets):
            try:
                profile_of(provider, self._catalog.providers[provider], self._environ)
            except NotConfigured as error:
                yield str(error)
        for target in targets:
            stage = stage_of(target, self._catalog, self._rules.today)
            if stage is not None:
                yield f"{target} {stage}"

    def _tell_way(self, told: Explanation, prepared: Prepared) -> None:
        """Tell how the question goes from target to target."""
        plan, course = prepared.plan, prepared.course
        told.is_proposed = plan.is_proposed
        told.is_drawn = plan.is_proposed and plan.route is not None and plan.route.weighed
        if len(course.targets) > 1:
            told.fallback_on = tuple(sorted(course.fallback_on))
        told.cache_ttl_s = prepared.cache_ttl_s

    def _tell_terms(self, told: Explanation, start: Start, prepared: Prepared, who: Who) -> None:
        target, request = prepared.plan.targets[0], self._request(who, prepared)
        cases = [self._planner.case_of(who, prepared, each) for each in prepared.plan.targets]
        case = cases[0]
        told.price = case.price
        told.limits = tuple(dict.fromkeys(one for each in cases for one in each.terms.limits))
        told.needed_nano_usd = 0 if case.counted is None else worst_case(request, case.counted)
        told.most_prompt_tokens = most_input(request)
        told.most_output_tokens = request.max_output_tokens or 0
        prices = [each.counted for each in cases if each.counted is not None]
        if len(prices) == len(cases):
            told.most_nano_usd = max(worst_case(request, price) for price in prices)
        told.data_classes = prepared.data_classes
        verdicts = self._rules.verdicts(target, prepared.data_classes, prepared.base_url)
        told.policies = [Reason(*each) for each in verdicts]
        budget = budget_of(start.options.budget_usd, self._rules.run_limit)
        told.budget = self._budget(start, budget.limit)
        try:
            limited = told.budget is not None or bool(case.terms.limits)
            check_bounds(target, request, case, limited=limited)
            budget.check(told.needed_nano_usd)
        except RuntimeFault as error:
            told.fault = error

    def _request(self, who: Who, prepared: Prepared) -> ModelRequest:
        """Return what is asked, with the schema of the answer where the catalog says it."""
        agent = self._directory.agents[who.agent].agent
        entry = self._catalog.agents.get(who.agent)
        if entry is None or entry.prompt is None:
            return prepared.request
        return prepared.request.changed(schema=agent.signature.output_schema)

    def _budget(self, start: Start, amount: int | None) -> Reason | None:
        """Return what the run may cost, and who says so; the tightest counts."""
        wished, limit = start.options.budget_usd, self._rules.run_limit
        if amount is None:
            return None
        if limit is not None and amount == limit.amount:
            return Reason(f"${dollars(limit.amount)}", limit.source)
        workflow = self._catalog.workflows.get(start.name)
        own = workflow is not None and workflow.budget_usd == wished
        where = self._catalog.line(workflow, "budget_usd") if own else "--budget-usd"
        return Reason(f"${dollars(amount)}", where)


def _who(agent: Agent, limits: Limits, start: Start) -> Who:
    return Who(
        agent=agent.name,
        limits=limits,
        proposal=agent.model,
        wishes=start.wishes,
        routing=start.options.routing,
        tenant=start.options.tenant or "",
    )
