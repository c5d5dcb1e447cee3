"""What a log line carries beside its text, as structlog processors; structlog is not imported."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Final

from otel.log_scope import current_scope

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext
    from structlog.types import EventDict, WrappedLogger

_FIRST: Final = ("timestamp", "level", "logger", "event")
_ALWAYS_THERE = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_TAKEN = frozenset({*_FIRST, "exception", "exc_info", "stack_info", "_record", "_from_structlog"})
_UNPRINTABLE = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
_BREAKS = {ord("\n"): "\n", ord("\t"): "\t"}


def extra_fields(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add what was given as ``extra``; a name that the line itself needs gets an underscore."""
    for name, value in vars(event["_record"]).items():
        if name not in _ALWAYS_THERE:
            event[f"{name}_" if name in _TAKEN else name] = value
    return event


def bound_fields(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add what the scope says, where the line does not say it itself."""
    for name, value in current_scope().fields.items():
        event.setdefault(f"{name}_" if name in _TAKEN else name, value)
    return event


def trace_ids(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the ids of the span at work, unless they were given; numbers become their hex.

    A span that is current in OpenTelemetry's sense is nearer, if it is of the same trace: it is an
    author's own one, or that of some instrumentation.
    """
    if "trace_id" not in event:
        ours, current = current_scope().span, _current_span()
        if current is not None and (ours is None or ours.trace_id == current.trace_id):
            event["trace_id"], event["span_id"] = current.trace_id, current.span_id
        elif ours is not None:
            event["trace_id"], event["span_id"] = ours.trace_id, ours.span_id
    for name, digits in (("trace_id", 32), ("span_id", 16)):
        if isinstance(event.get(name), int):
            event[name] = f"{event[name]:0{digits}x}"
    return event


def _current_span() -> SpanContext | None:
    api = sys.modules.get("opentelemetry.trace")  # not imported: there is no current span
    if api is None:
        return None
    place: SpanContext = api.get_current_span().get_span_context()
    return place if place.is_valid else None


def ordered(event: EventDict) -> EventDict:
    """Put first what people look for first: when, how bad, where, what."""
    first = {name: event[name] for name in _FIRST if name in event}
    return first | {name: value for name, value in event.items() if name not in first}


def printable(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Show control characters instead of obeying them: a model's text is not to steer a terminal.

    Line breaks stay in tracebacks only, so that nobody can forge a second line.
    """
    for name, value in event.items():
        if isinstance(value, str):
            keep = _BREAKS if name in {"exception", "stack", "stack_info"} else {}
            event[name] = value.translate(_UNPRINTABLE | keep)
    return event
