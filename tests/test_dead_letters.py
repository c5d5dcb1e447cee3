"""Messages that reach nobody: never lost silently."""

from __future__ import annotations

import logging

import pytest

from runtime.actors import (
    Actor,
    ActorGone,
    Unhandled,
    actor_system,
)
from tests.kernel import settle
from tests.scribes import Scribe


async def test_unhandled_is_an_error_for_the_asker_and_a_dead_letter() -> None:
    """An actor without a use for a message lives on."""
    async with actor_system() as system:
        ref = await system.start(Actor)
        with pytest.raises(Unhandled, match="no use for a str"):
            await ref.ask("what?")
        ref.tell("what?")
        await settle()
        assert ref.alive
        assert system.dead_letters.counts == {"unhandled": 2}


async def test_messages_to_the_dead_are_dead_letters(caplog: pytest.LogCaptureFixture) -> None:
    """Counted by reason, the last ones remembered, and logged at 1, 10, 100 and so on."""
    async with actor_system() as system:
        ref = await system.start(Scribe, name="late")
        ref.tell("in hand")
        await settle()
        ref.tell("left behind")
        ref.kill()
        await settle()
        caplog.clear()
        with caplog.at_level(logging.WARNING, "runtime.actors"):
            for number in range(120):
                ref.tell(number)
            await ref.send("sent")
            reply = ref.ask("asked")
        with pytest.raises(ActorGone, match="late has ended"):
            await reply
        letters = system.dead_letters
        assert letters.counts == {"left behind": 1, "gone": 122}
        assert (len(letters.recent), letters.total) == (100, 123)
        assert letters.recent[-1] == ("late", "gone", "asked")
        assert [record.count for record in caplog.records] == [1, 10, 100]  # type: ignore[attr-defined]  # extra field
        assert repr(letters).startswith("<DeadLetters 123 ")
        assert system.statistics().dead_letters == 123
