"""Lines made by structlog; ``late_structlog`` imports this with the first of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import structlog

from otel.log_fields import bound_fields, extra_fields, ordered, printable, trace_ids

if TYPE_CHECKING:
    import logging
    from typing import TextIO

    from structlog.types import EventDict, Processor, WrappedLogger

    from otel.redaction import Redactor


def line_formatter(redactor: Redactor, stream: TextIO, *, as_json: bool) -> logging.Formatter:
    """Return what makes a line of a record.

    Args:
        redactor: takes secrets out.
        stream: where the lines go; colours are for terminals.
        as_json: whether a line is a JSON object, and not columns for people.
    """

    def redacted(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        plain = redactor.plain(ordered(event))
        return plain if isinstance(plain, dict) else {"event": plain}

    renderer: list[Processor] = [structlog.processors.JSONRenderer()]
    if not as_json:
        colors = stream.isatty() and "NO_COLOR" not in os.environ
        renderer = [
            printable,
            structlog.dev.ConsoleRenderer(
                colors=colors, exception_formatter=structlog.dev.plain_traceback
            ),
        ]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[extra_fields],
        processors=[
            bound_fields,
            trace_ids,
            structlog.contextvars.merge_contextvars,  # below ours: an actor may have old ones
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            redacted,
            *renderer,
        ],
    )
