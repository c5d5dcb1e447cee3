"""Whether a run that the journal calls running can still be: its process may be gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.journal.liveness import is_dead

if TYPE_CHECKING:
    from runtime.journal import RunRow

LOST = "lost"


def status_of(row: RunRow) -> str:
    """Return where a run stands; ``lost`` when its process on this machine is dead."""
    return LOST if row.status == "running" and is_dead(row.pid, row.host) else row.status
