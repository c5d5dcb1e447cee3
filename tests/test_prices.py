"""What a model costs, as whole nano-dollars, and who is asked first."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Any

import pytest
from genai_prices import Usage as PricedUsage
from genai_prices import calc_price
from genai_prices.data_snapshot import DataSnapshot, get_snapshot, set_custom_snapshot
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
)
from hypothesis import given, settings
from hypothesis import strategies as st

import providers
from providers.prices import FREE, TIER_KEYS, USUAL_TIERS, _listed_price, price_of
from runtime.governance.cost import LARGEST_ALLOWANCE, cost_of, most_input, worst_case
from runtime.messages import Image, LongPrompt, Message, ModelRequest, Price, Tool, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DOLLAR = 10**9
DAY = date(2026, 11, 29)


def test_a_known_model_has_its_listed_price_in_nano_dollars_per_million_tokens() -> None:
    price = price_of("openai", "gpt-4o", {})
    assert price is not None
    assert (price.input, price.output, price.cached_input) == (
        2_500_000_000,
        10 * DOLLAR,
        1_250_000_000,
    )
    assert price.cache_write == price.input
    assert price.source.startswith("genai-prices ")


def test_a_price_below_a_cent_is_exact() -> None:
    price = price_of("openai", "gpt-4o-mini", {})
    assert price is not None
    assert (price.input, price.output, price.cached_input) == (150_000_000, 600_000_000, 75_000_000)
    assert all(type(number) is int for number in (price.input, price.output, price.cached_input))


def test_writing_to_a_cache_has_its_own_price_where_it_is_listed() -> None:
    price = price_of("anthropic", "claude-3-5-haiku-latest", {})
    assert price is not None
    assert (price.cache_write, price.cached_input) == (1 * DOLLAR, 80_000_000)


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4o-mini", "gpt-4.1", "o3-mini"])
def test_our_arithmetic_gives_what_the_table_s_own_gives(model: str) -> None:
    price = price_of("openai", model, {})
    assert price is not None
    usage = PricedUsage(input_tokens=1_000, cache_read_tokens=400, output_tokens=77)
    ours = (600 * price.input + 400 * price.cached_input + 77 * price.output) / Decimal(10**15)
    assert ours == calc_price(usage, model, provider_id="openai").total_price


def test_the_catalog_s_own_price_wins_over_everything() -> None:
    own = Price(input=1, output=2, cached_input=3, cache_write=4, source="the catalog")
    overlay = {"openai/gpt-4o": own, "echo/echo-1": own}
    assert price_of("openai", "gpt-4o", overlay) is own
    assert price_of("echo", "echo-1", overlay) is own
    assert price_of("openai", "gpt-4o-mini", overlay) != own


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("echo", "echo-1"),
        ("echo", "any"),
        ("ollama", "qwen3"),
        ("local", "gpt-4o"),
    ],
)
def test_what_runs_on_this_machine_is_free_and_says_so(provider: str, model: str) -> None:
    price = price_of(provider, model, {})
    assert price is FREE
    assert (price.input, price.output, price.cached_input, price.cache_write) == (0, 0, 0, 0)
    assert "free" in price.source


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "no-such-model"),
        ("nobody", "gpt-4o"),
        ("openai", ""),
        ("", ""),
        ("openai", "whisper-1"),
    ],
)
def test_a_model_that_nobody_knows_has_no_price(provider: str, model: str) -> None:
    assert price_of(provider, model, {}) is None


def test_the_base_tier_is_the_price_where_there_are_tiers() -> None:
    price = price_of("google", "gemini-2.5-pro", {})
    assert price is not None
    assert (price.input, price.output) == (1_250_000_000, 10 * DOLLAR)


def test_the_dearest_hour_is_the_price_where_it_depends_on_the_hour() -> None:
    price = price_of("deepseek", "deepseek-chat", {})
    assert price is not None
    assert (price.input, price.output) == (270_000_000, 1_100_000_000)


def test_the_front_door_has_it_without_loading_the_table() -> None:
    assert providers.price_of is price_of
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        providers.nonsense  # noqa: B018  # the access is the test
    code = (
        "import sys, providers; providers.price_of('echo', 'echo-1', {});"
        "print(sorted({'genai_prices', 'httpx', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- what the table says beyond one price --------------------------------------------------------


def listed(provider: str, model: str, day: date = DAY) -> Price:
    price = price_of(provider, model, {}, on=day)
    assert price is not None
    return price


def usd_of(price: Price) -> tuple[float, ...]:
    """Return dollars a million: fresh, read from a cache, written to one, generated."""
    rates = (price.input, price.cached_input, price.cache_write, price.output)
    return tuple(rate / DOLLAR for rate in rates)


def test_a_long_prompt_has_its_own_price_for_every_kind_of_token() -> None:
    price = listed("anthropic", "claude-sonnet-4-5")
    (longer,) = price.long_prompts
    assert usd_of(price) == (3.0, 0.3, 3.75, 15.0)
    assert longer.above == 200_000
    assert usd_of(longer.price) == (6.0, 0.6, 7.5, 22.5)
    assert (price.cache_write_1h, longer.price.cache_write_1h) == (6 * DOLLAR, 12 * DOLLAR)


def test_several_lengths_are_in_order_and_the_largest_that_is_exceeded_counts() -> None:
    price = listed("openrouter", "qwen/qwen3-coder-flash")
    assert [each.above for each in price.long_prompts] == [32_000, 128_000]
    usd = [0.195, 0.325, 0.52]
    assert [each.input / DOLLAR for each in (price, *(p for _, p in price.long_prompts))] == usd
    for tokens, nano in ((32_000, 195), (32_001, 325), (128_000, 325), (128_001, 520)):
        assert cost_of(Usage(input_tokens=tokens), price) == tokens * nano


def test_the_tiers_of_service_have_their_prices_by_the_server_s_word() -> None:
    tiers = listed("openai", "gpt-5.6").service_tiers
    assert {name: usd_of(tier) for name, tier in tiers.items()} == {
        "flex": (2.0, 0.2, 2.5, 10.0),
        "batch": (2.0, 0.2, 2.5, 10.0),
        "priority": (8.0, 0.8, 10.0, 40.0),
        "fast": (8.0, 0.8, 10.0, 40.0),
    }
    assert usd_of(listed("anthropic", "claude-opus-5").service_tiers["fast"])[0] == 10.0


def test_a_tier_has_long_prompts_of_its_own_or_none() -> None:
    (longer,) = listed("openai", "gpt-5.6").service_tiers["priority"].long_prompts
    assert (longer.above, usd_of(longer.price)) == (272_000, (16.0, 1.6, 20.0, 60.0))
    assert listed("openai", "gpt-5.4").long_prompts
    assert listed("openai", "gpt-5.4").service_tiers["priority"].long_prompts == ()


def test_what_a_tier_does_not_say_costs_as_usual() -> None:
    price = listed("openai", "gpt-4o")
    batch = price.service_tiers["batch"]
    assert (batch.input, batch.output) == (price.input // 2, price.output // 2)
    assert batch.cached_input == price.cached_input


def test_a_foreign_model_s_tiers_are_not_this_vendor_s() -> None:
    assert listed("openai", "gpt-5.6").service_tiers
    azure = listed("azure", "gpt-5.6")
    assert (azure.input, azure.service_tiers) == (listed("openai", "gpt-5.6").input, {})
    assert azure.long_prompts, "how long a prompt is, everybody counts"


def test_reasoning_has_a_price_of_its_own_where_it_is_listed() -> None:
    price = listed("perplexity", "sonar-deep-research")
    assert (price.output, price.reasoning) == (8 * DOLLAR, 3 * DOLLAR)
    assert listed("openai", "gpt-5.6").reasoning is None


@pytest.mark.parametrize(
    ("provider", "model", "day", "usd"),
    [
        ("google", "gemini-3.8-flash", date(2026, 12, 31), (0.75, 0.075, 0.75, 3.75)),
        ("google", "gemini-3.8-flash", date(2027, 1, 1), (1.5, 0.15, 1.5, 7.5)),
        ("google", "gemini-4-argon", date(2026, 11, 30), (2.0, 0.1, 2.0, 10.0)),
        ("google", "gemini-4-argon", date(2026, 12, 1), (4.0, 0.2, 4.0, 20.0)),
    ],
)
def test_a_price_holds_from_its_day_on(
    provider: str, model: str, day: date, usd: tuple[float, ...]
) -> None:
    assert usd_of(listed(provider, model, day)) == usd


def test_the_newer_price_of_a_tier_takes_over_on_its_day() -> None:
    days = (date(2026, 10, 13), date(2026, 10, 14), date(2026, 12, 31), date(2027, 1, 1))
    batches = [listed("google", "gemini-3.8-flash", day).service_tiers.get("batch") for day in days]
    assert [each and each.input / DOLLAR for each in batches] == [None, 0.375, 0.375, 0.75]


def test_a_price_is_looked_up_for_every_day_anew() -> None:
    """What was kept for one day is no answer for another."""
    days = (date(2026, 12, 31), date(2027, 1, 1), date(2026, 12, 31))
    found = [listed("google", "gemini-3.8-flash", day).input for day in days]
    assert found == [750_000_000, 1_500_000_000, 750_000_000]


def test_a_price_with_more_digits_than_a_nano_dollar_has_is_rounded_up() -> None:
    assert listed("openrouter", "google/gemini-2.5-flash").cache_write == 83_333_334


# --- tables that were made up --------------------------------------------------------------------


@pytest.fixture
def made_up() -> Iterator[Callable[..., Price | None]]:
    """Price a model of a table that has only this one."""

    def priced(prices: Any, *variants: PriceVariant, on: date = DAY) -> Price | None:
        model = ModelInfo("m", ClauseEquals("m"), prices=prices, price_variants=list(variants))
        vendor = Provider("made-up", "Made up", "nowhere", models=[model])
        set_custom_snapshot(DataSnapshot([vendor], from_auto_update=False))
        _listed_price.cache_clear()
        return price_of("made-up", "m", {}, on=on)

    yield priced
    set_custom_snapshot(None)
    _listed_price.cache_clear()


def rates(**usd: str | TieredPrices) -> ModelPrice:
    """Return a price of the table; the names lack their ending."""
    numbers = {
        f"{name}_mtok": Decimal(each) if isinstance(each, str) else each
        for name, each in usd.items()
    }
    return ModelPrice(**numbers)


def test_a_kind_without_a_price_for_long_prompts_costs_as_usual_in_them(made_up: Any) -> None:
    tiered = TieredPrices(Decimal(1), [Tier(100, Decimal(2))])
    price = made_up(rates(input=tiered, output="3", cache_read="0.5"))
    (longer,) = price.long_prompts
    assert usd_of(longer.price) == (2.0, 0.5, 2.0, 3.0)


def test_lengths_that_differ_by_kind_are_all_kept(made_up: Any) -> None:
    by_input = TieredPrices(Decimal(1), [Tier(100, Decimal(2))])
    by_output = TieredPrices(Decimal(3), [Tier(50, Decimal(4)), Tier(200, Decimal(5))])
    price = made_up(rates(input=by_input, output=by_output))
    found = [(each.above, each.price.input, each.price.output) for each in price.long_prompts]
    assert found == [
        (50, 1 * DOLLAR, 4 * DOLLAR),
        (100, 2 * DOLLAR, 4 * DOLLAR),
        (200, 2 * DOLLAR, 5 * DOLLAR),
    ]


def test_the_first_word_on_a_tier_counts_and_later_ones_fill_in(made_up: Any) -> None:
    flex = {"service_tier": "flex"}
    price = made_up(
        rates(input="4", output="8", cache_read="1"),
        PriceVariant(flex, rates(input="2")),
        PriceVariant(flex, rates(input="3", output="5")),
    )
    assert usd_of(price.service_tiers["flex"]) == (2.0, 1.0, 2.0, 5.0)


def test_what_hangs_on_more_than_a_tier_or_on_something_else_is_no_tier(made_up: Any) -> None:
    price = made_up(
        rates(input="4", output="8"),
        PriceVariant({"service_tier": "flex", "route": "eu"}, rates(input="1")),
        PriceVariant({"route": "eu"}, rates(input="1")),
        PriceVariant({"service_tier": "default"}, rates(input="1")),
        PriceVariant({"service_tier": "same"}, rates(input="4")),
    )
    assert price.service_tiers == {}


def test_a_tier_that_does_not_hold_yet_is_none(made_up: Any) -> None:
    fast = PriceVariant({"speed": "fast"}, rates(input="9"), StartDateConstraint(DAY))
    usual = rates(input="4", output="8")
    assert made_up(usual, fast, on=date(2026, 11, 28)).service_tiers == {}
    assert made_up(usual, fast).service_tiers["fast"].input == 9 * DOLLAR


def hourly(*entries: tuple[Any, str]) -> list[ConditionalPrice]:
    return [ConditionalPrice(when, prices=rates(input=usd, output="1")) for when, usd in entries]


@pytest.mark.parametrize(
    ("entries", "usd"),
    [
        ([(None, "1"), (TimeOfDateConstraint(time(1), time(4)), "3")], 3),
        ([(None, "3"), (TimeOfDateConstraint(time(1), time(4)), "1")], 3),
        ([(None, "1"), (StartDateConstraint(DAY), "2")], 2),
        ([(None, "1"), (StartDateConstraint(date(2026, 11, 30)), "2")], 1),
        # What a day replaces is gone, by the hour or not.
        ([(TimeOfDateConstraint(time(1), time(4)), "9"), (StartDateConstraint(DAY), "2")], 2),
        ([(StartDateConstraint(date(2027, 1, 1)), "5")], 5),
    ],
)
def test_the_price_of_a_day_is_that_of_its_dearest_hour(
    made_up: Any, entries: list[tuple[Any, str]], usd: int
) -> None:
    assert made_up(hourly(*entries)).input == usd * DOLLAR


def test_a_model_that_is_not_paid_by_the_token_has_no_price(made_up: Any) -> None:
    assert made_up(ModelPrice(audio_hours=Decimal(1))) is None
    assert made_up(rates(input="1")) is None, "what it generates may cost anything"


# --- our arithmetic and the table's own ----------------------------------------------------------


def contexts_of(model: ModelInfo) -> list[dict[str, str]]:
    """Return the ways in which a model is served, as the table asks for them."""
    known = {
        (key, tier)
        for variant in model.price_variants or ()
        for key, tier in variant.when.items()
        if key in TIER_KEYS and tier not in USUAL_TIERS
    }
    return [{}, *({key: tier} for key, tier in sorted(known))]


def starts_of(model: ModelInfo) -> set[int]:
    """Return the lengths above which a model's prompts are long."""
    entries = model.prices if isinstance(model.prices, list) else [model.prices]
    sets = [getattr(entry, "prices", entry) for entry in entries]
    prices = (price for each in sets for price in vars(each).values())
    return {tier.start for price in prices for tier in getattr(price, "tiers", ())}


