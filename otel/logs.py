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

from otel.late_structlog import LateFormatter, lead_structlog
from otel.line_handler import FileLineHandler, LineHandler
from otel.redaction import Redactor
from otel.secret_shapes import secrets_in

if TYPE_CHECKING:
    from collections.abc import Iterable

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

    structlog is imported with the first line, which takes 0.1 s.

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
    made = [LineHandler(target, LateFormatter(redactor, target, as_json=as_json))]
    if file is not None:
        made.append(_file_handler(file, redactor))
    remove_handlers()
    for handler in made:
        root.addHandler(handler)
    for name in _CHATTY:
        quiet = root.level > logging.DEBUG
        logging.getLogger(name).setLevel(logging.WARNING if quiet else logging.NOTSET)
    lead_structlog()


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
    return FileLineHandler(stream, LateFormatter(redactor, stream, as_json=True))
