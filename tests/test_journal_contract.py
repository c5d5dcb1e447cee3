"""What every journal promises, tried on each of them."""

from __future__ import annotations

import tempfile
import threading
from collections import Counter
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, get_args

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.identity import new_run_id, trace_id_of
from runtime.journal import (
    KINDS,
    PARKED,
    CallQuery,
    Journal,
    JournalFailed,
    Kind,
    Record,
    RunRow,
)
from tests.stores import STORES, opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.real_time


@pytest.fixture(params=STORES)
async def journal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Journal]:
    async with opened(request.param, tmp_path) as each:
        yield each


def record(
    kind: Kind, op: str = "op", *, run: str = "run-1", at: float = 1.0, cost: int = 0, **body: Any
) -> Record:
    return Record(run, kind, op, body, at, cost)


async def committed(journal: Journal, *records: Record) -> None:
    for each in records:
        journal.append(each)
    await journal.flush()


async def row_of(journal: Journal, run: str = "run-1") -> RunRow:
    row = await journal.run(run)
    assert row is not None
    return row


def test_the_table_has_a_rule_for_each_kind_and_for_nothing_else() -> None:
    assert set(KINDS) == set(get_args(Kind))


async def test_a_run_is_summed_up_from_its_records(journal: Journal) -> None:
    start: dict[str, Any] = {"target": "digest", "input": {"path": "."}, "trace_id": "ab" * 16}
    usage = {"input_tokens": 100, "output_tokens": 7, "cached_input_tokens": None}
    await committed(
        journal,
        record("run_started", "run", at=10.5, pid=42, host="here", argv=["run"], **start),
        record("delegation_sent", "a"),
        record("invocation_started", "a/1", reserved=10**9),
        record("invocation_completed", "a/1", cost=1500, usage=usage, model="m"),
        record("invocation_failed", "a/2", cost=20, error="no", reason="provider", usage=None),
        record("invocation_failed", "a/3", reason="provider"),
        record("invocation_completed", "a/4", cost=0, usage={"input_tokens": 5}, unpriced=True),
        record("delegation_completed", "a", cost=99),
        record("run_completed", "run", at=12.0, output=["done"]),
    )
    assert await journal.run("run-1") == RunRow(
        run_id="run-1",
        trace_id="ab" * 16,
        target="digest",
        status="completed",
        started_at=10.5,
        ended_at=12.0,
        input={"path": "."},
        output=["done"],
        error=None,
        reason=None,
        calls=4,
        errors=2,
        unpriced_calls=1,
        input_tokens=105,
        output_tokens=7,
        cost_nano_usd=1520,
        pid=42,
        host="here",
    )


async def test_events_come_back_as_they_were_appended(journal: Journal) -> None:
    await committed(
        journal,
        record("run_started", "run", target="t", at=1.25),
        record("log", "line", text="hello", cost=3),
        record("run_completed", "run", output=None),
    )
    events = await journal.events("run-1")
    assert [(e.seq, e.at, e.kind, e.op, e.cost_nano_usd) for e in events] == [
        (1, 1.25, "run_started", "run", 0),
        (2, 1.0, "log", "line", 3),
        (3, 1.0, "run_completed", "run", 0),
    ]
    assert [e.body for e in events] == [{"target": "t"}, {"text": "hello"}, {"output": None}]


async def test_events_are_read_in_pages(journal: Journal) -> None:
    await committed(journal, *(record("log", number=n) for n in range(10)))
    page = await journal.events("run-1", after=3, limit=4)
    assert [event.seq for event in page] == [4, 5, 6, 7]
    assert await journal.events("run-1", after=10) == []
    assert len(await journal.events("run-1", after=-5)) == 10


