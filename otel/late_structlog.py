"""structlog, when it is wanted and not before: it takes 0.1 s, and most commands log nothing.

The first line imports it. Its own loggers are led to our handlers at once where it is imported
already, else as soon as an author's code imports it.
"""

from __future__ import annotations

import logging
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import TextIO

    from otel.redaction import Redactor


class LateFormatter(logging.Formatter):
    """Makes lines by structlog.

    Args:
        redactor: takes secrets out.
        stream: where the lines go; colours are for terminals.
        as_json: whether a line is a JSON object, and not columns for people.
    """

    def __init__(self, redactor: Redactor, stream: TextIO, *, as_json: bool) -> None:
        super().__init__()
        self._redactor = redactor
        self._stream = stream
        self._as_json = as_json
        self._inner: logging.Formatter | None = None

    def format(self, record: logging.LogRecord) -> str:
        """Return a record's line."""
        if self._inner is None:
            from otel.structlog_lines import line_formatter  # noqa: PLC0415  # structlog: 0.1 s

            self._inner = line_formatter(self._redactor, self._stream, as_json=self._as_json)
        return self._inner.format(record)


def lead_structlog() -> None:
    """Lead structlog's own loggers to the standard library's, now or when it is imported."""
    if "structlog" in sys.modules:
        _lead()
    elif not any(isinstance(finder, _Watch) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Watch())


def _lead() -> None:
    import structlog  # noqa: PLC0415  # it is there already

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


class _Watch:
    """Finds structlog as others do, once, and leads its loggers when it is loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        if fullname != "structlog":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_lead(module: ModuleType) -> None:
                load(module)
                _lead()

            spec.loader.exec_module = load_and_lead  # type: ignore[method-assign]  # ours alone
        return spec
