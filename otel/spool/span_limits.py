"""How much a span may carry, as the ``OTEL_SPAN_*_LIMIT`` variables say. Pure.

<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#span-limits>
What is beyond a limit is left out, the latest first. A text is cut at 8,192 signs in any case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from otel.settings import TelemetryMisconfigured
from otel.span import Link

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ATTRIBUTES: Final = ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT")
_OF_EVENTS: Final = ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT")
_OF_LINKS: Final = ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT")
_EVENTS: Final = ("OTEL_SPAN_EVENT_COUNT_LIMIT",)
_LINKS: Final = ("OTEL_SPAN_LINK_COUNT_LIMIT",)
_TEXT: Final = ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")
_USUAL: Final = 128

T = TypeVar("T")


class SpanLimits(NamedTuple):
    """How much a span may carry.

    Attributes:
        attributes: how many attributes.
        events: how many events.
        links: how many links.
        text: the signs of one value; None for no limit but the usual one.
        of_event: how many attributes an event may have.
        of_link: how many attributes a link may have.
    """

    attributes: int = _USUAL
    events: int = _USUAL
    links: int = _USUAL
    text: int | None = None
    of_event: int = _USUAL
    of_link: int = _USUAL

    def cut(self, attributes: Mapping[str, object], already: int = 0) -> Mapping[str, object]:
        """Return what there is room for, beside so many attributes that are there already."""
        if self.text is None and len(attributes) + already <= self.attributes:
            return attributes
        return self._within(attributes, max(0, self.attributes - already))

    def cut_event(self, attributes: Mapping[str, object]) -> Mapping[str, object]:
        """Return what there is room for in an event."""
        return self._within(attributes, self.of_event)

    def cut_links(self, links: Sequence[Link]) -> Sequence[Link]:
        """Return the links that there is room for, with what there is room for in each."""
        return [
            Link(each.to, self._within(each.attributes, self.of_link))
            for each in links[: self.links]
        ]

    def _within(self, attributes: Mapping[str, T], room: int) -> Mapping[str, T]:
        if len(attributes) > room:
            attributes = dict(list(attributes.items())[:room])
        if self.text is None:
            return attributes
        return {name: _cut(value, self.text) for name, value in attributes.items()}


def span_limits(environ: Mapping[str, str]) -> SpanLimits:
    """Return the limits that the variables ask for.

    Raises:
        TelemetryMisconfigured: one is no whole number.
    """
    usual = SpanLimits()
    return SpanLimits(
        _limit(environ, _ATTRIBUTES, usual.attributes),
        _limit(environ, _EVENTS, usual.events),
        _limit(environ, _LINKS, usual.links),
        _limit(environ, _TEXT, None),
        _limit(environ, _OF_EVENTS, usual.of_event),
        _limit(environ, _OF_LINKS, usual.of_link),
    )


def _limit(environ: Mapping[str, str], variables: Sequence[str], usual: T) -> int | T:
    for variable in variables:
        if said := environ.get(variable, "").strip():
            if not said.isdecimal():
                raise TelemetryMisconfigured(f"{variable}={said!r} is no whole number")
            return int(said)
    return usual


def _cut(value: Any, longest: int) -> Any:
    if isinstance(value, str):
        return value[:longest]
    if isinstance(value, list | tuple):
        return [_cut(each, longest) for each in value]
    return value
