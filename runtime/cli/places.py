"""Where the journal and the catalog are, unless somebody says otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.journal.location import Location

MEMORY = ":memory:"
SHIPPED_CATALOG = Path(__file__).resolve().parents[2] / "catalog"


def journal_location(given: str | None, environ: Mapping[str, str], here: Path) -> Location | None:
    """Return where the journal is: a file, or a server's address; None for one in memory.

    Args:
        given: what ``--db`` or ``MAGSAG_DB`` say.
        environ: the environment variables.
        here: the current directory.

    Raises:
        ConfigurationError: nothing is given, and there is no home directory to fall back on.
    """
    from runtime.journal.location import (  # noqa: PLC0415  # with all of the journal: not for --help
        Address,
        is_address,
    )

    if given == MEMORY:
        return None
    if given and is_address(given):
        return Address(given)
    if given:
        return here / given
    return kept_in(environ, here) / "journal.db"


def kept_in(environ: Mapping[str, str], here: Path) -> Path:
    """Return the folder of what is kept, where nothing else is said.

    Args:
        environ: the environment variables.
        here: the current directory.

    Raises:
        ConfigurationError: there is no home directory to fall back on.
    """
    if (here / ".magsag").is_dir():
        return here / ".magsag"
    return _state_folder(environ) / "magsag"


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
