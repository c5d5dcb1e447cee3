"""The mailbox by itself: two lanes, a bound, a line of senders, and nobody forgotten at the end."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from runtime.actors import Actor, ActorGone, Mailbox, MailboxFull, actor_system
from tests.kernel import settle


class Gate(Actor):
    """Handles a message only when it is let to."""

    def __init__(self) -> None:
        self.handled: list[Any] = []
        self.open = anyio.Event()

    async def receive(self, message: Any) -> Any:
        await self.open.wait()
        self.handled.append(message)
        return message


def test_messages_leave_in_the_order_in_which_they_came() -> None:
    """First in, first out."""
    mailbox = Mailbox()
    for number in range(3):
        mailbox.put(number)
    assert [mailbox.take() for _ in range(4)] == [(0, None), (1, None), (2, None), None]


def test_control_messages_are_a_lane_of_their_own_without_a_bound() -> None:
    """They neither wait for messages nor take their places."""
    mailbox = Mailbox(1)
    mailbox.put("message")
    mailbox.put_control("first")
    mailbox.put_control("second")
    assert mailbox.control == 2
    assert mailbox.take_control() == "first"
    assert mailbox.take_control() == "second"
    assert mailbox.take_control() is None
    assert len(mailbox) == 1


def test_a_full_mailbox_refuses_and_counts_it() -> None:
    """``put`` never waits; what it refused is counted."""
    mailbox = Mailbox(2)
    mailbox.put(1)
    mailbox.put(2)
    with pytest.raises(MailboxFull, match="2 messages"):
        mailbox.put(3)
    assert (len(mailbox), mailbox.refused) == (2, 1)


@pytest.mark.parametrize("capacity", [0, -1])
def test_a_mailbox_without_a_place_is_refused(capacity: int) -> None:
    """It holds at least one message."""
    with pytest.raises(ValueError, match="at least one"):
        Mailbox(capacity)


def test_a_notice_always_finds_a_place_behind_the_messages() -> None:
    """A Down is never refused, nor does it overtake."""
    mailbox = Mailbox(1)
    mailbox.put("message")
    mailbox.put_notice("down")
    assert mailbox.take() == ("message", None)
    assert mailbox.take() == ("down", None)


def test_a_closed_mailbox_takes_nothing_more() -> None:
    """Messages are refused, control messages and notices are dropped."""
    mailbox = Mailbox()
    mailbox.put("left")
    assert mailbox.close() == [("left", None)]
    with pytest.raises(ActorGone):
        mailbox.put("late")
    mailbox.put_control("late")
    mailbox.put_notice("late")
    assert not mailbox
    assert repr(mailbox) == ("<Mailbox closed [0/1000 messages, 0 control, 0 senders waiting]>")


async def test_senders_stand_in_line_when_it_is_full_and_are_let_in_one_by_one() -> None:
    """First come, first served, and never more messages than places."""
    async with actor_system() as system, anyio.create_task_group() as group:
        gate = await system.start(Gate, mailbox=Mailbox(2))
        actor: Any = gate.actor
        for number in range(6):
            group.start_soon(gate.send, number)
            await settle()
        assert (len(gate.mailbox), gate.mailbox.waiting) == (2, 3)  # and one is being handled
        assert "2/2 messages, 0 control, 3 senders waiting" in repr(gate.mailbox)
        actor.open.set()
        await settle()
        assert actor.handled == list(range(6))
        assert gate.mailbox.waiting == 0


async def test_a_sender_that_gives_up_leaves_the_line_and_its_message_is_not_sent() -> None:
    """Cancelled in line means never placed."""
    async with actor_system() as system, anyio.create_task_group() as group:
        gate = await system.start(Gate, mailbox=Mailbox(1))
        actor: Any = gate.actor
        gate.tell(1)
        await settle()
        gate.tell(2)
        with anyio.move_on_after(1.0) as scope:
            await gate.send("given up")
        assert scope.cancelled_caught
        group.start_soon(gate.send, 3)
        await settle()
        actor.open.set()
        await settle()
        assert actor.handled == [1, 2, 3]


async def test_asks_stand_in_the_same_line_and_a_cancelled_one_is_skipped() -> None:
    """An asker waits for its answer anyway, so it waits in line without a task of its own."""
    async with actor_system() as system, anyio.create_task_group() as group:
        gate = await system.start(Gate, mailbox=Mailbox(1))
        actor: Any = gate.actor
        gate.tell(1)
        await settle()
        gate.tell(2)
        first, second = gate.ask("first"), gate.ask("second")
        group.start_soon(gate.send, "told")
        await settle()
        assert gate.mailbox.waiting == 3
        first.cancel()
        actor.open.set()
        assert await second == "second"
        await settle()
        assert actor.handled == [1, 2, "second", "told"]


async def test_a_mailbox_that_refuses_answers_the_ask_with_that() -> None:
    """With ``overflow="refuse"`` nobody waits: tell and send raise, ask fails."""
    async with actor_system() as system:
        gate = await system.start(Gate, mailbox=Mailbox(1, "refuse"))
        actor: Any = gate.actor
        gate.tell(1)
        await settle()
        gate.tell(2)
        with pytest.raises(MailboxFull):
            gate.tell(3)
        with pytest.raises(MailboxFull):
            await gate.send(4)
        with pytest.raises(MailboxFull):
            await gate.ask(5)
        assert gate.statistics().refused == 3
        actor.open.set()
        await settle()
        assert actor.handled == [1, 2]


async def test_close_answers_everybody_who_waits() -> None:
    """Messages and asks come back, those in line too; senders in line are told."""
    async with actor_system() as system:
        gate = await system.start(Gate, mailbox=Mailbox(1))
        gate.tell("held")
        await settle()
        asks = [gate.ask(f"ask {number}") for number in range(3)]
        outcomes: list[str] = []
        async with anyio.create_task_group() as group:
            group.start_soon(_send, gate.mailbox, outcomes)
            await settle()
            gate.kill()
        assert outcomes == ["gone"]
        for ask in asks:
            with pytest.raises(ActorGone):
                await ask


async def _send(mailbox: Mailbox, outcomes: list[str]) -> None:
    try:
        await mailbox.put_when_room("in line")
    except ActorGone:
        outcomes.append("gone")


async def test_callers_that_give_up_and_try_again_do_not_pile_up_before_an_actor_that_hangs() -> (
    None
):
    """The line holds those who still wait, and at most as many again who have given up."""
    async with actor_system() as system:
        gate = await system.start(Gate, mailbox=Mailbox(10))
        patient = [gate.ask(number) for number in range(30)]
        longest = 0
        for _ in range(2_000):
            gate.ask("impatient").cancel()
            longest = max(longest, gate.mailbox.waiting)
        assert longest <= 2 * 20 + 1
        actor: Any = gate.actor
        actor.open.set()
        assert [await ask for ask in patient] == list(range(30))