async def test_events_of_one_branch_are_those_in_it_and_those_of_the_run(journal: Journal) -> None:
    wanted = [
        record("run_started", "run", target="t"),
        record("delegation_sent", "main/a:1"),
        record("skill_started", "main/a:1/use:1"),
        record("run_code", "code", python="3"),
        record("log", "main/a:1/b:1/log:1"),
        record("delegation_completed", "main/a:1", output=None),
    ]
    others = [
        record("log", "main"),
        record("delegation_sent", "main/a:10"),
        record("skill_started", "main/a:10/use:1"),
        record("log", "main/a:1-b"),
        record("log", "main/a"),
        record("log", "a:1/use:1"),
    ]
    together = [each for pair in zip(wanted, others, strict=True) for each in pair]
    await committed(journal, *together)
    found = await journal.events("run-1", branch="main/a:1")
    assert [event.op for event in found] == [each.op for each in wanted]
    page = await journal.events("run-1", after=found[1].seq, limit=2, branch="main/a:1")
    assert page == found[2:4]


@pytest.mark.parametrize("kind", ["run_completed", "run_failed", "run_cancelled"])
async def test_the_last_record_says_how_a_run_ended(journal: Journal, kind: Kind) -> None:
    await committed(journal, record(kind, at=9.0, error="why", reason="budget", output=1))
    row = await row_of(journal)
    assert (row.status, row.ended_at) == (KINDS[kind].status, 9.0)
    assert (row.error, row.reason) == ("why", "budget")


async def test_the_first_start_and_the_first_end_of_a_run_stay(journal: Journal) -> None:
    await committed(
        journal,
        record("run_started", "run", target="first", at=1.0),
        record("run_started", "run", target="second", at=2.0),
        record("run_failed", "run", error="first", at=3.0),
        record("run_completed", "again", output="second", at=4.0),
    )
    row = await row_of(journal)
    assert (row.target, row.started_at, row.status) == ("first", 1.0, "failed")
    assert (row.error, row.ended_at, row.output) == ("first", 3.0, None)


async def test_a_run_exists_from_its_first_record_on(journal: Journal) -> None:
    run = new_run_id(1)
    await committed(journal, record("log", run=run, at=5.0))
    row = await row_of(journal, run)
    assert (row.status, row.target, row.started_at, row.input) == ("running", "", 5.0, None)
    assert row.trace_id == f"{trace_id_of(run):032x}"
    await committed(journal, record("run_started", run=run, at=6.0, target="t", input=0))
    row = await row_of(journal, run)
    assert (row.target, row.started_at, row.input) == ("t", 6.0, 0)
    assert row.trace_id == f"{trace_id_of(run):032x}"


async def test_what_is_spent_after_the_end_of_a_run_still_counts(journal: Journal) -> None:
    await committed(
        journal,
        record("run_cancelled", "run"),
        record("invocation_completed", "late", cost=8, usage={"output_tokens": 2}),
    )
    row = await row_of(journal)
    assert (row.status, row.calls, row.cost_nano_usd, row.output_tokens) == ("cancelled", 1, 8, 2)


async def test_a_run_with_only_unpriced_calls_has_no_cost(journal: Journal) -> None:
    await committed(journal, record("log"))
    assert (await row_of(journal)).cost_nano_usd == 0
    await committed(journal, record("invocation_completed", "1", unpriced=True))
    row = await row_of(journal)
    assert (row.cost_nano_usd, row.unpriced_calls) == (None, 1)
    await committed(journal, record("invocation_completed", "2", cost=5, unpriced=False))
    row = await row_of(journal)
    assert (row.cost_nano_usd, row.unpriced_calls, row.calls) == (5, 1, 2)


