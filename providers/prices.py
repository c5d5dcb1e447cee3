"""What a model costs, in nano-USD per million tokens, as whole numbers.

First the catalog's own prices, then nothing for the models of this machine, then the table that the
package ``genai-prices`` carries: the one of the installed version, never fetched anew. It is
imported at the first question that reaches it, and every answer of it is kept.

Limits, because a ``Price`` is one number a kind. Where the table has tiers (a longer prompt costs
more), the price is the base tier's. Where the price depends on the hour, it is the highest one.
What is charged by request, search, image or second is not in it. A kind of cached token without a
price of its own costs as much as a prompt token.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from runtime.messages import Price

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genai_prices.types import ModelInfo, ModelPrice

NANO = 10**9
LOCAL_PROVIDERS = frozenset({"echo", "local", "ollama"})
LOCAL_MODELS = frozenset({"echo-1", "extract-1"})
FREE = Price(input=0, output=0, cached_input=0, cache_write=0, source="runs on this machine: free")
MOST_KEPT = 4_096


def price_of(provider: str, model: str, overlay: Mapping[str, Price]) -> Price | None:
    """Return what a model costs.

    Args:
        provider: the provider's name in the catalog, e.g. ``openai``.
        model: the model's name as that provider knows it.
        overlay: the catalog's own prices by ``provider/model``; they win.

    Returns:
        The price, or None when nobody knows it: who must not pay more than allowed has to refuse.
    """
    own = overlay.get(f"{provider}/{model}")
    if own is not None:
        return own
    if provider in LOCAL_PROVIDERS or model in LOCAL_MODELS:
        return FREE
    return _listed_price(provider, model)


@lru_cache(maxsize=MOST_KEPT)
def _listed_price(provider: str, model: str) -> Price | None:
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415  # takes a third of a second

    try:
        _, found = get_snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        return None
    return _price(_dearest_today(found, datetime.now(UTC)))


def _dearest_today(model: ModelInfo, now: datetime) -> ModelPrice:
    """Return the price that applies on this day, at the hour at which it is highest."""
    if not isinstance(model.prices, list):
        return model.prices
    applying = []
    for entry in reversed(model.prices):  # later entries go before earlier ones
        by_hour = hasattr(entry.constraint, "start_time")
        if by_hour or entry.constraint is None or entry.constraint.active(now):
            applying.append(entry.prices)
            if not by_hour:
                break
    return max(applying or [model.prices[0].prices], key=_total)


def _total(listed: ModelPrice) -> int:
    return (_rate(listed, "input_mtok") or 0) + (_rate(listed, "output_mtok") or 0)


def _price(listed: ModelPrice) -> Price | None:
    fresh, output = _rate(listed, "input_mtok"), _rate(listed, "output_mtok")
    if fresh is None or output is None:
        return None
    cached, written = _rate(listed, "cache_read_mtok"), _rate(listed, "cache_write_mtok")
    return Price(
        input=fresh,
        output=output,
        cached_input=fresh if cached is None else cached,
        cache_write=fresh if written is None else written,
        source=f"genai-prices {version('genai-prices')}",
    )


def _rate(listed: ModelPrice, kind: str) -> int | None:
    """Return the nano-USD per million tokens of one kind; of tiers the lowest."""
    dollars: Any = getattr(listed, kind, None)
    dollars = getattr(dollars, "base", dollars)
    return (
        None if dollars is None else int((Decimal(dollars) * NANO).to_integral_value(ROUND_CEILING))
    )
