"""What a model costs, in nano-USD per million tokens, as whole numbers.

First the catalog's own prices, then nothing for the models of this machine, then the table that the
package ``genai-prices`` carries: the one of the installed version, never fetched anew. It is
imported at the first question that reaches it, and every answer of it is kept for its day.

Limits. Where the price depends on the hour, it is the highest one. What is charged by request,
search, image or second is not in it. A kind of cached token without a price of its own costs as
much as a prompt token.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from runtime.messages import LongPrompt, Price

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from genai_prices.types import ModelInfo, ModelPrice

NANO = 10**9
LOCAL_PROVIDERS = frozenset({"echo", "local", "ollama"})
FREE = Price(input=0, output=0, cached_input=0, cache_write=0, source="runs on this machine: free")
MOST_KEPT = 4_096
TIER_KEYS = ("service_tier", "speed", "processing")  # where the table says what a tier costs
USUAL_TIERS = ("default", "standard", "auto")  # cost what the table says without any tier


def price_of(
    provider: str, model: str, overlay: Mapping[str, Price], *, on: date | None = None
) -> Price | None:
    """Return what a model costs.

    Args:
        provider: whose price list counts, e.g. ``openai``.
        model: the model's name as that provider knows it.
        overlay: the catalog's own prices of that day by ``provider/model``; they win.
        on: the day; None for today, UTC.

    Returns:
        The price, or None when nobody knows it: who must not pay more than allowed has to refuse.
    """
    own = overlay.get(f"{provider}/{model}")
    if own is not None:
        return own
    if provider in LOCAL_PROVIDERS:
        return FREE
    return _listed_price(provider, model, on or datetime.now(UTC).date())


@lru_cache(maxsize=MOST_KEPT)
def _listed_price(provider: str, model: str, day: date) -> Price | None:
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415  # takes a third of a second

    try:
        owner, found = get_snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        return None
    at = datetime.combine(day, time(), UTC)
    standard = vars(_dearest_hour(found, at))
    usual = _price(standard)
    if usual is None or not any(found is each for each in owner.models):
        return usual  # of a foreign model only the usual price is known to hold
    tiers = {tier: _price({**standard, **own}) for tier, own in _tiers(found, at).items()}
    known = {tier: price for tier, price in tiers.items() if price is not None and price != usual}
    return replace(usual, service_tiers=known)


def _dearest_hour(model: ModelInfo, at: datetime) -> ModelPrice:
    """Return the price that applies on a day, at the hour at which it is highest."""
    if not isinstance(model.prices, list):
        return model.prices
    applying = []
    for entry in reversed(model.prices):  # later entries go before earlier ones
        by_hour = hasattr(entry.constraint, "start_time")
        if by_hour or entry.constraint is None or entry.constraint.active(at):
            applying.append(entry.prices)
            if not by_hour:
                break
    return max(applying or [model.prices[0].prices], key=_total)


def _total(listed: ModelPrice) -> int:
    kinds = vars(listed)
    return (_rate(kinds, "input_mtok", 0) or 0) + (_rate(kinds, "output_mtok", 0) or 0)


def _tiers(model: ModelInfo, at: datetime) -> dict[str, dict[str, Any]]:
    """Return what each tier of service costs otherwise, by its name; the first word counts."""
    tiers: dict[str, dict[str, Any]] = {}
    for variant in model.price_variants or ():
        if variant.constraint is not None and not variant.constraint.active(at):
            continue
        ((key, tier), *others) = variant.when.items()
        if key in TIER_KEYS and not others and tier not in USUAL_TIERS:
            tiers[tier] = vars(variant.prices) | tiers.get(tier, {})
    return tiers


def _price(kinds: Mapping[str, Any]) -> Price | None:
    """Return the price that the table's kinds say, with those of longer prompts."""
    starts = {tier.start for kind in kinds.values() for tier in getattr(kind, "tiers", ())}
    usual = _rates(kinds, 0)
    if usual is None:
        return None
    longer = ((start, _rates(kinds, start + 1)) for start in sorted(starts))
    return replace(usual, long_prompts=_present(longer))


def _present(longer: Iterable[tuple[int, Price | None]]) -> tuple[LongPrompt, ...]:
    return tuple(LongPrompt(start, price) for start, price in longer if price is not None)


def _rates(kinds: Mapping[str, Any], prompt_tokens: int) -> Price | None:
    fresh, output = (_rate(kinds, kind, prompt_tokens) for kind in ("input_mtok", "output_mtok"))
    if fresh is None or output is None:
        return None
    cached = _rate(kinds, "cache_read_mtok", prompt_tokens)
    written = _rate(kinds, "cache_write_mtok", prompt_tokens)
    return Price(
        input=fresh,
        output=output,
        cached_input=fresh if cached is None else cached,
        cache_write=fresh if written is None else written,
        cache_write_1h=_rate(kinds, "cache_write_1h_mtok", prompt_tokens),
        reasoning=_rate(kinds, "output_reasoning_mtok", prompt_tokens),
        source=f"genai-prices {version('genai-prices')}",
    )


def _rate(kinds: Mapping[str, Any], kind: str, prompt_tokens: int) -> int | None:
    """Return the nano-USD per million tokens of one kind in a call with so long a prompt."""
    dollars: Any = kinds.get(kind)
    if dollars is None:
        return None
    for tier in getattr(dollars, "tiers", ()):
        if prompt_tokens > tier.start:
            dollars = tier
    dollars = getattr(dollars, "price", getattr(dollars, "base", dollars))
    return int((Decimal(dollars) * NANO).to_integral_value(ROUND_CEILING))