async def test_a_second_outcome_is_refused_and_the_others_go_on(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    await committed(
        journal,
        record("log", "before"),
        record("invocation_completed", "call", cost=5),
        record("invocation_completed", "call", cost=7, secret="not for the log"),  # noqa: S106  # no password
        record("invocation_completed", "call", run="run-2", cost=11),
        record("log", "after"),
    )
    assert [(e.seq, e.op) for e in await journal.events("run-1")] == [
        (1, "before"),
        (2, "call"),
        (3, "after"),
    ]
    assert ((await row_of(journal)).cost_nano_usd, (await row_of(journal)).calls) == (5, 1)
    assert (await row_of(journal, "run-2")).cost_nano_usd == 11
    done = journal.statistics()
    assert (done.appended, done.committed, done.refused, done.pending) == (5, 4, 1, 0)
    (logged,) = caplog.records
    assert (logged.levelname, logged.__dict__["op"]) == ("ERROR", "call")
    assert "not for the log" not in str(logged.__dict__)


async def test_a_refused_first_record_leaves_the_numbers_alone(journal: Journal) -> None:
    await committed(journal, record("skill_completed", "s"))
    await committed(journal, record("skill_failed", "s"), record("log"))
    await committed(journal, record("log"))
    assert [event.seq for event in await journal.events("run-1")] == [1, 2, 3]


async def test_a_failure_that_is_tried_again_is_no_outcome(journal: Journal) -> None:
    failed = Record("run-1", "invocation_failed", "call", {}, 1.0, 0, terminal=False)
    await committed(journal, failed, failed, record("invocation_completed", "call", cost=3))
    row = await row_of(journal)
    assert (row.calls, row.errors, row.cost_nano_usd) == (3, 2, 3)
    assert journal.statistics().refused == 0


async def test_a_body_that_changes_after_its_append_is_journalled_as_it_was(
    journal: Journal,
) -> None:
    body = {"input": ["before"], "target": "t"}
    journal.append(Record("run-1", "run_started", "run", body, 1.0))
    body["input"] = "after"
    await journal.flush()
    (event,) = await journal.events("run-1")
    event.body["input"] = "a reader's own"
    assert (await row_of(journal)).input == ["before"]


def _circular() -> list[Any]:
    circle: list[Any] = []
    circle.append(circle)
    return circle


def _deep() -> list[Any]:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    return deep


@pytest.mark.parametrize(
    "value",
    [object(), {1, 2}, b"bytes", float("nan"), float("inf"), {(1, 2): 3}, _circular(), _deep()],
    ids=["object", "set", "bytes", "nan", "inf", "tuple key", "circle", "too deep"],
)
async def test_a_body_that_is_no_json_is_refused_where_it_was_made(
    journal: Journal, value: object
) -> None:
    with pytest.raises(TypeError, match=r"skill_completed of 'root/search'.*JSON"):
        journal.append(record("skill_completed", "root/search", value=value))
    assert journal.statistics().appended == 0


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (Record("r", "run_sneezed", "op", {}, 1.0), ValueError, "run_sneezed"),  # type: ignore[arg-type]  # the point
        (Record("r", "log", "op", ["list"], 1.0), TypeError, "list"),  # type: ignore[arg-type]  # the point
        (Record("", "log", "op", {}, 1.0), ValueError, "run_id"),
        (Record("\ud800", "log", "op", {}, 1.0), ValueError, "surrogates"),
        (Record("r", "log", "\udfff", {}, 1.0), ValueError, "surrogates"),
        (Record("r", "log", 7, {}, 1.0), TypeError, "int"),  # type: ignore[arg-type]  # the point
        (Record("r", "log", "op", {}, float("nan")), ValueError, "nan"),
        (Record("r", "log", "op", {}, 1.0, -1), ValueError, "cost_nano_usd"),
        (Record("r", "log", "op", {}, 1.0, 2**63), ValueError, "cost_nano_usd"),
        (Record("r", "log", "op", {}, 1.0, 0.5), TypeError, "float"),  # type: ignore[arg-type]  # the point
        (record("invocation_completed", usage={"input_tokens": "7"}), TypeError, "input_tokens"),
        (record("invocation_failed", usage={"output_tokens": -7}), ValueError, "output_tokens"),
        (record("invocation_completed", usage=[1]), TypeError, "usage"),
        (record("run_started", target=7), TypeError, "target"),
        (record("run_started", pid="7"), TypeError, "pid"),
        (record("run_failed", error=ValueError("x")), TypeError, "error"),
    ],
)
async def test_what_could_not_be_stored_is_refused_at_once(
    journal: Journal, bad: Record, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        journal.append(bad)
    await committed(journal, record("log"))
    assert (journal.statistics().appended, journal.statistics().committed) == (1, 1)


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        "日本語 and é and 🦊",
        "half a pair \ud800, a nul \x00, quotes \" ' \\",
        {"": {"nested": [None, True, 1.5, -(10**30)]}},
        "x" * 70_000,
        ["é" * 40_000],
        "\ud800" * 70_000,
    ],
    ids=["ascii", "unicode", "odd", "nested", "large", "large unicode", "large odd"],
)
async def test_whatever_json_can_hold_comes_back(journal: Journal, value: Any) -> None:
    await committed(
        journal,
        record("run_started", "run", target="t", input=value),
        record("log", "line", value=value),
        record("run_completed", "run", output=value),
    )
    row = await row_of(journal)
    assert (row.input, row.output) == (value, value)
    assert (await journal.events("run-1"))[1].body == {"value": value}


