"""Which traces are recorded, as ``OTEL_TRACES_SAMPLER`` says. Pure.

The names and the rule for ratios are the specification's:
<https://opentelemetry.io/docs/specs/otel/trace/sdk/#sampling>. A child is recorded as its parent
is, but for the samplers that look at each span by itself.

A ratio looks at the lower 56 bits, which the specification calls the random ones. The 64 that the
older one looked at begin with the variant of a UUIDv7, as run ids are: none of them is in the lower
half.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from otel.settings import TelemetryMisconfigured

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel.span import Span

_VARIABLE: Final = "OTEL_TRACES_SAMPLER"
_ARGUMENT: Final = "OTEL_TRACES_SAMPLER_ARG"
_PARENT_BASED: Final = "parentbased_"
_KNOWN: Final = ("always_on", "always_off", "traceidratio")
_RANDOM: Final = 1 << 56  # so many values
_SAMPLED: Final = 1


class Sampler(NamedTuple):
    """Decides whether a span is recorded.

    Attributes:
        threshold: traces are recorded whose lower 56 bits are not below it.
        asks_parent: whether a child is recorded as its parent is.
    """

    threshold: int = 0
    asks_parent: bool = True

    def takes(self, trace_id: int, parent: Span | None) -> bool:
        """Return whether a span is recorded."""
        if parent is not None and self.asks_parent:
            return bool(parent.flags & _SAMPLED)
        return trace_id % _RANDOM >= self.threshold


def sampler(environ: Mapping[str, str]) -> Sampler:
    """Return the sampler that the variables ask for.

    Raises:
        TelemetryMisconfigured: it is not known, or its ratio is none.
    """
    name = environ.get(_VARIABLE, "").strip().lower() or f"{_PARENT_BASED}always_on"
    base = name.removeprefix(_PARENT_BASED)
    if base not in _KNOWN:
        known = ", ".join((*_KNOWN, *(f"{_PARENT_BASED}{each}" for each in _KNOWN)))
        raise TelemetryMisconfigured(f"{_VARIABLE}={name!r} is not known; it is one of: {known}")
    ratio = {"always_on": 1.0, "always_off": 0.0}.get(base)
    if ratio is None:
        ratio = _ratio(environ.get(_ARGUMENT, "").strip() or "1")
    return Sampler(round((1 - ratio) * _RANDOM), base != name)


def _ratio(text: str) -> float:
    try:
        ratio = float(text)
    except ValueError:
        ratio = math.nan
    if not 0 <= ratio <= 1:
        raise TelemetryMisconfigured(f"{_ARGUMENT}={text!r} is no share from 0 to 1")
    return ratio
