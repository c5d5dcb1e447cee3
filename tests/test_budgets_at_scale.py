"""Crowds of calls at once under one limit: never overspent, nothing left over, nobody overtaken."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
import pytest

from runtime import Context, launch, mag, sag
from runtime.catalog.policy import Cap
from runtime.errors import BudgetExceeded, DeadlineExceeded
from runtime.governance.budget import Budget
from runtime.identity import wall_clock
from runtime.invocations.reservation import Reservations, reserve
from runtime.journal import MemoryJournal, SqliteJournal
from runtime.journal.lock import FileLock
from runtime.run import Run
from tests.echoes import CENT, FRAME, catalog_of, policy, price, provider, told
from tests.ledgers import DAY_S, NOON, balance_of, day, month, spending_limit

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.catalog import Catalog
    from runtime.journal import Journal, Record, Scope
    from tests.echoes import Told

ALLOWANCE = 500
WORST = (5 + FRAME + ALLOWANCE) * CENT  # a byte each, what frames them, the allowance
COST = (2 + ALLOWANCE) * CENT  # what an answer comes to
LIMIT = 10 * WORST
TENANT, HOME = "acme", "home"


@pytest.fixture(autouse=True)
def _no_midnight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the whole test be at one instant, so that its day cannot end."""
    now = wall_clock()
    monkeypatch.setattr("runtime.launch.wall_clock", lambda: now)


class Where(NamedTuple):
    """A limit: how it is said, and what it is called in errors and in the ledger."""

    cap: Cap | None
    scope: Scope | None

    @property
    def name(self) -> str:
        return "run" if self.scope is None else str(self.scope)


def where(kind: str) -> Where:
    now = launch.wall_clock()
    return {
        "run": Where(None, None),
        "agent": Where(Cap("agent", "day", (("crowd", LIMIT),)), day("agent", "crowd", now)),
        "provider": Where(Cap("provider", "month", (("*", LIMIT),)), month("provider", HOME, now)),
        "tenant": Where(Cap("tenant", "day", ((TENANT, LIMIT),)), day("tenant", TENANT, now)),
    }[kind]


@mag
async def crowd(ctx: Context, calls: int, seed: int, patience: float) -> dict[str, list[Any]]:
    """Ask everything at once; a random half is given up at a random time within ``patience``."""
    chance = random.Random(seed)  # noqa: S311  # the same crowd each time
    came: dict[str, list[Any]] = {"answered": [], "refused": []}

    async def one(number: int, given_up_after: float) -> None:
        with anyio.move_on_after(given_up_after):
            try:
                await ctx.ask(f"{number:05}", max_output_tokens=ALLOWANCE)
                came["answered"].append(number)
            except BudgetExceeded as error:
                told_ = (error.scope, error.limit, error.spent, error.needed)
                came["refused"].append([*told_, str(error)])

    async with anyio.create_task_group() as tasks:
        for number in range(calls):
            hurried = patience and chance.random() < 0.5
            tasks.start_soon(one, number, chance.random() * patience if hurried else 1e6)
    return came


def limited(at: Where, seconds: float = 0.01) -> Catalog:
    options = {"latency_s": seconds, "jitter_s": 2 * seconds, "reply": "word " * ALLOWANCE}
    rules = () if at.cap is None else (policy("limit", caps=(at.cap,)),)
    home = {HOME: provider("echo-1", options=options)}
    return catalog_of(home, prices={"home/echo-1": price()}, policies=rules)


class Heard:
    """What the records say of money, in their order; it never is more than the limit."""

    def __init__(self) -> None:
        self.open: dict[str, int] = {}
        self.spent = 0
        self.most = 0
        self.order: list[int] = []

    def __call__(self, record: Record) -> None:
        if record.kind == "invocation_started":
            assert record.op not in self.open
            self.open[record.op] = record.body["reserved_nano_usd"]
            self.order.append(int(record.body["request"]["messages"][0][1]))
        elif record.kind in ("invocation_completed", "invocation_failed"):
            assert record.body["settled_nano_usd"] <= self.open.pop(record.op)
            self.spent += record.body["settled_nano_usd"]
        self.most = max(self.most, self.spent + sum(self.open.values()))


