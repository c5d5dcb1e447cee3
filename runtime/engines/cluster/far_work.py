"""A Delegation whose body is somewhere in the cluster, as the node knows it that has asked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import anyio

from runtime.actors import current_time
from runtime.engines.work import Work

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.engines.cluster.envelope import Outcome
    from runtime.messages import Delegation


class FarWork(Work):
    """A Delegation whose body is somewhere in the cluster.

    Attributes:
        name: which one it is of all that this node has asked; no other node's is the same.
        number: the part of that by which this node knows it.
        subject: where it waits to be done.
        is_queued: whether it waits in the stream; else its run's home hears of it directly.
        scope: what asks for it.
        sequence: its place in the stream; None where it has none.
        answered: set when there is news of it.
        parked: what it waits for, when that is news.
        times: how often it was asked for.
    """

    __slots__ = (
        "answered",
        "is_queued",
        "name",
        "number",
        "parked",
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
    ) -> None:
        super().__init__(delegation, settled, current_time())
        self.name = name
        self.number = name.rpartition("/")[2]
        self.subject = subject
        self.is_queued = is_queued
        self.scope = anyio.CancelScope()
        self.sequence: int | None = None
        self.answered = asyncio.Event()
        self.parked: Outcome | None = None
        self.times = 0

    @property
    def message_id(self) -> str:
        """What the server knows a message by, so that it is there once if it is sent twice."""
        return f"{self.name}/{self.times}"
