"""A run's events as the tree of its spans: what ran inside of what, from when to when. Pure.

The journal has what a trace has, and more: what was denied, and what has never ended. The names of
operations are those of the spans, so that a line here and one in Jaeger are easily compared.

No record says that a call is a fallback: it is one when an equal question has failed at another
target before, in the same step, and nobody has answered it since.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel.conventions import CHAT, EXECUTE_TOOL, INVOKE_AGENT, INVOKE_WORKFLOW
from runtime.cli.liveness import LOST, status_of
from runtime.cli.story import op_above
from runtime.cli.trace_span import OPEN, JournalSpan, walk
from runtime.identity import digest_of
from runtime.journal.records import PARKED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runtime.journal import EventRow, RunRow


class SpanTree:
    """Folds events into the tree; give it every event in order, then ``close`` it.

    Attributes:
        root: the run itself.
        last_at: when the last event was, in seconds since the Unix epoch.
    """

    def __init__(self, row: RunRow) -> None:
        self._row = row
        began_at = row.started_at
        self.root = JournalSpan(INVOKE_WORKFLOW, row.target, "", began_at, began_at)
        self.last_at = began_at
        self._open: dict[str, JournalSpan] = {"": self.root}
        self._asked: dict[str, object] = {}  # what calls ask that are under way
        self._failed: dict[str, dict[str, str]] = {}  # by step and question, who failed last
        self._folds: Mapping[str, Callable[[EventRow], None]] = {
            "delegation_sent": self._sent,
            "delegation_started": self._started,
            "delegation_completed": self._agent_ended,
            "delegation_failed": self._agent_ended,
            "invocation_started": self._asks,
            "invocation_retried": self._asks_again,
            "invocation_completed": self._answered,
            "invocation_failed": self._unanswered,
            "invocation_denied": self._denied,
            "invocation_cached": self._cached,
            "skill_started": self._uses,
            "skill_completed": self._used,
            "skill_failed": self._used,
            "log": self._logged,
        }

    def take(self, event: EventRow) -> None:
        """Fold one event in; kinds that are no span are passed over."""
        self.last_at = max(self.last_at, event.at)
        fold = self._folds.get(event.kind)
        if fold is not None:
            fold(event)

    def close(self) -> JournalSpan:
        """Return the root, when all events are in.

        What can never end any more is lost; what is in a parked run stands where that stands.
        """
        row, root = self._row, self.root
        if row.ended_at is not None:
            root.end(row.ended_at, row.status, {"error": row.error, "reason": row.reason})
        if status_of(row) != "running":
            for span, _, _ in walk(root):
                if span.status in OPEN:
                    span.status = row.status if row.status in PARKED else LOST
        return root

    def _add(self, event: EventRow, operation: str, name: str) -> JournalSpan:
        span = JournalSpan(operation, name, event.op, event.at, event.at)
        above = self._open.get(op_above(event.op), self.root)
        above.below.append(span)
        self._open[event.op] = span
        return span

    # --- agents ----------------------------------------------------------------------------------

    def _sent(self, event: EventRow) -> None:
        span = self._add(event, INVOKE_AGENT, str(event.body.get("agent")))
        span.status, span.started_at = "queued", None

    def _started(self, event: EventRow) -> None:
        span = self._open.get(event.op)
        if span is not None:
            span.status, span.started_at = "running", span.started_at or event.at
            span.attempts = max(span.attempts, event.body.get("attempt") or 1)

    def _agent_ended(self, event: EventRow) -> None:
        span = self._open.get(event.op)
        if span is not None:
            span.end(event.at, event.kind.removeprefix("delegation_"), event.body)
            self._failed.pop(event.op, None)

    # --- model calls -----------------------------------------------------------------------------

    def _call(self, event: EventRow) -> JournalSpan:
        span = self._add(event, CHAT, str(event.body.get("model") or ""))
        span.provider = event.body.get("provider")
        return span

    def _asks(self, event: EventRow) -> None:
        span, said = self._call(event), event.body.get("request")
        span.attempts = 1
        if said is None:  # its words are nowhere, so nobody knows what it has to do with
            return
        self._asked[event.op] = said
        failed = self._failed.get(op_above(event.op))
        if failed is not None:  # a digest is dear, and few steps have a call that failed
            other = failed.get(digest_of(said))
            span.instead_of = other if other != span.target else None

    def _asks_again(self, event: EventRow) -> None:
        span = self._open.get(event.op)
        if span is not None:
            span.attempts += 1

    def _answered(self, event: EventRow) -> None:
        span, said = self._outcome(event), self._asked.pop(event.op, None)
        span.served_model = event.body.get("model")
        span.end(event.at, "completed", event.body)
        failed = self._failed.get(op_above(event.op))
        if failed is not None and said is not None:
            failed.pop(digest_of(said), None)

    def _unanswered(self, event: EventRow) -> None:
        span, said = self._outcome(event), self._asked.pop(event.op, None)
        span.end(event.at, "failed", event.body)
        if said is not None:
            self._failed.setdefault(op_above(event.op), {})[digest_of(said)] = span.target

    def _outcome(self, event: EventRow) -> JournalSpan:
        """Return the call that ended, with its tokens and cost; one without a beginning, too."""
        span, body = self._open.get(event.op) or self._call(event), event.body
        usage = body.get("usage") or {}
        span.input_tokens = usage.get("input_tokens")
        span.output_tokens = usage.get("output_tokens")
        span.unpriced = body.get("unpriced") is True
        span.cost_nano_usd = None if span.unpriced else event.cost_nano_usd
        span.attempts = body.get("attempts") or span.attempts
        return span

    def _denied(self, event: EventRow) -> None:
        self._call(event).end(event.at, "denied", event.body)

    def _cached(self, event: EventRow) -> None:
        span = self._call(event)
        span.cost_nano_usd = 0
        span.end(event.at, "cached", event.body)

    # --- tools -----------------------------------------------------------------------------------

    def _uses(self, event: EventRow) -> None:
        self._add(event, EXECUTE_TOOL, str(event.body.get("skill")))

    def _used(self, event: EventRow) -> None:
        span = self._open.get(event.op)
        if span is not None:
            span.end(event.at, event.kind.removeprefix("skill_"), event.body)

    def _logged(self, event: EventRow) -> None:
        """Show a tool that policy denied: it was never begun, so there is only this line of it."""
        fields = event.body.get("fields")
        if event.body.get("event") != "tool_denied" or not isinstance(fields, dict):
            return
        span = JournalSpan(EXECUTE_TOOL, str(fields.get("tool")), event.op, event.at, event.at)
        span.end(event.at, "denied", {"error": fields.get("policy"), "reason": "denied"})
        self._open.get(event.op, self.root).below.append(span)
