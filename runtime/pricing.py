"""What a target costs today: the catalog's price, or that of its vendor's list."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from runtime.catalog import Target
from runtime.catalog.providers import LOCAL
from runtime.governance.cost import price_on

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from runtime.catalog import Catalog
    from runtime.messages import Price
    from runtime.rules import Rules

MOST_KEPT = 4_096


class PriceList(Protocol):
    """Prices by vendor and model, as ``providers.price_of`` has them."""

    def __call__(
        self, provider: str, model: str, overlay: Mapping[str, Price], *, on: date | None = None
    ) -> Price | None:
        """Return a price; None when nobody knows it."""


class Pricing:
    """Finds prices. A name is looked up once a day.

    Args:
        catalog: the catalog's own prices, and whose models its providers have.
        listed: everybody else's.
        rules: knows the day, and where providers are: only what is here is free.
    """

    def __init__(self, catalog: Catalog, listed: PriceList, rules: Rules) -> None:
        self._catalog = catalog
        self._listed = listed
        self._rules = rules
        self._on = lru_cache(maxsize=MOST_KEPT)(self._find)

    def __call__(self, provider: str, model: str) -> Price | None:
        """Return what a provider's model costs; None when nobody knows it."""
        return self._on(provider, model, self._rules.today)

    def of(self, target: Target) -> Price | None:
        """Return what a target costs; None when nobody knows it."""
        return self(target.provider, target.model)

    def _find(self, provider: str, model: str, day: date) -> Price | None:
        entry = self._catalog.providers.get(provider)
        own = price_on(self._catalog.prices.get(str(Target(provider, model))), day)
        if own is not None or entry is None:
            return own or self._listed(provider, model, {}, on=day)
        listed = entry.models.get(model)
        base = model if listed is None else listed.base_model or model
        is_free = entry.place == LOCAL
        if is_free and self._rules.region(provider) != LOCAL:
            return None  # a variable has moved it, and nobody knows to whom
        vendor = LOCAL if is_free else entry.vendor or provider
        of_base = price_on(self._catalog.prices.get(f"{vendor}/{base}"), day)
        return of_base or self._listed(vendor, base, {}, on=day)
