"""One line for each log record: JSON for machines, columns for people, secrets for nobody.

The runtime logs through the standard library (``logging.getLogger("runtime.actors")``), with
fields in ``extra={...}``. One handler on the root logger formats all records, an author's and
other libraries' too, and structlog's own loggers lead to the same handler. A line carries what
``bind`` has put around it (run_id, agent, task_id) and the ids of the current span.

Formatting never raises, and a stream that is gone is no error of the run that logs.
"""

from __future__ import annotations

import copy
import json as jsonlib
import logging
import os
import sys
from typing import TYPE_CHECKING, TextIO

from otel.log_fields import bound_fields, extra_fields, ordered, printable, trace_ids
from otel.redaction import Redactor
from otel.secret_shapes import secrets_in

if TYPE_CHECKING:
    from collections.abc import Iterable

    from structlog.types import EventDict, Processor, WrappedLogger

_CHATTY = ("httpx",)  # a line at INFO for each request


def configure_logging(
    *,
    stream: TextIO | None = None,
    json: bool | None = None,
    level: str | int = "INFO",
    secrets: Iterable[str] | None = None,
) -> None:
    """Send all log records to one stream; calling it again replaces what it did before.

    It imports structlog, 0.2 s, so only commands that run something should call it.

    Args:
        stream: where the lines go; None for standard error.
        json: one JSON object a line, or columns for people; None for columns on a terminal.
        level: the least severe level that is shown; libraries that report every request are
            held to warnings unless it is DEBUG.
        secrets: exact texts that may never be shown; None for the values of all variables of the
            process with names like ``OPENAI_API_KEY``.

    Raises:
        ValueError: there is no such level.
    """
    target = sys.stderr if stream is None else stream
    as_json = not target.isatty() if json is None else json
    redactor = Redactor(secrets_in(os.environ) if secrets is None else secrets)
    root = logging.getLogger()
    root.setLevel(level.upper() if isinstance(level, str) else level)
    for handler in [each for each in root.handlers if isinstance(each, LineHandler)]:
        root.removeHandler(handler)
    root.addHandler(LineHandler(target, _formatter(redactor, target, as_json=as_json)))
    for name in _CHATTY:
        quiet = root.level > logging.DEBUG
        logging.getLogger(name).setLevel(logging.WARNING if quiet else logging.NOTSET)
    _lead_structlog_here()


class LineHandler(logging.StreamHandler[TextIO]):
    """The handler on the root logger: writes lines, and never raises.

    Attributes:
        unwritten: lines that the stream did not take.
    """

    def __init__(self, stream: TextIO, formatter: logging.Formatter) -> None:
        super().__init__(stream)
        self.setFormatter(formatter)
        self.unwritten = 0

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a record that cannot be formatted gives one that says so."""
        try:
            return super().format(record)
        except Exception as error:  # noqa: BLE001 - e.g. "%d" with a text; the line still counts
            return self._repaired(record, type(error).__name__)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Count a line that the stream did not take, instead of printing a traceback."""
        del record
        self.unwritten += 1

    def _repaired(self, record: logging.LogRecord, error: str) -> str:
        repaired = copy.copy(record)
        repaired.msg, repaired.args = "%s %r", (record.msg, record.args)
        repaired.logging_error = error
        try:
            return super().format(repaired)
        except Exception:  # noqa: BLE001 - nothing of the record can be shown, only that it was
            lost = {"level": record.levelname.lower(), "logger": record.name}
            return jsonlib.dumps({**lost, "event": "<unprintable>", "logging_error": error})


def _formatter(redactor: Redactor, stream: TextIO, *, as_json: bool) -> logging.Formatter:
    import structlog  # noqa: PLC0415 - 0.2 s

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
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            trace_ids,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            redacted,
            *renderer,
        ],
    )


def _lead_structlog_here() -> None:
    import structlog  # noqa: PLC0415 - imported already by the formatter

    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