async def rush(kind: str, calls: int, journal: Journal, *, patience: float) -> tuple[Told, Heard]:
    """Let a crowd ask, and check what must hold in any case."""
    at, heard = where(kind), Heard()

    async def nothing_is_left(system: Any) -> None:
        if at.scope is not None:
            balance = await balance_of(system.journal, at.scope)
            assert balance == (heard.spent, 0)
        assert repr(system.reservations) == "<Reservations [0 waiting]>"

    came = await told(
        limited(at),
        crowd,
        {"calls": calls, "seed": calls, "patience": patience},
        journal=journal,
        during=nothing_is_left,
        tenant=TENANT,
        listener=heard,
        **({"budget_usd": LIMIT / 10**9} if at.scope is None else {}),
    )
    assert came.outcome.output is not None, came.outcome
    assert heard.open == {}
    assert 0 < heard.spent <= heard.most <= LIMIT
    statuses = {row.status for row in came.calls}
    assert statuses <= {"completed", "failed", "denied"}
    assert sum(row.settled_nano_usd or 0 for row in came.calls) == heard.spent
    for scope, amount, spent, needed, text in came.outcome.output["refused"]:
        assert (scope, amount, needed) == (at.name, LIMIT, WORST)
        assert spent + needed > LIMIT
        assert "policy limit, limit.yaml:1" in text or scope == "run"
    return came, heard


def check_all_that_fit_were_answered(came: Told, heard: Heard) -> None:
    answered = came.outcome.output["answered"]
    assert len(answered) >= 10
    assert heard.spent == len(answered) * COST
    assert LIMIT - heard.spent < WORST or len(answered) == came.outcome.usage["calls"]


KINDS = ("run", "agent", "provider", "tenant")
CROWDS = [(kind, 64) for kind in KINDS] + [("run", 1_024), ("agent", 1_024)]


@pytest.mark.parametrize(("kind", "calls"), CROWDS)
async def test_a_crowd_never_overspends_and_everybody_has_their_turn(kind: str, calls: int) -> None:
    came, heard = await rush(kind, calls, MemoryJournal(), patience=0.0)
    check_all_that_fit_were_answered(came, heard)
    assert heard.order == sorted(heard.order)  # they began in the order in which they came
    done = came.outcome.output
    assert len(done["answered"]) + len(done["refused"]) == calls
    assert done["refused"]


@pytest.mark.parametrize(("kind", "calls"), CROWDS)
async def test_a_crowd_of_which_half_gives_up_leaves_nothing_reserved(
    kind: str, calls: int
) -> None:
    """Whoever gave up in line has cost nothing; whose call was under way may have cost it all."""
    _, heard = await rush(kind, calls, MemoryJournal(), patience=0.4)
    assert heard.order == sorted(heard.order)


@pytest.mark.real_time
@pytest.mark.parametrize(("kind", "calls"), [*CROWDS[1:4], ("provider", 1_024)])
async def test_a_crowd_never_overspends_what_a_file_has_counted(
    kind: str, calls: int, tmp_path: Path
) -> None:
    journal = await SqliteJournal.open(tmp_path / "journal.db", synchronous="normal")
    came, heard = await rush(kind, calls, journal, patience=0.0)
    check_all_that_fit_were_answered(came, heard)


@pytest.mark.real_time
@pytest.mark.parametrize(("kind", "calls"), [*CROWDS[1:4], ("tenant", 1_024)])
async def test_a_crowd_of_which_half_gives_up_leaves_nothing_reserved_in_a_file(
    kind: str, calls: int, tmp_path: Path
) -> None:
    journal = await SqliteJournal.open(tmp_path / "journal.db", synchronous="normal")
    await rush(kind, calls, journal, patience=0.4)


