"""The steps of a run as its records tell them: who asked or did what, and what came of it. Pure.

A step is a delegation, a model call, a use of a skill, a question to people, an answer that was
given again, or a call that was forbidden. Its id is made from its content (``Run.operation``), and
begins with the id of the step above it. People name a step by its number: the ``seq`` of the record
that it begins with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from runtime.journal import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from runtime.journal import EventRow

StepKind = Literal["delegation", "model", "skill", "approval", "cached", "denied"]
BEGINS: Mapping[str, StepKind] = {
    "delegation_sent": "delegation",
    "invocation_started": "model",
    "skill_started": "skill",
    "approval_requested": "approval",
    "invocation_cached": "cached",
    "invocation_denied": "denied",
}
AT_ONCE = {"invocation_cached": "cached", "invocation_denied": "denied"}
OUTCOMES = frozenset(
    kind
    for kind, rule in KINDS.items()
    if rule.terminal and rule.status is None and kind not in AT_ONCE
)


@dataclass(slots=True)
class Step:
    """One step of a run.

    Attributes:
        seq: the number of the record that it begins with: its name for people.
        op: its id.
        kind: what it is.
        agent: whose step it is; of a delegation, who got it.
        name: the model as ``provider/model``, the skill, or the agent.
        asked: what was asked or given, JSON data; None where nobody has kept it.
        status: ``in flight``, ``completed``, ``failed``, ``cached`` or ``denied``.
        answer: what came of it, JSON data; of a failure its text.
        ended_seq: the number of its outcome; None where there is none.
        input_tokens: of its prompt.
        output_tokens: of what was generated.
        cost: nano-USD that it cost by itself; None where nobody knows.
        digest: of what a model answered; empty for other steps.
        inherited: whether it is of the run that this one was forked from, which has paid for it.
    """

    seq: int
    op: str
    kind: StepKind
    agent: str
    name: str
    asked: Any
    status: str = "in flight"
    answer: Any = None
    ended_seq: int | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cost: int | None = 0
    digest: str = ""
    inherited: bool = False

    @property
    def parent(self) -> str:
        """The id of the step above it; empty for the first."""
        return self.op.rpartition("/")[0]

    @property
    def depth(self) -> int:
        """How many steps are above it."""
        return self.op.count("/")

    def __str__(self) -> str:
        if self.kind == "delegation":
            return f"delegation to {self.name}"
        what = {
            "model": "question to",
            "approval": "question to",
            "cached": "question to",
            "denied": "question to",
        }
        return f"{what.get(self.kind, self.kind)} {self.name} by {self.agent}"


class Steps:
    """The steps of a run, in the order in which they began.

    Args:
        events: its records, or the first of them.
    """

    def __init__(self, events: Iterable[EventRow] = ()) -> None:
        self._steps: dict[str, Step] = {}
        for event in events:
            self.take(event)

    def __iter__(self) -> Iterator[Step]:
        return iter(self._steps.values())

    def __len__(self) -> int:
        return len(self._steps)

    def __contains__(self, op: object) -> bool:
        return op in self._steps

    def get(self, op: str) -> Step | None:
        """Return a step by its id."""
        return self._steps.get(op)

    def take(self, event: EventRow) -> None:
        """Take the next record."""
        if event.kind in BEGINS:
            self._begin(event)
        elif event.kind in OUTCOMES and event.op in self._steps:
            _end(self._steps[event.op], event)

    def _begin(self, event: EventRow) -> None:
        op = event.op
        if op in self._steps:
            return  # it was in flight when its process died, and has begun once more
        above = self._steps.get(op.rpartition("/")[0])
        agent = "" if above is None else above.name
        step = self._steps[op] = step_of(event.kind, op, event.body, agent, event.seq)
        if event.kind in AT_ONCE:
            step.status, step.ended_seq = AT_ONCE[event.kind], event.seq
            step.answer = event.body.get("error") or _said(event.body.get("answer") or {})
            step.digest = event.body.get("reply_sha256") or ""


def step_of(kind: str, op: str, body: Mapping[str, Any], agent: str, seq: int = 0) -> Step:
    """Return a step that begins.

    Args:
        kind: the kind of the record that it begins with.
        op: its id.
        body: the details of that record.
        agent: whose step it is, where the record does not say.
        seq: the number of the record.
    """
    what = BEGINS[kind]
    if what == "delegation":
        name = str(body.get("agent"))
        asked = {"input": body.get("input"), "context": body.get("context")}
        return Step(seq, op, what, name, name, asked if asked["context"] else asked["input"])
    if what == "skill":
        return Step(seq, op, what, agent, str(body.get("skill")), body.get("input"))
    if what == "approval":
        asked = {name: body.get(name) for name in ("question", "data", "tool")}
        return Step(seq, op, what, str(body.get("agent")), "people", asked)
    name = f"{body.get('provider') or '?'}/{body.get('model') or '?'}"
    return Step(seq, op, what, str(body.get("agent") or agent), name, body.get("request"))


def _end(step: Step, event: EventRow) -> None:
    body = event.body
    is_failure = event.kind.endswith("_failed")
    step.status, step.ended_seq = "failed" if is_failure else "completed", event.seq
    usage = body.get("usage") or {}
    step.input_tokens = usage.get("input_tokens") or 0
    step.output_tokens = usage.get("output_tokens") or 0
    step.digest = body.get("reply_sha256") or ""
    inherited = body.get("inherited")
    step.inherited = inherited is not None
    cost = event.cost_nano_usd if inherited is None else inherited["cost_nano_usd"]
    step.cost = None if body.get("unpriced") else cost
    if is_failure:
        step.answer = body.get("error")
    elif step.kind == "approval":
        step.answer = {name: body.get(name) for name in ("approved", "by", "comment")}
    else:
        step.answer = body.get("output") if step.kind != "model" else _said(body)


def _said(body: Mapping[str, Any]) -> Any:
    """Return what a model answered: its text, and the tools that it calls if there are any."""
    if calls := body.get("tool_calls"):
        return {"text": body.get("text"), "tool_calls": calls}
    return body.get("text")
