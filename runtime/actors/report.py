"""What a supervisor says about its children: kept in the system's record and logged."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any, Literal

from runtime.actors.exits import Exit

logger = logging.getLogger("runtime.actors")

Context = Literal[
    "child_terminated", "start_error", "restart", "shutdown", "shutdown_error", "leaked"
]
LEVELS: dict[Context, int] = {
    "child_terminated": logging.WARNING,
    "start_error": logging.ERROR,
    "restart": logging.INFO,
    "shutdown": logging.ERROR,
    "shutdown_error": logging.ERROR,
    "leaked": logging.ERROR,
}
WITH_TRACEBACK: tuple[Context, ...] = ("child_terminated", "start_error", "shutdown_error")


@dataclass(frozen=True, slots=True)
class SupervisorReport:
    """One thing that a supervisor did or saw.

    Attributes:
        supervisor: its name.
        context: what kind of thing.
        child: the child's id.
        reason: how the child ended, or why the supervisor gives up.
        restarts: how many times this child was restarted so far.
        at: when, in seconds of the event loop's clock.
        delay: the seconds until the restart, for ``restart``.
    """

    supervisor: str
    context: Context
    child: Any
    reason: Exit
    restarts: int
    at: float
    delay: float = 0.0

    def without_error(self) -> SupervisorReport:
        """Return the report with its reason in words, for those who keep it.

        An exception holds the frames that it came through, and so the actor and its message.
        """
        reason = self.reason
        if reason.error is None:
            return self
        return replace(self, reason=Exit(reason.kind, reason.detail or repr(reason.error)))

    def log(self) -> None:
        """Write it to the log."""
        logger.log(
            LEVELS[self.context],
            "supervisor: %s",
            self.context.replace("_", " "),
            exc_info=self.reason.error if self.context in WITH_TRACEBACK else None,
            extra={
                "supervisor": self.supervisor,
                "child": str(self.child),
                "reason": str(self.reason),
                "restarts": self.restarts,
            },
        )
