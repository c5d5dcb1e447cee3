"""A span on its way to the spool: encoded in the thread that ends it, and put into a file."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from otel import conventions as names
from otel.attributes import Alike, Joined
from otel.sendable import sendable_name
from otel.span import Span, random_id
from otel.spool import encoding
from otel.spool.attribute_fields import attribute_fields
from otel.spool.open_spans import NO_SLOT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from otel.attributes import AttributeValue
    from otel.span import Link, SpanKind
    from otel.spool.open_spans import OpenSpans
    from otel.spool.span_limits import SpanLimits
    from otel.spool.spool import Lane

_NOTHING: Final[Mapping[str, object]] = {}
_FOR_WRITING: Final = (Alike, Joined)


class SpooledSpan(Span):
    """A span that goes to the spool."""

    __slots__ = (
        "_attributes",
        "_ended",
        "_events",
        "_head",
        "_known",
        "_later",
        "_name",
        "_place",
        "_slot",
    )

    def __init__(  # noqa: PLR0917  # all of a span, and called for each
        self,
        place: Place,
        trace_id: int,
        above: Span | None,
        name: str,
        kind: SpanKind,
        links: Sequence[Link],
        attributes: Mapping[str, object],
        start_time_ns: int,
    ) -> None:
        super().__init__(trace_id, random_id(64))
        limits = place.limits
        head = encoding.head(self, above, name, kind, start_time_ns)
        if links:
            head += encoding.links(limits.cut_links(links))
        attributes = limits.cut(attributes)
        known = head + attribute_fields(attributes)
        self._place = place
        self._head = head
        self._known = known
        self._attributes = attributes
        self._later: Mapping[str, object] = _NOTHING
        self._name = b""
        self._events: list[bytes] = []
        self._ended = False
        self._slot = NO_SLOT if place.open is None else place.open.opened(known, head)

    @property
    def is_recording(self) -> bool:  # noqa: D102  # as in Span
        return not self._ended

    def set(self, attributes: Mapping[str, AttributeValue]) -> None:  # noqa: D102  # as in Span
        if not self._ended:
            already = len(self._attributes) + len(self._later)
            said = self._place.limits.cut(self._place.said(attributes), already)
            # Nobody changes what is made to be written; all else is its owner's, who may.
            if type(said) in _FOR_WRITING and not self._later:
                self._later = said
            else:  # with no call in it, so that no other thread comes in between
                self._later = {**self._later, **said}

    def event(  # noqa: D102  # as in Span
        self,
        name: str,
        attributes: Mapping[str, AttributeValue] | None = None,
        *,
        time_ns: int | None = None,
    ) -> None:
        if not self._ended and len(self._events) < self._place.limits.events:
            said = self._place.limits.cut_event(attributes or {})
            at_ns = time.time_ns() if time_ns is None else time_ns
            self._events.append(encoding.event(name, at_ns, said))

    def rename(self, name: str) -> None:  # noqa: D102  # as in Span
        if not self._ended:
            self._name = encoding.name(name)

    def end(  # noqa: D102  # as in Span
        self,
        *,
        error_type: str | None = None,
        message: str | None = None,
        end_time_ns: int | None = None,
    ) -> None:
        if self._ended:
            return
        self._ended = True
        ended = encoding.end(time.time_ns() if end_time_ns is None else end_time_ns)
        place = self._place
        failed = b""
        if error_type is not None:
            self._later = {**self._later, names.ERROR_TYPE: sendable_name(error_type)}
            failed = encoding.status(encoding.ERROR, place.redact(message or ""))
        known, later = self._known, self._later
        if not later.keys().isdisjoint(self._attributes):
            known = self._head
            later = {**self._attributes, **later}
        said = attribute_fields(later)
        place.lane.append(
            encoding.frame(b"".join((known, self._name, said, *self._events, ended, failed)))
        )
        if place.open is not None:
            place.open.closed(self._slot)

    def attached(self) -> AbstractContextManager[None]:  # noqa: D102  # as in Span
        return self._place.attached(self, self._place.redact)


class Place:
    """Where the spans of one instrumentation go.

    Attributes:
        lane: its place in the spool.
        open: where those are noted that have not ended.
        limits: how much a span may carry.
        redact: takes secrets out of messages.
        said: adds what else attributes are to say.
        attached: makes a span the current one of OpenTelemetry.
    """

    __slots__ = ("attached", "lane", "limits", "open", "redact", "said")

    def __init__(
        self,
        lane: Lane,
        open_: OpenSpans | None,
        limits: SpanLimits,
        redact: Callable[[str], str],
        said: Callable[[Mapping[str, AttributeValue]], Mapping[str, AttributeValue]],
    ) -> None:
        from otel.spool.api_provider import Attached  # noqa: PLC0415  # it imports this module

        self.attached = Attached  # here, as an import takes as long as the rest of attaching
        self.lane = lane
        self.open = open_
        self.limits = limits
        self.redact = redact
        self.said = said
