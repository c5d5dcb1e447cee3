"""Messages that reached nobody: counted, logged, the last few remembered; never lost silently."""

from __future__ import annotations

import logging
from collections import Counter, deque
from typing import Any, Literal, NamedTuple

logger = logging.getLogger("runtime.actors")

Why = Literal["gone", "unhandled", "left behind"]
REMEMBERED = 100


class DeadLetter(NamedTuple):
    """One message that reached nobody."""

    actor: str
    why: Why
    message: Any


class DeadLetters:
    """The dead letters of one actor system.

    Attributes:
        counts: how many, by reason.
        recent: the last hundred, newest last.
    """

    __slots__ = ("counts", "recent")

    def __init__(self) -> None:
        self.counts: Counter[Why] = Counter()
        self.recent: deque[DeadLetter] = deque(maxlen=REMEMBERED)

    def __repr__(self) -> str:
        return f"<DeadLetters {self.total} {dict(self.counts)}>"

    @property
    def total(self) -> int:
        """How many there were."""
        return sum(self.counts.values())

    def add(self, actor: str, why: Why, message: Any) -> None:
        """Count a dead letter; log the 1st, 10th, 100th ... of its reason."""
        self.counts[why] += 1
        self.recent.append(DeadLetter(actor, why, message))
        count = self.counts[why]
        if count == 10 ** (len(str(count)) - 1):
            logger.warning(
                "dead letter",
                extra={
                    "actor": actor,
                    "why": why,
                    "message_type": type(message).__name__,
                    "count": count,
                },
            )
