"""The calls that wait for one limit group: it decides who starts, this lets them wait for it.

Who waits sleeps until it is started. The time at which the group may start somebody without any
other event (a window moves on, a pause ends) is slept for by one of those who wait, the watch; when
it is started or gives up, another one takes over. So there is one timer a group, and no polling.
When the group becomes unavailable for longer than anybody waits, all are sent away; when a pause
begins or grows, those who could no longer start in time.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import anyio

from runtime.actors import current_time

if TYPE_CHECKING:
    from collections.abc import Collection

    from providers.admission import LimitGroup, Ticket


class Line:
    """Those who wait for one limit group.

    Args:
        group: who decides; nobody else may start its tickets.
    """

    __slots__ = ("_group", "_paused_until", "_waiting", "_wakes_at", "_watch")

    def __init__(self, group: LimitGroup) -> None:
        self._group = group
        self._paused_until = -math.inf  # as it was when the line last looked
        self._waiting: dict[Ticket, anyio.Event] = {}
        self._watch: Ticket | None = None
        self._wakes_at = -math.inf  # when the watch wakes by itself; it is awake, or called

    async def enter(self, ticket: Ticket) -> bool:
        """Wait until the group starts the ticket; a cancelled wait leaves nothing behind.

        Returns:
            Whether it was started; False when it was sent away.

        Raises:
            RequestTooLarge: it is larger than the group's limit.
            QueueFull: too many wait already.
        """
        now = current_time()
        self._group.enqueue(ticket, now)
        self._waiting[ticket] = anyio.Event()
        self.serve(now)
        try:
            while ticket in self._waiting:
                await self._rest(ticket)
        except BaseException:
            self._leave(ticket)
            raise
        finally:
            self._hand_over(ticket)
        return ticket.started is not None

    def serve(self, now: float) -> None:
        """Start whoever may start at this instant; to be called after every settlement."""
        if not self._waiting:
            return
        for started in self._group.start(now):
            event = self._waiting.pop(started, None)
            if event is not None:
                event.set()
        self._send_away_in_vain(now)
        self._keep_watch(now)

    def send_away(self, tickets: Collection[Ticket], now: float) -> None:
        """End the wait of those of ``tickets`` that wait; they are not started."""
        for ticket in tickets:
            event = self._waiting.pop(ticket, None)
            if event is not None:
                self._group.withdraw(ticket, now)
                event.set()

    def _send_away_in_vain(self, now: float) -> None:
        if self._group.unavailable_until > now:
            self.send_away(tuple(self._waiting), now)
        elif self._group.paused_until > self._paused_until:
            self._paused_until = self._group.paused_until
            earliest = self._group.earliest_start(now)
            self.send_away([each for each in self._waiting if each.latest < earliest], now)

    async def _rest(self, ticket: Ticket) -> None:
        """Sleep until started, or called to the watch; on watch until the group wants to look."""
        event = self._waiting[ticket]
        if self._watch is None:
            self._watch = ticket
        if self._watch is not ticket:
            await event.wait()
            self._renew(ticket, event)
            return
        now = current_time()
        self._wakes_at = self._next(now)
        with anyio.CancelScope(deadline=self._wakes_at):
            await event.wait()
        self._wakes_at = -math.inf
        self._renew(ticket, event)
        self.serve(current_time())

    def _renew(self, ticket: Ticket, event: anyio.Event) -> None:
        if event.is_set() and ticket in self._waiting:
            self._waiting[ticket] = anyio.Event()

    def _next(self, now: float) -> float:
        at = self._group.next_start(now)
        return math.inf if at is None else at

    def _keep_watch(self, now: float) -> None:
        """Wake the watch if the group wants to look earlier than it was told."""
        if self._watch is None or self._watch not in self._waiting:
            return
        if self._wakes_at == -math.inf:
            return  # it will look by itself
        if self._next(now) < self._wakes_at:
            self._call_watch(self._watch)

    def _leave(self, ticket: Ticket) -> None:
        now = current_time()
        if self._waiting.pop(ticket, None) is not None:
            self._group.withdraw(ticket, now)
        else:  # it was started in the very moment in which it gave up
            self._group.unsent(ticket, now)
        self.serve(now)

    def _hand_over(self, ticket: Ticket) -> None:
        if self._watch is not ticket:
            return
        self._watch = next(iter(self._waiting), None)
        if self._watch is not None:
            self._call_watch(self._watch)

    def _call_watch(self, watch: Ticket) -> None:
        self._wakes_at = -math.inf
        self._waiting[watch].set()

    def forget(self) -> None:
        """Forget everybody: those who waited have died with their actor."""
        self._waiting.clear()
        self._watch = None
        self._wakes_at = -math.inf
