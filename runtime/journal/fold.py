"""How records become the row of a run. Pure, so memory, SQLite and any later store agree.

Rule 1: each fact of a run is from the first record that brings it: one start, one end.
Rule 2: every outcome of an invocation is counted, a late one too: money spent is spent.
Rule 3: a run exists from its first record on, whatever its kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.identity import trace_id_of
from runtime.journal.body import count_in, field_in
from runtime.journal.branches import Claiming, Leaving
from runtime.journal.records import KINDS, PARKED, RunRow

if TYPE_CHECKING:
    from runtime.journal.records import RunStatus


class Start(NamedTuple):
    """What ``run_started`` says about its run."""

    target: str
    trace_id: str | None
    pid: int | None
    host: str | None
    code: str | None
    owner: str | None


class TakenOver(NamedTuple):
    """What ``run_resumed`` says about the new owner of its run."""

    pid: int | None
    host: str | None
    epoch: int
    code: str | None
    owner: str | None


class Parked(NamedTuple):
    """What ``run_waiting`` and ``run_paused`` say: nobody is at work on the run any more."""

    status: RunStatus


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks, who need not own the run, changes in it: where it is to be found."""


class End(NamedTuple):
    """What the last record of a run says about it."""

    status: RunStatus
    error: str | None
    reason: str | None


class Call(NamedTuple):
    """What the outcome of an invocation adds to its run."""

    errors: int
    unpriced: bool
    input_tokens: int
    output_tokens: int
    cost_nano_usd: int


# The last two change no run, but who has a branch of it.
Facts = Start | TakenOver | Parked | Asked | End | Call | Claiming | Leaving | None


def facts_of(kind: str, body: Mapping[str, Any], cost_nano_usd: int) -> Facts:
    """Return what a record changes in the row of its run; None for most kinds.

    Raises:
        TypeError: a field that the row is made from has a wrong type.
        ValueError: a count is negative or absurdly large.
    """
    rule = KINDS[kind]
    if rule.calls:
        return _call_of(rule.errors, body, cost_nano_usd)
    if kind == "run_resumed":
        pid, host, owner = _process_in(body)
        return TakenOver(pid, host, count_in(body, "epoch"), _code_in(body), owner)
    if rule.status == "running":
        target, trace_id = field_in(body, "target", str), field_in(body, "trace_id", str)
        pid, host, owner = _process_in(body)
        return Start(target or "", trace_id, pid, host, _code_in(body), owner)
    if rule.status in PARKED:
        return Parked(rule.status)
    if rule.status is not None:
        return End(rule.status, field_in(body, "error", str), field_in(body, "reason", str))
    return Asked() if rule.by_anyone else None


def _call_of(errors: int, body: Mapping[str, Any], cost_nano_usd: int) -> Call | None:
    if "inherited" in body:
        return None  # the run that this one was forked from has paid for it
    usage = field_in(body, "usage", Mapping) or {}
    return Call(
        errors=errors,
        unpriced=body.get("unpriced") is True,
        input_tokens=count_in(usage, "input_tokens"),
        output_tokens=count_in(usage, "output_tokens"),
        cost_nano_usd=cost_nano_usd,
    )


def _code_in(body: Mapping[str, Any]) -> str | None:
    digest: str | None = field_in(field_in(body, "code", Mapping) or {}, "digest", str)
    return digest


def _process_in(body: Mapping[str, Any]) -> tuple[int | None, str | None, str | None]:
    return (
        field_in(body, "pid", int),
        field_in(body, "host", str),
        field_in(body, "owner", str),
    )


def known_cost(cost: int, calls: int, errors: int, unpriced: int) -> int | None:
    """Return the cost of some calls; None when nobody knows the price of any that was answered.

    Args:
        cost: nano-USD of those with a price.
        calls: how many there were.
        errors: those of them that failed.
        unpriced: those of them whose price nobody knows.
    """
    return None if unpriced and not cost and unpriced + errors >= calls else cost


