"""What ``catalog/prices.yaml`` says: what tokens cost, where we know it better than the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from runtime.catalog.values import Amount, Day, Entry, Given, Name, TargetName, day_of, nano_usd
from runtime.messages import LongPrompt, Price


class RatesEntry(Entry):
    """What a million tokens cost, in US dollars.

    Attributes:
        input_usd_per_mtok: prompt tokens that no cache served.
        output_usd_per_mtok: generated tokens.
        cached_input_usd_per_mtok: prompt tokens read from a cache; as input if not given.
        cache_write_usd_per_mtok: prompt tokens written to a cache; as input if not given.
        cache_write_1h_usd_per_mtok: those kept for an hour; as other writes if not given.
        reasoning_usd_per_mtok: generated tokens spent on reasoning; as output if not given.
    """

    input_usd_per_mtok: Amount
    output_usd_per_mtok: Amount
    cached_input_usd_per_mtok: Given[Amount] = None
    cache_write_usd_per_mtok: Given[Amount] = None
    cache_write_1h_usd_per_mtok: Given[Amount] = None
    reasoning_usd_per_mtok: Given[Amount] = None

    def rates(self, source: str) -> dict[str, int | str | None]:
        """Return them in whole nano-dollars, by the names of ``Price``."""
        fresh = nano_usd(self.input_usd_per_mtok)
        cached, written = self.cached_input_usd_per_mtok, self.cache_write_usd_per_mtok
        hourly, thought = self.cache_write_1h_usd_per_mtok, self.reasoning_usd_per_mtok
        return {
            "input": fresh,
            "output": nano_usd(self.output_usd_per_mtok),
            "cached_input": fresh if cached is None else nano_usd(cached),
            "cache_write": fresh if written is None else nano_usd(written),
            "cache_write_1h": None if hourly is None else nano_usd(hourly),
            "reasoning": None if thought is None else nano_usd(thought),
            "source": source,
        }


class LongPromptEntry(RatesEntry):
    """What all of a call costs whose prompt is long.

    Attributes:
        above_tokens: of more prompt tokens than these.
    """

    above_tokens: Annotated[int, Field(ge=1, le=100_000_000)]


class TierEntry(RatesEntry):
    """What a million tokens cost in one tier of service.

    Attributes:
        long_prompts: what calls with long prompts cost; the largest ``above_tokens`` that the
            prompt exceeds decides.
    """

    long_prompts: Annotated[tuple[LongPromptEntry, ...], Field(strict=False, max_length=20)] = ()

    def price(self, source: str) -> Price:
        """Return it in whole nano-dollars.

        Args:
            source: where it is written, e.g. ``catalog/prices.yaml:4``.
        """
        longer = sorted(self.long_prompts, key=lambda entry: entry.above_tokens)
        return Price(
            **self.rates(source),  # type: ignore[arg-type]  # each name has its own type there
            long_prompts=tuple(
                LongPrompt(entry.above_tokens, Price(**entry.rates(source)))  # type: ignore[arg-type]  # as above
                for entry in longer
            ),
        )


class PriceEntry(TierEntry):
    """What a million tokens of one model cost.

    Attributes:
        service_tiers: what it costs in another tier of service, by the server's word for the tier,
            e.g. ``batch``, ``flex``, ``priority``.
        since: the day from which on this holds, e.g. ``2026-11-29``, UTC; since ever if not given.
        before: the price until then; until then nobody knows it if not given.
    """

    service_tiers: Mapping[Name, TierEntry] = {}
    since: Given[Day] = None
    before: Given[PriceEntry] = None

    def price(self, source: str) -> Price:
        """Return it in whole nano-dollars, with what it was before."""
        tiers = {name: tier.price(source) for name, tier in self.service_tiers.items()}
        return replace(
            super().price(source),
            service_tiers=tiers,
            since=None if self.since is None else day_of(self.since),
            before=None if self.before is None else self.before.price(source),
        )


class PricesFile(Entry):
    """Prices by ``provider/model``; they go before the ones that the runtime brings along."""

    prices: Annotated[Mapping[TargetName, PriceEntry], Field(min_length=1)]
