"""What agents, providers and tenants spend, whatever the journal is written on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from runtime.journal import CallQuery, JournalFailed, place_of
from tests.ledgers import (
    DAY_S,
    NOON,
    admit,
    balance_of,
    begun,
    day,
    ended,
    limit,
    month,
    record,
    rows_of,
    tell,
)
from tests.stores import STORES, opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from runtime.journal import Journal

pytestmark = pytest.mark.real_time


@pytest.fixture(params=STORES)
async def journal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Journal]:
    async with opened(request.param, tmp_path) as each:
        yield each


# --- admit ---------------------------------------------------------------------------------------


async def test_what_fits_is_reserved_and_what_it_cost_replaces_that(journal: Journal) -> None:
    assert await admit(journal, 60, limit(100)) is None
    assert await balance_of(journal, day()) == (0, 60)
    await tell(journal, ended(settled=25))
    assert await balance_of(journal, day()) == (25, 0)
    (row,) = await rows_of(journal)
    assert (row.status, row.reserved_nano_usd, row.settled_nano_usd) == ("completed", 60, 25)


async def test_to_the_last_nano_dollar_it_fits_and_one_more_does_not(journal: Journal) -> None:
    assert await admit(journal, 60, limit(100), op="a") is None
    assert await admit(journal, 40, limit(100), op="b") is None
    short = await admit(journal, 1, limit(100), op="c")
    assert short is not None
    assert (short.spent, short.reserved, short.needed, short.may_pass) == (0, 100, 1, True)
    assert short.claim == limit(100)
    assert await admit(journal, 0, limit(100), op="d") is None  # what costs nothing always fits


@pytest.mark.parametrize(
    ("spent", "needed", "may_pass"), [(0, 41, True), (40, 60, True), (40, 61, False)]
)
async def test_a_shortfall_says_whether_it_passes_once_others_have_settled(
    journal: Journal, spent: int, needed: int, may_pass: bool
) -> None:
    await admit(journal, 60, limit(100), op="a")
    await admit(journal, 40, limit(100), op="b")
    await tell(journal, ended("b", spent))
    short = await admit(journal, needed, limit(100), op="c")
    assert short is not None
    assert short.may_pass == may_pass


async def test_what_never_fits_is_told_so_even_with_nobody_in_the_way(journal: Journal) -> None:
    short = await admit(journal, 101, limit(100))
    assert short is not None
    assert not short.may_pass


async def test_all_limits_hold_or_nothing_is_noted(journal: Journal) -> None:
    claims = (limit(100), limit(50, month("provider", "p")), limit(500, day("tenant", "acme")))
    short = await admit(journal, 60, *claims)
    assert short is not None
    assert short.claim == claims[1]
    await journal.flush()
    assert await journal.events("run-1") == []
    assert await rows_of(journal) == []
    for claim in claims:
        assert await balance_of(journal, claim.scope) == (0, 0)
    assert await admit(journal, 50, *claims) is None
    for claim in claims:
        assert await balance_of(journal, claim.scope) == (0, 50)


async def test_of_several_shortfalls_one_that_cannot_pass_is_told_first(journal: Journal) -> None:
    await admit(journal, 80, limit(100), op="a")
    claims = (limit(100), limit(20, month("provider", "p")))
    short = await admit(journal, 30, *claims, op="b")
    assert short is not None
    assert (short.claim, short.may_pass) == (claims[1], False)


async def test_calls_without_limits_count_for_those_with_them(journal: Journal) -> None:
    await tell(journal, begun("a", 70), begun("b", 20), ended("b", 10))
    short = await admit(journal, 21, limit(100), op="c")
    assert short is not None
    assert (short.spent, short.reserved) == (10, 70)


async def test_more_than_was_reserved_counts_and_blocks_the_scope(journal: Journal) -> None:
    await admit(journal, 60, limit(100), op="a")
    await tell(journal, ended("a", 130))
    short = await admit(journal, 0, limit(100), op="b")
    assert short is not None
    assert (short.spent, short.may_pass) == (130, False)


async def test_others_are_of_no_matter(journal: Journal) -> None:
    await tell(
        journal,
        begun("a", 100, agent="other", provider="q", tenant=""),
        begun("b", 100, agent="other", provider="q", tenant=""),
        ended("b", 100),
    )
    for scope in (day(), month("provider", "p"), day("tenant", "acme")):
        assert await balance_of(journal, scope) == (0, 0)
    assert await balance_of(journal, day(name="other")) == (100, 100)
    assert await admit(journal, 100, limit(100), op="c") is None


async def test_a_closed_journal_admits_nothing(journal: Journal) -> None:
    await journal.close()
    with pytest.raises(JournalFailed, match="closed"):
        await admit(journal, 1, limit(100))
    for read in (journal.calls(CallQuery()), journal.balance(day()), journal.answer("r", "", 0.0)):
        with pytest.raises(JournalFailed, match="closed"):
            await read


# --- days and months -----------------------------------------------------------------------------


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("then", "now", "same_day", "same_month"),
    [
        ("2026-02-27T00:00:00", "2026-02-27T23:59:59.999", True, True),
        ("2026-02-27T23:59:59.999", "2026-02-28T00:00:00", False, True),
        ("2026-02-28T23:59:59", "2026-03-01T00:00:00", False, False),
        ("2028-02-28T12:00:00", "2028-02-29T12:00:00", False, True),
        ("2026-12-31T23:59:59", "2027-01-01T00:00:00", False, False),
        ("2025-12-31T12:00:00", "2026-12-31T12:00:00", False, False),
    ],
)
async def test_days_and_months_roll_over_by_utc(
    journal: Journal, then: str, now: str, same_day: bool, same_month: bool
) -> None:
    """What was spent and what is reserved count on the day on which the call began."""
    await tell(journal, begun("a", 40, at=at(then)), begun("b", 10, at=at(then)))
    await tell(journal, ended("a", 30, at=at(then) + 2 * DAY_S))
    assert await balance_of(journal, day(at=at(now))) == ((30, 10) if same_day else (0, 0))
    assert await balance_of(journal, month(at=at(now))) == ((30, 10) if same_month else (0, 0))
    claim = limit(100, day(at=at(now)))
    short = await admit(journal, 61, claim, op="c", at=at(now))
    assert (short is not None) == same_day


# --- what ends otherwise -------------------------------------------------------------------------


async def test_a_call_that_failed_costs_what_was_settled_for_it(journal: Journal) -> None:
    await admit(journal, 60, limit(100), op="a")
    await admit(journal, 40, limit(100), op="b")
    await tell(
        journal,
        ended("a", 60, failed=True, reason="cancelled", error="given up", error_class="Cancelled"),
        ended("b", 0, failed=True, reason="provider"),
    )
    assert await balance_of(journal, day()) == (60, 0)
    first, second = await rows_of(journal)
    assert (first.status, first.reason, first.error) == ("failed", "cancelled", "given up")
    assert (second.status, second.settled_nano_usd) == ("failed", 0)


async def test_what_is_denied_or_given_again_is_a_row_that_costs_nothing(journal: Journal) -> None:
    who = {"agent": "writer", "provider": "p", "model": "m", "tenant": "acme", "data_classes": "x"}
    await tell(
        journal,
        record("invocation_denied", "a", policy="p says no", error="no", reason="denied", **who),
        record("invocation_cached", "b", at=NOON + 1, request_sha256="r", **who),
    )
    denied, cached = await rows_of(journal)
    assert (denied.status, denied.decision, denied.policy) == ("denied", "denied", "p says no")
    assert (cached.status, cached.decision, cached.request_sha256) == ("cached", "allowed", "r")
    for row in (denied, cached):
        assert (row.settled_nano_usd, row.reserved_nano_usd, row.ended_at) == (0, 0, row.started_at)
    assert await balance_of(journal, day()) == (0, 0)
    run = await journal.run("run-1")
    assert run is not None
    assert (run.calls, run.errors) == (0, 0)


async def test_an_outcome_whose_beginning_is_not_there_is_a_row_of_its_own(
    journal: Journal,
) -> None:
    await tell(journal, ended("late", 7))
    (row,) = await rows_of(journal)
    assert (row.status, row.agent, row.settled_nano_usd) == ("completed", "", 7)
    assert await balance_of(journal, day()) == (0, 0)


async def test_a_second_outcome_changes_neither_row_nor_balance(journal: Journal) -> None:
    await tell(journal, begun(needed=50), ended(settled=20), ended(settled=45, failed=True))
    (row,) = await rows_of(journal)
    assert (row.status, row.settled_nano_usd) == ("completed", 20)
    assert await balance_of(journal, day()) == (20, 0)


# --- answers -------------------------------------------------------------------------------------


async def test_the_newest_whole_answer_to_an_equal_question_is_found(journal: Journal) -> None:
    await tell(
        journal,
        *(begun("a", at=NOON), ended("a", text="old", at=NOON + 1)),
        *(begun("b", at=NOON + 10), ended("b", text="new", at=NOON + 11)),
        *(begun("c", at=NOON + 20), ended("c", failed=True, at=NOON + 21)),
        *(begun("d", at=NOON + 30), begun("e", at=NOON + 40, request_sha256="other")),
        ended("e", text="another", at=NOON + 41),
    )
    found = await journal.answer("r", "acme", NOON)
    assert found is not None
    assert (found.kind, found.op, found.body["text"]) == ("invocation_completed", "b", "new")
    assert await journal.answer("r", "acme", NOON + 10.5) is None
    assert await journal.answer("nobody", "acme", 0.0) is None
    assert await journal.answer("r", "rival", NOON) is None  # it is nobody else's


# --- which calls ---------------------------------------------------------------------------------

QUERIES: list[tuple[dict[str, Any], str]] = [
    ({}, "abcd"),
    ({"run_id": "run-2"}, "d"),
    ({"agent": "writer"}, "ab"),
    ({"agent": "main"}, "abd"),
    ({"agent": "ma"}, ""),
    ({"model": "gpt-4o"}, "ad"),
    ({"model": "gpt-*"}, "abd"),
    ({"model": "served-?"}, "a"),
    ({"model": "[gm]*"}, ""),
    ({"provider": "q"}, "c"),
    ({"tenant": "acme"}, "a"),
    ({"tenant": ""}, "bcd"),
    ({"status": "completed"}, "a"),
    ({"status": "denied"}, "c"),
    ({"since": NOON + 1}, "bcd"),
    ({"until": NOON + 1}, "a"),
    ({"workflow": "flow"}, "abc"),
    ({"workflow": "nobody"}, ""),
    ({"limit": 2}, "ab"),
    ({"agent": "main", "model": "gpt-4o", "since": NOON + 1}, "d"),
]


@pytest.mark.parametrize(("query", "expected"), QUERIES)
async def test_calls_are_found_by_what_is_known_of_them(
    journal: Journal, query: dict[str, Any], expected: str
) -> None:
    await tell(
        journal,
        record("run_started", "", target="flow", pid=None, host="elsewhere"),
        begun("a", model="gpt-4o"),
        ended("a", model="served-1"),
        begun("b", model="gpt-5", tenant="", at=NOON + 1),
        record(
            "invocation_denied", "c", agent="other", provider="q", model="x", at=NOON + 2
        ),
        record("run_started", "", run="run-2", target="other", host="elsewhere"),
        begun("d", model="gpt-4o", agent="main", path="main", tenant="", run="run-2", at=NOON + 3),
    )  # fmt: skip
    rows = await rows_of(journal, **query)
    assert "".join(row.op for row in rows) == expected
    newest = [one.call.op for one in await journal.calls(CallQuery(**query))]
    assert "limit" in query or newest == [*reversed(expected)]


async def test_pages_join_without_a_gap(journal: Journal) -> None:
    """Also where many calls began at the same instant."""
    await tell(journal, *(begun(f"{n:02}", at=NOON + n % 3) for n in range(20)))
    for newest_first in (True, False):
        found: list[str] = []
        query = CallQuery(limit=3, newest_first=newest_first)
        while page := await journal.calls(query):
            found += [one.call.op for one in page]
            query = CallQuery(limit=3, newest_first=newest_first, behind=place_of(page[-1].call))
        assert len(found) == len(set(found)) == 20
