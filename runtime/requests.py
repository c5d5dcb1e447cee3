"""What people ask of runs, from any process: to end, to pause, and decisions that they wait for.

Who asks does not own the run. Where a process is at work on it, the request goes into the journal,
and that process acts on it within about a second (``control``). Where none is, as the run is parked
or its process has died, whoever asks becomes its owner for the one record that ends or pauses it.
Either may become the other meanwhile, so that is looked at again until the run is where it should
be. A decision is only noted: going on is ``resume``'s affair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import anyio

from runtime.approval import ApprovalRequest, Decision
from runtime.errors import ConfigurationError, UnknownName
from runtime.journal import Record
from runtime.resumption import is_at_work, own

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from runtime.conduct import Halt
    from runtime.journal import Journal, Request, RunRow

LOOK_S = 0.2  # between two looks at whether a run has come to where it should be
VERBS = {"cancelled": "cancel", "paused": "pause"}


class Ticket(NamedTuple):
    """A question of a run, and what was decided.

    Attributes:
        op: the step that it is.
        request: the question.
        decision: what somebody has decided; None until then.
        decided_seq: the place of that among the records of the run.
    """

    op: str
    request: ApprovalRequest
    decision: Decision | None = None
    decided_seq: int | None = None

    def is_open(self, now: float) -> bool:
        """Whether somebody may decide still."""
        expires_at = self.request.expires_at
        return self.decision is None and (expires_at is None or now < expires_at)

    def is_news(self, row: RunRow, now: float) -> bool:
        """Whether a run that waits could go on by it."""
        if self.decision is None:
            return not self.is_open(now)
        return (self.decided_seq or 0) > (row.parked_seq or 0)


async def halt(
    journal: Journal,
    run_id: str,
    wanted: Halt,
    clock: Callable[[], float],
    *,
    wait_s: float,
    grace_s: float | None = None,
) -> RunRow:
    """Cancel or pause a run, wherever it is, and return it as it stands then.

    Args:
        journal: where it is.
        run_id: the run.
        wanted: what it shall be, who wants that, and why.
        clock: the time, in seconds since the Unix epoch.
        wait_s: how long to wait for its process to do so. It has been asked by then, and does so
            later, too.
        grace_s: what is in flight may still take when it is paused; None for the usual.

    Raises:
        UnknownName: there is no such run.
        ConfigurationError: it is over, or paused already, or its process hears no requests.
        JournalFailed: the journal cannot be read or written.
    """
    row = await row_of(journal, run_id)
    _check(row, wanted)
    is_asked = False
    with anyio.move_on_after(wait_s):
        while not (row.is_over or row.status == wanted.status):
            if not is_at_work(row):
                await _halt_here(journal, row, wanted, clock())
            elif not is_asked:
                is_asked = await journal.request(_record(row, wanted, clock(), grace_s))
            else:
                await anyio.sleep(LOOK_S)
            row = await row_of(journal, run_id)
    return await row_of(journal, run_id)


async def row_of(journal: Journal, run_id: str) -> RunRow:
    """Return a run.

    Raises:
        UnknownName: there is no such run.
        JournalFailed: it cannot be read.
    """
    row = await journal.run(run_id)
    if row is None:
        raise UnknownName(f"no run {run_id!r} is in the journal")
    return row


def _check(row: RunRow, wanted: Halt) -> None:
    verb = VERBS[wanted.status]
    if row.is_over:
        raise ConfigurationError(
            f"run {row.run_id} is over: {row.status}; nothing is left to {verb}"
        )
    if row.status == wanted.status:
        raise ConfigurationError(
            f"run {row.run_id} is {row.status} already; python -m runtime resume {row.run_id} goes"
            " on with it"
        )
    if not row.resumable and (is_at_work(row) or wanted.status == "paused"):
        raise ConfigurationError(
            f"run {row.run_id} ({row.target}) hears no requests: end its process, {row.pid} on"
            f" {row.host}"
        )


def _record(row: RunRow, wanted: Halt, now: float, grace_s: float | None) -> Record:
    body: dict[str, Any] = {"by": wanted.by, "why": wanted.why}
    if grace_s is not None:
        body["grace_s"] = grace_s
    kind: Any = f"{VERBS[wanted.status]}_requested"
    return Record(row.run_id, kind, "", body, now, epoch=0)


async def _halt_here(journal: Journal, row: RunRow, wanted: Halt, now: float) -> None:
    """Note where a run stands that nobody is at work on; whoever was faster has done otherwise."""
    with anyio.CancelScope(shield=True):
        try:
            epoch = await own(journal, row, now)
        except ConfigurationError:
            await anyio.sleep(LOOK_S)
            return
        body = {"by": wanted.by, "why": wanted.why}
        if wanted.status == "cancelled":
            body |= {"error": str(wanted), "reason": "cancelled"}
        kind: Any = f"run_{wanted.status}"
        op = "" if wanted.status == "cancelled" else f"parked:{epoch}"
        journal.append(Record(row.run_id, kind, op, body, now, epoch=epoch))
        await journal.flush()


# --- decisions -----------------------------------------------------------------------------------


async def tickets_of(journal: Journal, run_ids: Sequence[str] | None = None) -> list[Ticket]:
    """Return the questions of runs that are not over, in their order.

    Args:
        journal: where they are.
        run_ids: of which runs; None for all.

    Raises:
        JournalFailed: they cannot be read.
    """
    return fold(await journal.requests(run_ids))


def fold(requests: Sequence[Request]) -> list[Ticket]:
    """Return the questions that some records are about, in their order. Pure."""
    found: dict[tuple[str, str], Ticket] = {}
    for run_id, event in ((each.run_id, each.event) for each in requests):
        key = run_id, event.op
        if event.kind == "approval_requested" and key not in found:
            request = ApprovalRequest.of_body(run_id, event.at, event.body)
            found[key] = Ticket(event.op, request)
        elif event.kind == "approval_decided" and key in found:
            decision = Decision.of_body(event.at, event.body)
            found[key] = found[key]._replace(decision=decision, decided_seq=event.seq)
    return list(found.values())


async def decide(journal: Journal, run_id: str, ticket: str, decision: Decision) -> Ticket:
    """Decide what a run has asked, once; who waits for it hears of it, or whoever goes on with it.

    Args:
        journal: where the run is.
        run_id: the run.
        ticket: the question's ticket, or the beginning of it.
        decision: what is decided.

    Raises:
        UnknownName: there is no such run, or no such question of it.
        ConfigurationError: it is decided already, or has expired, or the run is over.
        JournalFailed: the journal cannot be read or written.
    """
    row = await row_of(journal, run_id)
    if row.is_over:
        raise ConfigurationError(f"run {run_id} is over: {row.status}; nobody waits for a decision")
    found = _named(run_id, await tickets_of(journal, (run_id,)), ticket, decision.at)
    body = decision.as_body() | {"ticket": found.request.ticket}
    record = Record(run_id, "approval_decided", found.op, body, decision.at, epoch=0)
    if not await journal.request(record):
        _named(run_id, await tickets_of(journal, (run_id,)), ticket, decision.at)
        raise ConfigurationError(f"run {run_id} has just ended; nobody waits for a decision")
    return found._replace(decision=decision)


def _named(run_id: str, tickets: Sequence[Ticket], name: str, now: float) -> Ticket:
    """Return the open question that somebody names.

    Raises:
        UnknownName: there is none, or there are several.
        ConfigurationError: it is open no more.
    """
    # An empty name is a script's unset variable, and begins them all: it shall decide nothing.
    found = [each for each in tickets if name and each.request.ticket.startswith(name.lower())]
    if len(found) != 1:
        names = ", ".join(each.request.ticket for each in tickets if each.is_open(now)) or "none"
        what = "several questions" if found else "no question"
        raise UnknownName(f"run {run_id} has {what} {name!r}; open are: {names}")
    (one,) = found
    if one.decision is not None:
        raise ConfigurationError(f"{one.request.ticket} is decided already: {one.decision}")
    if not one.is_open(now):
        raise ConfigurationError(f"{one.request.ticket} has expired: it counts as denied")
    return one