async def test_runs_share_a_limit_that_is_beyond_them() -> None:
    """Eight runs of one tenant, one after the other and side by side, under one limit."""
    journal = _Kept()
    at = where("tenant")
    answered: list[int] = []

    async def one(number: int) -> None:
        payload = {"calls": 16, "seed": number, "patience": 0.0}
        came = await told(limited(at), crowd, payload, journal=journal, tenant=TENANT)
        answered.append(len(came.outcome.output["answered"]))

    async with anyio.create_task_group() as tasks:
        for number in range(6):
            tasks.start_soon(one, number)
    for number in (6, 7):
        await one(number)
    assert at.scope is not None
    spent, reserved = await balance_of(journal, at.scope)
    assert (spent, reserved) == (sum(answered) * COST, 0)
    assert LIMIT - WORST < spent <= LIMIT
    assert answered[-1] == 0


class _Kept(MemoryJournal):
    """A journal that outlives the systems that use it."""

    async def close(self) -> None:
        """Stay open."""


# --- waiting -------------------------------------------------------------------------------------


def a_run(journal: Journal, budget: int | None = None) -> Run:
    return Run("run-1", "t", budget=Budget(budget), journal=journal, clock=lambda: NOON)


async def test_a_wait_for_a_runs_budget_ends_at_the_deadline() -> None:
    run = a_run(MemoryJournal(), 100)
    await reserve(run, 60, None)
    with pytest.raises(DeadlineExceeded) as raised:
        await reserve(run, 60, anyio.current_time() + 3)
    assert raised.value.stage == "queue"
    assert anyio.current_time() == pytest.approx(3)
    assert run.budget.reserved == 60
    assert not run.line.locked()


async def test_a_wait_for_a_limit_ends_at_the_deadline() -> None:
    journal, reservations = MemoryJournal(), Reservations()
    run, limits = a_run(journal), (spending_limit(100),)
    body = {"agent": "writer", "reserved_nano_usd": 60}
    await reservations.admit(run, "a", body, limits, None)
    with pytest.raises(DeadlineExceeded) as raised:
        await reservations.admit(run, "b", body, limits, anyio.current_time() + 3)
    assert raised.value.stage == "queue"
    assert anyio.current_time() == pytest.approx(3)
    assert await balance_of(journal, day()) == (0, 60)
    assert repr(reservations) == "<Reservations [0 waiting]>"


async def test_small_calls_do_not_overtake_a_large_one_that_waits() -> None:
    journal, reservations = MemoryJournal(), Reservations()
    run, limits = a_run(journal), (spending_limit(100),)
    began: list[str] = []

    async def call(op: str, needed: int) -> None:
        body = {"agent": "writer", "reserved_nano_usd": needed}
        await reservations.admit(run, op, body, limits, None)
        began.append(op)
        await anyio.sleep(10)
        run.record("invocation_completed", op, {"settled_nano_usd": 0})
        reservations.settled()

    async with anyio.create_task_group() as tasks:
        for op, needed in (("a", 60), ("b", 90), ("c", 10), ("d", 10), ("e", 90)):
            tasks.start_soon(call, op, needed)
    assert began == [*"abcde"]


async def test_who_can_never_fit_is_refused_while_it_waits() -> None:
    journal, reservations = MemoryJournal(), Reservations()
    run, limits = a_run(journal), (spending_limit(100),)
    body = {"agent": "writer", "reserved_nano_usd": 60}
    await reservations.admit(run, "a", body, limits, None)

    async def settle() -> None:
        await anyio.sleep(5)
        run.record("invocation_completed", "a", {"settled_nano_usd": 50})
        reservations.settled()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(settle)
        with pytest.raises(BudgetExceeded) as raised:
            await reservations.admit(run, "b", body, limits, None)
    error = raised.value
    assert (error.limit, error.spent, error.reserved, error.needed) == (100, 50, 0, 60)
    assert error.scope == str(day())
    assert anyio.current_time() == pytest.approx(5)


