"""Whether a run that the journal calls running can still be: its process may have lost it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.identity import wall_clock
from runtime.journal.liveness import has_lost

if TYPE_CHECKING:
    from runtime.journal import RunRow

LOST = "lost"


def status_of(row: RunRow) -> str:
    """Return where a run stands; ``lost`` when it may be taken over from its process."""
    return LOST if row.status == "running" and has_lost(row, wall_clock()) else row.status
