"""What a question of an agent would come to, and why: told without asking anybody.

It goes the way of a real question, through ``start``, ``explicit`` and ``planner``. What code
decides while it runs is not known: ``ctx.ask(model=...)``, the type of the answer, and the prompt,
for which the agent's input stands in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.answers import answer_type
from runtime.catalog import NotConfigured, Target, profile_of
from runtime.errors import PolicyDenied, RuntimeFault
from runtime.explain.reasons import Decision, Reason, code_of, reasons_of
from runtime.explicit import FOR_THE_RUNTIME, hints_of
from runtime.governance.cost import dollars, most_input, worst_case
from runtime.governance.lifecycle import stage_of
from runtime.invocations.bounds import check_bounds
from runtime.messages import Message
from runtime.planner import Who, task_type_of, wishes_of
from runtime.registration import budget_of
from runtime.wishes import Question

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.agent import Agent, Limits
    from runtime.catalog import Catalog
    from runtime.directory import Directory
    from runtime.governance.policy import SpendingLimit
    from runtime.messages import ModelRequest, Price
    from runtime.planner import Planner, Prepared
    from runtime.rules import Rules
    from runtime.start import Start

MOST_AGENTS = 200  # of one explanation


class Choice(NamedTuple):
    """A target that is asked when those before it fail, or one that is passed over.

    Attributes:
        target: the target.
        why_not: why it is passed over; None if it is asked.
    """

    target: Target
    why_not: str | None = None


@dataclass(slots=True)
class Explanation:
    """What a question of one agent comes to.

    Attributes:
        agent: the agent.
        where: the place of its entry, or of its code.
        task_type: the type of task that routes go by.
        denied: why nobody may be asked; None if somebody may.
        targets: who is asked, in order, and who is passed over.
        because: what decided.
        overruled: wishes that something stronger has overruled.
        price: what the first target costs; None when nobody knows.
        most_nano_usd: what one call may cost at most, whoever of the targets is asked; None when
            nobody knows.
        most_prompt_tokens: the most prompt tokens that this counts.
        most_output_tokens: the most tokens of an answer that this counts.
        data_classes: the kinds of data.
        policies: what each policy that is about it says.
        budget: what the run may cost; None for no limit.
        limits: what the agent, the provider and the tenant may spend.
        warnings: what will go wrong, or soon: missing keys, models that are retired.
    """

    agent: str
    where: str
    task_type: str
    denied: str | None = None
    targets: list[Choice] = field(default_factory=list)
    because: tuple[Reason, ...] = ()
    overruled: tuple[Reason, ...] = ()
    price: Price | None = None
    most_nano_usd: int | None = None
    most_prompt_tokens: int = 0
    most_output_tokens: int = 0
    data_classes: frozenset[str] = frozenset()
    policies: list[Reason] = field(default_factory=list)
    budget: Reason | None = None
    limits: tuple[SpendingLimit, ...] = ()
    warnings: list[str] = field(default_factory=list)


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
        try:
            prepared = self._planner.prepare(who, question, answer_type(str))
        except PolicyDenied as error:
            told.denied = str(error)
            told.targets = [Choice(Target.read(name), why) for name, why in error.denied]
            return told
        wishes = wishes_of(who, question)
        routing = self._catalog.routing_of(start.options.routing)
        decision = Decision(agent, start.name, routing, wishes, prepared.plan)
        told.because, told.overruled = reasons_of(decision, self._catalog)
        told.targets = [Choice(target) for target in prepared.plan.targets]
        told.targets += [Choice(one.target, one.why) for one in prepared.plan.passed_over]
        told.warnings += self._warnings(prepared.plan.targets)
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

    def _tell_terms(self, told: Explanation, start: Start, prepared: Prepared, who: Who) -> None:
        target, request = prepared.plan.targets[0], self._request(who, prepared)
        cases = [self._planner.case_of(who, prepared, each) for each in prepared.plan.targets]
        case = cases[0]
        told.price, told.limits = case.price, case.terms.limits
        told.most_prompt_tokens = most_input(request)
        told.most_output_tokens = request.max_output_tokens or 0
        prices = [each.counted for each in cases if each.counted is not None]
        if len(prices) == len(cases):
            told.most_nano_usd = max(worst_case(request, price) for price in prices)
        told.data_classes = prepared.data_classes
        verdicts = self._rules.verdicts(target, prepared.data_classes, prepared.base_url)
        told.policies = [Reason(*each) for each in verdicts]
        told.budget = self._budget(start)
        try:
            limited = told.budget is not None or bool(told.limits)
            check_bounds(target, request, case, limited=limited)
        except RuntimeFault as error:
            told.denied = str(error)

    def _request(self, who: Who, prepared: Prepared) -> ModelRequest:
        """Return what is asked, with the schema of the answer where the catalog says it."""
        agent = self._directory.agents[who.agent].agent
        entry = self._catalog.agents.get(who.agent)
        if entry is None or entry.prompt is None:
            return prepared.request
        return replace(prepared.request, schema=agent.signature.output_schema)

    def _budget(self, start: Start) -> Reason | None:
        """Return what the run may cost, and who says so; the tightest counts."""
        wished, limit = start.options.budget_usd, self._rules.run_limit
        budget = budget_of(wished, limit)
        if budget.limit is None:
            return None
        if limit is not None and budget.limit == limit.amount:
            return Reason(f"${dollars(limit.amount)}", limit.source)
        workflow = self._catalog.workflows.get(start.name)
        own = workflow is not None and workflow.budget_usd == wished
        where = self._catalog.line(workflow, "budget_usd") if own else "--budget-usd"
        return Reason(f"${dollars(budget.limit)}", where)


def _who(agent: Agent, limits: Limits, start: Start) -> Who:
    return Who(
        agent=agent.name,
        limits=limits,
        proposal=agent.model,
        wishes=start.wishes,
        routing=start.options.routing,
        tenant=start.options.tenant or "",
    )