@dataclass(slots=True)
class RunState:
    """A run as its records so far make it. The fields are the columns of the table ``run``.

    Attributes:
        next_seq: the number of the next record.
        started_seq: the number of its ``run_started``, whose body has the input.
        ended_seq: the number of its last record, whose body has the output.
        epoch: the how-manieth owner it has.
        asked_seq: the number of the last record of somebody who need not own it.
        owner: the process that owns it, as ``ownership`` writes it.

    The others are those of ``RunRow``.
    """

    run_id: str
    started_at: float
    trace_id: str
    target: str = ""
    status: RunStatus = "running"
    ended_at: float | None = None
    error: str | None = None
    reason: str | None = None
    calls: int = 0
    errors: int = 0
    unpriced_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nano_usd: int = 0
    pid: int | None = None
    host: str | None = None
    next_seq: int = 1
    started_seq: int | None = None
    ended_seq: int | None = None
    epoch: int = 1
    code: str | None = None
    parked_at: float | None = None
    parked_seq: int | None = None
    asked_seq: int | None = None
    owner: str | None = None

    @classmethod
    def first(cls, run_id: str, at: float) -> RunState:
        """Return a run of which nothing is known but its id and the time of its first record."""
        return cls(run_id, at, f"{trace_id_of(run_id):032x}")

    def take(self, at: float, facts: Facts) -> int:
        """Count a record in and return its number."""
        seq = self.next_seq
        self.next_seq += 1
        match facts:
            case None:  # as of most records, so it is asked first
                pass
            case Call():
                self._add(facts)
            case Start() if self.started_seq is None:
                self.started_seq, self.started_at = seq, at
                self.target = facts.target
                self.pid, self.host, self.owner = facts.pid, facts.host, facts.owner
                self.code = facts.code
                self.trace_id = facts.trace_id or self.trace_id
            case TakenOver():
                self.pid, self.host, self.owner = facts.pid, facts.host, facts.owner
                self.epoch = facts.epoch
                self.code = facts.code or self.code  # one that only ends it has none
                if self.parked_at is not None:
                    self.status, self.parked_at, self.parked_seq = "running", None, None
            case Asked():
                self.asked_seq = seq
            case Parked() if self.ended_seq is None:
                self.status, self.parked_at, self.parked_seq = facts.status, at, seq
            case End() if self.ended_seq is None:
                self.ended_seq, self.ended_at = seq, at
                self.parked_at = self.parked_seq = None
                self.status, self.error, self.reason = facts.status, facts.error, facts.reason
        return seq

    def is_fenced(self, epoch: int) -> bool:
        """Whether somebody else owns the run now."""
        return epoch != self.epoch

    def is_of(self, facts: Facts) -> bool:
        """Whether the new owner that a record tells of is the one that it has, and has left it."""
        return isinstance(facts, TakenOver) and None is not facts.owner == self.owner

    def may_be_taken(self, epoch: int) -> bool:
        """Whether a new owner may take it over: it is not over, and nobody did so meanwhile.

        Args:
            epoch: the number that the new owner would have.
        """
        is_begun = self.started_seq is not None and not self.is_over
        return is_begun and epoch == self.epoch + 1

    def may_be_joined(self, epoch: int) -> bool:
        """Whether a guest may begin to work on a branch of it.

        Args:
            epoch: the how-manieth owner wants that done.
        """
        return self.may_be_asked() and not self.is_parked and not self.is_fenced(epoch)

    def may_park(self, seen: int) -> bool:
        """Whether its owner may leave it: nobody has asked anything that the owner has not heard.

        Args:
            seen: the number of the last request that the owner has heard.
        """
        return not self.is_over and (self.asked_seq or 0) <= seen

    def may_be_asked(self) -> bool:
        """Whether somebody may ask anything of it: it has begun, and is not over."""
        return self.started_seq is not None and not self.is_over

    @property
    def is_parked(self) -> bool:
        """Whether nobody is at work on it, on purpose: anyone may go on with it."""
        return self.parked_at is not None

    @property
    def is_over(self) -> bool:
        """Whether it has come to its end, so that nobody can ask anything of it any more."""
        return self.ended_seq is not None

    def _add(self, call: Call) -> None:
        self.calls += 1
        self.errors += call.errors
        self.unpriced_calls += call.unpriced
        self.input_tokens += call.input_tokens
        self.output_tokens += call.output_tokens
        self.cost_nano_usd += call.cost_nano_usd

    def row(
        self, started: Mapping[str, Any], ended: Mapping[str, Any], held_until: float | None = None
    ) -> RunRow:
        """Return what a reader sees.

        Args:
            started: the body of the first record.
            ended: that of the last one.
            held_until: when the lease of the owner is over; None where it has none.
        """
        cost, calls = self.cost_nano_usd, self.calls
        return RunRow(
            run_id=self.run_id,
            trace_id=self.trace_id,
            target=self.target,
            status=self.status,
            started_at=self.started_at,
            ended_at=self.ended_at,
            input=started.get("input"),
            output=ended.get("output"),
            error=self.error,
            reason=self.reason,
            calls=self.calls,
            errors=self.errors,
            unpriced_calls=self.unpriced_calls,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cost_nano_usd=known_cost(cost, calls, self.errors, self.unpriced_calls),
            pid=self.pid,
            host=self.host,
            epoch=self.epoch,
            code=self.code,
            owner=self.owner,
            held_until=held_until,
            resumable=bool(started.get("agent")),
            parked_at=self.parked_at,
            parked_seq=self.parked_seq,
            forked_from=started.get("forked_from"),
        )


COLUMNS: tuple[str, ...] = tuple(field.name for field in fields(RunState))
values_of = attrgetter(*COLUMNS)
COUNTS = (
    *("next_seq", "calls", "errors", "unpriced_calls"),
    *("input_tokens", "output_tokens", "cost_nano_usd"),
)
counts_of = attrgetter(*COUNTS, "run_id")
