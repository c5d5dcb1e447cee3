"""One line for each log record: JSON for machines, columns for people, secrets for nobody.

The runtime logs through the standard library (``logging.getLogger("runtime.actors")``), with
fields in ``extra={...}``. One handler on the root logger formats all records, an author's and
other libraries' too, and structlog's own loggers lead to the same handler. A line carries what
``bind`` has put around it (run_id, agent, task_id) and the ids of the current span.

A line is made where it is logged, so that nothing in it changes meanwhile, and by whoever knows
whose work it is; a thread writes it, so that nobody waits for a slow terminal. Formatting never
raises, and a stream that is gone is no error of the run that logs.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from otel.line_handler import FileLineHandler, LineHandler
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
    file: str | os.PathLike[str] | None = None,
) -> None:
    """Send all log records to one stream; calling it again replaces what it did before.

    Whoever logs does not wait for the stream: what it does not take in time is dropped, and counted
    in a line of its own. At the end of the process two seconds are left for what still waits.

    It imports structlog, 0.2 s, so only commands that run something should call it.

    Args:
        stream: where the lines go; None for standard error.
        json: one JSON object a line, or columns for people; None for columns on a terminal.
        level: the least severe level that is shown; libraries that report every request are
            held to warnings unless it is DEBUG.
        secrets: exact texts that may never be shown; None for the values of all variables of the
            process with names like ``OPENAI_API_KEY``.
        file: where the same lines are appended as JSON, whatever the stream shows; None for
            nowhere.

    Raises:
        ValueError: there is no such level.
        OSError: the file cannot be opened.
    """
    target = sys.stderr if stream is None else stream
    as_json = not target.isatty() if json is None else json
    redactor = Redactor(secrets_in(os.environ) if secrets is None else secrets)
    root = logging.getLogger()
    root.setLevel(level.upper() if isinstance(level, str) else level)
    made = [LineHandler(target, _formatter(redactor, target, as_json=as_json))]
    if file is not None:
        made.append(_file_handler(file, redactor))
    remove_handlers()
    for handler in made:
        root.addHandler(handler)
    for name in _CHATTY:
        quiet = root.level > logging.DEBUG
        logging.getLogger(name).setLevel(logging.WARNING if quiet else logging.NOTSET)
    _lead_structlog_here()


def flush_handlers() -> None:
    """Wait until what was logged is written, two seconds at most."""
    for handler in _handlers():
        handler.flush()


def remove_handlers() -> None:
    """Undo what ``configure_logging`` did to the root logger, its level apart."""
    for handler in _handlers():
        logging.getLogger().removeHandler(handler)
        handler.close()


def _handlers() -> list[LineHandler]:
    return [each for each in logging.getLogger().handlers if isinstance(each, LineHandler)]


def _file_handler(file: str | os.PathLike[str], redactor: Redactor) -> FileLineHandler:
    stream = Path(file).open("a", encoding="utf-8")  # noqa: SIM115 - the handler closes it
    return FileLineHandler(stream, _formatter(redactor, stream, as_json=True))


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
