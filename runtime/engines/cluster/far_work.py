"""A Delegation whose body is somewhere in the cluster, as the node knows it that has asked."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from runtime.actors import current_time
from runtime.engines.work import Work

if TYPE_CHECKING:
    from collections.abc import Callable

    import anyio

    from runtime.messages import Delegation


class FarWork(Work):
    """A Delegation whose body is somewhere in the cluster.

    Attributes:
        name: which one it is of all that this node has asked; no other node's is the same.
        number: the part of that by which this node knows it.
        subject: where it waits to be done.
        is_queued: whether it waits in the stream; else its run's home hears of it directly.
        is_again: whether it was handed over before, by this node or another.
        sequence: its place in the stream; None where it has none yet.
        times: how often it was asked for.
        looks: how often its outcome was looked for.
        look_at: when that is looked for next, in seconds of the event loop's clock.
        scope: what waits with it while it is parked; None while it is not.
    """

    __slots__ = (
        "is_again",
        "is_queued",
        "look_at",
        "looks",
        "name",
        "number",
        "scope",
        "sequence",
        "subject",
        "times",
    )

    def __init__(
        self,
        delegation: Delegation,
        settled: Callable[[Work], None],
        *,
        name: str,
        subject: str,
        is_queued: bool,
        is_again: bool,
    ) -> None:
        super().__init__(delegation, settled, current_time())
        self.name = name
        self.number = name.rpartition("/")[2]
        self.subject = subject
        self.is_queued = is_queued
        self.is_again = is_again
        self.sequence: int | None = None
        self.times = self.looks = 0
        self.look_at = math.inf
        self.scope: anyio.CancelScope | None = None

    @property
    def message_id(self) -> str:
        """What the server knows a message by, so that it is there once if it is sent twice."""
        return f"{self.name}/{self.times}"
