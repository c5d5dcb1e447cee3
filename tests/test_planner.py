"""What a question comes to is worked out once, and again when what it depends on changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest

from runtime.agent import Limits
from runtime.answers import answer_type
from runtime.catalog import ModelEntry, Policy, Target
from runtime.catalog.catalog import Retirement
from runtime.errors import PolicyDenied
from runtime.inquiry import Who
from runtime.messages import Message, Tool
from runtime.planner import Planner
from runtime.routing import Learned
from runtime.rules import Rules
from runtime.wishes import Question
from tests.echoes import catalog_of, policy, price, provider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.messages import Price

TEXT = answer_type(str)
LAST_DAY = date(2026, 3, 31)


@dataclass
class Day:
    """A clock that stands still until it is told to go on."""

    day: date = LAST_DAY

    def __call__(self) -> float:
        return datetime(self.day.year, self.day.month, self.day.day, 12, tzinfo=UTC).timestamp()


def a_planner(
    *policies: Policy,
    clock: Day | None = None,
    prices: Mapping[str, Price] | None = None,
    **routing: Any,
) -> Planner:
    entry = provider("old", "new", vendor="maker")
    known = {"old": ModelEntry(), "new": ModelEntry(context_tokens=1_000, tools=False)}
    catalog = catalog_of(
        {"p": entry.model_copy(update={"models": known})},
        policies=policies,
        retirements={"maker/old": Retirement(date(2026, 4, 1), "retirements.yaml:3")},
        routing={"default": "old"} | routing,
    )
    rules = Rules(catalog, {}, clock or Day())
    return Planner(catalog, rules, lambda target: (prices or {}).get(target.model), Learned())


def a_question(text: str = "hello", **fields: Any) -> Question:
    return Question(messages=(Message("user", text),), **fields)


def asked(planner: Planner, question: Question, **who: Any) -> str:
    limits = Limits(**who.pop("limits", {}))
    return planner.prepare(Who("agent", limits, **who), question, TEXT).plan.targets[0].model


def test_each_wish_has_its_own_way() -> None:
    planner = a_planner()
    for _ in range(2):
        assert asked(planner, a_question()) == "old"
        assert asked(planner, a_question(model="new")) == "new"
        assert asked(planner, a_question(), proposal="new") == "new"
        assert asked(planner, a_question(), limits={"model": "new"}) == "new"


def test_a_policy_that_comes_into_force_at_midnight_is_kept_to() -> None:
    clock = Day()
    planner = a_planner(policy(denies_retired=True), clock=clock)
    assert asked(planner, a_question()) == "old"
    clock.day = date(2026, 4, 1)
    with pytest.raises(PolicyDenied, match="retired since 2026-04-01"):
        asked(planner, a_question())
    clock.day = LAST_DAY
    assert asked(planner, a_question()) == "old"


def test_what_one_kind_of_data_may_see_another_may_not() -> None:
    planner = a_planner(policy(requirements={"pii": frozenset({"p/new"})}))
    assert asked(planner, a_question()) == "old"
    with pytest.raises(PolicyDenied, match="may not see pii"):
        asked(planner, a_question(data_class="pii"))
    assert asked(planner, a_question()) == "old"


def test_the_price_of_a_target_is_that_of_the_day() -> None:
    clock, prices = Day(), {"old": price(1)}
    planner = a_planner(clock=clock, prices=prices)
    who = Who("agent", Limits())
    prepared = planner.prepare(who, a_question(), TEXT)

    assert planner.case_of(who, prepared, Target("p", "old")).price == price(1)
    prices["old"] = price(2)
    clock.day = date(2026, 4, 1)
    assert planner.case_of(who, prepared, Target("p", "old")).price == price(2)


def test_a_prompt_is_measured_where_a_route_lists_targets() -> None:
    route = {"task_type": "agent", "targets": ("p/new", "p/old")}
    planner = a_planner(routes=(route,))
    assert asked(planner, a_question(max_output_tokens=10)) == "new"
    assert asked(planner, a_question("x" * 10_000)) == "old", "it holds 1,000 tokens"
    assert asked(planner, a_question(max_output_tokens=10)) == "new"


def test_what_a_question_needs_is_part_of_its_way() -> None:
    planner = a_planner(fallback={"p/old": ("p/new",)})
    who = Who("agent", Limits())
    for tools, models in (((), "old new"), ((Tool("t"),), "old"), ((), "old new")):
        found = planner.prepare(who, a_question(), TEXT, tools).plan
        assert " ".join(target.model for target in found.targets) == models
