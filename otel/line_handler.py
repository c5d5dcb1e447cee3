"""The handlers on the root logger: from a record to a line, and from there to a writer."""

from __future__ import annotations

import copy
import json
import logging
from typing import TextIO

from otel.line_writer import CAPACITY, LineWriter


class LineHandler(logging.Handler):
    """Makes lines, hands them to a writer, and never raises.

    Args:
        stream: where the lines go; it stays its owner's.
        formatter: makes a line of a record.
        capacity: the characters of lines that may wait for the stream.

    Attributes:
        writer: writes the lines, and counts those that it could not write.
    """

    def __init__(
        self, stream: TextIO, formatter: logging.Formatter, *, capacity: int = CAPACITY
    ) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self.writer = LineWriter(stream, self._told, capacity=capacity)

    @property
    def unwritten(self) -> int:
        """Lines that the stream did not take, and those for which there was no room."""
        return self.writer.unwritten + self.writer.dropped

    def emit(self, record: logging.LogRecord) -> None:
        """Have the record's line written."""
        self.writer.put(f"{self.format(record)}\n", urgent=record.levelno >= logging.WARNING)

    def flush(self) -> None:
        """Wait until what was logged is written, two seconds at most."""
        self.writer.flush()

    def close(self) -> None:
        """Write what waits, as far as that is done in two seconds, and end the thread."""
        self.writer.close()
        super().close()

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a record that cannot be formatted gives one that says so."""
        try:
            return super().format(record)
        except Exception as error:  # noqa: BLE001 - e.g. "%d" with a text; the line still counts
            return self._repaired(record, type(error).__name__)

    def _told(self, lines: int) -> str:
        record = logging.makeLogRecord(
            {
                "name": __name__,
                "levelno": logging.WARNING,
                "levelname": "WARNING",
                "msg": "log lines were dropped here: nobody read fast enough",
                "dropped": lines,
            }
        )
        return f"{self.format(record)}\n"

    def _repaired(self, record: logging.LogRecord, error: str) -> str:
        repaired = copy.copy(record)
        repaired.msg, repaired.args = "%s %r", (record.msg, record.args)
        repaired.logging_error = error
        try:
            return super().format(repaired)
        except Exception:  # noqa: BLE001 - nothing of the record can be shown, only that it was
            lost = {"level": record.levelname.lower(), "logger": record.name}
            return json.dumps({**lost, "event": "<unprintable>", "logging_error": error})


class FileLineHandler(LineHandler):
    """The same for a file that is its own."""

    def __init__(self, stream: TextIO, formatter: logging.Formatter) -> None:
        super().__init__(stream, formatter)
        self._stream = stream

    def close(self) -> None:
        """Close the file, too."""
        super().close()
        self._stream.close()
