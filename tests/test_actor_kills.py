"""Cancellations and kills, and bodies that take them in their own way."""

from __future__ import annotations

from functools import partial

import anyio
import pytest

from runtime.actors import (
    ActorGone,
    ActorRef,
    Down,
    OutcomeUnknown,
    actor_system,
)
from tests.kernel import Probe, World, resist, resist_once, settle
from tests.scribes import Stubborn, stubborn, swallow, turn_into_a_crash


async def test_a_kill_swallowed_by_a_message_ends_the_actor_behind_that_message() -> None:
    """The message is answered, the next one is not handled, and nothing waits for a second."""
    log: list[str] = []
    async with actor_system() as system:
        ref = await stubborn(system, log, swallows=swallow)
        first, second = ref.ask("swallows"), ref.ask("second")
        await settle()
        began = anyio.current_time()
        ref.kill()
        assert await first == "swallows"
        with pytest.raises(ActorGone):
            await second
        assert anyio.current_time() == began
        assert log == ["start", "swallows", "swallows done", "killed"]


async def test_a_kill_that_a_body_swallows_once_comes_again() -> None:
    """Fifty milliseconds later."""
    log: list[str] = []
    async with actor_system() as system:
        ref = await stubborn(system, log, hides=resist_once)
        ref.tell("hides")
        await settle()
        began = anyio.current_time()
        ref.kill()
        assert (await ref.ended()).kind == "killed"
        assert anyio.current_time() - began == pytest.approx(0.05)
        assert system.leaked == 0


async def test_a_body_that_turns_its_kill_into_a_crash_was_killed() -> None:
    """The hooks of a crash do not run, and its asker does not get the made-up error."""
    log: list[str] = []
    async with actor_system() as system:
        ref = await stubborn(system, log, message=turn_into_a_crash)
        ask = ref.ask("message")
        await settle()
        ref.kill()
        with pytest.raises(OutcomeUnknown):
            await ask
        assert log == ["start", "message", "killed"]
        assert ref.statistics().crashed == 0


async def test_a_cancellation_from_outside_is_not_a_crash() -> None:
    """A body that awaits what somebody else cancelled ends as killed; nobody else does."""
    log: list[str] = []

    async def awaits_the_cancelled() -> None:
        reply = other.ask("hang")
        reply.cancel()
        await reply

    async with actor_system() as system:
        world = World()
        other = await system.start(partial(Probe, world, "other"))
        ref = await stubborn(system, log, message=awaits_the_cancelled)
        with pytest.raises(OutcomeUnknown):
            await ref.ask("message")
        assert (await ref.ended()).kind == "killed"
        assert ref.statistics().crashed == 0
        assert other.alive


async def test_a_time_limit_inside_a_body_stays_inside() -> None:
    """An anyio scope in a message ends that scope only."""
    log: list[str] = []

    async def limited() -> None:
        with anyio.move_on_after(1.0):
            await anyio.sleep_forever()

    async with actor_system() as system:
        ref = await stubborn(system, log, limited=limited)
        assert await ref.ask("limited") == "limited"
        assert await ref.ask("again") == "again"


async def test_an_actor_that_kills_itself_ends_at_once_and_hurts_nobody_else() -> None:
    """In a message that awaits nothing after it: its own cancellation reaches nobody else."""
    log: list[str] = []
    async with actor_system() as system:
        other = await stubborn(system, [])

        async def suicide() -> None:
            ref.kill()

        ref = await stubborn(system, log, suicide=suicide)
        first, second = ref.ask("suicide"), ref.ask("second")
        assert await first == "suicide"
        with pytest.raises(ActorGone):
            await second
        await settle()
        assert log == ["start", "suicide", "suicide done", "killed"]
        assert await other.ask("still there?") == "still there?"


@pytest.mark.parametrize("method", ["start", "message", "stop"])
async def test_a_leaked_body_that_wakes_up_later_meets_nobody(method: str) -> None:
    """It is cut off: its address stays dead, its answer goes nowhere, no hook runs again."""
    log: list[str] = []
    release = anyio.Event()
    async with actor_system() as system:
        ref = ActorRef(
            system, "leaks", partial(Stubborn, log, **{method: partial(resist, release)})
        )
        downs: list[Down] = []
        ref.monitor(downs.append)
        if method == "message":
            ask = ref.ask("message")
        else:
            ref.start()
            if method == "stop":
                ref.stop()
        await settle()
        ref.kill()
        await anyio.sleep(2.0)
        assert system.leaked == 1
        if method == "message":
            with pytest.raises(OutcomeUnknown):
                await ask
        release.set()
        await settle()
        assert not ref.alive
        assert [str(down.exit) for down in downs] == [
            "killed: leaked: it swallows every cancellation"
        ]
        assert log[-2:] == ["killed", f"{method} done"]
        ref.tell("too late")
        assert system.dead_letters.counts == {"gone": 1}
        assert system.leaked == 1
