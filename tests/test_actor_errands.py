"""Actors that do one thing and end."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import anyio
import pytest

from runtime.actors import ActorGone, ChildSpec, Down, Errand
from runtime.backoff import NO_DELAY
from tests.kernel import Crash, settle, supervised

SIMPLE: dict[str, Any] = {"strategy": "simple_one_for_one", "backoff": NO_DELAY}


class Sleeps(Errand):
    """Sleeps for a while, as often as it has to."""

    def __init__(self, events: list[str], crashes: int = 0) -> None:
        self.events = events
        self.crashes = crashes

    async def run(self) -> None:
        self.events.append("begins")
        if self.events.count("begins") <= self.crashes:
            raise Crash("again")
        await anyio.sleep(10.0)
        self.events.append("done")

    async def on_stop(self, exit_: Any) -> None:
        self.events.append(f"stops: {exit_.kind}")

    def on_killed(self) -> None:
        self.events.append("is killed")


def spec(events: list[str], crashes: int = 0, **fields: Any) -> ChildSpec:
    return ChildSpec("sleeps", Sleeps, args=(events, crashes), restart="transient", **fields)


async def test_an_errand_begins_without_a_message_and_ends_normally() -> None:
    events: list[str] = []
    downs: list[Down] = []
    async with supervised([spec(events)], **SIMPLE) as (_, sup):
        ref = sup.spawn()
        ref.monitor(downs.append)
        await anyio.sleep(11.0)
        assert events == ["begins", "done", "stops: normal"]
        assert [(down.ref, down.exit.kind) for down in downs] == [(ref, "normal")]
        assert sup.supervision().specs == 0


async def test_a_stop_waits_for_an_errand_a_kill_does_not() -> None:
    events: list[str] = []
    async with supervised([spec(events, shutdown=60.0)], **SIMPLE) as (_, sup):
        stopped, killed = sup.spawn(), sup.spawn()
        await anyio.sleep(1.0)
        killed.kill()
        await sup.terminate_child(stopped)
        # A killed transient child is started again.
        assert events[:3] == ["begins", "begins", "is killed"]
        assert events[-2:] == ["done", "stops: shutdown"]


async def test_what_is_said_to_an_errand_is_left_behind_and_its_asker_is_told() -> None:
    async with supervised([spec([])], **SIMPLE) as (system, sup):
        ref = sup.spawn()
        ref.tell("hello")
        answer = ref.ask("are you there?")
        await anyio.sleep(11.0)
        with pytest.raises(ActorGone):
            await answer
        assert system.dead_letters.total == 1


@pytest.mark.parametrize("kept", [False, True])
async def test_an_errand_that_crashes_is_done_again_from_its_beginning(*, kept: bool) -> None:
    events: list[str] = []
    child = spec(events, 2, keep_address=kept)
    async with supervised([child], intensity=5, **SIMPLE) as (_, sup):
        sup.spawn()
        await anyio.sleep(11.0)
        crashed = ["begins", "stops: crashed"]
        assert events == [*crashed, *crashed, "begins", "done", "stops: normal"]
        assert sup.supervision().restarts == 2


async def test_an_errand_that_swallows_its_kill_was_killed_all_the_same() -> None:
    downs: list[Down] = []

    class Resists(Errand):
        async def run(self) -> None:
            with suppress(anyio.get_cancelled_exc_class()):
                await anyio.sleep_forever()

    template = ChildSpec("resists", Resists, restart="temporary")
    async with supervised([template], **SIMPLE) as (_, sup):
        ref = sup.spawn()
        ref.monitor(downs.append)
        await settle()
        ref.kill()
        await anyio.sleep(2.0)
        assert [down.exit.kind for down in downs] == ["killed"]
