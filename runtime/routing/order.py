"""A route's targets in the order in which they are asked: by weight, by cost or by latency."""

from __future__ import annotations

import math
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runtime.catalog import Target
    from runtime.messages import Price
    from runtime.routing.learned import Learned


def by_weight(weights: Mapping[Target, float], seed: str) -> tuple[Target, ...]:
    """Return targets in a random order in which each comes first as often as its weight says.

    The same seed gives the same order, so that a question that is asked again goes the same way.
    """

    def key(target: Target) -> float:
        digest = sha256(f"{seed}\0{target}".encode()).digest()
        share = (int.from_bytes(digest[:8], "big") + 1) / 2**64  # above 0, at most 1
        return -math.log(share) / weights[target]

    return tuple(sorted(weights, key=key))


def by_latency(targets: Sequence[Target], learned: Learned, now: float) -> tuple[Target, ...]:
    """Return targets, the one that may be expected to answer first in front."""
    seconds = learned.seconds(targets, now)
    return tuple(sorted(targets, key=lambda target: seconds[target]))


def by_cost(
    targets: Sequence[Target],
    learned: Learned,
    price_of: Callable[[Target], Price | None],
    input_tokens: int,
) -> tuple[Target, ...]:
    """Return targets, the cheapest in front and those whose price nobody knows at the end.

    Args:
        targets: whom to order.
        learned: how long their answers usually are.
        price_of: what they cost.
        input_tokens: about how long the prompt is.
    """

    def cost(target: Target) -> float:
        price = price_of(target)
        if price is None:
            return math.inf
        once = input_tokens * price.input + learned.output_tokens(target) * price.output
        return once * learned.questions(target)

    return tuple(sorted(targets, key=cost))
