"""Two runs beside one another: where they part, what only one has, what both took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import anyio

from runtime.cli.history import History, run_json
from runtime.cli.step_lines import HEAD, step_json, step_row
from runtime.cli.streams import emit, emit_json
from runtime.cli.text import json_line, money, plural, table
from runtime.governance.cost import usd
from runtime.parting import Totals, part, totals_of
from runtime.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runtime.journal import RunRow
    from runtime.parting import Pair, Parting
    from runtime.steps import Step

DIFFERENT = 2
NOTHING = "no step there"


class _Side(NamedTuple):
    row: RunRow
    steps: Steps
    totals: Totals


def compare(database: str | None, name_a: str, name_b: str, *, limit: int, as_json: bool) -> int:
    """Print where two runs part, and return the exit code.

    Args:
        database: what ``--db`` says.
        name_a: the one run, as a person names it.
        name_b: the other.
        limit: the most steps of each list on a page for people.
        as_json: print one object instead of a page.

    Raises:
        UnknownName: there is no such run.
        JournalFailed: they cannot be read.
    """
    a, b = anyio.run(_read_both, History(database), name_a, name_b)
    parting = part(a.steps, b.steps)
    if as_json:
        emit_json(_json(a, b, parting))
    else:
        emit("\n".join(_page(a, b, parting, limit)))
    return 0 if parting.is_equal else DIFFERENT


async def _read_both(history: History, name_a: str, name_b: str) -> tuple[_Side, _Side]:
    return await _read(history, name_a), await _read(history, name_b)


async def _read(history: History, name: str) -> _Side:
    row = await history.find(name)
    steps = Steps()
    async for event in history.events(row.run_id):
        steps.take(event)
    return _Side(row, steps, totals_of(steps))


def _page(a: _Side, b: _Side, parting: Parting, limit: int) -> Iterator[str]:
    if parting.is_equal:
        yield f"equal: {plural(parting.same, 'step')}"
    else:
        yield "they part here"
        for name, step in zip("AB", parting.first, strict=True):
            yield from _told(name, step)
        yield from _only("only in A", parting.only_a, parting.below_a, limit)
        yield from _only("only in B", parting.only_b, parting.below_b, limit)
        yield from _different(parting.different, limit)
        yield f"\n{plural(parting.same, 'step')} the same"
    yield ""
    rows = [("A", a), ("B", b)]
    lines = [(name, side.row.run_id, side.row.status, *_taken(side.totals)) for name, side in rows]
    lines.append(("B - A", "", "", *_more(a.totals, b.totals)))
    yield table(("", "run", "status", "steps", "calls", "tokens", "cost"), lines)


def _told(name: str, step: Step | None) -> Iterator[str]:
    if step is None:
        yield f"  {name}  {NOTHING}"
        return
    yield f"  {name}  step {step.seq}, {step}"
    yield f"     asked   {json_line(step.asked)}"
    yield f"     {step.status:<10}  {json_line(step.answer)}"


def _only(title: str, steps: Sequence[Step], below: int, limit: int) -> Iterator[str]:
    if steps:
        more = f", and {below:,} below them" if below else ""
        yield f"\n{title}: {plural(len(steps), 'step')}{more}"
        yield table(HEAD, [step_row(step) for step in steps[:limit]])
        yield from _rest(len(steps), limit)


def _different(pairs: Sequence[Pair], limit: int) -> Iterator[str]:
    if pairs:
        yield f"\nsame question, different answer: {plural(len(pairs), 'step')}"
        rows = [(name, *step_row(step)) for pair in pairs[:limit] for name, step in _named(pair)]
        yield table(("", *HEAD), rows)
        yield from _rest(len(pairs), limit)


def _named(pair: Pair) -> Iterator[tuple[str, Step]]:
    yield from zip("AB", pair, strict=True)


def _rest(count: int, limit: int) -> Iterator[str]:
    if count > limit:
        yield f"... and {count - limit:,} more; --limit {count} shows all"


def _taken(totals: Totals) -> tuple[str, ...]:
    tokens = totals.input_tokens + totals.output_tokens
    cost = money(totals.cost, totals.unpriced)
    return f"{totals.steps:,}", f"{totals.calls:,}", f"{tokens:,}", cost


def _more(a: Totals, b: Totals) -> tuple[str, ...]:
    more = _difference(a, b)
    tokens, sign = more.input_tokens + more.output_tokens, "-" if more.cost < 0 else "+"
    cost = f"{sign}{money(abs(more.cost))}"
    return f"{more.steps:+,}", f"{more.calls:+,}", f"{tokens:+,}", cost


def _difference(a: Totals, b: Totals) -> Totals:
    return Totals(*(theirs - ours for ours, theirs in zip(a, b, strict=True)))


def _json(a: _Side, b: _Side, parting: Parting) -> dict[str, Any]:
    first = [None if step is None else step_json(step) for step in parting.first]
    more = _difference(a.totals, b.totals)
    return {
        "a": run_json(a.row),
        "b": run_json(b.row),
        "equal": parting.is_equal,
        "first": None if parting.is_equal else {"a": first[0], "b": first[1]},
        "only_a": [step_json(step) for step in parting.only_a],
        "only_b": [step_json(step) for step in parting.only_b],
        "different": [
            {"a": step_json(pair.a), "b": step_json(pair.b)} for pair in parting.different
        ],
        "same": parting.same,
        "totals": {
            "a": _totals_json(a.totals),
            "b": _totals_json(b.totals),
            "difference": _totals_json(more),
        },
    }


def _totals_json(totals: Totals) -> dict[str, Any]:
    return {
        "steps": totals.steps,
        "calls": totals.calls,
        "input_tokens": totals.input_tokens,
        "output_tokens": totals.output_tokens,
        "cost_usd": usd(totals.cost),
        "unpriced_calls": totals.unpriced,
    }
