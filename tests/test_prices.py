"""What a model costs, as whole nano-dollars, and who is asked first."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal

import pytest
from genai_prices import Usage as PricedUsage
from genai_prices import calc_price

import providers
from providers.prices import FREE, price_of
from runtime.messages import Price

DOLLAR = 10**9


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
        ("demo", "extract-1"),
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
