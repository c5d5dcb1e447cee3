"""Money and policy: pure decisions."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.catalog import Policy, Target
from runtime.errors import BudgetExceeded
from runtime.governance.budget import Budget
from runtime.governance.cost import cost_of, usd, worst_case
from runtime.governance.policy import Candidate, check, run_limit
from runtime.messages import Image, Message, ModelRequest, Price, Usage

PRICE = Price(
    input=2_500_000_000,
    output=10_000_000_000,
    cached_input=1_250_000_000,
    cache_write=3_000_000_000,
    source="a test",
)


def policy(
    name: str,
    *,
    allowed: frozenset[str] | None = None,
    limit: int | None = None,
    requirements: dict[str, frozenset[str]] | None = None,
) -> Policy:
    return Policy(name, f"{name}.yaml:1", "", allowed, limit, requirements or {})


def asked(model: str, provider: str = "p") -> Candidate:
    return Candidate(Target(provider, model))


@pytest.mark.parametrize(
    ("usage", "nano"),
    [
        (Usage(input_tokens=1_000_000), 2_500_000_000),
        (Usage(output_tokens=1_000_000), 10_000_000_000),
        (Usage(input_tokens=1_000, cached_input_tokens=1_000), 1_250_000),
        (Usage(input_tokens=10, cached_input_tokens=4, cache_write_tokens=6), 5_000 + 18_000),
        (Usage(input_tokens=1), 2_500),
        (Usage(), 0),
    ],
)
def test_what_tokens_cost_is_exact(usage: Usage, nano: int) -> None:
    assert cost_of(usage, PRICE) == nano


def test_a_part_of_a_nano_dollar_is_rounded_up() -> None:
    price = Price(input=1, output=1, cached_input=1, cache_write=1, source="")
    assert cost_of(Usage(input_tokens=1), price) == 1
    assert usd(1_500_000_000) == pytest.approx(1.5)


@given(st.text(max_size=200), st.integers(1, 1000), st.floats(0, 1), st.floats(0, 1))
def test_no_usage_within_the_request_costs_more_than_the_worst_case(
    text: str, most: int, input_share: float, output_share: float
) -> None:
    request = ModelRequest(
        provider="p", model="m", messages=(Message("user", text),), max_output_tokens=most
    )
    tokens = int(len(text.encode()) * input_share)
    for written in (0, tokens):
        usage = Usage(
            input_tokens=tokens, cache_write_tokens=written, output_tokens=int(most * output_share)
        )
        assert cost_of(usage, PRICE) <= worst_case(request, PRICE)


HOURLY = dataclasses.replace(PRICE, cache_write_1h=5_000_000_000)


@pytest.mark.parametrize(
    ("price", "usage", "nano"),
    [
        (HOURLY, Usage(input_tokens=10, cache_write_tokens=10, cache_write_1h_tokens=10), 50_000),
        (HOURLY, Usage(input_tokens=10, cache_write_tokens=10, cache_write_1h_tokens=4), 38_000),
        (HOURLY, Usage(input_tokens=10, cache_write_tokens=10), 30_000),
        # A vendor that does not say that an hour costs more; and one that counts it beside.
        (PRICE, Usage(input_tokens=10, cache_write_tokens=10, cache_write_1h_tokens=4), 30_000),
        (HOURLY, Usage(input_tokens=10, cache_write_1h_tokens=4), 25_000),
    ],
)
def test_what_is_kept_for_an_hour_costs_its_own_price(
    price: Price, usage: Usage, nano: int
) -> None:
    assert cost_of(usage, price) == nano


def a_request(*parts: str | Image, **fields: Any) -> ModelRequest:
    usual = {"provider": "p", "model": "m", "messages": (Message("user", parts),)}
    return ModelRequest(**usual | {"max_output_tokens": 1} | fields)


def test_a_picture_is_reserved_for_by_what_the_dearest_vendor_counts_and_not_by_its_bytes() -> None:
    linked = a_request("look", Image("https://x/y.png"))
    inline = a_request("look", Image("data:image/png;base64," + "A" * 5_000_000))
    plain = a_request("look")
    assert worst_case(linked, PRICE) == worst_case(inline, PRICE)
    assert worst_case(linked, PRICE) - worst_case(plain, PRICE) == 50_000 * 3_000


def test_an_allowance_that_is_left_to_the_model_is_reserved_as_the_largest_there_is() -> None:
    bounded, unbounded = (a_request("x", max_output_tokens=most) for most in (128_000, None))
    assert worst_case(unbounded, PRICE) == worst_case(bounded, PRICE)


def test_the_dearest_way_to_write_a_prompt_to_a_cache_is_in_the_worst_case() -> None:
    request = a_request("x" * 1_000)
    usage = Usage(
        input_tokens=1_000, cache_write_tokens=1_000, cache_write_1h_tokens=1_000, output_tokens=1
    )
    assert cost_of(usage, HOURLY) <= worst_case(request, HOURLY)
    assert cost_of(usage, HOURLY) > worst_case(request, PRICE)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_no_part_of_a_prompt_is_paid_for_twice(
    plain: int, cached: int, written: int, hourly: int
) -> None:
    """At one price for everything, a prompt costs its tokens, whatever became of each."""
    flat = Price(
        input=10**6, output=0, cached_input=10**6, cache_write=10**6, cache_write_1h=10**6,
        source="",
    )  # fmt: skip
    usage = Usage(
        input_tokens=plain + cached + written,
        cached_input_tokens=cached,
        cache_write_tokens=written,
        cache_write_1h_tokens=min(hourly, written),
    )
    assert cost_of(usage, flat) == usage.input_tokens


def test_what_cannot_fit_any_more_is_refused_with_limit_spent_and_needed() -> None:
    budget = Budget(1_000_000_000, "policy p, f.yaml:3")
    assert budget.reserve(600_000_000)
    assert budget.reserve(600_000_000) is False
    budget.settle(600_000_000, 600_000_000)
    message = r"budget is \$1 \(policy p, f.yaml:3\), \$0.6 is spent, .* cost \$0.6"
    with pytest.raises(BudgetExceeded, match=message):
        budget.reserve(600_000_000)
    assert budget.left == 400_000_000


@given(
    st.integers(0, 1_000),
    st.lists(
        st.tuples(st.sampled_from(["reserve", "settle"]), st.integers(0, 400), st.floats(0, 1))
    ),
)
def test_spent_and_reserved_never_exceed_the_limit(
    limit: int, steps: list[tuple[str, int, float]]
) -> None:
    budget = Budget(limit)
    open_: list[int] = []
    for step, amount, share in steps:
        if step == "settle" and open_:
            reserved = open_.pop()
            budget.settle(reserved, int(reserved * share))
        elif step == "reserve":
            try:
                if budget.reserve(amount):
                    open_.append(amount)
                else:
                    assert open_, "told to wait although nobody is under way"
            except BudgetExceeded:
                assert budget.spent + amount > limit or not open_
        assert budget.spent + budget.reserved <= limit
        assert budget.reserved == sum(open_)


def test_a_model_outside_the_allowed_ones_is_denied_with_rule_and_place() -> None:
    rules = (policy("production", allowed=frozenset(("a", "b"))),)
    assert check(rules, asked("a")) is None
    assert str(check(rules, asked("c"))) == (
        "policy production (production.yaml:1): c is not among the models: a, b"
    )


def test_sensitive_data_goes_only_where_it_may() -> None:
    rules = (policy("residency", requirements={"pii": frozenset(("local",))}),)
    assert check(rules, asked("gpt")) is None
    assert check(rules, asked("local"), ("pii",)) is None
    assert "gpt may not see pii, only local may" in str(check(rules, asked("gpt"), ("pii",)))


def test_the_tightest_limit_on_a_run_holds() -> None:
    rules = (policy("a", limit=5), policy("b", limit=3), policy("c"))
    assert run_limit(rules) == (3, "policy b, b.yaml:1")
    assert run_limit((policy("c"),)) is None
