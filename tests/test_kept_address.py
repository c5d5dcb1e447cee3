"""Addresses that outlive their actors: what is queued survives a restart, and only a restart."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import pytest

from runtime.actors import ActorGone, ActorRef, ChildSpec, Restarting, StartError
from runtime.backoff import Backoff
from tests.kernel import Crash, Probe, World, settle, states, supervised, tell_all, the

STEADY = Backoff(first=1.0, longest=8.0, jitter=0.0)
MINUTE = Backoff(first=60.0, longest=60.0, jitter=0.0)


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_sibling_keeps_its_address_through_a_collective_restart(strategy: str) -> None:
    """Whoever asks while it is down is answered by the next incarnation."""
    world = World()
    specs = [world.spec("one"), world.spec("kept", keep_address=True)]
    async with supervised(specs, strategy=strategy, backoff=MINUTE) as (_, sup):
        kept = the(sup.child("kept"))
        world.watch(kept)
        the(sup.child("one")).tell("crash")
        await settle()
        assert await states(sup) == {"one": "restarting", "kept": "stopped"}
        assert await kept.ask("there?") == "there?"
        assert sup.child("kept") is kept
        assert (kept.incarnation, world.downs) == (2, [])


async def test_a_stop_that_an_incarnation_did_not_live_to_see_does_not_reach_the_next() -> None:
    """The message in hand crashed; the stop was meant for that incarnation."""
    world = World()
    async with supervised([ChildSpec("one", partial(Late, world), keep_address=True)]) as (_, sup):
        one = the(sup.child("one"))
        one.tell("crash in a minute")
        await settle()
        one.stop()
        await anyio.sleep(61.0)
        assert (one.incarnation, one.alive) == (2, True)
        assert sup.supervision().restarts == 1


class Late(Probe):
    """A probe that takes a minute to crash."""

    def __init__(self, world: World) -> None:
        super().__init__(world, "late")

    async def receive(self, message: Any) -> Any:
        if message == "crash in a minute":
            await anyio.sleep(60.0)
            raise Crash("late")
        return message


async def test_a_leaked_body_does_not_keep_its_address() -> None:
    """Its successor has another one, so whatever it still does meets nobody."""
    world = World()
    async with supervised([world.spec("one", keep_address=True)]) as (system, sup):
        one = the(sup.child("one"))
        one.tell("resist")
        ask = one.ask("there?")
        await settle()
        one.kill()
        await anyio.sleep(2.0)
        world.release.set()
        with pytest.raises(ActorGone):
            await ask
        successor = the(sup.child("one"))
        assert successor is not one
        assert (one.alive, system.leaked) == (False, 1)
        await settle()
        assert await successor.ask("there?") == "there?"


async def test_a_crash_in_the_very_step_of_the_first_start_does_not_cost_the_address() -> None:
    """What the child was told before its supervisor heard that it had begun is not lost."""
    world = World()
    asks: list[Any] = []

    class Stumbling(Probe):
        async def on_start(self) -> Any:
            if not asks:
                self.ref.tell("crash")
                asks.append(self.ref.ask("there?"))
            return await super().on_start()

    async with supervised() as (_, sup):
        spec = ChildSpec("one", partial(Stumbling, world, "one"), keep_address=True)
        one = the(await sup.start_child(spec))
        assert await asks[0] == "there?"
        assert (sup.child("one"), one.incarnation) == (one, 2)


async def test_an_address_that_was_given_away_in_a_start_that_failed_is_dead() -> None:
    """Its askers are told; nobody waits for an incarnation that never comes."""
    given: list[ActorRef] = []

    class Generous(Probe):
        async def on_start(self) -> Any:
            given.append(self.ref)
            return await super().on_start()

    world = World()
    world.fail("one")
    async with supervised() as (_, sup):
        spec = ChildSpec("one", partial(Generous, world, "one"), keep_address=True)
        with pytest.raises(StartError):
            await sup.start_child(spec)
        with pytest.raises(ActorGone):
            await given[0].ask("there?")


async def test_a_stop_that_came_too_late_does_not_stop_the_next_incarnation() -> None:
    """A kept address that crashed while its siblings' restart asked it to stop comes up once."""
    world = World()
    kept = world.spec("kept", keep_address=True)
    async with supervised([world.spec("one"), kept], strategy="one_for_all") as (_, sup):
        ref = the(sup.child("kept"))
        tell_all("crash", ref, sup.child("one"))
        await settle()
        assert world.starts == {"one": 2, "kept": 2}
        assert await states(sup) == {"one": "running", "kept": "running"}
        ref.tell("hang")
        await settle()
        the(sup.child("one")).tell("normal")
        await settle()
        ref.kill()  # while its supervisor waits for it to stop
        await anyio.sleep(10.0)
    assert not sup.alive