async def test_half_a_surrogate_pair_in_an_error_costs_nobody_a_record(journal: Journal) -> None:
    """A body can hold one, escaped; the rows that are made from bodies cannot."""
    error = "half \ud800 and é"
    await committed(
        journal,
        record("run_started", "run", target="t"),
        record("invocation_started", "c", model="m\udfff"),
        record("invocation_failed", "c", error=error),
        record("run_failed", "run", error=error),
    )
    assert (await row_of(journal)).error == "half ? and é"
    (filed,) = await journal.calls(CallQuery(run_id="run-1"))
    assert (filed.call.model, filed.call.error) == ("m?", "half ? and é")
    assert [e.body.get("error") for e in await journal.events("run-1")][2:] == [error, error]
    assert journal.statistics().refused == 0


async def test_mappings_and_tuples_come_back_as_json_has_them(journal: Journal) -> None:
    body = MappingProxyType({"proxy": MappingProxyType({"a": (1, 2)})})
    await committed(journal, Record("run-1", "log", "op", body, 1.0))
    assert (await journal.events("run-1"))[0].body == {"proxy": {"a": [1, 2]}}


async def test_the_newest_runs_come_first(journal: Journal) -> None:
    for number in range(5):
        journal.append(record("run_started", "run", run=f"run-{number}", at=number % 3))
    await committed(journal, record("run_failed", "run", run="run-1"))
    assert [row.run_id for row in await journal.runs()] == [
        "run-2",
        "run-4",
        "run-1",
        "run-3",
        "run-0",
    ]
    assert [row.run_id for row in await journal.runs(limit=2)] == ["run-2", "run-4"]
    assert [row.run_id for row in await journal.runs(status="failed")] == ["run-1"]
    assert len(await journal.runs(status="running")) == 4
    assert await journal.runs(status="cancelled") == []


async def test_a_call_with_no_limit_to_fit_into_is_admitted(journal: Journal) -> None:
    begun = {"agent": "a", "reserved_nano_usd": 5}
    with anyio.fail_after(60):
        assert (
            await journal.admit(Record("run-1", "invocation_started", "c", begun, 1.0), ()) is None
        )
    assert [event.op for event in await journal.events("run-1")] == ["c"]


async def test_a_limit_that_would_mean_all_or_nothing_is_refused(journal: Journal) -> None:
    for limit in (0, -1):
        with pytest.raises(ValueError, match="limit"):
            await journal.runs(limit=limit)
        with pytest.raises(ValueError, match="limit"):
            await journal.events("run-1", limit=limit)


async def test_an_unknown_run_is_none_and_has_no_events(journal: Journal) -> None:
    assert await journal.run("nobody") is None
    assert await journal.events("nobody") == []


async def test_a_closed_journal_says_so(journal: Journal) -> None:
    await committed(journal, record("log"))
    await journal.close()
    await journal.close()
    with pytest.raises(JournalFailed, match="closed"):
        journal.append(record("log"))
    for call in (journal.room, journal.flush, journal.runs):
        with pytest.raises(JournalFailed, match="closed"):
            await call()
    for read in (journal.run, journal.events):
        with pytest.raises(JournalFailed, match="closed"):
            await read("run-1")
    assert journal.statistics().committed == 1


async def test_threads_append_to_one_run_without_a_gap(journal: Journal) -> None:
    def work(thread: int) -> None:
        for number in range(250):
            journal.append(record("log", f"{thread}", number=number))

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    await journal.flush()
    events = await journal.events("run-1", limit=2000)
    assert [event.seq for event in events] == list(range(1, 1001))
    for thread_name in "0123":
        own = [event.body["number"] for event in events if event.op == thread_name]
        assert own == list(range(250))


