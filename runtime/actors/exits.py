"""Why an actor ended, and what its watchers are told.

| kind     | how it came about                              | hooks that run          |
|----------|------------------------------------------------|-------------------------|
| normal   | it stopped itself, its work done               | on_stop                 |
| shutdown | its supervisor or owner asked it to stop       | on_stop                 |
| killed   | it was ended by force, or cancelled            | on_killed               |
| crashed  | an exception left one of its methods           | on_failure, then on_stop|

An actor whose ``on_stop`` raises has crashed as well; no hook runs after that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from runtime.actors.ref import ActorRef

ExitKind = Literal["normal", "shutdown", "killed", "crashed"]


@dataclass(frozen=True, slots=True)
class Exit:
    """How an actor ended.

    Attributes:
        kind: one of the four rows above.
        detail: more about it in a few words, e.g. which child exhausted a supervisor's patience.
        error: the exception of a crash.
    """

    kind: ExitKind
    detail: str = ""
    error: BaseException | None = field(default=None, compare=False)

    def __str__(self) -> str:
        cause = self.detail or (repr(self.error) if self.error is not None else "")
        return f"{self.kind}: {cause}" if cause else self.kind


NORMAL = Exit("normal")
SHUTDOWN = Exit("shutdown")
KILLED = Exit("killed")
LEAKED = Exit("killed", "leaked: it swallows every cancellation")


class Down(NamedTuple):
    """The message of a death watch: exactly one per monitor, after the actor's last message."""

    ref: ActorRef
    exit: Exit
