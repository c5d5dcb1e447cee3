"""What ``invoke`` opens for one prompt and for many lines alike: a system, and who asks it."""

from __future__ import annotations

import importlib
import os
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import anyio

from runtime.bulk.allowance import Allowance
from runtime.bulk.call import Caller
from runtime.bulk.destination import Destinations, endpoint_of
from runtime.bulk.line import Defaults
from runtime.cli.machines import settings_of
from runtime.cli.opening import opened
from runtime.cli.places import catalog_folder, journal_location
from runtime.cli.provider_live import live_lines
from runtime.cli.streams import say
from runtime.errors import RuntimeFault
from runtime.governance.policy import run_limit
from runtime.identity import new_run_id, wall_clock
from runtime.invocations.case import Asker
from runtime.invocations.invocation import Doors
from runtime.launch import running
from runtime.outcome import RunOptions
from runtime.registration import begin_span, budget_of, ended_by, register, sign_off
from runtime.routing import Wish, choose
from runtime.run import Run
from runtime.workspace import check_workspace, open_catalog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from decimal import Decimal

    from runtime.catalog import Catalog
    from runtime.cli.interrupts import Interrupts
    from runtime.cli.machines import Machines
    from runtime.cli.options import Session
    from runtime.invocations.invocation import Observed
    from runtime.system import System

NAME = "invoke"  # of the command, as a run and as an agent


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What ``invoke`` was asked to do.

    Attributes:
        session: the call of the command line.
        provider: the provider for lines that name none.
        model: the model for lines that name none.
        concurrency: lines that are asked at the same time.
        stream: whether answers come in pieces where a line does not say.
        keep_failed: whether lines that failed in an earlier call are left as they are.
        rpm: requests a minute, of each account.
        tpm: tokens a minute, of each account.
        max_concurrency: calls in flight, of each account.
        send_key: whether keys go to any address that a line names.
        budget_usd: what the whole command may cost at most.
        tenant: for whom it is.
        data_classes: the kinds of data in all lines.
        database: what ``--db`` says.
        machines: with whom the limits of accounts are shared.
        catalog: what ``--catalog`` says.
        as_json: whether an answer is wanted as an object.
        quiet: whether only answers and errors are wanted.
        verbose: whether the log of what goes well is wanted, and what the accounts did.
    """

    session: Session
    provider: str | None
    model: str | None
    concurrency: int
    stream: bool
    keep_failed: bool
    rpm: float | None
    tpm: float | None
    max_concurrency: int | None
    send_key: bool
    budget_usd: Decimal | None
    tenant: str | None
    data_classes: tuple[str, ...]
    database: str | None
    machines: Machines
    catalog: Path | None
    as_json: bool
    quiet: bool
    verbose: bool

    @property
    def allowance(self) -> Allowance:
        """What holds for every account."""
        return Allowance(
            rpm=self.rpm,
            tpm=self.tpm,
            concurrency=self.max_concurrency,
            send_key=self.send_key,
        )


class Asking(NamedTuple):
    """What can be asked now.

    Attributes:
        caller: makes the calls.
        defaults: what holds where a line says nothing.
    """

    caller: Caller
    defaults: Defaults


@asynccontextmanager
async def asking(wishes: Wishes, interrupts: Interrupts, *, routed: bool) -> AsyncIterator[Asking]:
    """Open everything, and end it in order.

    Args:
        wishes: what was typed.
        interrupts: whether somebody has ended it early.
        routed: whether the catalog's routing names the provider and the model that nobody named.

    Raises:
        CatalogFaults: the catalog is wrong.
        ConfigurationError: the workspace is not complete, or a setting is wrong.
        UnknownName: the command line names a tier or a model that there is not.
        UsageError: the journal is one that no cluster could share.
    """
    check_workspace()
    catalog = open_catalog(catalog_folder(wishes.catalog, Path.cwd()))
    defaults = _defaults(wishes, catalog, routed=routed)
    database = journal_location(wishes.database, os.environ, Path.cwd())
    cluster = settings_of(wishes.machines, database, quiet=wishes.quiet)
    # Who wants answers wants them without a journal, too, unless one was named, limits need it, or
    # it is what a cluster has in common.
    is_named = wishes.database is not None or cluster is not None
    needed = is_named or any(policy.caps for policy in catalog.policies)
    async with opened(database, dispensable=not needed) as journal:
        # No agent has a part in it, so none of their code is imported.
        alone = replace(catalog, agents={}, skills={}, workflows={})
        async with running(alone, journal=journal, cluster=cluster) as system:
            async with _noted(wishes, system, interrupts) as run:
                yield Asking(_caller(wishes, system, run), defaults)
            if wishes.verbose:
                # The actors know it, and end with this block.
                for line in live_lines(system.accounts.statistics(), anyio.current_time()):
                    say(line)


def _defaults(wishes: Wishes, catalog: Catalog, *, routed: bool) -> Defaults:
    """Return the defaults with the model that a tier stands for."""
    routing, provider, model = catalog.routing, wishes.provider, wishes.model
    if routed or model in routing.tiers:
        target = choose((Wish(model, provider),), routing, catalog.providers)
        provider, model = target.provider, target.model
    endpoint = endpoint_of(provider, catalog)
    return Defaults(provider, model, wishes.stream, endpoint, frozenset(wishes.data_classes))


@asynccontextmanager
async def _noted(wishes: Wishes, system: System, interrupts: Interrupts) -> AsyncIterator[Run]:
    """Make the command a run of the journal, and one span."""
    run = Run(
        new_run_id(int(wall_clock() * 1_000)),
        NAME,
        budget=budget_of(wishes.budget_usd, run_limit(system.catalog.policies)),
        journal=system.journal,
        clock=wall_clock,
        tenant=wishes.tenant or "",
    )
    began = anyio.current_time()
    begin_span(run, system.tracing)
    register(run, None, "", RunOptions(argv=wishes.session.argv))
    try:
        yield run
    except BaseException as error:
        with suppress(RuntimeFault):  # the journal's: what ended the command is what counts
            sign_off(run, began, *ended_by(error), metrics=system.metrics)
        raise
    cancelled = interrupts.scope.cancelled_caught
    how = ("cancelled", "it was cancelled") if cancelled else (None, None)
    sign_off(run, began, *how, metrics=system.metrics)


def _caller(wishes: Wishes, system: System, run: Run) -> Caller:
    # An actor that cannot be started would be tried again and again, and its askers wait.
    startable = importlib.import_module("providers").ProviderActors().start
    assert run.span is not None  # noqa: S101  # it was started with the run
    asker = Asker(
        run=run,
        agent=NAME,
        path=(NAME,),
        op="",
        task_id="",
        totals=(),
        span=run.span,
        reason_of=_reason_of,
    )
    return Caller(
        asker,
        accounts=system.accounts,
        destinations=Destinations(
            system.catalog, os.environ, wishes.allowance, system.rules, startable
        ),
        price_of=system.price_of,
        rules=system.rules,
        doors=Doors(
            system.tracing,
            system.reservations,
            _unheard,
            system.metrics,
            system.accounts.server_of,
        ),
    )


def _reason_of(error: BaseException) -> str:
    if isinstance(error, RuntimeFault):
        return error.reason
    return type(error).__name__ if isinstance(error, Exception) else "cancelled"


def _unheard(_: Observed) -> None:
    """Nothing is routed here, so nothing is to be learned."""
