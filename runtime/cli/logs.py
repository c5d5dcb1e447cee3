"""How much is logged while a command works, and to where."""

from __future__ import annotations

import copy
import logging
from typing import TYPE_CHECKING, TextIO

from otel import configure_logging
from otel.logs import LineHandler

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
    """
    level = logging.INFO if verbose else logging.ERROR if quiet else logging.WARNING
    configure_logging(stream=stream, level=level)
    if session.debug:
        return
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LineHandler) and handler.formatter is not None:
            handler.setFormatter(WithoutTraceback(handler.formatter))
