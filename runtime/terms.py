"""How a run may go on, as its journal has it: its beginning, its code, its limits, its time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.journal import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.journal import EventRow

LIMITS = ("budget_nano_usd", "deadline_s")
PARKS = frozenset(("run_waiting", "run_paused"))


class Terms:
    """What a run was started with, and what its owners have changed since.

    Attributes:
        beginning: the body of its ``run_started``.
        code: the code of its last owner: ``python``, ``agents``, ``skills``; None where unsaid.
        used_s: the seconds for which processes were at work on it.
        is_at_work: whether one is, as far as the records say.
    """

    def __init__(self) -> None:
        self.beginning: Mapping[str, Any] = {}
        self.code: dict[str, Any] | None = None
        self.used_s = 0.0
        self.is_at_work = True
        self._limits: dict[str, Any] = {}
        self._last_at: float | None = None

    @property
    def budget_nano_usd(self) -> int | None:
        """What the whole run may cost; None where nobody has said."""
        return self._limits.get("budget_nano_usd")

    def time_left(self, usual_s: float) -> float:
        """Return the seconds that the run has left.

        Args:
            usual_s: the seconds of a run of which nobody has said how many it gets.
        """
        whole = self._limits.get("deadline_s")
        return max(0.0, (usual_s if whole is None else whole) - self.used_s)

    def take_terms(self, event: EventRow) -> None:
        """Take what a record says of them."""
        kind, body = event.kind, event.body
        self._count_time(event)
        said = body.get("code")
        if kind == "run_started":
            self.beginning = body
        if kind in ("run_started", "run_resumed"):
            self.code = said or self.code  # who only paused it has none
            self._limits |= {name: body[name] for name in LIMITS if name in body}
        elif said and self.code is not None:  # somebody whom nobody foresaw
            of = "agents" if kind == "delegation_started" else "skills"
            self.code[of][body["agent" if of == "agents" else "skill"]] = said

    def _count_time(self, event: EventRow) -> None:
        if KINDS[event.kind].by_anyone or "inherited" in event.body:
            return  # by another clock, and at any time; or another run has worked on it
        if event.kind == "run_resumed":
            self.is_at_work = True
        elif self._last_at is not None and self.is_at_work:
            self.used_s += max(0.0, event.at - self._last_at)
        self._last_at = event.at
        if event.kind in PARKS:
            self.is_at_work = False
