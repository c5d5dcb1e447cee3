"""How a run is started, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from runtime.errors import (
    BudgetExceeded,
    Cancelled,
    ConfigurationError,
    InvalidInput,
    PolicyDenied,
)
from runtime.governance.cost import NANO
from runtime.identity import trace_id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal

    from runtime.approval import ApprovalRequest, Approve
    from runtime.journal import Record, RunRow
    from runtime.run import Durability, OnCodeChange

EXIT_CODES = {
    fault.reason: fault.exit_code
    for fault in (BudgetExceeded, Cancelled, ConfigurationError, InvalidInput, PolicyDenied)
}


DEFAULT_DEADLINE_S = 3_600.0  # nothing runs for ever because nobody said for how long
PARKED_EXIT_CODES = {"waiting": 5, "paused": 6}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a run is started.

    Attributes:
        run_id: its name; None for a new UUIDv7.
        provider: the provider to ask instead of the catalog's.
        model: the model to ask instead of the catalog's.
        budget_usd: what it may cost at most; None leaves it to workflow and policies.
        deadline_s: the seconds it gets; None leaves it to the workflow, and to an hour in the end.
        routing: the routing file to go by; None leaves it to the workflow, and to ``default``.
        tenant: for whom it is; None leaves it to ``MAGSAG_TENANT``, and to nobody in the end.
        conversation_id: the user's conversation, for traces; None leaves it to the payload.
        session_id: the user's session, likewise.
        approve: answers questions at once that people would be asked, about tools that a policy
            wants approved, too; None answers none.
        listener: called with every record of the run.
        durability: ``fast``: records are on the disk a moment after they were made, and what a
            kill loses of that moment is done again; ``strict``: what begins is on the disk before
            it leaves the process, and what is done before anybody sees it. None leaves it to
            ``MAGSAG_DURABILITY``, and to ``fast`` in the end.
        on_code_change: what is done when it is resumed and its code is not the same any more:
            ``refuse``, ``continue``, or ``pin``: the code is kept, and it goes on with that. None
            leaves it to the workflow, and to ``continue`` in the end.
        argv: the command line, for the journal.
    """

    run_id: str | None = None
    provider: str | None = None
    model: str | None = None
    budget_usd: Decimal | float | None = None
    deadline_s: float | None = None
    routing: str | None = None
    tenant: str | None = None
    conversation_id: str | None = None
    session_id: str | None = None
    approve: Approve | None = None
    listener: Callable[[Record], None] | None = None
    durability: Durability | None = None
    on_code_change: OnCodeChange | None = None
    argv: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeOptions:
    """How a run is gone on with.

    Attributes:
        deadline: ``keep``: it gets the seconds that it had left; ``extend``: it gets the seconds of
            its start once more; a number: so many from now on.
        budget_usd: what the whole run may cost at most, with what it has cost so far; None for
            what it was allowed before.
        retry_in_doubt: whether skills with side effects are used again that had begun and of which
            nobody knows whether they took place; else people are asked.
        on_code_change: what is done where its code is not the same any more; None for what it was
            started with.
        approve: answers questions at once that people would be asked; None answers none.
        listener: called with every record that is written from now on.
    """

    deadline: float | Literal["keep", "extend"] = "keep"
    budget_usd: Decimal | float | None = None
    retry_in_doubt: bool = False
    on_code_change: OnCodeChange | None = None
    approve: Approve | None = None
    listener: Callable[[Record], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkOptions:
    """How a run is forked from another one.

    Attributes:
        run_id: its name; None for a new UUIDv7.
        model: a tier, ``provider/model`` or a model's name: whom every question is asked of that is
            not answered by what the fork has inherited, by all its agents, whatever code, catalog
            and the starter of its source wish; policies hold. None: as its source asked.
        budget_usd: what it may cost by itself; None for what its source was allowed.
        deadline_s: the seconds it gets; None for those of its source.
        repeat_side_effects: whether skills with side effects are used that its source has used from
            the fork on, too.
        approve: decides about tools that a policy wants approved; None approves none.
        listener: called with every record of the run, those that it inherits not among them.
        durability: as in ``RunOptions``; None for that of its source.
        argv: the command line, for the journal.
    """

    run_id: str | None = None
    model: str | None = None
    budget_usd: Decimal | float | None = None
    deadline_s: float | None = None
    repeat_side_effects: bool = False
    approve: Approve | None = None
    listener: Callable[[Record], None] | None = None
    durability: Durability | None = None
    argv: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """What came of a run; ``as_json`` is what ``--json`` prints.

    Attributes:
        run_id: its name.
        trace_id: its trace, 32 hex digits.
        status: ``completed``, ``failed`` or ``cancelled``; or parked, and goes on where somebody
            resumes it: ``waiting`` for decisions, or ``paused``.
        output: the agent's answer as JSON data; None unless it completed.
        error: one line; None when it completed.
        reason: the class of the failure; None unless it failed or was cancelled.
        usage: ``calls, errors, input_tokens, output_tokens``.
        cost_usd: what it cost; None when no call had a known price.
        unpriced_calls: calls whose price nobody knows.
        duration_s: how long it took.
        value: the answer as the agent's declared type.
        waits_for: the questions that people are asked, where it is parked.
        forked_from: the run and the step that it was forked from, and what it has inherited, which
            is in none of the above; None where it is no fork.
    """

    run_id: str
    trace_id: str
    status: str
    output: Any
    error: str | None
    reason: str | None
    usage: Mapping[str, int]
    cost_usd: float | None
    unpriced_calls: int
    duration_s: float
    value: Any = None
    waits_for: tuple[ApprovalRequest, ...] = ()
    forked_from: Mapping[str, Any] | None = None

    @property
    def ok(self) -> bool:
        """Whether it completed."""
        return self.status == "completed"

    @property
    def is_parked(self) -> bool:
        """Whether it is not over, and nobody is at work on it."""
        return self.status in PARKED_EXIT_CODES

    @property
    def exit_code(self) -> int:
        """What ``python -m runtime run`` ends with."""
        if self.is_parked:
            return PARKED_EXIT_CODES[self.status]
        return 0 if self.ok else EXIT_CODES.get(self.reason or "", 2)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        shown = {
            "run_id": self.run_id,
            "status": self.status,
            "output": self.output,
            "error": self.error,
            "reason": self.reason,
            "usage": dict(self.usage),
            "cost_usd": self.cost_usd,
            "unpriced_calls": self.unpriced_calls,
            "duration_s": self.duration_s,
            "trace_id": self.trace_id,
            "waits_for": [each.as_json() for each in self.waits_for],
        }
        return shown if self.forked_from is None else shown | {"forked_from": self.forked_from}


def outcome_of(row: RunRow) -> RunOutcome:
    """Return what the journal says came of a run."""
    ended = row.started_at if row.ended_at is None else row.ended_at
    return RunOutcome(
        run_id=row.run_id,
        trace_id=row.trace_id or f"{trace_id_of(row.run_id):032x}",
        status=row.status,
        output=row.output,
        error=row.error,
        reason=row.reason,
        usage={
            "calls": row.calls,
            "errors": row.errors,
            "input_tokens": row.input_tokens,
            "output_tokens": row.output_tokens,
        },
        cost_usd=None if row.cost_nano_usd is None else row.cost_nano_usd / NANO,
        unpriced_calls=row.unpriced_calls,
        forked_from=row.forked_from,
        duration_s=round(ended - row.started_at, 6),
    )
