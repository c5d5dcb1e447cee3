"""What tokens cost, in integer nano-USD: money is never a float. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.messages import ModelRequest, Price, Usage

NANO = 1_000_000_000
TOKENS_PER_PRICE = 1_000_000
TOKENS_PER_MESSAGE = 16  # what a dialect adds around a turn, at most


def cost_of(usage: Usage, price: Price) -> int:
    """Return what a call cost, in nano-USD, rounded up."""
    cached = usage.cached_input_tokens or 0
    written = usage.cache_write_tokens or 0
    plain = max(0, usage.input_tokens - cached - written)
    total = (
        plain * price.input
        + cached * price.cached_input
        + written * price.cache_write
        + usage.output_tokens * price.output
    )
    return -(-total // TOKENS_PER_PRICE)


def worst_case(request: ModelRequest, price: Price) -> int:
    """Return the most that a call may cost, in nano-USD.

    No tokenizer makes more tokens than there are bytes; each is taken at the dearest input price,
    and the whole allowance of output is used.
    """
    text = sum(len(message.content.encode()) for message in request.messages)
    text += len((request.system or "").encode())
    text += len(str(request.schema).encode()) if request.schema is not None else 0
    tokens = text + TOKENS_PER_MESSAGE * (len(request.messages) + 1)
    dearest = max(price.input, price.cached_input, price.cache_write)
    total = tokens * dearest + request.max_output_tokens * price.output
    return -(-total // TOKENS_PER_PRICE)


def known_cost(cost: int, calls: int, unpriced: int) -> int | None:
    """Return the cost of some calls; None when there were calls and nobody knows any price."""
    return None if unpriced and unpriced == calls else cost


def usd(nano: int) -> float:
    """Return nano-USD as USD, for people and JSON only."""
    return nano / NANO
