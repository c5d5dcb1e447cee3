"""One operation of a run, as the journal knows it: a span that needs no backend. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runtime.cli.text import utc_time
from runtime.governance.cost import usd

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

OPEN = ("queued", "running")


@dataclass(slots=True)
class JournalSpan:
    """One operation of a run.

    Attributes:
        operation: what it is, as ``gen_ai.operation.name`` says it.
        name: the workflow, agent, tool or model.
        op: its step in the run; empty for the run itself.
        began_at: seconds since the Unix epoch; of an agent, when it was sent its task.
        started_at: when a body of an agent was first started; of others, when they began.
        ended_at: when it was over; None while it lasts, and for ever where it is lost.
        status: ``queued``, ``running``, ``completed``, ``failed``, ``cancelled``, ``denied``,
            ``cached``, ``lost``, ``waiting`` or ``paused``.
        attempts: bodies of an agent that were started, requests of a chat that were made.
        provider: who was asked.
        served_model: the model that answered, as its server names it.
        input_tokens: of the prompt; None where nobody said.
        output_tokens: of the answer; None where nobody said.
        cost_nano_usd: what a call cost; None when it has no price, or is no call.
        unpriced: whether nobody knows its price.
        error: why it failed, one line.
        reason: the class of that.
        error_class: the name of the error, where a model call failed.
        instead_of: the target, ``provider/model``, that failed at the same question before.
        below: what ran inside.
    """

    operation: str
    name: str
    op: str
    began_at: float
    started_at: float | None = None
    ended_at: float | None = None
    status: str = "running"
    attempts: int = 0
    provider: str | None = None
    served_model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_nano_usd: int | None = None
    unpriced: bool = False
    error: str | None = None
    reason: str | None = None
    error_class: str | None = None
    instead_of: str | None = None
    below: list[JournalSpan] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Its name in a trace, such as ``chat gpt-5-mini``."""
        return f"{self.operation} {self.name}".rstrip()

    @property
    def target(self) -> str:
        """Who was asked, as ``provider/model``."""
        return f"{self.provider}/{self.name}"

    def end(self, at: float, status: str, body: Mapping[str, Any]) -> None:
        """Note its outcome."""
        self.ended_at = at
        self.error, self.reason = body.get("error"), body.get("reason")
        self.error_class = body.get("error_class")
        cancelled = status == "failed" and self.reason == "cancelled"
        self.status = "cancelled" if cancelled else status

    def as_json(self, run_began_at: float, parent: str | None, depth: int) -> dict[str, Any]:
        """Return it as JSON data, without what is below; times since the run's beginning."""
        ended = self.ended_at
        return {
            "span": self.op,
            "parent": parent,
            "depth": depth,
            "operation": self.operation,
            "name": self.name,
            "status": self.status,
            "started_at": utc_time(self.began_at),
            "start_s": round(self.began_at - run_began_at, 6),
            "queued_s": None if self.started_at is None else _since(self.started_at, self.began_at),
            "duration_s": None if ended is None else _since(ended, self.began_at),
            "attempts": self.attempts,
            "provider": self.provider,
            "served_model": self.served_model,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost_usd": None if self.cost_nano_usd is None else usd(self.cost_nano_usd),
            "cost_nano_usd": self.cost_nano_usd,
            "unpriced": self.unpriced,
            "error": self.error,
            "reason": self.reason,
            "error_class": self.error_class,
            "instead_of": self.instead_of,
        }


def _since(at: float, began_at: float) -> float:
    return round(max(0.0, at - began_at), 6)


def walk(root: JournalSpan) -> Iterator[tuple[JournalSpan, JournalSpan | None, int]]:
    """Yield every span with the one above it and its depth, each before those below it."""
    pending: list[tuple[JournalSpan, JournalSpan | None, int]] = [(root, None, 0)]
    while pending:
        span, above, depth = pending.pop()
        yield span, above, depth
        pending.extend((below, span, depth + 1) for below in reversed(span.below))
