"""An explanation as a page for people, and as JSON data. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.cli.text import money, one_line
from runtime.governance.cost import MAY_BE_GIVEN, usd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.explain import Explanation
    from runtime.explain.reasons import Reason
    from runtime.governance.policy import SpendingLimit
    from runtime.journal import Balance
    from runtime.messages import Price

LABEL = 11  # characters of the column of labels
WIDEST = 72  # characters of what is said, before the place where it is written


class Told(NamedTuple):
    """An explanation, and what is spent of each of its limits; None where nobody knows."""

    explanation: Explanation
    balances: tuple[Balance | None, ...]


class _Row(NamedTuple):
    label: str
    what: str
    where: str = ""


def page(told: Told) -> str:
    """Return an explanation as lines, each with the place where what it says is written."""
    explanation = told.explanation
    rows = [
        *_asked(explanation),
        *(_Row("because", *each) for each in explanation.because),
        *(_Row("overruled", *each) for each in explanation.overruled),
        *_passed_over(explanation),
        *_cost(explanation),
        *_data(explanation),
        *(_Row("policy", *each) for each in explanation.policies),
        *_limits(told),
        *(_Row("warning", each) for each in explanation.warnings),
    ]
    width = min(WIDEST, max((len(row.what) for row in rows if row.where), default=0))
    head = f"{explanation.agent}, task type {explanation.task_type} ({explanation.where})"
    return "\n".join([one_line(head), *_lines(rows, width)])


def _lines(rows: list[_Row], width: int) -> Iterator[str]:
    label = ""
    for row in rows:
        shown = "" if row.label == label else row.label
        label = row.label
        what = one_line(row.what).ljust(width if row.where else 0)
        yield f"  {shown.ljust(LABEL)}{what}  {row.where}".rstrip()


def _asked(explanation: Explanation) -> Iterator[_Row]:
    if explanation.fault is not None:
        yield _Row("denied", str(explanation.fault))
    if explanation.fault is not None or not explanation.asked:
        return
    first, *others = explanation.asked
    if explanation.is_drawn:
        yield _Row("asks", f"one of these by weight: {', '.join(map(str, explanation.asked))}")
    else:
        yield _Row("asks", str(first))
        if others:
            yield _Row("then", ", ".join(map(str, others)))
    if others:
        yield _Row("", f"after {', '.join(explanation.fallback_on)}")
    if explanation.cache_ttl_s is not None:
        yield _Row("cached", f"the answer to an equal question, for {explanation.cache_ttl_s:g} s")


def _passed_over(explanation: Explanation) -> Iterator[_Row]:
    for target, why in explanation.targets:
        if why is not None:
            yield _Row("not asked", f"{target}: {why}")


def _cost(explanation: Explanation) -> Iterator[_Row]:
    if not explanation.most_output_tokens:
        return  # it is denied before anything is counted
    tokens = (
        f"{explanation.most_prompt_tokens:,} tokens of prompt,"
        f" {explanation.most_output_tokens:,} of answer"
    )
    most = explanation.most_nano_usd
    price = explanation.price
    cost = "nobody knows the price" if most is None else f"at most {money(most)} a call"
    yield _Row("costs", f"{cost}: {tokens}", "" if price is None else price.source)
    if price is not None:
        yield _Row("", f"{_rates(price)} per million tokens")
        for tier in MAY_BE_GIVEN:
            dearer = price.service_tiers.get(tier)
            if dearer is not None:
                what = f"or {_rates(dearer)} in its tier {tier}, which it may give unasked"
                yield _Row("", what)


def _rates(price: Price) -> str:
    return f"${usd(price.input):g} in and ${usd(price.output):g} out"


def _data(explanation: Explanation) -> Iterator[_Row]:
    if explanation.data_classes:
        yield _Row("data", ", ".join(sorted(explanation.data_classes)))


def _limits(told: Told) -> Iterator[_Row]:
    if told.explanation.budget is not None:
        what, where = told.explanation.budget
        yield _Row("limit", f"{what} for the run", where)
    for limit, balance in zip(told.explanation.limits, told.balances, strict=True):
        spent = "" if balance is None else f", {money(balance.spent + balance.reserved)} are spent"
        what = f"{money(limit.amount)} a {limit.window} for {limit.subject} {limit.name}{spent}"
        yield _Row("limit", what, limit.source)


# --- JSON ----------------------------------------------------------------------------------------


def as_json(told: Told) -> dict[str, Any]:
    """Return an explanation as ``explain --json`` prints it; dollars are numbers, or null."""
    explanation = told.explanation
    asked = [str(target) for target in explanation.asked]
    most, budget = explanation.most_nano_usd, explanation.budget
    return {
        "agent": explanation.agent,
        "where": explanation.where,
        "task_type": explanation.task_type,
        "asks": asked[0] if asked and explanation.fault is None else None,
        "denied": None if explanation.fault is None else str(explanation.fault),
        "then": asked[1:],
        "by_weight": explanation.is_drawn,
        "fallback_on": list(explanation.fallback_on),
        "cache_ttl_s": explanation.cache_ttl_s,
        "passed_over": [
            {"target": str(one.target), "why": one.why_not}
            for one in explanation.targets
            if one.why_not is not None
        ],
        "because": [_reason(each) for each in explanation.because],
        "overruled": [_reason(each) for each in explanation.overruled],
        "price": None if explanation.price is None else _price(explanation.price),
        "at_most_usd": None if most is None else usd(most),
        "prompt_tokens": explanation.most_prompt_tokens,
        "output_tokens": explanation.most_output_tokens,
        "data_classes": sorted(explanation.data_classes),
        "policies": [_reason(each) for each in explanation.policies],
        "budget": None if budget is None else _reason(budget),
        "limits": [_limit(*each) for each in zip(explanation.limits, told.balances, strict=True)],
        "warnings": explanation.warnings,
    }


def _reason(reason: Reason) -> dict[str, str]:
    return {"what": reason.what, "where": reason.where}


def _price(price: Price) -> dict[str, Any]:
    return {
        "input_usd_per_mtok": usd(price.input),
        "output_usd_per_mtok": usd(price.output),
        "cached_input_usd_per_mtok": usd(price.cached_input),
        "cache_write_usd_per_mtok": usd(price.cache_write),
        "source": price.source,
    }


def _limit(limit: SpendingLimit, balance: Balance | None) -> dict[str, Any]:
    return {
        "subject": limit.subject,
        "name": limit.name,
        "window": limit.window,
        "limit_usd": usd(limit.amount),
        "spent_usd": None if balance is None else usd(balance.spent),
        "reserved_usd": None if balance is None else usd(balance.reserved),
        "where": limit.source,
    }
