"""A run that nobody is at work on: what its journal says that is needed to go on with it."""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio

from runtime.dialogues import Dialogue
from runtime.errors import ConfigurationError, LimitReached, UnknownName
from runtime.identity import wall_clock
from runtime.journal import Record
from runtime.journal.liveness import has_lost, is_ours, owner_note
from runtime.outcome import DEFAULT_DEADLINE_S
from runtime.recorded import Recorded
from runtime.routing import Wish

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runtime.journal import Journal, RunRow
    from runtime.outcome import ResumeOptions
    from runtime.run import Durability, OnCodeChange

NOTHING: Mapping[str, Any] = MappingProxyType({})


class Resumable(NamedTuple):
    """A run that this process owns now, and what it was started with.

    Attributes:
        run_id: its name.
        target: the workflow's or agent's name.
        agent: the slug of the agent that begins.
        payload: its input.
        budget_nano_usd: what it may cost; None for no limit.
        time_left: the seconds that it has left; the time in which nobody did it does not count.
        tenant: for whom it is.
        routing: the routing file to go by.
        wishes: whom its starter wanted asked.
        dialogue: the user's conversation.
        durability: what is on the disk before it goes on.
        epoch: the how-manieth owner this is.
        recorded: what it has done.
        forked_from: the run and the step that it was forked from; None where it is no fork.
    """

    run_id: str
    target: str
    agent: str
    payload: Any
    budget_nano_usd: int | None
    time_left: float
    tenant: str
    routing: str | None
    wishes: tuple[Wish, ...]
    dialogue: Dialogue
    durability: Durability
    epoch: int
    recorded: Recorded
    forked_from: Mapping[str, Any] | None = None

    @property
    def overrides(self) -> tuple[Wish, ...]:
        """Whom a fork wants asked, whatever others wish, and the forks before it wanted."""
        models = (self.forked_from or {}).get("models") or ()
        return tuple(Wish(model, None, "fork") for model in models)


async def take_over(
    journal: Journal,
    run_id: str,
    now: float,
    *,
    check: Callable[[Recorded], Mapping[str, Any]],
    retry_in_doubt: bool = False,
    left_here: bool = False,
) -> Resumable:
    """Become the owner of a run that is parked, or that its process has lost or left.

    Everything that may stand in its way is looked at before: who owns a run and cannot go on with
    it has ended it for ever.

    Args:
        journal: where it is.
        run_id: the run.
        now: the time, in seconds since the Unix epoch.
        check: refuses a run that cannot go on here; else it returns what the journal keeps of how
            it goes on.
        retry_in_doubt: whether skills with side effects are used again that had begun; else people
            are asked.
        left_here: whether it may be one that this process has, and has left.

    Raises:
        UnknownName: there is no such run.
        ConfigurationError: it is over, its process has it, somebody else has just taken it over,
            or its journal does not say how it was started.
        RuntimeFault: what ``check`` raises.
        JournalFailed: the journal cannot be read or written.
    """
    row = await journal.run(run_id)
    if row is None:
        raise UnknownName(f"no run {run_id!r} is in the journal")
    check_resumable(row, left_here=left_here)
    recorded = Recorded(retry_in_doubt=retry_in_doubt)
    await recorded.read(journal, run_id)
    how = check(recorded)
    # Whoever is cancelled meanwhile goes on until it can end the run: else nobody would.
    with anyio.CancelScope(shield=True):
        epoch = await own(journal, row, now, how)
        await recorded.read(journal, run_id)
    return described(row, epoch, recorded)


async def own(journal: Journal, row: RunRow, now: float, how: Mapping[str, Any] = NOTHING) -> int:
    """Become the owner of a run, and return the how-manieth that is.

    Args:
        journal: where it is.
        row: the run.
        now: the time, in seconds since the Unix epoch.
        how: what the journal keeps of how it goes on; nothing where it does not.

    Raises:
        ConfigurationError: somebody is at work on it, or was faster.
        JournalFailed: the journal cannot be written.
    """
    epoch = row.epoch + 1
    body = owner_note() | {"epoch": epoch, **how}
    record = Record(row.run_id, "run_resumed", f"resumed:{epoch}", body, now, epoch=epoch)
    if not await journal.take_over(record):
        raise await _refusal(journal, row.run_id)
    return epoch


def described(row: RunRow, epoch: int, recorded: Recorded) -> Resumable:
    """Return what a run was started with, as its journal says."""
    body = recorded.beginning
    return Resumable(
        run_id=row.run_id,
        target=row.target,
        agent=body["agent"],
        payload=row.input,
        budget_nano_usd=recorded.budget_nano_usd,
        time_left=recorded.time_left(DEFAULT_DEADLINE_S),
        tenant=body.get("tenant") or "",
        routing=body.get("routing"),
        wishes=tuple(Wish(*wish) for wish in body.get("wishes") or ()),
        dialogue=Dialogue(body.get("conversation_id"), body.get("session_id")),
        durability=body.get("durability") or "fast",
        epoch=epoch,
        recorded=recorded,
        forked_from=body.get("forked_from"),
    )


def is_at_work(row: RunRow) -> bool:
    """Whether a process may be at work on a run: it is not over, not parked, and not lost."""
    return row.status == "running" and not has_lost(row, wall_clock())


def policy_of(recorded: Recorded, options: ResumeOptions) -> OnCodeChange:
    """Return what is done where the code of a run is not the same any more."""
    return options.on_code_change or recorded.beginning.get("on_code_change") or "continue"


def out_of_time(run_id: str, used_s: float) -> LimitReached:
    """Return the error of a run that has no time left, and is not ended for that."""
    return LimitReached(
        f"run {run_id} has used up its time, {used_s:.0f} s; resume with --deadline extend, or"
        " --deadline SECONDS from now on"
    )


async def _refusal(journal: Journal, run_id: str) -> ConfigurationError:
    """Return why a run was not ours to take: somebody was faster, or has renewed the lease."""
    row = await journal.run(run_id)
    if row is None:
        return UnknownName(f"no run {run_id!r} is in the journal any more")
    return _over(row) if row.is_over else _under_way(row)


def check_resumable(row: RunRow, *, left_here: bool = False) -> None:
    """Refuse a run that is over, or that its process has.

    Args:
        row: the run.
        left_here: whether this process has left it, if it is the one that has it.

    Raises:
        ConfigurationError: it is such a one.
    """
    if row.is_over:
        raise _over(row)
    if not row.resumable:
        raise ConfigurationError(
            f"run {row.run_id} ({row.target}) cannot be gone on with: run the same command again"
        )
    if is_at_work(row) and not (left_here and is_ours(row)):
        raise _under_way(row)


def _over(row: RunRow) -> ConfigurationError:
    return ConfigurationError(f"run {row.run_id} is over: {row.status}; nothing is left to do")


def _under_way(row: RunRow) -> ConfigurationError:
    who = f"run {row.run_id} is under way in process {row.pid} on {row.host}"
    if row.held_until is None:
        return ConfigurationError(f"{who}; end that first")
    until = datetime.fromtimestamp(row.held_until, UTC)
    return ConfigurationError(
        f"{who}, which has it until {until:%H:%M:%S} UTC and may renew that: end that process, or"
        " wait until then if it is gone"
    )