def usages(length: int) -> Iterator[tuple[Usage, PricedUsage]]:
    """Yield usages with so long a prompt, as the product and as the table count them."""
    parts = ((0, 0, 0), (length // 3, 0, 0), (length // 3, length // 4, length // 5))
    for read, written, hourly_ in parts:
        yield (
            Usage(
                input_tokens=length,
                cached_input_tokens=read,
                cache_write_tokens=written + hourly_,
                cache_write_1h_tokens=hourly_,
                output_tokens=977,
                reasoning_tokens=401,
            ),
            PricedUsage(
                input_tokens=length,
                cache_read_tokens=read,
                cache_write_tokens=written + hourly_,
                cache_write_1h_tokens=hourly_,
                output_tokens=977,
                output_reasoning_tokens=401,
            ),
        )


@pytest.mark.parametrize("vendor", ["openai", "anthropic", "google", "mistral", "x-ai", "groq"])
@pytest.mark.parametrize("day", [date(2026, 3, 12), DAY, date(2027, 1, 1)], ids=str)
def test_every_listed_model_in_every_tier_costs_what_the_table_s_own_arithmetic_gives(
    vendor: str, day: date
) -> None:
    at = datetime.combine(day, time(), UTC)
    (owner,) = (each for each in get_snapshot().providers if each.id == vendor)
    compared = 0
    for model in owner.models:
        price = price_of(vendor, model.id, {}, on=day)
        if price is None or not model.is_match(model.id):  # not by the token; a name of no model
            continue
        lengths = {1_001, *starts_of(model), *(start + 1 for start in starts_of(model))}
        for context in contexts_of(model):
            tier = next(iter(context.values()), None)
            for usage, theirs in (each for length in lengths for each in usages(length)):
                told = model.calc_price(
                    theirs, owner, genai_request_timestamp=at, price_context=context
                )
                nano = (told.total_price * DOLLAR).to_integral_value(ROUND_CEILING)
                assert cost_of(usage, price, tier) == nano, (model.id, context, usage)
                compared += 1
    assert compared > 30


# --- the most that a call may cost ---------------------------------------------------------------

RATES = st.sampled_from((0, 1, 10**6, 7 * 10**9, 10**12))
PLAIN = st.builds(
    Price,
    input=RATES,
    output=RATES,
    cached_input=RATES,
    cache_write=RATES,
    cache_write_1h=st.none() | RATES,
    reasoning=st.none() | RATES,
    source=st.just("a test"),
)
TIERS = ("batch", "flex", "priority", "fast")
FIELDS = ("service_tier", "serviceTier", "speed")  # in which a request asks for one
ASKED = st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(TIERS))
PARTS = st.text(max_size=300) | st.just(Image("https://x/y.png"))
TOOLS = st.builds(Tool, st.text(max_size=9), st.text(max_size=9), st.just({"type": "object"}))
REQUESTS = st.builds(
    ModelRequest,
    provider=st.just("p"),
    model=st.just("m"),
    messages=st.lists(
        st.builds(Message, st.just("user"), st.text(max_size=300) | st.tuples(PARTS, PARTS)),
        min_size=1,
        max_size=4,
    ).map(tuple),
    system=st.none() | st.text(max_size=300),
    tools=st.lists(TOOLS, max_size=2).map(tuple),
    schema=st.none() | st.just({"type": "object", "properties": {"a": {"type": "string"}}}),
    max_output_tokens=st.none() | st.integers(0, 10_000),
    extra_body=ASKED,
)


@st.composite
def with_lengths(draw: Any, most: int) -> Price:
    """A price with prices for long prompts, each of which may be lower than the one before."""
    near = st.integers(max(0, most - 2), most + 1) | st.integers(0, 2 * most)
    lengths = draw(st.lists(near, max_size=3, unique=True).map(sorted))
    usual: Price = draw(PLAIN)
    return replace(usual, long_prompts=tuple(LongPrompt(each, draw(PLAIN)) for each in lengths))


@st.composite
def prices(draw: Any, request: ModelRequest) -> Price:
    """A price with tiers of service, with lengths near the longest prompt of a request."""
    most = most_input(request)
    tiers = st.dictionaries(st.sampled_from(TIERS), with_lengths(most), max_size=3)
    usual: Price = draw(with_lengths(most))
    return replace(usual, service_tiers=draw(tiers))


@st.composite
def within(draw: Any, request: ModelRequest) -> Usage:
    """A usage that the request allows; how a server splits it up need not add up."""
    most_in, most_out = most_input(request), request.max_output_tokens
    most_out = LARGEST_ALLOWANCE if most_out is None else most_out
    part = st.sampled_from((None, 0, most_in, most_out)) | st.integers(0, 10**6)
    return Usage(
        input_tokens=draw(st.just(most_in) | st.integers(0, most_in)),
        output_tokens=draw(st.just(most_out) | st.integers(0, most_out)),
        cached_input_tokens=draw(part),
        cache_write_tokens=draw(part),
        cache_write_1h_tokens=draw(part),
        reasoning_tokens=draw(part),
    )


@settings(max_examples=300, deadline=None)
@given(st.data(), REQUESTS)
def test_no_usage_in_any_tier_that_was_asked_for_costs_more_than_the_worst_case(
    data: st.DataObject, request: ModelRequest
) -> None:
    price = data.draw(prices(request), "price")
    asked = list(request.extra_body.values())
    tier = data.draw(st.sampled_from([*asked, *USUAL_TIERS, "unknown", None]), "tier")
    usage = data.draw(within(request), "usage")
    assert cost_of(usage, price, tier) <= worst_case(request, price)


def a_price(**nano_a_token: int) -> Price:
    usual = dict.fromkeys(("input", "output", "cached_input", "cache_write"), 1)
    rates = {name: each * 10**6 for name, each in (usual | nano_a_token).items()}
    return Price(**rates, source="a test")  # type: ignore[arg-type]  # they are whole numbers


def test_the_worst_case_is_the_dearest_of_each_kind_and_no_more() -> None:
    request = ModelRequest(
        provider="p", model="m", messages=(Message("user", "x" * 68),), max_output_tokens=10
    )
    assert most_input(request) == 68 + 16 + 256 == 340
    for dearest in ("input", "cached_input", "cache_write", "cache_write_1h"):
        assert worst_case(request, a_price(**{dearest: 5})) == 340 * 5 + 10
    for dearest in ("output", "reasoning"):
        assert worst_case(request, a_price(**{dearest: 5})) == 340 + 10 * 5
    for above, nano in ((338, 1750), (339, 1750), (340, 350), (341, 350)):
        longer = (LongPrompt(above, a_price(input=5, output=5)),)
        assert worst_case(request, replace(a_price(), long_prompts=longer)) == nano
    tiered = replace(a_price(), service_tiers={"fast": a_price(input=5, output=5)})
    assert worst_case(request, tiered) == 350
    for field in FIELDS:
        asking = replace(request, extra_body={field: "fast"})
        assert worst_case(asking, tiered) == 5 * (most_input(asking) + 10)


LISTED = (
    ("openai", "gpt-5.6"), ("openai", "gpt-5.4"), ("openai", "gpt-4o"), ("openai", "o4-mini"),
    ("anthropic", "claude-haiku-5-5"), ("anthropic", "claude-sonnet-4-5"),
    ("anthropic", "claude-opus-5"), ("google", "gemini-2.5-pro"), ("google", "gemini-2.5-flash"),
    ("x-ai", "grok-4.3"), ("openrouter", "qwen/qwen3-coder-flash"),
    ("perplexity", "sonar-deep-research"),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.data(), st.sampled_from(LISTED), st.integers(0, 300_000), ASKED)
def test_no_usage_costs_more_than_the_worst_case_at_prices_that_are_real(
    data: st.DataObject, target: tuple[str, str], length: int, asked: dict[str, str]
) -> None:
    """Prompts on both sides of every length from which on they are long."""
    messages = (Message("user", "x" * length),)
    request = ModelRequest(provider="p", model="m", messages=messages, extra_body=asked)
    price = listed(*target)
    tier = data.draw(st.sampled_from([*asked.values(), None]), "tier")
    usage = data.draw(within(request), "usage")
    assert cost_of(usage, price, tier) <= worst_case(request, price)


@pytest.mark.parametrize("extra", [{}, {"service_tier": "auto"}, {"service_tier": None}])
def test_a_dearer_tier_that_a_server_may_give_unasked_is_reserved(extra: dict[str, Any]) -> None:
    """Where a project is set so, OpenAI serves ``auto`` as ``priority``."""
    price = listed("openai", "gpt-4o")
    request = ModelRequest(
        provider="p",
        model="m",
        messages=(Message("user", "x"),),
        max_output_tokens=1_000,
        extra_body=extra,
    )
    usage = Usage(input_tokens=most_input(request), output_tokens=1_000)
    assert cost_of(usage, price) < cost_of(usage, price, "priority") == worst_case(request, price)
    plain = replace(request, extra_body={"service_tier": "default"})
    assert worst_case(plain, price) < worst_case(request, price)
