"""One run from the command line: open the journal and the catalog, run, and close everything."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO

import anyio

from runtime.approval import approval_of
from runtime.cli.commission import Commission
from runtime.cli.interrupts import Interrupts
from runtime.cli.places import journal_location
from runtime.cli.report import Source, report
from runtime.cli.run_link import RunLink, link_of
from runtime.cli.streams import prints_to_stderr
from runtime.cli.workplace import screen_for, system_for
from runtime.directory import suggest
from runtime.errors import Cancelled, ConfigurationError, UnknownName
from runtime.identity import new_run_id, wall_clock
from runtime.outcome import RunOptions, outcome_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from runtime.journal import Journal, Record
    from runtime.outcome import RunOutcome
    from runtime.run import Durability, OnCodeChange
    from runtime.system import System


@dataclass(frozen=True, slots=True, kw_only=True)
class Order(Commission):
    """What ``run`` was asked to do.

    Attributes:
        target: the workflow's or agent's name.
        kind: which of the two it must be; None for either.
        payload: its input; None for the workflow's own, or for none.
        provider: the provider to ask instead of the catalog's.
        model: the model to ask instead of the catalog's.
        budget_usd: what it may cost at most.
        deadline_s: the seconds it gets.
        run_id: its name; None for a new one.
        routing: the routing file to go by.
        tenant: for whom it is.
        approve: names or patterns of tools that are approved.
        durability: what is on the disk before the run goes on.
        on_code_change: what is done when it is resumed and its code has changed.
    """

    target: str
    kind: Literal["workflow", "agent"] | None
    payload: Any
    provider: str | None
    model: str | None
    budget_usd: Decimal | None
    deadline_s: float | None
    run_id: str | None
    routing: str | None
    tenant: str | None
    approve: tuple[str, ...]
    durability: Durability | None
    on_code_change: OnCodeChange | None


def execute(order: Order) -> int:
    """Carry out a run, print what came of it, and return the exit code.

    Raises:
        RuntimeFault: it could not begin, or its journal could not be written.
        TelemetryMisconfigured: an ``OTEL_*`` variable cannot be understood.
    """
    execution = Execution(order)
    try:
        with prints_to_stderr():
            return anyio.run(execution.carry_out).exit_code
    finally:
        if execution.outcome is not None:
            kept = execution.database is not None
            source = Source(order.db, order.catalog)
            report(execution.outcome, source, as_json=order.as_json, quiet=order.quiet, kept=kept)
        if execution.link is not None:
            execution.link.over()


class Execution:
    """A run under way.

    Attributes:
        database: where the journal is; None for memory.
        outcome: what came of the run, as soon as that is known.
        link: tells the link to its trace; None where nobody wants it.
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        self.database = journal_location(order.db, os.environ, Path.cwd())
        self.outcome: RunOutcome | None = None
        self.link: RunLink | None = None
        self._listeners: list[Callable[[Record], None]] = []

    async def carry_out(self) -> RunOutcome:
        """Run and return what came of it; it is in ``outcome`` even where closing then fails."""
        order, interrupts = self._order, Interrupts()
        screen = screen_for(order, order.target)
        log = None if screen is None else screen.log
        async with interrupts.watched(), system_for(order) as system:
            _check_kind(order, system)
            options = await self._options(system.journal)
            if screen is not None:
                self._listeners.append(screen.take)
            if not order.quiet and not order.as_json:
                self._listeners.append(self._linked_by(options.run_id or "", log))
            async with screen.shown() if screen is not None else nullcontext():
                with interrupts.scope:
                    self.outcome = await system.run(order.target, order.payload, options)
            if self.outcome is None:
                self.outcome = await cancelled(system.journal, str(options.run_id))
            return self.outcome

    def _take(self, record: Record) -> None:
        for listener in tuple(self._listeners):
            listener(record)

    def _linked_by(self, run_id: str, stream: TextIO | None) -> Callable[[Record], None]:
        """Return what looks for the trace when the run's first record tells that it has begun."""

        def take(_record: Record) -> None:
            self._listeners.remove(take)
            self.link = link_of(run_id, stream)

        return take

    async def _options(self, journal: Journal) -> RunOptions:
        order = self._order
        run_id = order.run_id or new_run_id(int(wall_clock() * 1_000))
        earlier = await journal.run(run_id)
        if earlier is not None:
            raise ConfigurationError(
                f"run {run_id} is in the journal already, {earlier.status}; choose another"
                f" --run-id, or read it with python -m runtime show {run_id}"
            )
        return RunOptions(
            run_id=run_id,
            provider=order.provider,
            model=order.model,
            budget_usd=order.budget_usd,
            deadline_s=order.deadline_s,
            routing=order.routing,
            tenant=order.tenant,
            approve=approval_of(order.approve),
            listener=self._take,
            durability=order.durability,
            on_code_change=order.on_code_change,
            argv=order.session.argv,
        )


def _check_kind(order: Order, system: System) -> None:
    """Refuse what is there, but of another kind than the command runs."""
    if order.kind is None:
        return
    known = system.catalog.workflows if order.kind == "workflow" else system.directory.agents
    if order.target not in known:
        raise UnknownName(f"no {order.kind} {order.target!r}{suggest(order.target, [*known])}")


async def cancelled(journal: Journal, run_id: str) -> RunOutcome:
    """Return what a run came to that a signal has ended.

    Raises:
        Cancelled: it had not begun.
    """
    await journal.flush()
    row = await journal.run(run_id)
    if row is None:
        raise Cancelled("cancelled before the run began")
    return outcome_of(row)
