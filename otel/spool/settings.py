"""Where the spool is and how large it may be, as the variables say. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from otel.settings import TelemetryMisconfigured, one_of

if TYPE_CHECKING:
    from collections.abc import Mapping

Export: TypeAlias = Literal["spool", "batch"]

DEFAULT_BYTES: Final = 1 << 30  # of all files in the folder
FOLDER: Final = "MAGSAG_SPOOL"
MOST_MEGABYTES: Final = "MAGSAG_SPOOL_MAX_MB"
EXPORT: Final = "MAGSAG_TRACE_EXPORT"
WHEN_FULL: Final = "MAGSAG_SPOOL_WHEN_FULL"

_EXPORTS: Final[Mapping[str, Export]] = {"spool": "spool", "batch": "batch"}
_WHEN_FULL: Final = ("wait", "lose")
_LEAST_MEGABYTES: Final = 16


class SpoolSettings(NamedTuple):
    """Where the spool is.

    Attributes:
        folder: its folder.
        most_bytes: what its files may take.
        waits: whether new work waits while it is full; else spans are lost.
    """

    folder: Path
    most_bytes: int = DEFAULT_BYTES
    waits: bool = True


def export_by(environ: Mapping[str, str]) -> Export | None:
    """Return how spans leave: by the spool, or by the SDK's batches; None if nobody says.

    Raises:
        TelemetryMisconfigured: the variable cannot be understood.
    """
    said = environ.get(EXPORT, "").strip().lower()
    if said and said not in _EXPORTS:
        known = ", ".join(_EXPORTS)
        raise TelemetryMisconfigured(f"{EXPORT}={said!r} is not known; it is one of: {known}")
    return _EXPORTS.get(said)


def spool_settings(environ: Mapping[str, str]) -> SpoolSettings:
    """Return where the spool is.

    Raises:
        TelemetryMisconfigured: a variable cannot be understood, or there is no home directory.
    """
    said = environ.get(FOLDER, "").strip()
    folder = Path(said) if said else _usual(environ)
    return SpoolSettings(folder, _most_bytes(environ), _waits(environ))


def state_folder(environ: Mapping[str, str]) -> Path:
    """Return where this runtime keeps what outlives a process, by the XDG specification.

    Raises:
        RuntimeError: there is no home directory.
    """
    state = Path(environ.get("XDG_STATE_HOME", ""))
    if not state.is_absolute():  # the specification: a relative one is to be ignored
        state = Path.home() / ".local" / "state"
    return state / "magsag"


def _usual(environ: Mapping[str, str]) -> Path:
    try:
        return state_folder(environ) / "spool"
    except RuntimeError as error:
        raise TelemetryMisconfigured(
            f"there is no home directory for the spans that wait; name a folder with {FOLDER}"
        ) from error


def _waits(environ: Mapping[str, str]) -> bool:
    said = environ.get(WHEN_FULL, "").strip().lower() or "wait"
    one_of(WHEN_FULL, said, _WHEN_FULL)
    return said == "wait"


def _most_bytes(environ: Mapping[str, str]) -> int:
    said = environ.get(MOST_MEGABYTES, "").strip()
    if not said:
        return DEFAULT_BYTES
    if not said.isdecimal() or int(said) < _LEAST_MEGABYTES:
        raise TelemetryMisconfigured(
            f"{MOST_MEGABYTES}={said!r} is no whole number of at least {_LEAST_MEGABYTES}"
        )
    return int(said) << 20
