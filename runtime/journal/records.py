"""What a journal is told and what it tells: plain frozen data, the same for every store."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal[
    "run_started",
    "run_code",
    "run_resumed",
    "run_waiting",
    "run_paused",
    "delegation_sent",
    "delegation_started",
    "delegation_completed",
    "delegation_failed",
    "invocation_started",
    "invocation_retried",
    "invocation_completed",
    "invocation_failed",
    "invocation_denied",
    "invocation_cached",
    "skill_started",
    "skill_completed",
    "skill_failed",
    "approval_requested",
    "approval_decided",
    "cancel_requested",
    "pause_requested",
    "log",
    "run_completed",
    "run_failed",
    "run_cancelled",
]
RunStatus = Literal["running", "waiting", "paused", "completed", "failed", "cancelled"]
PARKED: frozenset[str] = frozenset(("waiting", "paused"))  # nobody is at work on it, on purpose


@dataclass(frozen=True, slots=True)
class KindRule:
    """What a record of one kind means.

    Attributes:
        terminal: it is the outcome of its operation; an operation has at most one.
        status: the status that it gives to its run; None leaves the status alone.
        calls: how many model calls it counts as.
        errors: how many failed model calls it counts as.
        by_anyone: whether somebody may write it who does not own the run: see ``Journal.request``.
    """

    terminal: bool = False
    status: RunStatus | None = None
    calls: int = 0
    errors: int = 0
    by_anyone: bool = False


KINDS: Mapping[str, KindRule] = MappingProxyType(
    {
        "run_started": KindRule(status="running"),
        "run_code": KindRule(),
        "run_resumed": KindRule(),
        "run_waiting": KindRule(status="waiting"),
        "run_paused": KindRule(status="paused"),
        "delegation_sent": KindRule(),
        "delegation_started": KindRule(),
        "delegation_completed": KindRule(terminal=True),
        "delegation_failed": KindRule(terminal=True),
        "invocation_started": KindRule(),
        "invocation_retried": KindRule(),
        "invocation_completed": KindRule(terminal=True, calls=1),
        "invocation_failed": KindRule(terminal=True, calls=1, errors=1),
        "invocation_denied": KindRule(terminal=True),
        "invocation_cached": KindRule(terminal=True),
        "skill_started": KindRule(),
        "skill_completed": KindRule(terminal=True),
        "skill_failed": KindRule(terminal=True),
        "approval_requested": KindRule(),
        "approval_decided": KindRule(terminal=True, by_anyone=True),
        "cancel_requested": KindRule(by_anyone=True),
        "pause_requested": KindRule(by_anyone=True),
        "log": KindRule(),
        "run_completed": KindRule(terminal=True, status="completed"),
        "run_failed": KindRule(terminal=True, status="failed"),
        "run_cancelled": KindRule(terminal=True, status="cancelled"),
    }
)

# What people are asked, and what they ask: read by `Journal.requests`. Sorted, for the index.
REQUESTS = tuple(sorted(("approval_requested", *(k for k, v in KINDS.items() if v.by_anyone))))

# Of no step, but of the run as a whole.
OF_THE_RUN = frozenset(
    ("cancel_requested", "pause_requested", *(k for k in KINDS if k.startswith("run_")))
)


@dataclass(frozen=True, slots=True)
class Branch:
    """What a process works on that need not own the run: one Delegation, see ``branches``.

    Attributes:
        op: the Delegation.
        attempt: how often it was claimed by then, from 1.
    """

    op: str
    attempt: int


class Record(NamedTuple):
    """One thing that happened in a run; a tuple, as each step of a run makes some.

    Bodies that the row of the run is made from: ``run_started`` has ``target``, ``input``,
    ``trace_id``, ``pid``, ``host`` and ``owner``; ``run_resumed`` has the last three and ``epoch``;
    ``run_completed`` has ``output``; ``run_failed`` and
    ``run_cancelled`` have ``error`` and ``reason``; ``approval_requested`` has ``ticket``,
    ``agent``, ``question``, ``data``; ``approval_decided`` has ``approved``, ``by``, ``comment``;
    ``cancel_requested`` and ``pause_requested`` have ``by`` and ``why``;
    ``invocation_completed`` and
    ``invocation_failed`` have ``usage`` (``input_tokens``, ``output_tokens``) and, when nobody
    knows the price, ``unpriced: true``. What the audit trail takes from the records of a call is in
    ``calls``. Every other key is kept as it is.

    Attributes:
        run_id: the run it belongs to.
        kind: what happened, a key of ``KINDS``.
        op: the operation it happened to; ``started`` and ``completed`` of one call share it.
        body: the details, JSON data.
        at: when, in seconds since the Unix epoch.
        cost_nano_usd: what it cost; counted into the run for outcomes of invocations.
        terminal: whether it is the outcome of ``op``. None means as ``KINDS`` says; False is for
            a failure that the same operation will try again.
        epoch: the how-manieth owner of the run wrote it; only the last one may. 0 is no owner: of
            what anyone may write.
        branch: the branch that its writer has claimed, which need not own the run; None for the
            records of the owner.
    """

    run_id: str
    kind: Kind
    op: str
    body: Mapping[str, Any]
    at: float
    cost_nano_usd: int = 0
    terminal: bool | None = None
    epoch: int = 1
    branch: Branch | None = None


@dataclass(frozen=True, slots=True)
class EventRow:
    """A record as it was committed.

    Attributes:
        seq: its place in the run, from 1, without a gap.
        at: seconds since the Unix epoch.
        kind: a key of ``KINDS``.
        op: the operation it happened to.
        body: JSON data.
        cost_nano_usd: what it cost.
    """

    seq: int
    at: float
    kind: str
    op: str
    body: dict[str, Any]
    cost_nano_usd: int


@dataclass(frozen=True, slots=True)
class Request:
    """A record of a run that tells what people are asked, or ask: by its kind.

    Attributes:
        run_id: the run.
        event: an ``approval_requested``, ``approval_decided``, ``cancel_requested`` or
            ``pause_requested``.
    """

    run_id: str
    event: EventRow


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run, summed up. Each fact is from the first record that brought it.

    Attributes:
        run_id: the run.
        trace_id: its trace, 32 hex digits.
        target: the agent or workflow that was run; empty until ``run_started`` is committed.
        status: where it stands.
        started_at: seconds since the Unix epoch.
        ended_at: the same; None while it runs.
        input: what it was given; JSON data.
        output: what it answered; None unless it completed.
        error: the reason of a failure, one line.
        reason: the class of a failure, e.g. ``deadline``.
        calls: model calls that have an outcome.
        errors: those of them that failed.
        unpriced_calls: those of them whose price nobody knows.
        input_tokens: prompt tokens of all calls.
        output_tokens: generated tokens of all calls.
        cost_nano_usd: the priced calls together; None when nobody knows the price of any that was
            answered.
        pid: the process that owns it.
        host: that process's machine.
        epoch: the how-manieth owner it has: 1 until it is resumed.
        code: the digest of the code that its last owner runs it by; None where nobody has read it.
        owner: the process, told apart from all others, as ``ownership`` writes it; None in rows of
            an earlier version.
        held_until: when the lease of the owner is over, in seconds since the Unix epoch by the
            store's clock; None where it has none.
        resumable: whether its first record says all that is needed to go on with it.
        parked_at: since when nobody is at work on it, as it waits or is paused; None otherwise.
        parked_seq: the place of the record that says so.
        forked_from: the run and the step that it was forked from, and what it has inherited; None
            where it is no fork.
    """

    run_id: str
    trace_id: str
    target: str
    status: RunStatus
    started_at: float
    ended_at: float | None
    input: Any
    output: Any
    error: str | None
    reason: str | None
    calls: int
    errors: int
    unpriced_calls: int
    input_tokens: int
    output_tokens: int
    cost_nano_usd: int | None
    pid: int | None
    host: str | None
    epoch: int = 1
    code: str | None = None
    owner: str | None = None
    held_until: float | None = None
    resumable: bool = False
    parked_at: float | None = None
    parked_seq: int | None = None
    forked_from: Any = None

    @property
    def is_over(self) -> bool:
        """Whether it has come to its end."""
        return self.status != "running" and self.status not in PARKED


@dataclass(frozen=True, slots=True)
class JournalStatistics:
    """What a journal did so far; ``appended == committed + refused + pending``.

    Attributes:
        appended: records taken from callers.
        committed: records that are durable.
        refused: records left out, each with a logged error: a second outcome of one operation.
        pending: records that wait for their commit.
        batches: commits.
        largest_batch: the most records in one commit.
        bytes_written: bytes of the committed bodies, as JSON.
        failed: why the writer cannot write at the moment; None while all is well.
    """

    appended: int = 0
    committed: int = 0
    refused: int = 0
    pending: int = 0
    batches: int = 0
    largest_batch: int = 0
    bytes_written: int = 0
    failed: str | None = None

    def __str__(self) -> str:
        """Return the counts as a ``repr`` shows them."""
        counts = f"{self.committed} committed, {self.pending} pending, {self.refused} refused"
        return f"{counts}, {self.batches} batches" + (
            f", failing: {self.failed}" if self.failed else ""
        )
