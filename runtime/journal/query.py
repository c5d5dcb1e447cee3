"""Which calls of the audit trail are wanted: one question, asked of any journal."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.patterns import fits, is_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.journal.calls import CallRow, CallStatus

PAGE = 1_000


class Filed(NamedTuple):
    """A call of the audit trail, and the run that it belongs to.

    Attributes:
        call: the call.
        workflow: the workflow or agent that the run was started with.
    """

    call: CallRow
    workflow: str


class Place(NamedTuple):
    """Where a page ends: the next one goes on behind it."""

    started_at: float
    run_id: str
    op: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallQuery:
    """Which calls are wanted; what is None is of no matter.

    Attributes:
        run_id: of this run.
        agent: of this agent, or of those it delegated to.
        model: that asked for this model, or were answered by it; a name or a pattern, alone or as
            ``provider/model``.
        provider: of this provider.
        tenant: of this tenant's runs.
        workflow: of runs that were started with this workflow or agent.
        status: that stand there.
        since: that began at or after this time, in seconds since the Unix epoch.
        until: that began before this time.
        newest_first: whether the newest come first, else the oldest.
        limit: the most rows, at least 1.
        behind: only what comes behind this place.
    """

    run_id: str | None = None
    agent: str | None = None
    model: str | None = None
    provider: str | None = None
    tenant: str | None = None
    workflow: str | None = None
    status: CallStatus | None = None
    since: float | None = None
    until: float | None = None
    newest_first: bool = True
    limit: int = PAGE
    behind: Place | None = None

    def wants(self, filed: Filed) -> bool:
        """Whether a call is wanted, limit and place aside."""
        call = filed.call
        exact = {
            "run_id": call.run_id,
            "provider": call.provider,
            "tenant": call.tenant,
            "workflow": filed.workflow,
            "status": call.status,
        }
        return (
            all(getattr(self, name) in (None, value) for name, value in exact.items())
            and (self.agent is None or self.agent in (call.agent, *call.path.split("/")))
            and (self.model is None or _is_model(self.model, call))
            and (self.since is None or call.started_at >= self.since)
            and (self.until is None or call.started_at < self.until)
        )

    def comes_behind(self, call: CallRow) -> bool:
        """Whether a call comes behind the place where the last page ended."""
        if self.behind is None:
            return True
        place = place_of(call)
        return place < self.behind if self.newest_first else place > self.behind

    def conditions(self) -> Iterator[str]:
        """Yield what must hold as SQL over ``call`` and ``run``; see ``parameters``."""
        for name in ("run_id", "provider", "tenant", "status"):
            if getattr(self, name) is not None:
                yield f"call.{name} = :{name}"
        if self.workflow is not None:
            yield "run.target = :workflow"
        if self.agent is not None:
            yield "instr('/' || call.path || '/' || call.agent || '/', '/' || :agent || '/') > 0"
        if self.model is not None:
            operator = "GLOB" if is_pattern(self.model) else "="
            names = ("call.model", "call.served_model", "call.provider || '/' || call.model")
            yield f"({' OR '.join(f'{name} {operator} :model' for name in names)})"
        if self.since is not None:
            yield "call.started_at >= :since"
        if self.until is not None:
            yield "call.started_at < :until"
        if self.behind is not None:
            way = "<" if self.newest_first else ">"
            yield f"(call.started_at, call.run_id, call.op) {way} (:at, :behind_run, :behind_op)"

    def parameters(self) -> dict[str, Any]:
        """Return the values that the conditions name, and the limit."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.model is not None and is_pattern(self.model):
            given["model"] = self.model.replace("[", "[[]")
        at, run_id, op = self.behind or (None, None, None)
        return given | {"behind": None, "at": at, "behind_run": run_id, "behind_op": op}


def place_of(call: CallRow) -> Place:
    """Return the place of a call among all."""
    return Place(call.started_at, call.run_id, call.op)


def _is_model(wanted: str, call: CallRow) -> bool:
    names = (call.model, call.served_model, f"{call.provider}/{call.model}")
    return any(fits(wanted, name) if is_pattern(wanted) else wanted == name for name in names)
