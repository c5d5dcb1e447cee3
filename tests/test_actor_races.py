"""Two things happen to one actor at the same time: one outcome, and nothing is lost."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import pytest

from runtime.actors import (
    SHUTDOWN,
    Actor,
    ActorGone,
    ActorRef,
    ChildSpec,
    Down,
    Mailbox,
    StartError,
    actor_system,
)
from tests.kernel import Crash, Probe, World, settle, supervised, the
from tests.scribes import Stubborn, stubborn, swallow, turn_into_a_crash


@pytest.mark.parametrize("act", [anyio.sleep_forever, swallow, turn_into_a_crash])
async def test_killed_in_on_start(act: Any) -> None:
    """The starter is told that it is gone, however it takes it; only the hook of a kill runs."""
    log: list[str] = []
    made: list[Stubborn] = []

    def make() -> Stubborn:
        made.append(Stubborn(log, start=act))
        return made[-1]

    async def kill_it() -> None:
        await settle()
        made[0].ref.kill()

    async with actor_system() as system, anyio.create_task_group() as group:
        group.start_soon(kill_it)
        with pytest.raises(StartError, match="ended while it started"):
            await system.start(make)
        assert (log[0], log[-1]) == ("start", "killed")
        assert not made[0].ref.alive
        assert system.statistics().top == 0


async def test_a_kill_that_on_start_swallows_still_fails_the_start() -> None:
    """It does not come up, not even for one message."""
    log: list[str] = []
    world = World()
    async with supervised([world.spec("job")], strategy="simple_one_for_one") as (system, _):
        ref = ActorRef(system, "swallows", partial(Stubborn, log, start=swallow))
        ask = ref.ask("message")
        await settle()
        ref.kill()
        with pytest.raises(ActorGone):
            await ask
        assert log == ["start", "start done", "killed"]


async def test_killed_in_on_stop() -> None:
    """The stop hook is cut short, and the hook of a kill gives back the rest."""
    log: list[str] = []
    async with actor_system() as system:
        ref = await stubborn(system, log, stop=anyio.sleep_forever)
        ref.stop()
        await settle()
        ref.kill()
        assert (await ref.ended()).kind == "killed"
        assert log == ["start", "stop", "killed"]


@pytest.mark.parametrize("hook", ["failure", "stop"])
async def test_killed_in_the_hooks_of_its_crash(hook: str) -> None:
    """They are cut short as well; the asker has had the crash."""
    log: list[str] = []
    async with actor_system() as system:
        ref = await stubborn(system, log, crash=raise_it, **{hook: anyio.sleep_forever})
        with pytest.raises(Crash):
            await ref.ask("crash")
        await settle()
        ref.kill()
        assert (await ref.ended()).kind == "killed"
        assert (log[-2:], log.count("stop")) == ([hook, "killed"], int(hook == "stop"))


async def raise_it() -> None:
    raise Crash("told to")


@pytest.mark.parametrize("first", ["stop", "kill"])
@pytest.mark.parametrize("second", ["stop", "kill"])
async def test_ended_twice_ends_once(first: str, second: str) -> None:
    """Idle or busy, one end and one Down, and a kill wins over a stop that has not been seen."""
    for message in (None, "hang"):
        world = World()
        async with actor_system() as system:
            ref = await system.start(partial(Probe, world, "one"), name="one")
            if message is not None:
                ref.tell(message)
            await settle()
            world.watch(ref)
            getattr(ref, first)()
            getattr(ref, second)()
            with anyio.move_on_after(1.0):
                await ref.ended()
            if not ref.alive:
                assert len(world.downs) == 1
            else:
                assert (first, second, message) == ("stop", "stop", "hang")


async def test_killed_before_its_first_step_it_is_not_even_made() -> None:
    """A spawned child that nobody let begin leaves no trace but its Down."""
    world = World()
    async with supervised([world.spec("job")], strategy="simple_one_for_one", intensity=0) as (
        _,
        sup,
    ):
        ref = sup.spawn()
        world.watch(ref)
        sup.dismiss(ref)
        await settle()
        assert world.events == []
        assert world.ended() == {"job#1": "killed"}
        assert sup.alive


async def test_stopped_before_it_was_started_it_is_not_even_made() -> None:
    """An address that nobody has used yet just ends."""
    log: list[str] = []
    async with actor_system() as system:
        ref = ActorRef(system, "unused", partial(Stubborn, log))
        ref.stop()
        assert await ref.ended() == SHUTDOWN
        assert log == []


async def test_stopped_before_its_first_step_it_starts_and_stops() -> None:
    """A stop is polite: both hooks run."""
    log: list[str] = []
    async with actor_system() as system:
        ref = ActorRef(system, "early", partial(Stubborn, log))
        ref.start()
        ref.stop()
        assert await ref.ended() == SHUTDOWN
        assert log == ["start", "stop"]


async def test_a_watch_that_begins_in_a_down_is_told_at_once() -> None:
    """Nobody falls between the living and the dead."""
    async with actor_system() as system:
        ref = await stubborn(system, [])
        downs: list[str] = []

        def again(_down: Down) -> None:
            downs.append("first")
            ref.monitor(lambda _: downs.append("second"))

        ref.monitor(again)
        ref.kill()
        await settle()
        assert downs == ["first", "second"]


async def test_a_sender_in_line_when_the_actor_ends_has_sent_a_dead_letter() -> None:
    """Like one that came later."""
    async with actor_system() as system, anyio.create_task_group() as group:
        ref = await system.start(
            partial(Stubborn, [], hang=anyio.sleep_forever), mailbox=Mailbox(1)
        )
        ref.tell("hang")
        await settle()
        ref.tell("fills it")
        group.start_soon(ref.send, "in line")
        await settle()
        ref.kill()
        await settle()
        assert system.dead_letters.counts == {"left behind": 1, "gone": 1}
        assert {letter.message for letter in system.dead_letters.recent} == {"fills it", "in line"}


async def test_a_factory_that_raises_is_a_failed_start() -> None:
    """At the top and under a supervisor, at the first start and at a restart."""
    made = 0

    def factory() -> Actor:
        nonlocal made
        made += 1
        if made != 2:
            raise Crash("in the factory")
        return Probe(World(), "made")

    async with supervised(intensity=1) as (system, sup):
        with pytest.raises(StartError, match="in the factory"):
            await system.start(factory)
        ref = the(await sup.start_child(ChildSpec("one", factory)))
        ref.tell("crash")
        await settle()
        assert made == 3
        assert not sup.alive


async def test_a_wait_for_the_end_that_is_given_up_ends_nobody_elses() -> None:
    """Others go on waiting, and a supervisor is not made to believe that the child has ended."""
    world = World()
    async with supervised([world.spec("one")]) as (_, sup):
        one = the(sup.child("one"))
        one.tell("hang")
        await settle()
        waiting = one.ended()
        for _ in range(3):
            with anyio.move_on_after(1.0):
                await one.ended()
        began = anyio.current_time()
        sup.stop()
        await sup.ended()
        assert anyio.current_time() - began == pytest.approx(5.0)
        assert (await waiting).kind == "killed"
        assert world.events == ["one starts", "one is killed"]


async def test_a_mailbox_of_the_dead_is_not_used_again() -> None:
    """It would take nothing; whoever makes mailboxes is to make new ones."""
    world = World()
    mailbox = Mailbox()
    spec = world.spec("one", mailbox=lambda: mailbox)
    async with supervised([spec], intensity=1) as (system, sup):
        the(sup.child("one")).tell("crash")
        await settle()
        assert not sup.alive
        assert "mailbox of its own" in str(system.reports[-1].reason)
