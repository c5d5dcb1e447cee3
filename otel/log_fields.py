"""What a log line carries beside its text, as structlog processors; structlog is not imported."""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from structlog.types import EventDict, WrappedLogger

_FIRST: Final = ("timestamp", "level", "logger", "event")
_ALWAYS_THERE = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_TAKEN = frozenset({*_FIRST, "exception", "exc_info", "stack_info", "_record", "_from_structlog"})
_UNPRINTABLE = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
_BREAKS = {ord("\n"): "\n", ord("\t"): "\t"}

_bound: ContextVar[Mapping[str, object]] = ContextVar("bound_log_fields")


@contextmanager
def bind(**fields: object) -> Iterator[None]:
    """Put fields on every line that is logged inside the ``with``, in this task and its children.

    An inner ``bind`` adds to an outer one and wins over it; ``extra`` wins over both.
    """
    token = _bound.set({**_bound.get({}), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


def extra_fields(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add what was given as ``extra``; a name that the line itself needs gets an underscore."""
    for name, value in vars(event["_record"]).items():
        if name not in _ALWAYS_THERE:
            event[f"{name}_" if name in _TAKEN else name] = value
    return event


def bound_fields(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add what ``bind`` has put around the line, where the line does not say it itself."""
    for name, value in _bound.get({}).items():
        event.setdefault(f"{name}_" if name in _TAKEN else name, value)
    return event


def trace_ids(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the ids of the current span, unless they were given; numbers become their hex."""
    api = sys.modules.get("opentelemetry.trace")  # not imported: there is no current span
    if api is not None and "trace_id" not in event:
        place = api.get_current_span().get_span_context()
        if place.is_valid:
            event["trace_id"], event["span_id"] = place.trace_id, place.span_id
    for name, digits in (("trace_id", 32), ("span_id", 16)):
        if isinstance(event.get(name), int):
            event[name] = f"{event[name]:0{digits}x}"
    return event


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
