"""The system as a whole: what ends the process ends nothing else, and who blocks it is named."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
import pytest

from runtime.actors import Actor, ChildSpec, Supervisor, Watchdog, actor_system
from runtime.backoff import NO_DELAY
from tests.kernel import Crash, World, supervised, the


class Raises(Actor):
    """Lets an exception out that is not its own affair."""

    def __init__(self, world: World, error: BaseException) -> None:
        self.world = world
        self.error = error

    async def on_start(self) -> None:
        self.world.began("raises")

    async def receive(self, message: Any) -> Any:
        raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_what_ends_the_process_is_not_restarted(error: BaseException) -> None:
    """KeyboardInterrupt and SystemExit leave the loop as themselves; the actor stays ended."""
    worlds: list[World] = []

    async def main() -> None:
        world = World()
        worlds.append(world)
        spec = ChildSpec("raises", partial(Raises, world, error))
        async with actor_system() as system:
            supervisor = partial(Supervisor, [spec], intensity=1_000, backoff=NO_DELAY)
            sup = await system.supervise(supervisor)
            world.watch(sup.child("raises"))
            the(sup.child("raises")).tell("now")
            await anyio.sleep_forever()

    with pytest.raises(type(error)) as caught:
        anyio.run(main)
    assert caught.value is error
    assert worlds[0].starts == {"raises": 1}
    assert worlds[0].ended() == {"raises": "killed"}


async def test_an_exception_of_the_owner_leaves_the_system_as_itself() -> None:
    """Not wrapped into a group, so that one can catch it."""
    with pytest.raises(Crash, match="the owner"):
        async with actor_system():
            raise Crash("the owner")


class Uprising(BaseException):
    """No ``Exception``: nobody's crash."""


@pytest.mark.parametrize("is_handed_off", [False, True])
async def test_what_is_no_exception_ends_the_system_as_itself(is_handed_off: bool) -> None:
    """The owner's block does not just seem to have come to its end."""

    class Rebel(Actor):
        async def receive(self, message: Any) -> Any:
            if is_handed_off:
                return self.hand_off(self.rise)
            return await self.rise()

        async def rise(self) -> None:
            raise Uprising

    async def main() -> None:
        async with actor_system() as system:
            ref = await system.start(Rebel)
            ref.tell("now")
            await anyio.sleep_forever()

    with pytest.raises(Uprising):
        await main()


async def test_no_task_outlives_its_system() -> None:
    """Not even one that swallows its first cancellations."""
    over: list[str] = []

    class Stubborn(Actor):
        async def receive(self, message: Any) -> None:
            for _ in range(3):
                with suppress(anyio.get_cancelled_exc_class()):
                    await anyio.sleep_forever()
            over.append(message)

    with anyio.CancelScope() as scope:
        async with actor_system() as system:
            (await system.start(Stubborn)).tell("it")
            await anyio.sleep(1)
            scope.cancel()
            await anyio.sleep_forever()
    assert (over, len(system.tasks)) == (["it"], 0)


async def test_a_top_level_actor_that_crashes_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody supervises it, so the log is who hears of it."""
    world = World()
    async with actor_system() as system:
        ref = await system.start(partial(Raises, world, Crash("top")), name="top")
        ref.tell("now")
        await ref.ended()
    (record,) = caplog.records
    assert (record.getMessage(), record.actor) == ("a top-level actor crashed", "top")  # type: ignore[attr-defined]  # extra field
    assert record.exc_info is not None


async def test_a_system_stops_its_actors_the_youngest_first() -> None:
    """As a supervisor does."""
    world = World()
    async with actor_system() as system:
        for name in "abc":
            await system.start(world.spec(name).start, name=name)
        assert system.statistics().top == 3
    assert world.events[3:] == ["c stops", "b stops", "a stops"]


class Heard(logging.Handler):
    """Lets go when the watchdog has said something."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.event = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.event.set()


class Blocks(Actor):
    """Blocks the event loop until it has been named for it."""

    def __init__(self, heard: Heard) -> None:
        self.heard = heard

    async def receive(self, message: Any) -> bool:
        return self.heard.event.wait(60.0)


@pytest.mark.real_time
async def test_a_child_that_blocks_the_event_loop_is_named_by_the_watchdog() -> None:
    """While it does, with the line of code in which it does."""
    heard = Heard()
    logger = logging.getLogger("runtime.actors")
    logger.addHandler(heard)
    try:
        async with actor_system(watchdog_s=0.05) as system:
            spec = ChildSpec("the culprit", partial(Blocks, heard))
            sup = await system.supervise(partial(Supervisor, [spec]))
            assert await the(sup.child("the culprit")).ask("block") is True
    finally:
        logger.removeHandler(heard)
    record: Any = heard.records[0]
    assert (record.getMessage(), record.actor) == ("the event loop is blocked", "the culprit")
    assert record.where.partition(":")[0].endswith("threading.py")
    assert record.limit_s == 0.05


@pytest.mark.real_time
async def test_a_watchdog_reports_block_after_block_and_stops_when_told() -> None:
    """It goes on watching after a block; stopping twice is stopping."""
    heard = Heard()
    logging.getLogger("runtime.actors").addHandler(heard)
    watchdog = Watchdog(0.05)
    try:
        assert heard.event.wait(60.0)
        heard.event.clear()
        assert not heard.event.wait(0.3)  # the same block is not news
        for _ in range(2):
            while not heard.event.wait(0.2):  # noqa: ASYNC110  # it is the loop that is blocked
                await anyio.sleep(0.02)
            heard.event.clear()
    finally:
        watchdog.stop()
        watchdog.stop()
        logging.getLogger("runtime.actors").removeHandler(heard)
    assert watchdog.blocked == len(heard.records) >= 3
    assert not [thread for thread in threading.enumerate() if thread.name == "watchdog"]


async def test_supervisors_statistics_and_repr_tell_where_it_stands() -> None:
    """Both are made for tests, logs and dashboards."""
    world = World()
    async with supervised([world.spec("one")], intensity=2, period=10.0) as (_, sup):
        assert sup.supervision() == ("sup", "one_for_one", 1, 1, 0, 0)
        assert repr(sup.actor) == (
            "<Supervisor sup one_for_one [1 active, 0 restarting, 1 specs, 0 restarts,"
            " <RestartIntensity 0 of 2 in 10 s>]>"
        )
    assert "not started" in repr(Supervisor())
