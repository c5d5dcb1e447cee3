"""The kernel's promises, and what else one may do to an actor by its address."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import pytest

from runtime.actors import (
    KILLED,
    Actor,
    ActorGone,
    Down,
    Mailbox,
    OutcomeUnknown,
    actor_system,
)
from tests.kernel import Crash, Probe, World, settle
from tests.scribes import HandsOff, Scribe, caller, log_of


async def test_messages_from_one_sender_to_one_actor_are_handled_in_order() -> None:
    """Whether told, sent or asked."""
    async with actor_system() as system:
        ref = await system.start(Scribe)
        log = log_of(ref)
        ref.tell(1)
        await ref.send(2)
        await ref.ask(3)
        assert [line for line in log if line.startswith("end")] == ["end 1", "end 2", "end 3"]


async def test_an_actor_handles_one_message_at_a_time() -> None:
    """Many askers at once are served one after another."""
    async with actor_system() as system:
        ref = await system.start(Scribe)
        began = anyio.current_time()
        asks = [ref.ask(number) for number in range(10)]
        assert [await ask for ask in asks] == list(range(10))
        assert anyio.current_time() - began == pytest.approx(10.0)


async def test_stop_does_not_interrupt_the_message_being_handled_kill_does() -> None:
    """And what is behind that message is not handled any more."""
    expected = {
        "stop": ["start", "begin 1", "end 1", "stop shutdown"],
        "kill": ["start", "begin 1", "killed"],
    }
    for how, lines in expected.items():
        async with actor_system() as system:
            ref = await system.start(Scribe)
            log, first, second = log_of(ref), ref.ask(1), ref.ask(2)
            await settle()
            getattr(ref, how)()
            await ref.ended()
            assert log == lines
            with pytest.raises(ActorGone):
                await second
            if how == "stop":
                assert await first == 1
            else:
                with pytest.raises(OutcomeUnknown):
                    await first


async def test_a_message_that_crashed_an_actor_is_never_handled_again() -> None:
    """Its asker gets the exception; the actor is gone."""
    async with actor_system() as system:
        ref = await system.start(Scribe)
        log = log_of(ref)
        with pytest.raises(Crash):
            await ref.ask("crash")
        await ref.ended()
        assert log == ["start", "begin crash", "failure told to", "stop crashed"]


async def test_every_waiting_asker_is_answered() -> None:
    """In the mailbox, in line, in hand, handed off, or too late."""
    async with actor_system() as system:
        ref = await system.start(HandsOff, mailbox=Mailbox(1))
        handed_off = ref.ask("forever")
        await settle()
        in_hand = ref.ask("hang")
        await settle()
        in_mailbox, in_line = ref.ask("echo"), ref.ask("echo")
        ref.kill()
        await ref.ended()
        outcomes = {
            "handed off": (handed_off, OutcomeUnknown),
            "in hand": (in_hand, OutcomeUnknown),
            "in mailbox": (in_mailbox, ActorGone),
            "in line": (in_line, ActorGone),
            "too late": (ref.ask("echo"), ActorGone),
        }
        for reply, error in outcomes.values():
            with pytest.raises(error):
                await reply


async def test_a_watcher_gets_exactly_one_down() -> None:
    """One per monitor, for the living and for the dead, and none after the watch was ended."""
    async with actor_system() as system:
        ref = await system.start(Scribe)
        downs: list[Down] = []
        ref.monitor(downs.append)
        ref.monitor(downs.append)
        end_the_watch = ref.monitor(downs.append)
        end_the_watch()
        end_the_watch()
        assert downs == []
        ref.kill()
        ref.kill()
        ref.stop()
        await settle()
        assert downs == [Down(ref, KILLED)] * 2
        ref.monitor(downs.append)()
        assert downs == [Down(ref, KILLED)] * 3


async def test_an_asker_that_gives_up_takes_its_message_back() -> None:
    """A cancelled ask that is still in the mailbox is not handled."""
    async with actor_system() as system:
        ref = await system.start(Scribe)
        log = log_of(ref)
        first, second, third = ref.ask(1), ref.ask(2), ref.ask(3)
        await settle()
        second.cancel()
        assert (await first, await third) == (1, 3)
        assert "begin 2" not in log


async def test_an_asker_that_gives_up_does_not_interrupt_the_message_in_hand() -> None:
    """The actor finishes what it began, and its answer reaches nobody."""
    async with actor_system() as system:
        ref = await system.start(Scribe)
        log = log_of(ref)
        with anyio.move_on_after(0.5):
            await ref.ask(1)
        assert await ref.ask(2) == 2
        assert "end 1" in log


async def test_an_actor_does_not_inherit_the_context_of_whoever_woke_it() -> None:
    """It runs in the context of the system's owner, whoever tells it what."""
    token = caller.set("owner")
    try:
        async with actor_system() as system:
            ref = await system.start(Scribe)
            await settle()  # it is idle, so the next message gives it a new task
            caller.set("sender")
            await ref.ask("who")
            assert "owner" in log_of(ref)
            assert "sender" not in log_of(ref)
    finally:
        caller.reset(token)


async def test_an_actor_with_endless_messages_lets_others_have_their_turn() -> None:
    """Who never waits for anything still gives way every hundred messages."""

    class Selfish(Actor):
        handled = 0

        async def receive(self, message: Any) -> None:
            self.handled += 1
            self.ref.tell(message)

    async with actor_system() as system:
        selfish = await system.start(Selfish)
        actor: Any = selfish.actor
        selfish.tell("again")
        echo = await system.start(HandsOff)
        for _ in range(10):
            assert await echo.ask("echo") == "echo"
        assert 0 < actor.handled <= 100 * 100
        selfish.kill()


async def test_no_message_of_either_lane_is_left_lying_however_many_come_at_once() -> None:
    """Also when there are more of them than an actor handles before it gives its task up."""

    class Counting(Actor):
        count = 0

        async def receive(self, message: Any) -> None:
            self.count += 1

    async with actor_system() as system:
        ref = await system.start(Counting)
        actor: Any = ref.actor
        for _ in range(1_000):
            ref.control("event")
        await settle()
        assert actor.count == 1_000
        for _ in range(1_000):
            ref.tell("message")
        await settle()
        assert actor.count == 2_000
        assert not ref.statistics().active


async def test_an_idle_actor_has_no_task_and_wakes_up() -> None:
    """It gives its task up after two turns without a message."""
    async with actor_system() as system:
        ref = await system.start(HandsOff)
        await settle()
        assert not ref.statistics().active
        assert await ref.ask("echo") == "echo"
        assert ref.statistics().active
        await settle()
        assert not ref.statistics().active
        await ref.send("echo")
        assert ref.statistics().active
        await settle()
        assert ref.statistics().handled == 2


async def test_statistics_and_repr_tell_what_an_actor_is_doing() -> None:
    """Both are made for tests, logs and dashboards."""
    world = World()
    async with actor_system() as system:
        ref = await system.start(partial(Probe, world, "p"), name="p", mailbox=Mailbox(2))
        await settle()
        assert repr(ref) == f"<ActorRef p #{ref.id} idle [0/2 queued, 0 handled, incarnation 1]>"
        ref.tell("hang")
        await settle()
        for _ in range(3):
            ref.ask("later")
        assert ref.statistics() == ("p", "running", True, 1, 2, 1, 0, 0, 0, 0)
        assert "active [2/2 queued" in repr(ref)
        assert repr(system) == "<ActorSystem [1 top, 0 dead letters, 0 leaked]>"
        ref.kill()
        await settle()
        assert "dead (killed)" in repr(ref)