async def test_what_is_closed_holds_up_whoever_would_begin(journal: Journal) -> None:
    assert not journal.holds_up
    await journal.close()
    assert journal.holds_up
    with pytest.raises(JournalFailed, match="closed"):
        await journal.room()


async def test_statistics_and_repr_tell_what_was_done(journal: Journal) -> None:
    await journal.room()
    await committed(journal, record("log", text="é"), record("log"))
    done = journal.statistics()
    assert (done.appended, done.committed, done.pending, done.refused) == (2, 2, 0, 0)
    assert done.bytes_written == len('{"text":"é"}'.encode()) + len("{}")
    assert 1 <= done.batches <= 2
    assert 1 <= done.largest_batch <= 2
    assert done.failed is None
    assert "2 committed, 0 pending, 0 refused" in repr(journal)


@st.composite
def histories(draw: st.DrawFn) -> list[Record | None]:
    """Records of several runs in any order; None is a flush in between."""

    def one() -> st.SearchStrategy[Record]:
        return st.builds(
            lambda run, kind, op, cost, tokens, unpriced: Record(
                run,
                kind,
                op,
                {"usage": {"input_tokens": tokens, "output_tokens": 1}, "unpriced": unpriced},
                1.0,
                cost,
            ),
            st.sampled_from(["a", "b", "c"]),
            st.sampled_from(sorted(KINDS.keys() - {"run_resumed"})),
            st.sampled_from(["x", "y", "z", "w"]),
            st.integers(0, 10**6),
            st.integers(0, 1000),
            st.booleans(),
        )

    return draw(st.lists(st.none() | one(), max_size=40))


@pytest.mark.parametrize("store", ["memory", "sqlite"])
@given(history=histories())
@settings(deadline=None, max_examples=60)
async def test_any_interleaving_is_numbered_in_order_and_sums_up(
    store: str, history: list[Record | None]
) -> None:
    await _is_numbered_and_sums_up(store, history)


@given(history=histories())
@settings(deadline=None, max_examples=15)
async def test_any_interleaving_is_numbered_and_sums_up_on_a_server_too(
    history: list[Record | None],
) -> None:
    await _is_numbered_and_sums_up("postgres", history)


async def _is_numbered_and_sums_up(store: str, history: list[Record | None]) -> None:
    kept: dict[str, list[Record]] = {"a": [], "b": [], "c": []}
    outcomes: set[tuple[str, str]] = set()
    with tempfile.TemporaryDirectory() as folder:
        async with opened(store, Path(folder)) as journal:
            for each in history:
                if each is None:
                    await journal.flush()
                    continue
                journal.append(each)
                key = (each.run_id, each.op)
                if not (KINDS[each.kind].terminal and key in outcomes):
                    kept[each.run_id].append(each)
                if KINDS[each.kind].terminal:
                    outcomes.add(key)
            await journal.flush()
            for run, records in kept.items():
                await _agrees(journal, run, records)


async def _agrees(journal: Journal, run: str, records: list[Record]) -> None:
    events = await journal.events(run)
    assert [(e.seq, e.kind, e.op, e.cost_nano_usd) for e in events] == [
        (seq, r.kind, r.op, r.cost_nano_usd) for seq, r in enumerate(records, start=1)
    ]
    row = await journal.run(run)
    if row is None:
        assert not records
        return
    calls = [r for r in records if KINDS[r.kind].calls]
    kinds = Counter(r.kind for r in calls)
    assert (row.calls, row.errors) == (len(calls), kinds["invocation_failed"])
    assert row.input_tokens == sum(r.body["usage"]["input_tokens"] for r in calls)
    assert row.output_tokens == len(calls)
    assert row.unpriced_calls == sum(r.body["unpriced"] for r in calls)
    assert (row.cost_nano_usd or 0) == sum(r.cost_nano_usd for r in calls)
    stands = [KINDS[r.kind].status for r in records]
    ends = [each for each in stands if each not in (None, "running", *PARKED)]
    parked = [each for each in stands if each in PARKED]
    assert row.status == (ends[:1] or parked[-1:] or ["running"])[0]
    assert (row.parked_at is not None) == (row.status in PARKED)
