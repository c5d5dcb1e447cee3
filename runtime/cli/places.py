"""Where the journal and the catalog are, unless somebody says otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

MEMORY = ":memory:"
SHIPPED_CATALOG = Path(__file__).resolve().parents[2] / "catalog"


def journal_path(given: str | None, environ: Mapping[str, str], here: Path) -> Path | None:
    """Return the journal's file; None for a journal in memory.

    Args:
        given: what ``--db`` or ``MAGSAG_DB`` say.
        environ: the environment variables.
        here: the current directory.

    Raises:
        ConfigurationError: nothing is given, and there is no home directory to fall back on.
    """
    if given == MEMORY:
        return None
    if given:
        return here / given
    if (here / ".magsag").is_dir():
        return here / ".magsag" / "journal.db"
    return _state_folder(environ) / "magsag" / "journal.db"


def _state_folder(environ: Mapping[str, str]) -> Path:
    state = Path(environ.get("XDG_STATE_HOME", ""))
    if state.is_absolute():  # the specification: a relative one is to be ignored
        return state
    try:
        return Path.home() / ".local" / "state"
    except RuntimeError as error:
        raise ConfigurationError(
            "there is no home directory for the journal; name a file with --db"
        ) from error


def catalog_folder(given: Path | None, here: Path) -> Path:
    """Return the catalog's folder.

    Args:
        given: what ``--catalog`` or ``MAGSAG_CATALOG`` say.
        here: the current directory.
    """
    if given is not None:
        return given
    beside = here / "catalog"
    return beside if beside.is_dir() else SHIPPED_CATALOG
