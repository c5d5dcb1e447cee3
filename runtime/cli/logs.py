"""How much is logged while a command works, and to where."""

from __future__ import annotations

import copy
import logging
import os
from typing import TYPE_CHECKING, TextIO

from otel import configure_logging
from otel.line_handler import FileLineHandler, LineHandler
from runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from runtime.cli.options import Session


class WithoutTraceback(logging.Formatter):
    """Formats a record without its traceback; what the exception says stays.

    Args:
        inner: formats the rest.
    """

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; the record itself stays as it is, as other handlers get it, too."""
        shown = copy.copy(record)
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and not hasattr(record, "reason"):
            shown.error = f"{type(error).__name__}: {error}".removesuffix(": ")
        shown.exc_info = shown.exc_text = None
        return self._inner.format(shown)


def log_to(stream: TextIO | None, session: Session, *, verbose: bool, quiet: bool) -> None:
    """Send log records to a stream: warnings, or more or fewer; tracebacks with ``--debug`` only.

    Args:
        stream: where they go; None for standard error.
        session: says whether tracebacks are wanted.
        verbose: whether what goes well is logged, too.
        quiet: whether warnings are left out.

    Raises:
        ConfigurationError: the file that ``MAGSAG_LOG_FILE`` names cannot be opened.
    """
    level = logging.INFO if verbose else logging.ERROR if quiet else logging.WARNING
    file = os.environ.get("MAGSAG_LOG_FILE") or None
    try:
        configure_logging(stream=stream, level=level, file=file)
    except OSError as error:
        raise ConfigurationError(
            f"MAGSAG_LOG_FILE={file} cannot be opened: {error.strerror or error}"
        ) from error
    if session.debug:
        return
    for handler in logging.getLogger().handlers:
        # Who reads a file later on cannot run the same again with --debug.
        for_people = isinstance(handler, LineHandler) and not isinstance(handler, FileLineHandler)
        if for_people and handler.formatter is not None:
            handler.setFormatter(WithoutTraceback(handler.formatter))
