"""What came of a run, for people and for programs."""

from __future__ import annotations

import json
from shlex import quote
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.cli.streams import emit, emit_json, say
from runtime.cli.text import duration, json_line, money, one_line, plural
from runtime.governance.cost import NANO
from runtime.journal.location import is_address

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from runtime.approval import ApprovalRequest
    from runtime.outcome import RunOutcome

NEXT_STEPS: Mapping[str, str] = {
    "budget": "give it less to do, or raise that limit: --budget-usd, or the policy",
    "cancelled": "start it again when it suits",
    "crashed": "run it again with --debug to see where",
    "deadline": "give it more time with --deadline SECONDS",
    "denied": "ask for something else, or change what says so",
    "invalid_input": "correct --input",
    "invalid_output": "choose another --model, or correct the agent",
    "provider": "try again, or choose another --provider",
    "rate_limit": "try again later, or choose another --provider",
}


def readable(output: Any) -> str:
    """Return an output as people read it.

    A text stays as it is. Of an object with a text in its field ``report``, or with one in
    ``text`` as its only field, that text is shown. Everything else is indented JSON.
    """
    if isinstance(output, dict):
        text = output.get("report") or (output.get("text") if len(output) == 1 else None)
        output = text if isinstance(text, str) else output
    if isinstance(output, str):
        return output
    return json.dumps(output, indent=2, ensure_ascii=False)


class Source(NamedTuple):
    """Where a command has found its journal and its catalog.

    Attributes:
        db: what ``--db`` says.
        catalog: what ``--catalog`` says.
    """

    db: str | None
    catalog: Path | None

    @property
    def options(self) -> str:
        """What another command needs to find the same; no address, as it may have a password."""
        db = None if self.db is None or is_address(self.db) else self.db
        named = (("--db", db), ("--catalog", self.catalog))
        return "".join(f" {name} {quote(str(value))}" for name, value in named if value)


def report(outcome: RunOutcome, source: Source, *, as_json: bool, quiet: bool, kept: bool) -> None:
    """Print what came of a run: the result to stdout, the rest to stderr.

    Args:
        outcome: what came of it.
        source: where the command has found the journal and the catalog.
        as_json: print one JSON object instead of the output.
        quiet: leave the summary out.
        kept: whether the journal outlives the process, so that ``show`` finds the run.
    """
    if as_json:
        emit_json(outcome.as_json())
    elif outcome.ok:
        emit(readable(outcome.output))
    if outcome.is_parked:
        say("\n".join(how_to_go_on(outcome, source, kept=kept)))
    elif not outcome.ok:
        say(error_line(outcome, kept=kept))
    if not as_json and not quiet:
        say(summary(outcome))


def how_to_go_on(outcome: RunOutcome, source: Source, *, kept: bool) -> Iterator[str]:
    """Yield the lines that tell why a run is parked, and what to type."""
    run_id, options = quote(outcome.run_id), source.options
    if not kept:
        yield f"run {run_id} is {outcome.status}, and ends here: --db :memory: keeps nothing"
    elif outcome.status == "paused":
        yield f"run {run_id} is paused; go on with: python -m runtime resume {run_id}{options}"
    else:
        yield f"run {run_id} waits for a decision:"
    for each in outcome.waits_for if kept else ():
        yield f"  {each.ticket}  {each.agent} asks: {question_line(each)}"
        for verb in ("approve", "deny"):
            yield f"    python -m runtime {verb} {run_id} {each.ticket}{options}"


def question_line(request: ApprovalRequest) -> str:
    """Return what somebody is asked, and what about, on one line."""
    about = "" if request.data is None else f" {json_line(request.data)}"
    return f"{one_line(request.question)}{about}"


def error_line(outcome: RunOutcome, *, kept: bool) -> str:
    """Return why a run failed and what to do, on one line."""
    steps = [NEXT_STEPS.get(outcome.reason or "", "")]
    if kept and outcome.reason != "invalid_input":
        steps.append(f"python -m runtime show {outcome.run_id} tells what was done")
    reason = one_line(outcome.error or outcome.reason or outcome.status).rstrip(".")
    return "; ".join(["error: " + reason, *filter(None, steps)])


def summary(outcome: RunOutcome) -> str:
    """Return one line with the run's names, its status and what it took."""
    usage = outcome.usage
    tokens = usage["input_tokens"] + usage["output_tokens"]
    cost = None if outcome.cost_usd is None else round(outcome.cost_usd * NANO)
    facts = [
        plural(usage["calls"], "call"),
        f"{tokens:,} tokens",
        money(cost, outcome.unpriced_calls),
        duration(outcome.duration_s),
    ]
    return f"run {names(outcome.run_id, outcome.trace_id)} {outcome.status}: {', '.join(facts)}"


def inheritance(forked_from: Mapping[str, Any]) -> str:
    """Return what a fork is of, and what it has inherited, on one line."""
    had = forked_from["inherited"]
    tokens = had["input_tokens"] + had["output_tokens"]
    cost = money(had["cost_nano_usd"], had["unpriced_calls"])
    models = f", asks {forked_from['models'][-1]}" if forked_from.get("models") else ""
    return (
        f"forked from {forked_from['run_id']} at step {forked_from['step']}{models};"
        f" inherited {plural(had['calls'], 'call')}, {tokens:,} tokens, {cost}"
    )


def names(run_id: str, trace_id: str) -> str:
    """Return a run's id, and its trace's where that is not the same in other clothes."""
    return run_id if run_id.replace("-", "") == trace_id else f"{run_id} (trace {trace_id})"