async def test_the_kill_of_one_incarnation_does_not_reach_the_next() -> None:
    """A body that swallowed the first cancellation, ended and came back is not cancelled again."""
    world = World()
    spec = world.spec("one", keep_address=True)
    async with supervised([spec], intensity=2) as (_, sup):
        one = the(sup.child("one"))
        one.tell("resist once")
        await settle()
        one.kill()
        await anyio.sleep(0.06)
        assert (one.incarnation, world.starts["one"]) == (2, 2)
        ask = one.ask("hang")
        await anyio.sleep(5.0)
        assert not ask.done()
        assert sup.supervision().restarts == 1


async def test_killing_a_kept_address_that_waits_for_its_restart_changes_nothing() -> None:
    """There is no incarnation to end; the next one comes when it is due."""
    world = World()
    spec = world.spec("one", keep_address=True)
    async with supervised([spec], backoff=MINUTE) as (_, sup):
        one = the(sup.child("one"))
        one.tell("crash")
        await settle()
        one.kill()
        await anyio.sleep(61.0)
        assert (one.incarnation, one.alive) == (2, True)
        assert await one.ask("there?") == "there?"


async def test_stopping_a_kept_address_that_waits_for_its_restart_stops_it_when_it_is_up() -> None:
    """A transient child that was asked to stop meanwhile comes up, stops, and stays so."""
    world = World()
    spec = world.spec("one", keep_address=True, restart="transient")
    async with supervised([spec], backoff=MINUTE) as (_, sup):
        one = the(sup.child("one"))
        one.tell("crash")
        await settle()
        one.stop()
        await anyio.sleep(61.0)
        assert world.events == ["one starts", "one stops", "one starts", "one stops"]
        assert await states(sup) == {"one": "stopped"}


async def test_a_message_that_crashed_a_kept_address_does_not_come_again_and_the_rest_does() -> (
    None
):
    """The asker of the crash gets the crash, those behind it the next incarnation's answers."""
    world = World()
    async with supervised([world.spec("one", keep_address=True)]) as (_, sup):
        one = the(sup.child("one"))
        crash, after = one.ask("crash"), one.ask("after")
        with pytest.raises(Crash):
            await crash
        assert await after == "after"
        assert sup.child("one") is one
        assert (one.incarnation, world.starts["one"]) == (2, 2)


async def test_poison_in_a_kept_mailbox_is_a_restart_each_and_none_goes_unnoticed() -> None:
    """A child that crashes in the very step in which it was restarted is restarted again."""
    world = World()
    async with supervised([world.spec("one", keep_address=True)], intensity=5) as (_, sup):
        one = the(sup.child("one"))
        answers = [one.ask("crash") for _ in range(5)]
        last = one.ask("last")
        assert await last == "last"
        assert all(isinstance(answer.exception(), Crash) for answer in answers)
        assert sup.supervision().restarts == 5


async def test_a_kept_mailbox_waits_through_the_backoff() -> None:
    """Who asks meanwhile is answered when the child is up again, in order."""
    world = World()
    spec = world.spec("one", keep_address=True)
    async with supervised([spec], backoff=STEADY) as (_, sup):
        one = the(sup.child("one"))
        one.tell("crash")
        await settle()
        world.watch(one)
        began = anyio.current_time()
        asks = [one.ask(number) for number in range(3)]
        assert [await ask for ask in asks] == [0, 1, 2]
        assert anyio.current_time() - began == pytest.approx(1.0, abs=1e-3)
        assert world.downs == []


async def test_a_kept_address_goes_down_once_when_its_supervisor_gives_it_up() -> None:
    """Not with each incarnation; the one Down carries the last reason."""
    world = World()
    spec = world.spec("one", keep_address=True)
    async with supervised([spec], intensity=2) as (_, sup):
        one = the(sup.child("one"))
        world.watch(one)
        for _ in range(3):
            assert world.downs == []
            one.tell("crash")
            await settle()
        assert world.ended() == {"one": "crashed"}
        assert one.incarnation == 3


async def test_a_kept_address_of_a_deleted_child_is_given_up() -> None:
    """A sibling that waits for its restart can be deleted; its askers are told."""
    world = World()
    specs = [world.spec("one"), world.spec("two", keep_address=True)]
    slow = Backoff(first=60.0, longest=60.0)
    async with supervised(specs, strategy="one_for_all", backoff=slow) as (_, sup):
        two = the(sup.child("two"))
        the(sup.child("one")).tell("crash")
        await settle()
        answer = two.ask("are you there?")
        assert await states(sup) == {"one": "restarting", "two": "stopped"}
        with pytest.raises(Restarting):
            await sup.delete_child("one")
        await sup.delete_child("two")
        with pytest.raises(ActorGone):
            await answer
        assert not two.alive
