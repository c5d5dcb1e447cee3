"""Answers that are given again: which questions are equal, and what is counted and kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from pydantic import BaseModel

from runtime import Context, mag, sag, skill
from runtime.catalog import RouteEntry
from runtime.journal import MemoryJournal, SqliteJournal
from runtime.messages import Message, Reasoning
from tests.echoes import CENT, FRAME, any_model_answers, catalog_of, policy, price, provider, told
from tests.questions import asks, counted, question, statuses

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.catalog import Catalog
    from tests.questions import Ask

NOW, DAY_S = 1_790_000_000.0, 86_400.0
HOME = {"home": provider("echo-1", "extract-1"), "second": provider("echo-1")}
COSTS = {"home/echo-1": price(), "home/extract-1": price()}


class Finding(BaseModel):
    answer: str = "a"


class Other(BaseModel):
    other: str = "b"


@skill
async def lookup(word: str) -> str:
    """Look a word up."""
    return f"{word}!"


@skill
async def search(word: str) -> str:
    """Look a word up."""
    return f"{word}?"


class Kept(MemoryJournal):
    """A journal that outlives the systems that use it."""

    async def close(self) -> None:
        """Stay open."""


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the wall clock's time, which a test may change."""
    now = [NOW]
    monkeypatch.setattr("runtime.launch.wall_clock", lambda: now[0])
    any_model_answers(monkeypatch)
    return now


def catalog(*routes: RouteEntry, **fields: Any) -> Catalog:
    return catalog_of(HOME, prices=COSTS, routing={"routes": routes}, **fields)


ONCE = ["cached", "completed"]
TWICE = ["completed", "completed"]

# --- who says so ---------------------------------------------------------------------------------


@sag
async def clerk(ctx: Context, text: str) -> str:
    return await ctx.ask(text)


def told_in_data(**config: Any) -> Ask:
    return lambda ctx: ctx.delegate(clerk, {"text": "x", "model_config": config})


@pytest.mark.parametrize(
    ("route", "ask", "given_again"),
    [
        (None, question(use_cache=None), False),
        (None, question(), True),
        (RouteEntry(task_type="asks", use_cache=True), question(use_cache=None), True),
        (RouteEntry(task_type="asks", use_cache=True), question(use_cache=False), False),
        (RouteEntry(task_type="asks"), question(), True),
        (RouteEntry(task_type="t*", use_cache=True),
         question(use_cache=None, task_type="t1"), True),
        (RouteEntry(task_type="other", use_cache=True), question(use_cache=None), False),
        (None, told_in_data(use_cache=True), True),
        (RouteEntry(task_type="clerk", use_cache=True), told_in_data(temperature=0), True),
        (RouteEntry(task_type="clerk", use_cache=True), told_in_data(use_cache=False), False),
    ],
)  # fmt: skip
async def test_an_equal_question_is_answered_again_where_route_or_code_says_so(
    route: RouteEntry | None, ask: Ask, given_again: bool
) -> None:
    routes = () if route is None else (route,)
    came = await told(catalog(*routes), asks(ask, ask), agents=(clerk,))
    assert came.outcome.ok, came.outcome.error
    assert sorted(statuses(came)) == (ONCE if given_again else TWICE)


# --- what is equal -------------------------------------------------------------------------------

