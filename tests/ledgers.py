"""Calls as a journal is told of them, and what must hold of what it tells."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from runtime.governance.policy import SpendingLimit
from runtime.journal import (
    CallQuery,
    Claim,
    Record,
    scope_of,
)
from runtime.journal.calls import day_of

if TYPE_CHECKING:
    from runtime.journal import Balance, CallRow, Journal, Kind, Scope, Shortfall

NOON = datetime(2026, 2, 27, 12, tzinfo=UTC).timestamp()
DAY_S = 86_400.0


def record(
    kind: Kind, op: str = "op", *, run: str = "run-1", at: float = NOON, cost: int = 0, **body: Any
) -> Record:
    return Record(run, kind, op, body, at, cost)


def begun(op: str = "op", needed: int = 0, **fields: Any) -> Record:
    """Return the beginning of a call of the agent ``writer``, the provider ``p``, ``acme``."""
    usual = {"agent": "writer", "path": "main/writer", "provider": "p", "tenant": "acme"}
    body = usual | {"model": "m", "reserved_nano_usd": needed, "request_sha256": "r"}
    return record("invocation_started", op, **body | fields)


def ended(op: str = "op", settled: int = 0, *, failed: bool = False, **fields: Any) -> Record:
    kind: Kind = "invocation_failed" if failed else "invocation_completed"
    usage = {"input_tokens": 3, "output_tokens": 2}
    body = {"settled_nano_usd": settled, "usage": usage, "model": "m-1", "finish_reason": "stop"}
    return record(kind, op, **{"cost": settled} | body | fields)


def day(subject: Any = "agent", name: str = "writer", at: float = NOON) -> Scope:
    return scope_of(subject, name, "day", day_of(at))


def month(subject: Any = "agent", name: str = "writer", at: float = NOON) -> Scope:
    return scope_of(subject, name, "month", day_of(at))


def limit(amount: int, scope: Scope | None = None) -> Claim:
    return Claim(scope or day(), amount, "a test")


def spending_limit(amount: int) -> SpendingLimit:
    """Return what ``limit`` is a claim of, as a policy says it."""
    return SpendingLimit("agent", "writer", "day", amount, "a test")


async def admit(
    journal: Journal, needed: int, *claims: Claim, op: str = "op", **fields: Any
) -> Shortfall | None:
    return await journal.admit(begun(op, needed, **fields), claims)


async def tell(journal: Journal, *records: Record) -> None:
    for each in records:
        journal.append(each)
    await journal.flush()


async def rows_of(journal: Journal, **query: Any) -> list[CallRow]:
    await journal.flush()
    return [one.call for one in await journal.calls(CallQuery(newest_first=False, **query))]


async def balance_of(journal: Journal, scope: Scope) -> Balance:
    await journal.flush()
    return await journal.balance(scope)


async def agrees(journal: Journal, scope: Scope) -> None:
    """Check that a balance is the sum of its rows."""
    rows = [
        row
        for row in await rows_of(journal)
        if getattr(row, scope.subject) == scope.name
        and scope.first_day <= row.day <= scope.last_day
    ]
    spent = sum(row.settled_nano_usd or 0 for row in rows if row.status != "running")
    reserved = sum(row.reserved_nano_usd for row in rows if row.status == "running")
    assert await balance_of(journal, scope) == (spent, reserved)


def plain(row: CallRow) -> dict[str, Any]:
    """Return a row as data that two journals can be compared by."""
    return dataclasses.asdict(row)
