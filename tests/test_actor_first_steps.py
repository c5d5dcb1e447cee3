"""Actors that have not taken their first step: made when needed, and ended before it."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from runtime.actors import Actor, ActorGone, ChildSpec, Down, actor_system
from runtime.backoff import NO_DELAY
from tests.kernel import settle, supervised

SIMPLE: dict[str, Any] = {"strategy": "simple_one_for_one", "backoff": NO_DELAY}


class Uprising(BaseException):
    """No ``Exception``: nobody's crash."""


class Keeps(Actor):
    """Keeps what it gets; one that has nothing to do at its start."""

    made = 0

    def __init__(self, got: list[Any], *, faults: int = 0) -> None:
        type(self).made += 1
        self.got = got
        if type(self).made <= faults:
            raise ValueError("not yet")

    async def receive(self, message: Any) -> Any:
        self.got.append(message)
        return message


@pytest.fixture(autouse=True)
def _none_made() -> None:
    Keeps.made = 0


async def test_a_child_that_only_ever_hears_of_a_death_is_made_for_that() -> None:
    """A ``Down`` is a message like any other: it does not lie there until another comes."""
    got: list[Any] = []
    template = ChildSpec("keeps", Keeps, args=(got,))
    async with supervised([template], **SIMPLE) as (system, sup):
        mortal = await system.start(lambda: Keeps([]), name="mortal")
        mortal.monitor(sup.spawn())
        mortal.kill()
        await settle()
        assert [type(each) for each in got] == [Down]


async def test_a_child_that_was_never_told_anything_is_counted_and_can_be_ended() -> None:
    """It is its address: as good as one that runs to whoever looks."""
    template = ChildSpec("keeps", Keeps, args=([],), restart="temporary")
    async with supervised([template], **SIMPLE) as (system, sup):
        refs = [sup.spawn() for _ in range(4)]
        downs: list[str] = []
        for ref in refs:
            ref.monitor(lambda down: downs.append(down.exit.kind))
        assert (await sup.count_children()).active == 4
        assert {child.state for child in await sup.which_children()} == {"running"}
        refs[0].stop()
        refs[1].kill()
        sup.dismiss(refs[2])
        await sup.terminate_child(refs[3])
        assert downs == ["shutdown", "killed", "killed", "shutdown"]
        assert (Keeps.made, sup.supervision().specs) == (0, 0)
        assert len(system.tasks) <= 1


@pytest.mark.parametrize("kept", [False, True])
async def test_a_child_whose_making_fails_is_made_again_and_gets_its_message_if_it_is_kept(
    *, kept: bool
) -> None:
    """An asker waits for no one who will not come."""
    got: list[Any] = []
    template = ChildSpec(
        "keeps", lambda *args: Keeps(*args, faults=1), args=(got,), keep_address=kept
    )
    lazy = ChildSpec("keeps", _Late, args=(got,), keep_address=kept)
    for spec in (template, lazy):
        Keeps.made = _Late.made = 0
        got.clear()
        async with supervised([spec], intensity=5, **SIMPLE) as (_, sup):
            ask = sup.spawn().ask("hello")
            if kept:
                assert await ask == "hello"
            else:
                with pytest.raises(ActorGone):
                    await ask
            await settle()
            assert sup.supervision().restarts == 1


class _Late(Keeps):
    def __init__(self, got: list[Any]) -> None:
        super().__init__(got, faults=1)


@pytest.mark.parametrize("hook", ["on_failure", "on_stop"])
async def test_what_a_hook_of_a_crash_lets_out_ends_the_system_as_itself(hook: str) -> None:
    """Nobody looks at the task of an actor, so nothing may be left lying there."""

    class Rebel(Actor):
        async def receive(self, message: Any) -> Any:
            raise ValueError(message)

        async def on_failure(self, error: Exception) -> None:
            if hook == "on_failure":
                raise Uprising

        async def on_stop(self, exit_: Any) -> None:
            if hook == "on_stop":
                raise Uprising

    async def main() -> None:
        async with actor_system() as system:
            ref = await system.start(Rebel)
            ref.tell("now")
            await anyio.sleep(100.0)

    with pytest.raises(Uprising):
        await main()


async def test_whoever_asks_in_the_last_moment_of_a_system_is_answered() -> None:
    """A task that is cancelled before its first step never runs; its actor must end, too."""
    answers: list[Any] = []

    class Late(Actor):
        def on_killed(self) -> None:
            answers.append(older.ask("hello"))

    with anyio.CancelScope() as scope:
        async with actor_system() as system:
            older = await system.start(lambda: Keeps([]))
            await system.start(Late)
            await anyio.sleep(1.0)
            scope.cancel()
            await anyio.sleep_forever()
    assert (len(system.tasks), system.leaked, older.alive) == (0, 0, False)
    with pytest.raises(ActorGone):
        await answers[0]


async def test_a_job_handed_off_in_the_last_moment_of_a_system_is_answered() -> None:
    """Neither is it lost among the tasks."""

    class HandsOff(Actor):
        async def receive(self, message: Any) -> Any:
            scope.cancel()
            return self.hand_off(anyio.sleep, 100.0)

    with anyio.CancelScope() as scope:
        async with actor_system() as system:
            answer = (await system.start(HandsOff)).ask("hello")
            await anyio.sleep_forever()
    assert answer.done()
    assert (len(system.tasks), system.leaked) == (0, 0)
    assert isinstance(answer.exception(), Exception)
