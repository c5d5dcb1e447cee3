"""Numbers, times and tables as people read them. Pure."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from runtime.governance.cost import usd

if TYPE_CHECKING:
    from collections.abc import Sequence

MINUTE = 60
HOUR = 3_600
THOUSAND = 1_000
SIZES = ("bytes", "kB", "MB", "GB", "TB")
LONGEST_LINE = 400  # characters of JSON data on a page for people
TIMES = "\N{MULTIPLICATION SIGN}"
_UNPRINTABLE = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
_ESCAPED = {code: f"\\u{code:04x}" for code in (*range(127, 160), 0x2028, 0x2029)}
_BREAKS = {ord(character): " " for character in "\n\r\t\u2028\u2029"}


def one_line(text: str) -> str:
    """Return a text on one line; control characters are shown, so none steers a terminal."""
    return " ".join(text.translate(_UNPRINTABLE | _BREAKS).split())


def json_line(data: Any) -> str:
    """Return JSON data on one line, cut where it is long; control characters are escaped."""
    line = json.dumps(data, ensure_ascii=False).translate(_ESCAPED)
    if len(line) <= LONGEST_LINE:
        return line
    return f"{line[:LONGEST_LINE]}... ({len(line):,} characters, --json has all)"


def duration(seconds: float) -> str:
    """Return a duration: ``0.42 s``, ``12.3 s``, ``3 min 05 s`` or ``2 h 07 min``."""
    seconds = max(0.0, seconds)
    if seconds < 10:  # noqa: PLR2004  # below ten seconds the hundredths are of interest
        return f"{seconds:.2f} s"
    if seconds < MINUTE:
        return f"{seconds:.1f} s"
    if seconds < HOUR:
        return f"{int(seconds // MINUTE)} min {int(seconds % MINUTE):02} s"
    return f"{int(seconds // HOUR)} h {int(seconds % HOUR // MINUTE):02} min"


def short_time(seconds: float) -> str:
    """Return a duration where milliseconds count: ``3.1 ms``, ``420 ms``, ``1.42 s``."""
    milliseconds = max(0.0, seconds) * THOUSAND
    if milliseconds < 10:  # noqa: PLR2004  # as above
        return f"{milliseconds:.1f} ms"
    return f"{milliseconds:.0f} ms" if seconds < 1 else duration(seconds)


def money(nano_usd: int | None, unpriced_calls: int = 0) -> str:
    """Return nano-USD as dollars; ``unpriced`` where nobody knows the price of any call.

    Args:
        nano_usd: what the priced calls cost; None when no call had a price.
        unpriced_calls: how many calls had none; any makes the sum a lower bound.
    """
    if nano_usd is None:
        return "unpriced"
    return f"${usd(nano_usd):.6f}" + (f" + {unpriced_calls} unpriced" if unpriced_calls else "")


def tokens(count: int) -> str:
    """Return a number of tokens: ``812`` or ``12.3k``."""
    return str(count) if count < 10 * THOUSAND else f"{count / THOUSAND:.1f}k"


def plural(count: int, word: str) -> str:
    """Return ``1 call`` or ``2 calls``."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def size_of(count: int) -> str:
    """Return a number of bytes: ``812 bytes`` or ``1.2 MB``."""
    size, unit = float(count), 0
    while size >= THOUSAND and unit < len(SIZES) - 1:
        size, unit = size / THOUSAND, unit + 1
    return f"{size:.1f} {SIZES[unit]}" if unit else plural(count, "byte")


def local_time(at: float) -> str:
    """Return seconds since the Unix epoch as local time, to the second."""
    return datetime.fromtimestamp(at, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def utc_time(at: float) -> str:
    """Return seconds since the Unix epoch as ISO 8601 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(at, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows in columns as wide as their widest cell, under a head in capitals."""
    cells = [[name.upper() for name in head], *([one_line(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )
