"""OpenTelemetry's own interface to the spool, for other people's instrumentation.

Whoever calls ``opentelemetry.trace.get_tracer`` gets spans that go where the runtime's go, below
the runtime's current span. Only the API is imported here, never the SDK; so the SDK's processors
and span limits have no say, and ``OTEL_TRACES_SAMPLER`` has it in ``sampling``.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.util._decorator import _agnosticcontextmanager

from otel.conventions import ERROR_TYPE
from otel.recording import OwnProvider, place_of
from otel.span import Link, Span
from otel.spool.foreign import nanoseconds, plain_attributes, plain_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextvars import Token

    from opentelemetry.util import types

    from otel.span import SpanKind
    from otel.spool.span import Place
    from otel.spool.tracing import SpooledTracing

_KINDS: Mapping[trace.SpanKind, SpanKind] = {
    trace.SpanKind.INTERNAL: "internal",
    trace.SpanKind.CLIENT: "client",
    trace.SpanKind.SERVER: "server",
    trace.SpanKind.PRODUCER: "producer",
    trace.SpanKind.CONSUMER: "consumer",
}


class ApiSpan(trace.Span):
    """A span of ours as OpenTelemetry sees it."""

    # Of the class, as of most nobody says anything.
    _error_type: str | None = None
    _code = trace.StatusCode.UNSET
    _message: str | None = None

    def __init__(
        self, span: Span, redact: Callable[[str], str], error_type: str | None = None
    ) -> None:
        self.span = span
        self._redact = redact
        if error_type is not None:
            self._error_type = error_type

    def get_span_context(self) -> trace.SpanContext:
        """Return its ids."""
        return place_of(self.span, is_remote=False)

    def is_recording(self) -> bool:
        """Return whether it has not ended."""
        return self.span.is_recording

    def set_attributes(self, attributes: Mapping[str, types.AttributeValue]) -> None:
        """Add attributes."""
        said = plain_attributes(attributes)
        self._error_type = said.get(ERROR_TYPE, self._error_type)
        self.span.set(said)

    def set_attribute(self, key: str, value: types.AttributeValue) -> None:
        """Add an attribute."""
        if isinstance(key, str):
            self.set_attributes({key: value})

    def add_event(
        self, name: str, attributes: types.Attributes = None, timestamp: int | None = None
    ) -> None:
        """Note that something happened."""
        said = plain_attributes(attributes)
        self.span.event(plain_text(name), said, time_ns=nanoseconds(timestamp))

    def update_name(self, name: str) -> None:
        """Call it otherwise."""
        self.span.rename(plain_text(name))

    def set_status(
        self, status: trace.Status | trace.StatusCode, description: str | None = None
    ) -> None:
        """Say how it ends: what is OK stays so, and nobody can take back what was said."""
        code = status.status_code if isinstance(status, trace.Status) else status
        said = status.description if isinstance(status, trace.Status) else description
        if code is not trace.StatusCode.UNSET and self._code is not trace.StatusCode.OK:
            self._code, self._message = code, said

    def record_exception(
        self,
        exception: BaseException,
        attributes: types.Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Note an exception as an event."""
        del escaped
        kind = type(exception).__name__
        self._error_type = self._error_type or kind
        said = {
            "exception.type": kind,
            "exception.message": self._redact(plain_text(exception)),
            **plain_attributes(attributes),
        }
        self.span.event("exception", said, time_ns=nanoseconds(timestamp))

    def end(self, end_time: int | None = None) -> None:
        """Close it."""
        failed = self._code is trace.StatusCode.ERROR
        self.span.end(
            error_type=plain_text(self._error_type or "_OTHER") if failed else None,
            message=self._message if failed else None,
            end_time_ns=nanoseconds(end_time),
        )


class CurrentSpan(ApiSpan):
    """A span of the runtime while it is the current one: whoever begins it ends it."""

    def end(self, end_time: int | None = None) -> None:
        """Do nothing."""