TALK = [Message("user", "a"), Message("assistant", "b"), Message("user", "c")]
EQUAL: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the very same": ({}, {}),
    "a text and one turn of it": ({"prompt": "x"}, {"prompt": [Message("user", "x")]}),
    "a name and its long form": ({"model": "extract-1"}, {"model": "home/extract-1"}),
    "another kind of data": ({"data_class": "a"}, {"data_class": "b"}),
    "the same type": ({"returns": Finding}, {"returns": Finding}),
}
DIFFERENT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "prompt": ({"prompt": "x"}, {"prompt": "y"}),
    "order of turns": ({"prompt": TALK}, {"prompt": [TALK[2], TALK[1], TALK[0]]}),
    "roles": ({"prompt": TALK}, {"prompt": [*TALK[:1], Message("user", "b"), TALK[2]]}),
    "turns joined": ({"prompt": "ab"}, {"prompt": [Message("user", "a"), Message("user", "b")]}),
    "model": ({"model": "echo-1", "provider": "home"}, {"model": "extract-1"}),
    "provider": ({"model": "home/echo-1"}, {"model": "second/echo-1"}),
    "type of the answer": ({"returns": Finding}, {"returns": Other}),
    "a type at all": ({"returns": Finding}, {}),
    "tools": ({"tools": [lookup]}, {}),
    "another tool": ({"tools": [lookup]}, {"tools": [search]}),
    "system prompt": ({"system": "a"}, {"system": "b"}),
    "temperature": ({"temperature": 0.0}, {"temperature": 0.5}),
    "temperature at all": ({"temperature": 0.0}, {}),
    "allowance": ({"max_output_tokens": 10}, {"max_output_tokens": 11}),
    "reasoning": ({"reasoning": Reasoning(effort="low")}, {"reasoning": Reasoning(effort="high")}),
    "stop": ({"stop": ["a"]}, {"stop": ["b"]}),
}


@pytest.mark.parametrize(("first", "second"), EQUAL.values(), ids=EQUAL)
async def test_equal_questions_are_asked_once(first: Any, second: Any) -> None:
    came = await told(catalog(), asks(question(**first), question(**second)))
    assert came.outcome.ok, came.outcome.error
    assert sorted(statuses(came)) == ONCE
    assert came.outcome.output[0] == came.outcome.output[1]


@pytest.mark.parametrize(("first", "second"), DIFFERENT.values(), ids=DIFFERENT)
async def test_questions_that_differ_in_anything_are_asked_both(first: Any, second: Any) -> None:
    came = await told(catalog(), asks(question(**first), question(**second)))
    assert came.outcome.ok, came.outcome.error
    assert statuses(came) == TWICE


# --- for how long --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ttl_s", "later", "given_again"),
    [(None, DAY_S - 1, True), (None, DAY_S + 1, False), (60.0, 59, True), (60.0, 61, False)],
)
async def test_an_answer_is_given_again_for_as_long_as_the_route_says(
    clock: list[float], ttl_s: float | None, later: float, given_again: bool
) -> None:
    def waits(ctx: Context) -> Any:
        clock[0] += later
        return ctx.ask("x y")

    fields = {} if ttl_s is None else {"cache_ttl_s": ttl_s}
    route = RouteEntry(task_type="asks", use_cache=True, **fields)
    came = await told(catalog(route), asks(question(use_cache=None), waits))
    assert sorted(statuses(came)) == (ONCE if given_again else TWICE)


async def test_to_be_given_again_makes_an_answer_no_younger(clock: list[float]) -> None:
    def after(seconds: float) -> Ask:
        def ask(ctx: Context) -> Any:
            clock[0] += seconds
            return ctx.ask("x y")

        return ask

    route = RouteEntry(task_type="asks", use_cache=True, cache_ttl_s=60.0)
    came = await told(catalog(route), asks(after(0), after(50), after(20), after(50)))
    assert statuses(came) == ["completed", "cached", "completed", "cached"]


# --- what is not given again ---------------------------------------------------------------------


async def _stopped_early(ctx: Context) -> str:
    async for event in ctx.stream("x y"):
        return event.text
    return ""


async def _whole_stream(ctx: Context) -> str:
    stream = ctx.stream("x y")
    async for _ in stream:
        pass
    return stream.reply.text


LONG = "one two three four five six seven eight"


@pytest.mark.parametrize(
    ("first", "second", "given_again"),
    [
        (question(LONG, max_output_tokens=2), question(LONG, max_output_tokens=2), False),
        (_stopped_early, question(), False),
        (_whole_stream, question(), True),
    ],
)
async def test_a_cut_off_answer_is_not_given_again(
    first: Ask, second: Ask, given_again: bool
) -> None:
    came = await told(catalog(), asks(first, second))
    assert came.outcome.ok, came.outcome.error
    assert sorted(statuses(came)) == (ONCE if given_again else TWICE)


