"""The same ``Tracing`` and ``Span``, recorded by an OpenTelemetry TracerProvider: any provider.

Only the OpenTelemetry API is imported here, so a person's own provider works, SDK or not.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from opentelemetry import context as otel_context
from opentelemetry import trace

from otel import conventions as names
from otel.flushing import finished
from otel.openinference import with_openinference
from otel.resource import runtime_version
from otel.sendable import sendable, sendable_name, sendable_text
from otel.span import Span, SpanKind
from otel.tracing import DEFAULT_SHUTDOWN_S, Tracing, parent_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextvars import Token

    from otel.attributes import AttributeValue
    from otel.span import Link

_KINDS: Mapping[SpanKind, trace.SpanKind] = {
    "internal": trace.SpanKind.INTERNAL,
    "client": trace.SpanKind.CLIENT,
    "server": trace.SpanKind.SERVER,
    "producer": trace.SpanKind.PRODUCER,
    "consumer": trace.SpanKind.CONSUMER,
}
_NO_CONTEXT = otel_context.Context()

wanted_trace_id: ContextVar[int | None] = ContextVar("wanted_trace_id", default=None)


class OwnProvider:
    """Marks a TracerProvider as one that this package has built, not a person."""


class RecordingSpan(Span):
    """A span that a TracerProvider records."""

    __slots__ = ("_ended", "_redact", "_say", "recorded")

    def __init__(
        self,
        recorded: trace.Span,
        redact: Callable[[str], str],
        say: Callable[[Mapping[str, AttributeValue] | None], dict[str, AttributeValue]] = sendable,
    ) -> None:
        place = recorded.get_span_context()
        super().__init__(place.trace_id, place.span_id, int(place.trace_flags))
        self.recorded = recorded
        self._redact = redact
        self._say = say
        self._ended = False

    @property
    def is_recording(self) -> bool:  # noqa: D102 - as in Span
        return not self._ended and self.recorded.is_recording()

    def set(self, attributes: Mapping[str, AttributeValue]) -> None:  # noqa: D102 - as in Span
        if not self._ended:
            self.recorded.set_attributes(self._say(attributes))

    def event(  # noqa: D102 - as in Span
        self,
        name: str,
        attributes: Mapping[str, AttributeValue] | None = None,
        *,
        time_ns: int | None = None,
    ) -> None:
        if not self._ended:
            self.recorded.add_event(sendable_name(name), sendable(attributes), time_ns)

    def rename(self, name: str) -> None:  # noqa: D102 - as in Span
        if not self._ended:
            self.recorded.update_name(sendable_name(name))

    def end(  # noqa: D102 - as in Span
        self,
        *,
        error_type: str | None = None,
        message: str | None = None,
        end_time_ns: int | None = None,
    ) -> None:
        if self._ended:
            return
        self._ended = True
        if error_type is not None:
            self.recorded.set_attribute(names.ERROR_TYPE, sendable_name(error_type))
            said = sendable_text(self._redact(message or ""))
            self.recorded.set_status(trace.StatusCode.ERROR, said)
        self.recorded.end(end_time_ns)

    def attached(self) -> AbstractContextManager[None]:  # noqa: D102 - as in Span
        return _Attached(self.recorded)


class RecordingTracing(Tracing):
    """Spans that go to a person's own TracerProvider, which stays theirs to shut down.

    The trace id of a root is the run's only where the provider was made with
    ``id_generator=RunTraceIds()`` (``otel.trace_ids``); every other provider makes its own. The
    span always tells the true one.
    """

    def __init__(self, provider: trace.TracerProvider, redact: Callable[[str], str]) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer(names.SCOPE, runtime_version())
        self._redact = redact

    @property
    def destination(self) -> str:  # noqa: D102 - as in Tracing
        return f"{type(self._provider).__module__}.{type(self._provider).__qualname__}"

    @property
    def is_recording(self) -> bool:  # noqa: D102 - as in Tracing
        return True

    def start(  # noqa: D102 - as in Tracing
        self,
        name: str,
        *,
        kind: SpanKind = "internal",
        parent: Span | str | None = None,
        trace_id: int | None = None,
        attributes: Mapping[str, AttributeValue] | None = None,
        links: Sequence[Link] = (),
        start_time_ns: int | None = None,
    ) -> Span:
        above = parent_of(parent, trace_id)
        say = _say_in_both if self.options.openinference else sendable
        token = wanted_trace_id.set(trace_id)
        try:
            recorded = self._tracer.start_span(
                sendable_name(name),
                context=_below(above),
                kind=_KINDS[kind],
                attributes=say(attributes),
                links=[_linked(link) for link in links],
                start_time=start_time_ns,
            )
        finally:
            wanted_trace_id.reset(token)
        if not recorded.get_span_context().is_valid:
            # A no-op provider gives an empty context, and a child needs a true one.
            return super().start(name, parent=parent, trace_id=trace_id)
        return RecordingSpan(recorded, self._redact, say)

    async def shutdown(self, timeout_s: float = DEFAULT_SHUTDOWN_S) -> bool:
        """Flush the person's provider, and leave it running."""
        flush = getattr(self._provider, "force_flush", None)
        return flush is None or await finished(flush, timeout_s)


class _Attached(AbstractContextManager[None]):
    """By hand, because a generator would cost four times as much."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self._token: Token[otel_context.Context] | None = None

    def __enter__(self) -> None:
        self._token = otel_context.attach(trace.set_span_in_context(self._span))

    def __exit__(self, *_exception: object) -> None:
        if self._token is not None:
            otel_context.detach(self._token)
            self._token = None


def provider_of_the_process() -> trace.TracerProvider | None:
    """Return the TracerProvider that a person has set; None when there is none but our own."""
    provider = trace.get_tracer_provider()
    ours = isinstance(provider, (OwnProvider, trace.ProxyTracerProvider))
    return None if ours else provider


def _say_in_both(attributes: Mapping[str, AttributeValue] | None) -> dict[str, AttributeValue]:
    return sendable(with_openinference(attributes or {}))


def _below(parent: Span | None) -> otel_context.Context:
    if parent is None:
        return _NO_CONTEXT
    if isinstance(parent, RecordingSpan):
        return trace.set_span_in_context(parent.recorded, _NO_CONTEXT)
    place = trace.NonRecordingSpan(place_of(parent, is_remote=True))
    return trace.set_span_in_context(place, _NO_CONTEXT)


def _linked(link: Link) -> trace.Link:
    return trace.Link(place_of(link.to, is_remote=False), sendable(link.attributes))


def place_of(span: Span, *, is_remote: bool) -> trace.SpanContext:
    """Return a span's ids as OpenTelemetry has them."""
    flags = trace.TraceFlags(span.flags)
    return trace.SpanContext(span.trace_id, span.span_id, is_remote=is_remote, trace_flags=flags)