class ApiTracer(trace.Tracer):
    """Starts the spans of one instrumentation, wherever those of the process go by then."""

    def __init__(self, provider: ApiProvider, scope: str, version: str) -> None:
        self._provider = provider
        self._scope = scope, version
        self._place: tuple[SpooledTracing, Place] | None = None

    def _there(self) -> tuple[SpooledTracing, Place]:
        tracing = self._provider.tracing
        if self._place is None or self._place[0] is not tracing:
            self._place = tracing, tracing.place(*self._scope)
        return self._place

    def start_span(  # noqa: PLR0917  # OpenTelemetry's own
        self,
        name: str,
        context: otel_context.Context | None = None,
        kind: trace.SpanKind = trace.SpanKind.INTERNAL,
        attributes: types.Attributes = None,
        links: Sequence[trace.Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> trace.Span:
        """Begin a span below the current one."""
        del record_exception, set_status_on_exception
        said = plain_attributes(attributes)
        tracing, place = self._there()
        span = tracing.start_in(
            place, plain_text(name), _KINDS[kind], _above(context), None,
            said, [_linked(link) for link in links or ()], nanoseconds(start_time),
        )  # fmt: skip
        return ApiSpan(span, tracing.redact, said.get(ERROR_TYPE))

    @_agnosticcontextmanager  # as a decorator it begins a span for each call, async ones too
    def start_as_current_span(  # noqa: PLR0917  # OpenTelemetry's own
        self,
        name: str,
        context: otel_context.Context | None = None,
        kind: trace.SpanKind = trace.SpanKind.INTERNAL,
        attributes: types.Attributes = None,
        links: Sequence[trace.Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> Iterator[trace.Span]:
        """Begin a span and make it the current one."""
        span = self.start_span(name, context, kind, attributes, links, start_time)
        with trace.use_span(
            span,
            end_on_exit=end_on_exit,
            record_exception=record_exception,
            set_status_on_exception=set_status_on_exception,
        ):
            yield span


class ApiProvider(OwnProvider, trace.TracerProvider):
    """The TracerProvider of a process whose spans go to the spool.

    Attributes:
        tracing: where they go: that of the newest system.
    """

    def __init__(self, tracing: SpooledTracing) -> None:
        self.tracing = tracing

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: types.Attributes = None,
    ) -> trace.Tracer:
        """Return where an instrumentation gets its spans."""
        del schema_url, attributes
        version = instrumenting_library_version or ""
        return ApiTracer(self, instrumenting_module_name or "", version)


class Attached(AbstractContextManager[None]):
    """Makes a span the current one; by hand, because a generator would cost four times as much."""

    __slots__ = ("_redact", "_span", "_token")

    def __init__(self, span: Span, redact: Callable[[str], str]) -> None:
        self._span = span
        self._redact = redact
        self._token: Token[otel_context.Context] | None = None

    def __enter__(self) -> None:
        current = trace.set_span_in_context(CurrentSpan(self._span, self._redact))
        self._token = otel_context.attach(current)

    def __exit__(self, *_exception: object) -> None:
        if self._token is not None:
            otel_context.detach(self._token)
            self._token = None


def become_the_provider(tracing: SpooledTracing) -> None:
    """Let other instrumentation in, unless a person has a provider of their own."""
    current = trace.get_tracer_provider()
    if isinstance(current, trace.ProxyTracerProvider):
        trace.set_tracer_provider(ApiProvider(tracing))
    elif isinstance(current, ApiProvider):
        current.tracing = tracing


def _above(context: otel_context.Context | None) -> Span | None:
    current = trace.get_current_span(context)
    if isinstance(current, ApiSpan):
        return current.span
    place = current.get_span_context()
    return Span(place.trace_id, place.span_id, place.trace_flags) if place.is_valid else None


def _linked(link: trace.Link) -> Link:
    to = link.context
    return Link(Span(to.trace_id, to.span_id, to.trace_flags), plain_attributes(link.attributes))