@pytest.mark.parametrize(("word", "expected"), [("digest", TWICE), ("keep", ONCE), (None, ONCE)])
async def test_what_a_policy_keeps_nowhere_is_asked_each_time(
    word: str | None, expected: list[str]
) -> None:
    rules = () if word is None else (policy(contents={"*": word}),)
    came = await told(catalog(policies=rules), asks(question(), question()))
    assert sorted(statuses(came)) == expected


async def test_a_model_that_is_denied_by_now_is_not_answered_from_the_cache() -> None:
    journal = Kept()
    await told(catalog(), asks(question()), journal=journal)
    rules = (policy(allowed_models=frozenset(("extract-1",))),)
    came = await told(catalog(policies=rules), asks(question()), journal=journal)
    assert (came.outcome.reason, statuses(came)) == ("denied", ["denied"])


# --- what is counted -----------------------------------------------------------------------------


async def test_tokens_and_money_count_once_and_the_audit_trail_says_so() -> None:
    came = await told(catalog(RouteEntry(task_type="asks", use_cache=True)),
                      asks(question(use_cache=None), question(use_cache=None, data_class="x")),
                      tenant="acme")  # fmt: skip
    assert came.outcome.usage == {"calls": 1, "errors": 0, "input_tokens": 1, "output_tokens": 1}
    assert came.outcome.cost_usd == pytest.approx(0.02)
    again, first = sorted(came.calls, key=lambda row: row.status)
    assert (first.status, first.cost_nano_usd) == ("completed", 2 * CENT)
    assert (again.status, again.decision) == ("cached", "allowed")
    counts = ("cost_nano_usd", "settled_nano_usd", "reserved_nano_usd", "input_tokens")
    assert [getattr(again, name) for name in counts] == [0, 0, 0, 0]
    assert again.request_sha256 == first.request_sha256
    assert again.reply_sha256 == first.reply_sha256
    same = ("agent", "path", "provider", "model", "tenant", "level", "route")
    assert [getattr(again, name) for name in same] == [getattr(first, name) for name in same]
    assert (first.data_classes, again.data_classes) == ("", "x")


async def test_where_answers_are_not_kept_nobody_waits_for_them() -> None:
    """Twenty equal questions of two tenths of a second take no four seconds."""

    @mag
    async def crowd(ctx: Context) -> float:
        began = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(question(), ctx)
        return anyio.current_time() - began

    slow = {"home": provider("echo-1", options={"latency_s": 0.2})}
    rules = (policy(contents={"*": "digest"}),)
    came = await told(catalog_of(slow, policies=rules), crowd)
    assert counted(came) == {"completed": 20}
    assert came.outcome.output < 2


async def test_an_answer_is_given_again_to_the_same_tenant_only() -> None:
    journal = Kept()
    for tenant, status in (("acme", "completed"), ("acme", "cached"), ("rival", "completed")):
        came = await told(catalog(), asks(question()), journal=journal, tenant=tenant)
        assert statuses(came) == [status]


async def test_an_answer_costs_nothing_where_no_money_is_left() -> None:
    worst = (3 + FRAME + 4) * CENT
    again = [question(max_output_tokens=4)] * 3
    came = await told(catalog(), asks(*again), budget_usd=worst / 10**9)
    assert came.outcome.ok, came.outcome.error
    assert counted(came) == {"completed": 1, "cached": 2}


@pytest.mark.real_time
async def test_answers_outlive_their_run_and_their_process(tmp_path: Path) -> None:
    for expected in ("completed", "cached", "cached"):
        journal = await SqliteJournal.open(tmp_path / "journal.db", synchronous="normal")
        came = await told(catalog(), asks(question(returns=Finding)), journal=journal)
        assert statuses(came) == [expected]
