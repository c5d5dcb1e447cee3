"""The hooks of a life: which run when, and what happens when they fail."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from runtime.actors import (
    NORMAL,
    SHUTDOWN,
    Exit,
    Ignore,
    StartError,
    actor_system,
)
from tests.kernel import Crash, settle
from tests.scribes import Scribe, log_of


async def test_the_hooks_of_a_life_run_in_order() -> None:
    """Normal, shutdown, killed while idle and crashed, as the table of exits says."""
    ends: dict[str, Any] = {
        "normal": lambda ref: ref.stop(NORMAL),
        "shutdown": lambda ref: ref.stop(SHUTDOWN),
        "killed": lambda ref: ref.kill(),
        "crashed": lambda ref: ref.tell("crash"),
    }
    hooks = {
        "normal": ["stop normal"],
        "shutdown": ["stop shutdown"],
        "killed": ["killed"],
        "crashed": ["begin crash", "failure told to", "stop crashed"],
    }
    for kind, end in ends.items():
        async with actor_system() as system:
            ref = await system.start(Scribe)
            assert ref.info == "ready"
            log = log_of(ref)
            end(ref)
            assert (await ref.ended()).kind == kind
            assert log == ["start", *hooks[kind]]
            assert system.statistics().top == 0


class FailsEverywhere(Scribe):
    """Its hooks fail too."""

    async def on_failure(self, error: Exception) -> None:
        await super().on_failure(error)
        raise Crash("in on_failure")

    async def on_stop(self, exit_: Exit) -> None:
        await super().on_stop(exit_)
        raise Crash("in on_stop")

    def on_killed(self) -> None:
        super().on_killed()
        self.ref.kill()
        raise Crash("in on_killed")


@pytest.mark.parametrize("ending", ["kill while idle", "crash", "kill in a message"])
async def test_a_hook_that_fails_is_logged_and_hurts_nobody(
    ending: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each hook runs once, and the system and its other actors go on."""
    async with actor_system() as system:
        other = await system.start(Scribe)
        ref = await system.start(FailsEverywhere)
        log = log_of(ref)
        await settle()
        if ending != "kill while idle":
            ref.tell("crash" if ending == "crash" else "work")
            await settle()
        ref.kill()
        await ref.ended()
        hooks = ["failure told to", "stop crashed"] if ending == "crash" else ["killed"]
        assert [line for line in log if not line.startswith(("start", "begin"))] == hooks
        assert "hook failed" in caplog.text
        assert await other.ask(1) == 1


@pytest.mark.parametrize("error", [Crash("no"), Ignore()])
async def test_a_start_that_fails_says_so_to_the_starter(error: Exception) -> None:
    """Nothing is left of it, and no other hook runs."""

    class Unwilling(Scribe):
        async def on_start(self) -> str:
            raise error

    async with actor_system() as system:
        with pytest.raises(StartError, match="Unwilling") as caught:
            await system.start(Unwilling)
        assert caught.value.__cause__ is error
        assert system.statistics().top == 0


async def test_a_starter_that_gives_up_leaves_no_actor_behind() -> None:
    """Nobody has its address, so it is killed in the middle of its start."""
    log: list[str] = []

    class Slow(Scribe):
        async def on_start(self) -> str:
            self.log = log
            await anyio.sleep_forever()
            return "never"

    async with actor_system() as system:
        with anyio.move_on_after(1.0):
            await system.start(Slow)
        await settle()
        assert log == ["killed"]
        assert system.statistics().top == 0
