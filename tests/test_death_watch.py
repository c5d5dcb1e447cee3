"""Watching for the death of an actor: one Down each, in its place."""

from __future__ import annotations

from functools import partial
from typing import Any

from runtime.actors import (
    KILLED,
    NORMAL,
    Actor,
    ChildSpec,
    Down,
    Mailbox,
    actor_system,
)
from tests.kernel import Crash, settle, supervised
from tests.scribes import HandsOff, Scribe


class Watcher(Actor):
    """Collects what it gets."""

    def __init__(self) -> None:
        self.got: list[Any] = []

    async def receive(self, message: Any) -> None:
        self.got.append(message)


class Reporter(Actor):
    """Sends three messages to another and ends."""

    def __init__(self, to: Any) -> None:
        self.to = to

    async def receive(self, message: Any) -> None:
        for number in range(3):
            self.to.tell(number)
        self.stop()


async def test_a_down_comes_after_the_last_message_of_the_dead() -> None:
    """A watcher that has seen the Down has seen all."""
    async with actor_system() as system:
        watcher = await system.start(Watcher)
        actor: Any = watcher.actor
        reporter = await system.start(partial(Reporter, watcher))
        reporter.monitor(watcher)
        reporter.tell("go")
        await settle()
        assert actor.got == [0, 1, 2, Down(reporter, NORMAL)]
        assert system.dead_letters.total == 0


async def test_a_down_finds_its_place_in_a_full_mailbox_and_is_missed_by_nobody_when_late() -> None:
    """A watch never fails for want of room; a Down to the dead is no dead letter."""
    async with actor_system() as system:
        watcher = await system.start(Watcher, mailbox=Mailbox(1))
        actor: Any = watcher.actor
        reporter = await system.start(partial(Reporter, None))
        reporter.monitor(watcher)
        watcher.tell("fills it")
        reporter.kill()
        await settle()
        assert actor.got == ["fills it", Down(reporter, KILLED)]
        hung = await system.start(HandsOff)
        hung.tell("hang")
        await settle()
        reporter.monitor(hung)
        hung.kill()
        await settle()
        reporter.monitor(hung)
        assert system.dead_letters.total == 0


async def test_watchers_may_end_each_others_watches_and_may_fail() -> None:
    """Each of the others is told all the same."""
    async with actor_system() as system:
        ref = await system.start(Scribe)
        told: list[str] = []
        ends: list[Any] = []

        def fails(_down: Down) -> None:
            ends[0]()
            raise Crash("watcher")

        ref.monitor(fails)
        ends.append(ref.monitor(lambda _: told.append("ended by another")))
        ref.monitor(lambda _: told.append("last"))
        ref.kill()
        await ref.ended()
        assert told == ["last"]
        assert not ref.alive


async def test_an_owner_hears_first_and_of_a_restart_nothing() -> None:
    """Whoever has started an actor need not set up a watch for it."""
    spec = ChildSpec("one", Scribe, keep_address=True)
    async with supervised([spec]) as (_, sup):
        downs: list[str] = []
        ref = sup.child("one")
        assert ref is not None
        ref.monitor(lambda _: downs.append("watcher"))
        ref.owner = lambda down: downs.append(f"owner: {down.exit.kind}")
        ref.kill()
        await settle()
        assert (ref.alive, ref.incarnation, downs) == (True, 2, [])
        await sup.terminate_child("one")
        assert downs == ["owner: shutdown", "watcher"]
