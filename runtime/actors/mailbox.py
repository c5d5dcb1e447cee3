"""A bounded mailbox with two lanes: control messages overtake the others.

The capacity bounds the message lane. When it is full, its owner's choice decides: ``refuse``
raises ``MailboxFull`` at the sender, ``wait`` lets senders stand in line, first come, first served.
The control lane holds a stop request and the ends of a supervisor's children, at most one each.

It is a deque and a future because that is the cheapest thing that works: an anyio memory stream
costs about seven times as much per message, and none of its locks is needed on one event loop. A
lane is there only while something lies in it: an empty deque is 600 bytes, an idle actor has three.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Literal, cast

from runtime.actors.errors import ActorGone, MailboxFull

Overflow = Literal["wait", "refuse"]
Envelope = tuple[Any, "asyncio.Future[Any] | None"]
Waiting = tuple[Envelope, "asyncio.Future[None] | None"]  # a sender waits to be placed
DEFAULT_CAPACITY = 1_000
EMPTY: deque[Any] = cast("deque[Any]", ())  # a lane that is not there: nothing can lie in it


class Mailbox:
    """What an actor has not handled yet.

    Attributes:
        capacity: the most messages that lie in the message lane.
        overflow: what happens to a sender when it is full.
        closed: whether it takes nothing more.
        refused: how many messages it refused because it was full.
    """

    __slots__ = (
        "_control", "_line", "_messages", "_sweep_at", "capacity", "closed", "overflow", "refused",
    )  # fmt: skip

    def __init__(self, capacity: int = DEFAULT_CAPACITY, overflow: Overflow = "wait") -> None:
        if capacity < 1:
            raise ValueError(f"a mailbox holds at least one message, not {capacity}")
        self.capacity = capacity
        self.overflow = overflow
        self.closed = False
        self.refused = 0
        self._control: deque[Any] = EMPTY
        self._messages: deque[Envelope] = EMPTY
        self._line: deque[Waiting] = EMPTY
        self._sweep_at = 2 * capacity

    def __len__(self) -> int:
        return len(self._messages)

    def __bool__(self) -> bool:
        return bool(self._messages or self._control)

    def __repr__(self) -> str:
        state = "closed" if self.closed else self.overflow
        return (
            f"<Mailbox {state} [{len(self._messages)}/{self.capacity} messages,"
            f" {len(self._control)} control, {len(self._line)} senders waiting]>"
        )

    @property
    def control(self) -> int:
        """How many control messages lie in it."""
        return len(self._control)

    @property
    def waiting(self) -> int:
        """How many senders stand in line for a place."""
        return len(self._line)

    def put(self, message: Any, reply: asyncio.Future[Any] | None = None) -> None:
        """Place a message now.

        Raises:
            ActorGone: the mailbox is closed.
            MailboxFull: there is no place.
        """
        if self.closed:
            raise ActorGone("the mailbox is closed")
        if len(self._messages) >= self.capacity:
            self.refused += 1
            raise MailboxFull(f"the mailbox holds {self.capacity} messages")
        self._place((message, reply))

    def put_ask(self, message: Any, reply: asyncio.Future[Any]) -> None:
        """Place an ask, or stand it in line: its asker waits for the reply anyway.

        Raises:
            ActorGone: the mailbox is closed.
            MailboxFull: there is no place and the owner refuses.
        """
        if len(self._messages) < self.capacity and not self.closed:
            self._place((message, reply))
        elif self.closed or self.overflow == "refuse":
            self.put(message, reply)
        else:
            self._stand_in_line((message, reply), None)

    async def put_when_room(self, message: Any) -> None:
        """Place a message as soon as there is a place.

        Raises:
            ActorGone: the mailbox is closed, or was closed while the sender stood in line.
            MailboxFull: there is no place and the owner refuses.
        """
        if len(self._messages) < self.capacity or self.closed or self.overflow == "refuse":
            self.put(message)
            return
        placed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stand_in_line((message, None), placed)
        await placed

    def put_control(self, message: Any) -> None:
        """Place a control message; dropped when closed, as it concerns a life that is over."""
        if self.closed:
            return
        if self._control is EMPTY:
            self._control = deque()
        self._control.append(message)

    def put_notice(self, message: Any) -> None:
        """Place a Down, or a supervisor's own, behind what is there; never refused while open."""
        if not self.closed:
            self._place((message, None))

    def take_control(self) -> Any | None:
        """Return the oldest control message, or None."""
        return self._control.popleft() if self._control else None

    def take(self) -> Envelope | None:
        """Return the oldest message with its reply, or None; lets the next sender in line in."""
        if not self._messages:
            return None
        envelope = self._messages.popleft()
        if self._line:
            self._admit()
        return envelope

    def close(self) -> list[Envelope]:
        """Take nothing more, and return what was left, so that every asker can be answered."""
        self.closed = True
        if self._messages is EMPTY and self._line is EMPTY:
            self._control = EMPTY
            return []
        left = list(self._messages)
        for envelope, placed in self._line:
            if placed is None:
                left.append(envelope)
            elif not placed.done():
                placed.set_exception(ActorGone("the actor ended while the sender stood in line"))
        self._control = self._messages = self._line = EMPTY
        return left

    def rest(self) -> None:
        """Take no more memory than an idle actor needs; nothing lies in the mailbox."""
        self._control = self._messages = EMPTY

    def clear_control(self) -> None:
        """Drop the control messages: they concern an incarnation that is over."""
        self._control = EMPTY

    def _place(self, envelope: Envelope) -> None:
        if self._messages is EMPTY:
            self._messages = deque()
        self._messages.append(envelope)

    def _stand_in_line(self, envelope: Envelope, placed: asyncio.Future[None] | None) -> None:
        if len(self._line) >= self._sweep_at:
            # Callers that give up and try again must not pile up before an actor that hangs.
            self._line = deque(waiting for waiting in self._line if not _gave_up(waiting))
            self._sweep_at = 2 * max(self.capacity, len(self._line))
        if self._line is EMPTY:
            self._line = deque()
        self._line.append((envelope, placed))

    def _admit(self) -> None:
        while self._line and len(self._messages) < self.capacity:
            waiting = self._line.popleft()
            if _gave_up(waiting):
                continue
            envelope, placed = waiting
            self._place(envelope)
            if placed is not None:
                placed.set_result(None)


def _gave_up(waiting: Waiting) -> bool:
    """Say whether the sender, or the asker, in a place of the line has been cancelled."""
    (_, reply), placed = waiting
    future = placed if placed is not None else reply
    return future is not None and future.cancelled()
