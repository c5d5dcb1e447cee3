"""How large the journal may become, as the environment says."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.cli.streams import say
from runtime.cli.text import size_of
from runtime.errors import ConfigurationError
from runtime.journal.broom import size_of as bytes_of
from runtime.journal.caretaker import LARGE_BYTES, Bound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.journal.location import Location

MAX_MB = "MAGSAG_JOURNAL_MAX_MB"
ARCHIVE = "MAGSAG_JOURNAL_ARCHIVE"
MEGA = 1_000_000


def bound_of(environ: Mapping[str, str]) -> Bound:
    """Return what the environment says.

    Raises:
        ConfigurationError: it is no size, or there is a folder for what leaves the journal, but
            nothing says when.
    """
    said, folder = (environ.get(name, "").strip() for name in (MAX_MB, ARCHIVE))
    if folder and not said:
        raise ConfigurationError(f"{ARCHIVE} needs {MAX_MB}, which says when runs go there")
    if not said:
        return Bound()
    return Bound(_bytes(said), Path(folder).resolve() if folder else None)


def _bytes(said: str) -> int:
    try:
        size = Decimal(said)
    except InvalidOperation:
        size = Decimal(0)
    if not size.is_finite() or size < 1:
        raise ConfigurationError(
            f"{MAX_MB}={said!r} is no size of 1 MB or more; write it like 2000"
        )
    return int(size * MEGA)


def mention_size(path: Location, bound: Bound) -> None:
    """Say that a journal's file is large, if it is and nothing keeps it small."""
    if not isinstance(path, Path):
        if bound.max_bytes is not None:
            say(f"note: {MAX_MB} is for a journal in a file, and {path} is a server")
        return
    if not path.is_file():
        return
    size = bytes_of(path)
    if size > (bound.max_bytes or LARGE_BYTES):
        say(
            f"note: the journal {path} has {size_of(size)}; python -m runtime data vacuum or data"
            f" archive, with --max-mb, make it smaller, and {MAX_MB} keeps it so"
        )
