"""What past calls teach about targets: read from the journal when a system starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import anyio

from runtime.catalog import Target
from runtime.journal import CallQuery

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.catalog import RoutingFile
    from runtime.journal import Filed
    from runtime.routing import Learned

MOST_CALLS = 2_000  # older ones would hardly count any more
ANSWERED = {"completed": True, "failed": False}


class Calls(Protocol):
    """A journal, or a reader of one."""

    async def calls(self, query: CallQuery) -> list[Filed]:
        """Return calls of the audit trail."""


async def learn_from(
    journal: Calls, learned: Learned, routings: Iterable[RoutingFile], now: float
) -> None:
    """Count the newest calls in, if any route cares for what they teach.

    Args:
        journal: where they are.
        learned: where they are counted.
        routings: the routing files.
        now: the time, in seconds since the Unix epoch.

    Raises:
        JournalFailed: they cannot be read.
    """
    if not any(route.prefer != "order" for each in routings for route in each.routes):
        return
    clock = anyio.current_time()
    for filed in reversed(await journal.calls(CallQuery(limit=MOST_CALLS))):
        call = filed.call
        if call.ended_at is None or call.status not in ANSWERED or call.reason == "cancelled":
            continue
        at = clock - (now - call.ended_at)
        target = Target(call.provider, call.model)
        seconds = max(0.0, call.ended_at - call.started_at)
        learned.add(target, seconds, call.output_tokens, at, ok=ANSWERED[call.status])