async def test_who_waits_across_midnight_has_to_fit_into_the_day_on_which_it_begins() -> None:
    now = [NOON]
    journal, reservations = MemoryJournal(), Reservations()
    run = Run("run-1", "t", budget=Budget(None), journal=journal, clock=lambda: now[0])
    limits = (spending_limit(100),)
    body = {"agent": "writer", "reserved_nano_usd": 100}
    await reservations.admit(run, "a", body, limits, None)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reservations.admit, run, "b", body, limits, None)
        await anyio.sleep(0.1)
        now[0] += DAY_S
        await reservations.admit(run, "c", body, limits, None)  # the new day is spent
        run.record("invocation_completed", "a", {"settled_nano_usd": 0})
        reservations.settled()
        await anyio.sleep(1)
        assert await balance_of(journal, day(at=now[0])) == (0, 100)
        run.record("invocation_completed", "c", {"settled_nano_usd": 0})
        reservations.settled()
    assert await balance_of(journal, day(at=now[0])) == (0, 100)


async def test_what_another_process_settles_is_seen_without_a_word() -> None:
    """Nobody calls ``settled``: the first in line looks again by itself."""
    journal, reservations = MemoryJournal(), Reservations()
    run, limits = a_run(journal), (spending_limit(100),)
    body = {"agent": "writer", "reserved_nano_usd": 60}
    await reservations.admit(run, "a", body, limits, None)

    async def settle() -> None:
        await anyio.sleep(5)
        run.record("invocation_completed", "a", {"settled_nano_usd": 0})

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(settle)
        await reservations.admit(run, "b", body, limits, None)
    assert 5 <= anyio.current_time() <= 6


async def test_a_run_whose_deadline_passes_in_line_ends_then_and_has_reserved_nothing() -> None:
    @mag
    async def hog(ctx: Context) -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(12):
                tasks.start_soon(ask, ctx, f"{number:05}")

    async def ask(ctx: Context, prompt: str) -> None:
        await ctx.ask(prompt, max_output_tokens=ALLOWANCE)

    at = where("agent")
    cap = at.cap._replace(amounts=(("hog", LIMIT),)) if at.cap is not None else None
    catalog = limited(Where(cap, None), seconds=1_000.0)
    heard = Heard()
    begun_at = anyio.current_time()
    came = await told(catalog, hog, deadline_s=5, listener=heard)
    assert came.outcome.reason == "deadline"
    assert anyio.current_time() - begun_at == pytest.approx(5, abs=0.5)
    assert (len(heard.order), heard.open) == (10, {})


@pytest.mark.real_time
async def test_a_body_that_is_ended_while_the_file_decides_leaves_nothing_reserved(
    tmp_path: Path,
) -> None:
    """Nobody knows yet whether its call may begin: the journal gives back what it reserves."""
    path = tmp_path / "journal.db"
    journal = await SqliteJournal.open(path, synchronous="normal")
    busy = FileLock(path.with_name("journal.db-lock"))

    @sag
    async def asks(ctx: Context, number: int) -> str:
        return await ctx.ask(f"{number:05}", max_output_tokens=ALLOWANCE)

    @mag
    async def ends_them(ctx: Context) -> list[str | None]:
        with busy:
            done = [await ctx.delegate(asks, number, deadline=0.05) for number in range(3)]
        return [result.reason for result in done]

    at = Cap("tenant", "day", ((TENANT, LIMIT),))

    async def nothing_is_left(system: Any) -> None:
        scope = where("tenant").scope
        assert scope is not None
        assert await balance_of(system.journal, scope) == (0, 0)

    catalog = limited(Where(at, None))
    come = {"agents": (asks,), "journal": journal, "tenant": TENANT}
    came = await told(catalog, ends_them, during=nothing_is_left, **come)
    assert came.outcome.output == ["deadline"] * 3
    assert {(row.status, row.settled_nano_usd) for row in came.calls} == {("failed", 0)}
