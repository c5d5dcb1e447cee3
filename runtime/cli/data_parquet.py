"""Rows as a Parquet file, typed, in groups of ten thousand. The only place that needs pyarrow."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from runtime.cli.data_rows import CONTENTS, json_text
from runtime.errors import ConfigurationError

try:
    import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
    from pyarrow import parquet
except ImportError as error:
    raise ConfigurationError(
        "Parquet files need pyarrow: pip install 'magsag-runtime[parquet]', or use --format csv"
        " or ndjson"
    ) from error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from runtime.cli.data_sinks import Sink

GROUP = 10_000  # rows
_TIME = pa.timestamp("ms", tz="UTC")
_TYPES = {
    "started_at": _TIME,
    "ended_at": _TIME,
    "duration_s": pa.float64(),
    "cost_usd": pa.decimal128(18, 9),
    "unpriced": pa.bool_(),
    "data_classes": pa.list_(pa.string()),
    **dict.fromkeys(("cost_nano_usd", "settled_nano_usd", "attempts"), pa.int64()),
}


def _type_of(column: str) -> Any:
    return pa.int64() if column.endswith("_tokens") else _TYPES.get(column, pa.string())


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


_MADE: Mapping[str, Callable[[Any], Any]] = {
    "started_at": _time,
    "ended_at": _time,
    **dict.fromkeys(CONTENTS, json_text),
}


class Parquet:
    """Rows with these columns, a group at a time."""

    def __init__(self, writer: Any, schema: Any) -> None:
        self._writer = writer
        self._schema = schema
        self._rows: list[dict[str, Any]] = []

    def add(self, row: Mapping[str, Any]) -> None:
        """Take a row, and write the group that it fills."""
        made = {name: _MADE[name](row[name]) for name in _MADE if row.get(name) is not None}
        cost = None if row["unpriced"] else Decimal(row["cost_nano_usd"]).scaleb(-9)
        self._rows.append({**row, **made, "cost_usd": cost})
        if len(self._rows) == GROUP:
            self._write()

    def close(self) -> None:
        """Write the last group."""
        if self._rows:
            self._write()

    def _write(self) -> None:
        self._writer.write_table(pa.Table.from_pylist(self._rows, self._schema))
        self._rows.clear()


@contextmanager
def parquet_file(path: Path, columns: Sequence[str]) -> Iterator[Sink]:
    """Hand out a sink for a file, which is complete when the block ends.

    Raises:
        OSError: it cannot be written.
    """
    schema = pa.schema([(name, _type_of(name)) for name in columns])
    with parquet.ParquetWriter(path, schema) as writer:
        yield Parquet(writer, schema)
