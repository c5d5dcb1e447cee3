"""Whether a summary satisfies a policy, after the fact. Pure.

Before each call ``policy`` and the ledger decide; this is the second look, at what has happened.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from runtime.catalog import Target, stands_for
from runtime.catalog.gates import FOR_ALL
from runtime.governance.cost import NANO, dollars
from runtime.governance.policy import Candidate, amount_of, is_required, reason_of, unknown_price

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from runtime.catalog import Gate, Origin, Policy
    from runtime.catalog.gates import GateFile, StepRules
    from runtime.governance.summary import Spending, StepSummary, Summary, Tools, Use

DAY, MONTH = len("YYYY-MM-DD"), len("YYYY-MM")


class Violation(NamedTuple):
    """A rule that a summary does not satisfy.

    Attributes:
        rule: the key of the rule, or the policy's name.
        source: where it is written, ``file:line``.
        what: what was found, and what would have been right.
    """

    rule: str
    source: str
    what: str

    def __str__(self) -> str:
        return f"{self.source}: {self.rule}: {self.what}"


def violations(summary: Summary, gate: Gate) -> list[Violation]:
    """Return every rule that a summary does not satisfy."""
    found: list[Violation] = []
    if gate.rules is not None and gate.origin is not None:
        found += _Rules(gate.rules, gate.origin, summary).broken()
    if summary.left_out and any(p.caps or p.max_cost_per_run is not None for p in gate.policies):
        what = f"the summary leaves {summary.left_out:,} rows out; write one of a shorter time"
        found.append(Violation("summary", "left_out", what))
    unpriced_counts = unknown_price(gate.policies)[0] != "allow"
    for policy in gate.policies:
        asked = _of_uses(policy, summary.uses, gate.policies)
        whats = (*asked, *_of_money(policy, summary, unpriced_counts))
        found += (Violation(policy.name, policy.source, what) for what in whats)
    return found


def unchecked(policies: Iterable[Policy]) -> list[str]:
    """Return the policies of which a summary cannot tell anything; they hold before each call."""
    return [
        policy.name
        for policy in policies
        if policy.tools is not None or policy.denies_retired or policy.contents
    ]


# --- rules ---------------------------------------------------------------------------------------


class _Rules:
    """The rules of one file against one summary."""

    def __init__(self, rules: GateFile, origin: Origin, summary: Summary) -> None:
        self._rules = rules
        self._origin = origin
        self._summary = summary

    def broken(self) -> Iterator[Violation]:
        """Yield the rules that are broken, in the order of their documentation."""
        rules, summary = self._rules, self._summary
        if rules.min_runs is not None and summary.runs < rules.min_runs:
            what = f"there are {summary.runs:,} runs, fewer than {rules.min_runs:,}"
            yield self._violation(what, "min_runs")
        least = rules.min_success_rate
        if least is not None and (summary.success_rate or 0.0) < least:
            rate = "no run is over"
            if summary.success_rate is not None:
                rate = f"{summary.success_rate:.2%} of {summary.runs:,} runs were successful"
            yield self._violation(f"{rate}, less than {least:.2%}", "min_success_rate")
        yield from self._latency(
            "runs", summary.avg_latency_ms, rules.max_avg_latency_ms, "max_avg_latency_ms"
        )
        names = {step.name for step in summary.steps}
        for number, name in enumerate(rules.required_steps or ()):
            if name not in names:
                yield self._violation(f"step {name!r} has not run", "required_steps", number)
        for step in summary.steps:
            yield from self._of_step(step)
        if rules.mcp is not None:
            most = rules.mcp.max_error_rate
            yield from self._tools("tools", summary.tools, most, "mcp", "max_error_rate")
        yield from self._of_models()

    def _of_step(self, step: StepSummary) -> Iterator[Violation]:
        named: Mapping[str, StepRules] = self._rules.per_step or {}
        key = step.name if step.name in named else FOR_ALL
        if key not in named:
            return
        rules, who = named[key], f"step {step.name!r}"
        most, rate = rules.max_error_rate, step.errors / step.runs if step.runs else 0.0
        if most is not None and rate > most:
            what = f"{rate:.2%} of the {step.runs:,} runs of {who} failed, more than {most:.2%}"
            yield self._violation(what, "per_step", key, "max_error_rate")
        slowest, path = rules.max_avg_latency_ms, ("per_step", key, "max_avg_latency_ms")
        yield from self._latency(who, step.avg_latency_ms, slowest, *path)
        path = ("per_step", key, "max_mcp_error_rate")
        yield from self._tools(f"tools of {who}", step.tools, rules.max_mcp_error_rate, *path)

    def _latency(
        self, who: str, found: float | None, most: float | None, *path: str
    ) -> Iterator[Violation]:
        if most is not None and found is not None and found > most:
            what = f"{who} took {found:,.1f} ms on average, more than {most:,.1f} ms"
            yield self._violation(what, *path)

    def _tools(self, who: str, tools: Tools, most: float | None, *path: str) -> Iterator[Violation]:
        rate = tools.errors / tools.calls if tools.calls else 0.0
        if most is not None and rate > most:
            what = f"{rate:.2%} of {tools.calls:,} uses of {who} failed, more than {most:.2%}"
            yield self._violation(what, *path)

    def _of_models(self) -> Iterator[Violation]:
        rules = self._rules.models
        if rules is None:
            return
        for target in dict.fromkeys(Target(use.provider, use.model) for use in self._summary.uses):
            denied = next((n for n in rules.denylist or () if stands_for(n, target)), None)
            if denied is not None:
                what = f"model {target} was asked, and {denied!r} is denied"
                yield self._violation(what, "models", "denylist")
            allowed = rules.allowlist
            if allowed is not None and not any(stands_for(name, target) for name in allowed):
                what = f"model {target} was asked, and is not allowed"
                yield self._violation(what, "models", "allowlist")

    def _violation(self, what: str, *path: str | int) -> Violation:
        name = ".".join(str(part) for part in path if isinstance(part, str))
        return Violation(name, self._origin.line(*path), what)


# --- policies ------------------------------------------------------------------------------------


def _of_uses(policy: Policy, uses: Iterable[Use], policies: Sequence[Policy]) -> Iterator[str]:
    """Yield what was asked that must not be: of whom, with which data, at which price."""
    counted: dict[str, int] = defaultdict(int)
    for use in uses:
        target = Target(use.provider, use.model)
        named = is_required(policies, target, use.data_classes)
        candidate = Candidate(target, use.region)
        reason = reason_of(policy, candidate, use.data_classes, named=named)
        if reason is not None:
            counted[reason] += use.calls
        if policy.unknown_price == "deny" and use.unpriced_calls:
            counted[f"nobody knows the price of {target}"] += use.unpriced_calls
    for reason, calls in counted.items():
        yield f"{reason} ({calls:,} {'call' if calls == 1 else 'calls'})"


class _Account(NamedTuple):
    """What somebody has spent, and what would have been right.

    Attributes:
        who: in words.
        spent: nano-USD.
        unpriced_calls: how many calls more nobody knows the price of.
        limit: nano-USD.
        per: in which time, in words.
    """

    who: str
    spent: int
    unpriced_calls: int
    limit: int
    per: str


def _of_money(policy: Policy, summary: Summary, unpriced_counts: bool) -> Iterator[str]:
    """Yield what has cost too much, and what may have."""
    for each in (*_runs(policy, summary), *_caps(policy, summary.spending)):
        if each.spent > each.limit:
            most = f"${dollars(each.limit)} {each.per}"
            yield f"{each.who} cost ${dollars(each.spent)}, more than {most}"
        if each.unpriced_calls and unpriced_counts:
            count = each.unpriced_calls
            yield f"{each.who} cost nobody knows what: {count:,} of its calls have no known price"


def _runs(policy: Policy, summary: Summary) -> Iterator[_Account]:
    limit = policy.max_cost_per_run
    if limit is not None:
        for run in summary.run_costs:
            who = f"run {run.run_id} of {run.target}"
            yield _Account(who, _nano(run.counted_usd), run.unpriced_calls, limit, "a run")


def _caps(policy: Policy, spending: Iterable[Spending]) -> Iterator[_Account]:
    rows = sorted(spending, key=lambda row: (row.subject, row.name, row.window))
    for cap in policy.caps:
        length = DAY if cap.window == "day" else MONTH
        for row in rows:
            limit = amount_of(cap, row.name)
            if row.subject == cap.subject and len(row.window) == length and limit is not None:
                who = f"{row.subject} {row.name} on {row.window}"
                spent, unpriced = _nano(row.counted_usd), row.unpriced_calls
                yield _Account(who, spent, unpriced, limit, f"a {cap.window}")


def _nano(dollars: float) -> int:
    return round(dollars * NANO)
