"""A call of the audit trail as a row: the same columns in every format. Pure."""

from __future__ import annotations

import json
import re
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from runtime.cli.text import utc_time
from runtime.governance.cost import dollars, usd
from runtime.journal.calls import CALL_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.journal import Filed

COLUMNS = (
    *("run_id", "workflow", "agent", "path", "task", "tenant", "provider", "model"),
    *("served_model", "status", "started_at", "ended_at", "duration_s"),
    *("input_tokens", "output_tokens", "total_tokens", "cached_input_tokens"),
    *("cache_write_tokens", "reasoning_tokens", "cost_usd", "cost_nano_usd", "unpriced"),
    *(
        "settled_nano_usd",
        "usage_source",
        "service_tier",
        "attempts",
        "finish_reason",
        "reason",
        "error_class",
    ),
    *("error", "decision", "policy", "data_classes", "region", "level", "route", "request_sha256"),
    *("reply_sha256", "request_id", "price_source"),
)
CONTENTS = ("prompt", "reply")
# What a spreadsheet takes a cell for a formula that begins so, and what steers a terminal.
_UNSAFE = re.compile(r"\A[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_FORMULA = (*"=+-@\t\r", *"\uff1d\uff0b\uff0d\uff20")  # full-width ones, too
_WORDS = {None: "", True: "true", False: "false"}
_BREAKS = (ord("\t"), ord("\n"))
_CONTROLS = {
    code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code not in _BREAKS
}
# One call for all columns; those that are made of several fields get their place here only.
_values = attrgetter(*(name if name in CALL_COLUMNS else "run_id" for name in COLUMNS))


def row_of(filed: Filed) -> dict[str, Any]:
    """Return a call as JSON data.

    Times are ISO 8601 in UTC, ``cost_usd`` is None when nobody knows the price, ``ended_at`` and
    ``duration_s`` are None while it runs; texts are empty where nobody said.
    """
    call = filed.call
    ended = call.ended_at
    known = {
        "workflow": filed.workflow,
        "started_at": utc_time(call.started_at),
        "ended_at": None if ended is None else utc_time(ended),
        "duration_s": None if ended is None else round(max(0.0, ended - call.started_at), 3),
        "total_tokens": call.input_tokens + call.output_tokens,
        "cost_usd": None if call.unpriced else usd(call.cost_nano_usd),
        "data_classes": call.data_classes.split(",") if call.data_classes else [],
    }
    return dict(zip(COLUMNS, _values(call), strict=True)) | known


def cells_of(row: Mapping[str, Any]) -> list[str]:
    """Return a row as the cells of a line that is safe to open in a spreadsheet."""
    made = {
        **row,
        "cost_usd": None if row["unpriced"] else dollars(row["cost_nano_usd"]),
        "data_classes": ",".join(row["data_classes"]),
        **{name: json_text(row[name]) for name in CONTENTS if row.get(name) is not None},
    }
    return [_cell(value) for value in made.values()]


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return safe(value) if _UNSAFE.search(value) else value
    return _WORDS[value] if value is None or isinstance(value, bool) else repr(value)


def safe(text: str) -> str:
    """Return a text as no spreadsheet takes it for a formula, and no terminal for an order."""
    shown = text.translate(_CONTROLS)
    return f"'{shown}" if text.startswith(_FORMULA) else shown


def json_text(data: Any) -> str:
    """Return JSON data as UTF-8 can hold it: half a surrogate pair stays escaped."""
    text = json.dumps(data, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(data)
    return text
