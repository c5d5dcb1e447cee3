"""OTP's supervision as a pure model: a table, a clock, and no tasks; to compare the kernel with.

It is written from the semantics, not from the kernel. Its time is given, its restarts come due in
the order of their moments, and what children do is a list of events.
"""

from __future__ import annotations

from dataclasses import dataclass, field

AGAIN = {
    "permanent": {"crashed", "killed", "normal", "shutdown"},
    "transient": {"crashed", "killed"},
    "temporary": set[str](),
}


@dataclass
class Row:
    """One child."""

    id: str
    restart: str
    state: str = "stopped"
    retries: int = 0
    started_at: float = 0.0
    due: float | None = None


@dataclass
class Model:
    """One supervisor; see ``tests/kernel.py`` for the words in ``events``."""

    strategy: str
    intensity: int
    period: float
    delays: tuple[float, ...]
    rows: list[Row] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    stamps: list[float] = field(default_factory=list)
    alive: bool = True
    restarts: int = 0

    # --- what happens to it ----------------------------------------------------------------------

    def child_ends(self, id_: str, kind: str, now: float) -> None:
        """A running child ends by itself or is killed."""
        row = self.row(id_)
        if row is None or row.state != "running":
            return
        self.events.append(f"{id_} is killed" if kind == "killed" else f"{id_} stops")
        if now - row.started_at >= self.period:
            row.retries = 0
        if kind in AGAIN[row.restart]:
            self._restart(row, now)
        else:
            self._leave(row)

    def time_passes(self, now: float) -> None:
        """Do what came due until ``now``."""
        while self.alive:
            waiting = [row for row in self.rows if row.due is not None and row.due <= now]
            if not waiting:
                return
            self._bring_up(min(waiting, key=lambda row: row.due or 0.0))

    def stop(self) -> None:
        """End it and all that runs, the youngest first."""
        for row in reversed(self.rows):
            if row.state == "running":
                self.events.append(f"{row.id} stops")
        self.rows.clear()
        self.alive = False

    # --- what it may be asked --------------------------------------------------------------------

    def start_child(self, id_: str, restart: str, now: float) -> str:
        """Answer with ``ok`` or the name of an error, as the next three do."""
        row = self.row(id_)
        if row is not None:
            return "AlreadyStarted" if row.state == "running" else "AlreadyPresent"
        row = Row(id_, restart)
        self.rows.append(row)
        if self._started(row, now):
            return "ok"
        self.rows.remove(row)
        return "StartError"

    def restart_child(self, id_: str, now: float) -> str:
        row = self.row(id_)
        if row is None or row.state != "stopped":
            return self._why_not(row)
        return "ok" if self._started(row, now) else "StartError"

    def terminate_child(self, id_: str) -> str:
        row = self.row(id_)
        if row is None:
            return "NotFound"
        self._stop(row)
        return "ok"

    def delete_child(self, id_: str) -> str:
        row = self.row(id_)
        if row is None or row.state != "stopped":
            return self._why_not(row)
        self.rows.remove(row)
        return "ok"

    def row(self, id_: str) -> Row | None:
        return next((row for row in self.rows if row.id == id_), None)

    # --- how -------------------------------------------------------------------------------------

    def _why_not(self, row: Row | None) -> str:
        return {"running": "Running", "restarting": "Restarting"}[row.state] if row else "NotFound"

    def _group(self, row: Row) -> list[Row]:
        first = {
            "one_for_one": self.rows.index(row),
            "rest_for_one": self.rows.index(row),
            "one_for_all": 0,
        }[self.strategy]
        return [row] if self.strategy == "one_for_one" else self.rows[first:]

    def _started(self, row: Row, now: float) -> bool:
        if self.failures.get(row.id, 0):
            self.failures[row.id] -= 1
            row.state = "stopped"
            return False
        self.events.append(f"{row.id} starts")
        row.state, row.started_at, row.due = "running", now, None
        return True

    def _stop(self, row: Row) -> None:
        if row.state == "running":
            self.events.append(f"{row.id} stops")
        self._leave(row)

    def _leave(self, row: Row) -> None:
        row.state, row.due = "stopped", None
        if row.restart == "temporary":
            self.rows.remove(row)

    def _restart(self, row: Row, now: float) -> None:
        self.stamps = [stamp for stamp in [*self.stamps, now] if stamp >= now - self.period]
        row.due = None
        if len(self.stamps) > self.intensity:
            row.state = "stopped"
            self.stop()
            return
        self.restarts += 1
        row.state = "restarting"
        for other in reversed(self._group(row)):
            if other is not row:
                self._stop(other)
        row.due = now + self.delays[min(row.retries, len(self.delays) - 1)]
        row.retries += 1

    def _bring_up(self, row: Row) -> None:
        now, row.due = row.due or 0.0, None
        for member in self._group(row):
            if member.state != "running" and not self._started(member, now):
                row.state = "stopped" if row.state == "restarting" else row.state
                self._restart(member, now)
                return
