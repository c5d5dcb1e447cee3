"""``strict``: an answer is on the disk before anybody sees it; the disk stalls just before that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from runtime import Context, RunOptions, mag, running, skill
from runtime.journal import Record, SqliteJournal
from runtime.journal.lock import FileLock

if TYPE_CHECKING:
    from pathlib import Path

SEEN: list[str] = []

pytestmark = pytest.mark.real_time


@skill(inline=True)
def shout(text: str) -> str:
    """Shout."""
    return text.upper()


@mag
async def answers(ctx: Context, *, by_skill: bool) -> str:
    """Ask, or use a skill, and look at the answer."""
    answer = await (ctx.use(shout, "hello") if by_skill else ctx.ask("hello"))
    SEEN.append(answer)
    return answer


class Stalling:
    """A journal whose disk stalls when a step has ended."""

    def __init__(self, journal: SqliteJournal, path: Path) -> None:
        self._journal = journal
        self._lock = FileLock(path.with_name(f"{path.name}-lock"))
        self.stalled = anyio.Event()

    def append(self, record: Record) -> None:
        """Take a record."""
        if record.kind in ("invocation_completed", "skill_completed"):
            self._lock.__enter__()  # the writer has it for the time of a commit only
            self.stalled.set()
        self._journal.append(record)

    def go_on(self) -> None:
        """Let the disk work again."""
        self._lock.__exit__()
        self._lock.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)


@pytest.mark.parametrize("by_skill", [False, True])
async def test_an_answer_is_seen_when_it_is_on_the_disk(tmp_path: Path, by_skill: bool) -> None:
    SEEN.clear()
    path = tmp_path / "journal.db"
    journal: Any = Stalling(await SqliteJournal.open(path, synchronous="normal"), path)
    options = RunOptions(durability="strict")
    outcomes = []

    async with running(agents=(answers,), environ={}, journal=journal) as system:

        async def run() -> None:
            outcomes.append(await system.run(answers, {"by_skill": by_skill}, options))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            with anyio.fail_after(60):
                await journal.stalled.wait()
            await anyio.sleep(0.1)
            seen = list(SEEN)
            journal.go_on()
    assert seen == []
    assert [outcome.output for outcome in outcomes] == SEEN != []
