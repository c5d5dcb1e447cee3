"""The mailbox beside a model of one, and the order of messages through any line."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from runtime.actors import Actor, ActorRef, Mailbox, MailboxFull, actor_system
from tests.kernel import settle

if TYPE_CHECKING:
    from anyio.abc import TaskGroup


class Model(RuleBasedStateMachine):
    """A mailbox beside the obvious model of one: a list of messages and a list of those in line."""

    def __init__(self) -> None:
        super().__init__()
        self.mailbox = Mailbox(3)
        self.messages: deque[int] = deque()
        self.line: deque[tuple[int, Any]] = deque()
        self.control: deque[int] = deque()
        self.number = 0

    def next_number(self) -> int:
        self.number += 1
        return self.number

    @rule()
    def put(self) -> None:
        message = self.next_number()
        if len(self.messages) < 3:
            self.mailbox.put(message)
            self.messages.append(message)
        else:
            with pytest.raises(MailboxFull):
                self.mailbox.put(message)

    @rule()
    def put_ask(self) -> None:
        message, reply = self.next_number(), _Reply()
        self.mailbox.put_ask(message, reply)  # type: ignore[arg-type]  # all it needs to know of a future
        if len(self.messages) < 3:
            self.messages.append(message)
        else:
            self.line.append((message, reply))

    @rule()
    def put_notice(self) -> None:
        message = self.next_number()
        self.mailbox.put_notice(message)
        self.messages.append(message)

    @rule()
    def put_control(self) -> None:
        message = self.next_number()
        self.mailbox.put_control(message)
        self.control.append(message)

    @rule(index=st.integers(0, 50))
    @precondition(lambda self: self.line)
    def give_up(self, index: int) -> None:
        self.line[index % len(self.line)][1].is_cancelled = True

    @rule()
    def take(self) -> None:
        expected = self.messages.popleft() if self.messages else None
        envelope = self.mailbox.take()
        assert (envelope[0] if envelope is not None else None) == expected
        while expected is not None and self.line and len(self.messages) < 3:
            message, reply = self.line.popleft()
            if not reply.is_cancelled:
                self.messages.append(message)

    @rule()
    def take_control(self) -> None:
        expected = self.control.popleft() if self.control else None
        assert self.mailbox.take_control() == expected

    @invariant()
    def counts_agree(self) -> None:
        assert len(self.mailbox) == len(self.messages)
        assert self.mailbox.control == len(self.control)
        waiting = sum(not reply.is_cancelled for _, reply in self.line)
        assert waiting <= self.mailbox.waiting <= len(self.line)
        assert bool(self.mailbox) == bool(self.messages or self.control)


class _Reply:
    """As much of a future as a mailbox looks at."""

    is_cancelled = False

    def cancelled(self) -> bool:
        return self.is_cancelled


TestMailboxModel = Model.TestCase
TestMailboxModel.settings = settings(deadline=None, max_examples=100, stateful_step_count=60)


class Collector(Actor):
    """Keeps what it gets."""

    def __init__(self) -> None:
        self.got: list[tuple[int, int]] = []

    async def receive(self, message: tuple[int, int]) -> None:
        self.got.append(message)


@settings(deadline=None, max_examples=50)
@given(
    senders=st.lists(st.integers(1, 5), min_size=1, max_size=5),
    capacity=st.integers(1, 3),
)
async def test_messages_of_each_sender_stay_in_order_through_any_line(
    senders: list[int], capacity: int
) -> None:
    """However the senders interleave, none of their own messages overtakes another."""
    async with actor_system() as system:
        ref = await system.start(Collector, mailbox=Mailbox(capacity))
        actor: Any = ref.actor
        async with anyio.create_task_group() as group:
            _send_all(group, ref, senders)
        await settle()
        for sender, count in enumerate(senders):
            own = [number for who, number in actor.got if who == sender]
            assert own == list(range(count))


def _send_all(group: TaskGroup, ref: ActorRef, senders: list[int]) -> None:
    async def send(sender: int, count: int) -> None:
        for number in range(count):
            await ref.send((sender, number))

    for sender, count in enumerate(senders):
        group.start_soon(send, sender, count)
