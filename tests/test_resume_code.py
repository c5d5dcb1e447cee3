"""Going on with code that is not what it was: it is said which, and done as the run was told."""

from __future__ import annotations

import logging
import sqlite3
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from runtime import Context, ResumeOptions, RunOptions, mag, running, sag, skill
from runtime.code import lay_out
from runtime.errors import CodeChanged, ConfigurationError
from runtime.journal import SqliteJournal
from tests.cli_workspace import make_workspace
from tests.interrupted import dead_owner, ends, journal_of, recorded_until, resumed

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.agent import Agent
    from runtime.journal import Record

pytestmark = pytest.mark.real_time


@skill(inline=True)
def look(amount: int) -> str:
    """Look."""
    return f"saw {amount}"


def version(question: str, *, inner: str = "inner") -> tuple[Agent, Agent]:
    """Return a main agent that asks a question, and the one that it delegates to."""

    @sag(name="below")
    async def below(ctx: Context) -> str:
        return await ctx.ask(inner)

    @mag(name="above")
    async def above(ctx: Context) -> list[str]:
        seen = await ctx.use(look, 1)
        told = (await ctx.delegate(below)).unwrap()
        return [seen, told, await ctx.ask(question), await ctx.ask("the last")]

    return above, below


async def records_of(options: RunOptions | None = None, *, number: int = 2) -> list[Record]:
    """Return the records of a run up to the end of one of its model calls."""
    above, below = version("first")
    left = iter([False] * (number - 1) + [True])

    def stop(record: Record) -> bool:
        return record.kind == "invocation_completed" and next(left, True)

    return await recorded_until(above, stop, agents=(below,), options=options)


async def test_code_that_has_changed_is_named_once_and_gone_on_with(
    caplog: pytest.LogCaptureFixture,
) -> None:
    records = await records_of()
    above, below = version("second")
    with caplog.at_level(logging.WARNING):
        outcome, _ = await resumed(above, records, agents=(below,))
    assert outcome.output == ["saw 1", "inner", "second", "the last"]
    first, last = [r.message for r in caplog.records if r.name == "runtime.run"]
    assert "the code has changed since the run was last at work: agent above;" in first
    assert "1 recorded steps were not used again" in last
    assert "expected chat:" in last
    assert "found chat:" in last


async def test_the_same_code_is_not_spoken_of(caplog: pytest.LogCaptureFixture) -> None:
    records = await records_of()
    above, below = version("first")
    with caplog.at_level(logging.WARNING):
        await resumed(above, records, agents=(below,))
    assert [record.message for record in caplog.records if record.name == "runtime.run"] == []


async def test_a_run_that_refuses_changed_code_stays_as_it_is_until_it_is_told_otherwise() -> None:
    records = await records_of(RunOptions(on_code_change="refuse"))
    above, below = version("first", inner="changed")
    journal = journal_of(records)
    run_id = records[0].run_id
    async with running(agents=(above, below), environ={}, journal=journal) as system:
        with pytest.raises(CodeChanged, match=r"has changed .*: agent below; bring it back, or"):
            await system.resume(run_id)
        row = await journal.run(run_id)
        assert row is not None
        assert (row.status, row.epoch) == ("running", 1)
        outcome = await system.resume(run_id, ResumeOptions(on_code_change="continue"))
        events = await journal.events(run_id)
    assert outcome.output == ["saw 1", "inner", "first", "the last"]
    (resumption,) = [event.body for event in events if event.kind == "run_resumed"]
    assert resumption["changed"] == ["agent below"]
    assert row.code == events[0].body["code"]["digest"] != resumption["code"]["digest"]
    assert resumption["code"]["agents"]["below"] != events[0].body["code"]["agents"]["below"]


async def test_code_is_compared_with_that_of_the_last_owner() -> None:
    records = await records_of(RunOptions(on_code_change="refuse"))
    run_id, above, below = records[0].run_id, *version("first", inner="changed")
    async with running(agents=(above, below), environ={}, journal=journal_of(records)) as system:
        await system.resume(run_id, ResumeOptions(on_code_change="continue"))
        events = await system.journal.events(run_id)
    (second,) = [event.body for event in events if event.kind == "run_resumed"]
    body = second | dead_owner()
    taken = records[0]._replace(kind="run_resumed", op="resumed:2", body=body, epoch=2)
    journal = journal_of(records)
    assert await journal.take_over(taken)
    async with running(agents=version("first"), environ={}, journal=journal) as system:
        with pytest.raises(CodeChanged):
            await system.resume(run_id)
    journal = journal_of(records)
    assert await journal.take_over(taken)
    async with running(agents=(above, below), environ={}, journal=journal) as system:
        outcome = await system.resume(run_id)
    assert outcome.ok


async def test_an_agent_that_was_not_foreseen_is_noted_when_it_begins() -> None:
    @sag(name="hidden")
    async def hidden(ctx: Context) -> str:
        return await ctx.ask("hidden")

    @sag(name="hidden")
    async def other(ctx: Context) -> str:
        return await ctx.ask("other")

    @mag(name="finds")
    async def finds(ctx: Context) -> list[str]:
        return [(await ctx.delegate("hidden!"[:-1])).unwrap(), await ctx.ask("end")]

    records = await recorded_until(
        finds,
        ends("delegation_completed"),
        agents=(hidden,),
        options=RunOptions(on_code_change="refuse"),
    )
    assert "hidden" not in records[0].body["code"]["agents"]
    outcome, _ = await resumed(finds, records, agents=(hidden,))
    assert outcome.output == ["hidden", "end"]
    with pytest.raises(CodeChanged, match="agent hidden"):
        await resumed(finds, records, agents=(other,))


async def test_code_that_cannot_be_loaded_again_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    above, below = version("first")
    async with running(agents=(above, below), environ={}) as system:
        with pytest.raises(ConfigurationError, match="no file of the catalog names it"):
            await system.run(above, None, RunOptions(on_code_change="pin"))
    make_workspace(tmp_path)
    monkeypatch.setattr("runtime.code.sources.MOST_CHARACTERS", 100)
    monkeypatch.setattr("sys.path", [*sys.path])
    async with running(tmp_path / "catalog", environ={}) as system:
        with pytest.raises(
            ConfigurationError, match=r"files have [\d,]+ characters, and at most 100"
        ):
            await system.run("says", {"text": "x"}, RunOptions(on_code_change="pin"))


async def test_many_runs_keep_the_same_code_once(tmp_path: Path, monkeypatch: Any) -> None:
    make_workspace(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    journal = await SqliteJournal.open(tmp_path / "journal.db", synchronous="normal")
    async with running(tmp_path / "catalog", environ={}, journal=journal) as system:
        for _ in range(3):
            await system.run("says", {"text": "x"}, RunOptions(on_code_change="pin"))
    with closing(sqlite3.connect(tmp_path / "journal.db")) as file:
        assert file.execute("SELECT count(*) FROM journal WHERE kind = 'run_code'").fetchone() == (
            3,
        )
        assert file.execute("SELECT count(*) FROM blob").fetchone() == (1,)


def test_kept_files_are_laid_out_in_their_folder_alone(tmp_path: Path) -> None:
    make_workspace(tmp_path / "today")
    for number, path in enumerate(("../out.py", "/out.py")):
        with pytest.raises(ConfigurationError, match="is in no workspace"):
            lay_out({path: ""}, tmp_path / "today" / "catalog", tmp_path / str(number))
    with pytest.raises(ConfigurationError, match="cannot be laid out"):
        lay_out({}, tmp_path / "nothing", tmp_path / "there")
