"""Journals with real records for the tests of ``data``, made by the journal itself."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import anyio

from runtime.journal import Record
from tests.cli_workspace import Cli
from tests.stores import open_at

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import pytest

    from runtime.journal import Kind

NOON = 1_790_000_000.0  # 2026-09-21T13:33:20Z
DAY = 86_400.0


def write(path: Path, *groups: Iterable[Record]) -> Path:
    """Append records to a journal, and close it."""
    write_at(str(path), *groups)
    return path


def write_at(where: str, *groups: Iterable[Record]) -> None:
    """Append records to the journal that ``--db`` names, and close it."""
    anyio.run(_write, where, [record for group in groups for record in group])


async def _write(where: str, records: list[Record]) -> None:
    journal = await open_at(where)
    for record in records:
        journal.append(record)
    await journal.close()


def a_record(
    kind: Kind, op: str = "", *, run: str = "r", at: float = NOON, cost: int = 0, **body: Any
) -> Record:
    """Return a record with a body of keywords."""
    return Record(run, kind, op, body, at, cost)


def a_run(run: str = "r", at: float = NOON, *, target: str = "flow", **more: Any) -> list[Record]:
    """Return the beginning of a run."""
    return [a_record("run_started", run=run, at=at, target=target, **more)]


def an_end(run: str = "r", at: float = NOON) -> list[Record]:
    """Return the end of a run."""
    return [a_record("run_completed", run=run, at=at, output="done")]


def a_call(
    op: str = "main:0:1/chat:0:1",
    *,
    run: str = "r",
    at: float = NOON,
    asked: dict[str, Any] | None = None,
    said: dict[str, Any] | None = None,
    cost: int = 0,
) -> list[Record]:
    """Return a call that was answered after a second."""
    begun = {"provider": "openai", "model": "gpt-4o", "agent": "main", **(asked or {})}
    ended = {"usage": {"input_tokens": 3, "output_tokens": 4}, **(said or {})}
    return [
        a_record("invocation_started", op, run=run, at=at, **begun),
        a_record("invocation_completed", op, run=run, at=at + 1.0, cost=cost, **ended),
    ]


def rows(path: Path, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Return what a query finds in a database."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query, parameters).fetchall()


def change(path: Path, statement: str) -> None:
    """Change a database behind everybody's back."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()


def line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Cli:
    """Return the command line in a folder, with ``journal.db`` there as its journal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAGSAG_DB", "journal.db")
    return Cli(tmp_path, capsys)
