"""Money under any history: no limit is overspent, and rows, balances and journals agree."""

from __future__ import annotations

import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ledgers import (
    DAY_S,
    NOON,
    admit,
    agrees,
    balance_of,
    begun,
    day,
    ended,
    limit,
    month,
    plain,
    record,
    rows_of,
    tell,
)
from tests.stores import SHARED, open_at, opened, place, several

if TYPE_CHECKING:
    from runtime.journal import Claim, Journal

pytestmark = pytest.mark.real_time

AGENTS, PROVIDERS, TENANTS = ("a", "b"), ("p", "q"), ("", "t")
TIMES = (NOON, NOON + DAY_S, NOON + 2 * DAY_S, NOON + 40 * DAY_S)  # two days, then other months
LIMIT = 100
ADMITS = st.tuples(
    st.just("admit"),
    st.sampled_from(AGENTS),
    st.sampled_from(PROVIDERS),
    st.sampled_from(TENANTS),
    st.sampled_from(TIMES),
    st.integers(0, 70),
)
ENDS = st.tuples(
    st.sampled_from(["completed", "failed", "cancelled"]), st.integers(0, 30), st.floats(0, 1)
)
HISTORIES = st.lists(ADMITS | ENDS | st.just(("denied",)), max_size=30)


def claims_of(agent: str, provider: str, tenant: str, when: float) -> tuple[Claim, ...]:
    return (
        limit(LIMIT, day("agent", agent, when)),
        limit(2 * LIMIT, month("provider", provider, when)),
        *([limit(3 * LIMIT // 2, day("tenant", tenant, when))] if tenant else []),
    )


async def live(journal: Journal, history: list[Any]) -> list[bool]:
    """Live a history, check every limit at every step, and settle what is left at its end."""
    open_: dict[str, int] = {}
    admitted: list[bool] = []
    claims: set[Claim] = set()
    for number, (step, *details) in enumerate(history):
        op = f"{number:03}"
        if step == "admit":
            agent, provider, tenant, when, needed = details
            wanted = claims_of(agent, provider, tenant, when)
            who = {"agent": agent, "provider": provider, "tenant": tenant, "at": when}
            short = await journal.admit(begun(op, needed, **who), wanted)
            admitted.append(short is None)
            claims.update(wanted)
            if short is None:
                open_[op] = needed
        elif step == "denied":
            journal.append(record("invocation_denied", op, agent="a", provider="p", reason="no"))
        elif open_:
            which, share = details
            ending = sorted(open_)[which % len(open_)]
            reserved = open_.pop(ending)
            settled = reserved if step == "cancelled" else int(reserved * share)
            journal.append(ended(ending, settled, failed=step != "completed"))
        for claim in claims:
            spent, reserved = await balance_of(journal, claim.scope)
            assert spent + reserved <= claim.limit
    for op in open_:
        journal.append(ended(op, 0, failed=True))
    for claim in claims:
        await agrees(journal, claim.scope)
        assert (await balance_of(journal, claim.scope)).reserved == 0
    return admitted


@settings(max_examples=60, deadline=None)
@given(history=HISTORIES)
async def test_no_history_overspends_and_memory_and_sqlite_agree(history: list[Any]) -> None:
    await _agree("sqlite", history)


@settings(max_examples=10, deadline=None)
@given(history=HISTORIES)
async def test_memory_and_a_server_agree_on_every_history(history: list[Any]) -> None:
    await _agree("postgres", history)


async def _agree(store: str, history: list[Any]) -> None:
    async with opened("memory", Path()) as memory:
        in_memory = await live(memory, history)
        rows = [plain(row) for row in await rows_of(memory)]
    with tempfile.TemporaryDirectory() as folder, place(store, Path(folder)) as where:
        for _ in range(2):
            journal = await open_at(where)
            try:
                if not await rows_of(journal):
                    assert await live(journal, history) == in_memory
                assert [plain(row) for row in await rows_of(journal)] == rows
            finally:
                await journal.close()


# --- several journals in one place ----------------------------------------------------------------

BOTH = st.lists(
    st.tuples(
        st.booleans(),  # which of two journals
        st.sampled_from(["admit", "admit overdue", "completed", "failed"]),
        st.integers(0, 60),
        st.floats(0, 1),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(history=BOTH)
async def test_two_journals_on_one_file_never_overspend_it_together(history: list[Any]) -> None:
    await _never_overspend("sqlite", history)


@settings(max_examples=15, deadline=None)
@given(history=BOTH)
async def test_two_journals_on_one_server_never_overspend_it_together(history: list[Any]) -> None:
    await _never_overspend("postgres", history)


async def _never_overspend(store: str, history: list[Any]) -> None:
    """Each sees what the other has reserved; what is overdue one may settle for the other."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        both = await stack.enter_async_context(several(store, folder, 2))
        open_: list[dict[str, int]] = [{}, {}]
        for number, (which, step, amount, share) in enumerate(history):
            journal, own = both[which], open_[which]
            if step.startswith("admit"):
                expires = {"expires_at": NOON + 1} if step == "admit overdue" else {}
                op, run = f"{number:03}", f"run-{which}"
                short = await admit(journal, amount, limit(100), op=op, run=run, **expires)
                if short is None:
                    own[op] = amount
            elif own:
                op = sorted(own)[amount % len(own)]
                settled, failed = int(own.pop(op) * share), step == "failed"
                later = NOON + 10 * DAY_S
                outcome = ended(op, settled, failed=failed, run=f"run-{which}", at=later)
                await tell(journal, outcome)
            spent, reserved = await balance_of(journal, day())
            assert spent + reserved <= 100
            await agrees(journal, day())


@pytest.mark.parametrize("store", SHARED)
async def test_a_call_that_was_taken_for_lost_and_ends_after_all_costs_what_it_did(
    store: str, tmp_path: Path
) -> None:
    async with several(store, tmp_path, 2) as (one, other):
        assert await admit(one, 80, limit(100), expires_at=NOON + 1) is None
        short = await admit(other, 30, limit(100), op="b", run="run-2")
        assert short is not None
        assert (short.spent, short.reserved, short.may_pass) == (80, 0, False)
        (lost,) = await rows_of(other)
        assert (lost.status, lost.settled_nano_usd) == ("lost", 80)
        await tell(one, ended(settled=10, at=NOON + 100))
        (late,) = await rows_of(one)
        assert (late.status, late.settled_nano_usd) == ("completed", 10)
        assert await balance_of(other, day()) == (10, 0)
        assert await admit(other, 30, limit(100), op="b", run="run-2") is None
