"""The steps of a run, as people and programs see them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.cli.text import money, table
from runtime.governance.cost import usd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.steps import Step, Steps

HEAD = ("step", "kind", "agent", "what", "status", "tokens", "cost")
PAID = frozenset(("model",))


def step_lines(steps: Steps) -> Iterator[str]:
    """Yield a table of steps in the order in which they began; nothing where there are none."""
    if len(steps):
        yield ""
        yield table(HEAD, [step_row(step) for step in steps])


def step_json(step: Step) -> dict[str, Any]:
    """Return a step as ``show --steps --json`` prints it."""
    return {
        "step": step.seq,
        "op": step.op,
        "kind": step.kind,
        "agent": step.agent,
        "name": step.name,
        "status": step.status,
        "asked": step.asked,
        "answer": step.answer,
        "input_tokens": step.input_tokens,
        "output_tokens": step.output_tokens,
        "cost_usd": None if step.cost is None else usd(step.cost),
        "inherited": step.inherited,
    }


def step_row(step: Step) -> tuple[str, ...]:
    """Return a step as a row of such a table."""
    is_paid = step.kind in PAID and step.ended_seq is not None
    tokens = f"{step.input_tokens + step.output_tokens:,}" if is_paid else ""
    cost = money(step.cost) if is_paid else ""
    return (
        str(step.seq), step.kind, step.agent, "" if step.kind == "delegation" else step.name,
        step.status, tokens, cost,
    )  # fmt: skip
