"""The composition root: a catalog becomes a running system.

    async with running("catalog") as system:
        outcome = await system.run("digest", {"path": "docs"})

The command line, the tests and the benchmarks all come in here. Agents and providers are reached
by their names, never by import.
"""

from __future__ import annotations

import importlib
import logging
import os
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, cast

import anyio

from otel import configure_metrics, configure_tracing
from otel.trace_options import trace_options
from runtime.accounts import Accounts, accounts_spec
from runtime.actors import Supervisor, actor_system
from runtime.approval_steps import Approvals
from runtime.catalog import Catalog, profile_of
from runtime.code import Codes
from runtime.control import Control
from runtime.definitions import load_directory
from runtime.dispatch import Dispatcher
from runtime.elsewhere import Elsewhere
from runtime.engines import LocalEngine, current_time
from runtime.experience import learn_from
from runtime.governance.lifecycle import in_short, warnings_of
from runtime.identity import wall_clock
from runtime.invocations.invocation import Doors
from runtime.invocations.reservation import Reservations
from runtime.journal import MemoryJournal
from runtime.models import Models
from runtime.planner import Planner
from runtime.pricing import Pricing
from runtime.routing import Learned
from runtime.rules import Rules
from runtime.skills import Skills
from runtime.system import Ground, System
from runtime.workflow import Workflows
from runtime.workspace import check_workspace, open_catalog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from pathlib import Path

    from otel import Metrics, Tracing
    from runtime.actors import ActorSystem, SupervisorRef, SupervisorReport
    from runtime.agent import Agent
    from runtime.engines.cluster.settings import ClusterSettings
    from runtime.invocations.invocation import Observed
    from runtime.journal import Journal
    from runtime.messages import ProviderProfile

ROOT_INTENSITY = 5  # restarts of whole sub-trees in five seconds before the system gives up
WATCHDOG_S = 2.0
logger = logging.getLogger("runtime.catalog")


@asynccontextmanager
async def running(
    catalog: Catalog | Path | str | None = None,
    *,
    agents: Iterable[Agent] = (),
    journal: Journal | None = None,
    environ: Mapping[str, str] | None = None,
    tracing: Tracing | None = None,
    metrics: Metrics | None = None,
    cluster: ClusterSettings | None = None,
) -> AsyncIterator[System]:
    """Open a system; on leaving, stop its actors in order and flush journal, spans and metrics.

    Args:
        catalog: a folder or a loaded catalog; None for one with nothing but the echo provider.
        agents: agents that the catalog does not name.
        journal: where to note everything; None for memory. It is closed on leaving.
        environ: the environment; None for the process's.
        tracing: where spans go; None as ``OTEL_*`` say.
        metrics: where measurements go; None as ``OTEL_*`` say.
        cluster: the cluster that it joins; None for a system of its own. All that are in one share
            a journal.

    Raises:
        CatalogFaults: something in the catalog is wrong.
        ConfigurationError: the workspace is not complete, or a setting is wrong.
    """
    check_workspace()
    environ = os.environ if environ is None else environ
    loaded = open_catalog(catalog)
    directory = load_directory(loaded)
    for agent in agents:
        directory.slug(agent)
    # The page of metrics is the one that may be refused, so it comes first.
    metrics = metrics if metrics is not None else configure_metrics(environ)
    tracing = tracing if tracing is not None else configure_tracing(environ)
    tracing.options = trace_options(environ)
    journal = journal if journal is not None else MemoryJournal()
    exit_: BaseException | None = None
    try:
        async with actor_system(watchdog_s=WATCHDOG_S) as actors:
            ground = Ground(loaded, directory, journal, tracing, metrics, environ, wall_clock)
            system = await _compose(ground, actors, cluster)
            try:
                yield system
            except (KeyboardInterrupt, SystemExit) as error:
                exit_ = error  # raised below, as itself and not as a group
            finally:
                await system.close()
        if exit_ is not None:
            raise exit_
    finally:
        with anyio.CancelScope(shield=True):
            try:
                async with anyio.create_task_group() as last_words:  # at once: each takes its time
                    last_words.start_soon(tracing.shutdown)
                    last_words.start_soon(metrics.shutdown)
            finally:
                await journal.close()


async def _compose(ground: Ground, actors: ActorSystem, settings: ClusterSettings | None) -> System:
    catalog, directory, journal, tracing, metrics, environ, clock = ground
    providers = importlib.import_module("providers")
    provider_actors = providers.ProviderActors()
    start = provider_actors.start
    spec = accounts_spec(start)
    root = await actors.supervise(lambda: Supervisor((spec,), intensity=ROOT_INTENSITY))
    supervisor = cast("SupervisorRef", root.child("providers"))

    def account_of(provider: str) -> ProviderProfile:
        return profile_of(provider, catalog.providers[provider], environ)

    accounts = Accounts(supervisor, account_of, start)
    rules = Rules(catalog, environ, clock)
    pricing = Pricing(catalog, providers.price_of, rules)
    learned, reservations = Learned(), Reservations()
    for line in in_short(warnings_of(catalog, rules.today)):
        logger.warning(line)
    await learn_from(journal, learned, catalog.routings.values(), clock())
    doors = Doors(tracing, reservations, partial(_teach, learned), metrics, accounts.server_of)
    planner = Planner(catalog, rules, pricing.of, learned)
    models = Models(planner, accounts, Elsewhere(catalog, environ, accounts), doors)
    timeouts = {s.name: s.timeout_s for s in catalog.skills.values() if s.timeout_s is not None}
    approvals = Approvals(tracing)
    skills = Skills(directory, tracing, timeouts, rules=rules, approvals=approvals, metrics=metrics)
    local, cluster = LocalEngine(root), None
    if settings is not None:
        from runtime.clustered import joined  # noqa: PLC0415  # an extra

        cluster = await joined(settings, local, actors, journal)
        provider_actors.share_over(cluster.node.name, cluster.accounts.share)
    engine = local if cluster is None else cluster.engine
    dispatcher = Dispatcher(
        directory,
        engine,
        tracing,
        models=models,
        skills=skills,
        approvals=approvals,
        metrics=metrics,
    )
    codes, control = Codes(directory), Control(journal, actors.spawn)
    if cluster is not None:
        await cluster.open(dispatcher, directory, control, codes)
    workflows = Workflows(
        dispatcher,
        journal,
        tracing,
        rules.run_limit,
        clock,
        metrics=metrics,
        codes=codes,
        control=control,
    )
    system = System(
        ground,
        actors=actors,
        engine=engine,
        dispatcher=dispatcher,
        workflows=workflows,
        codes=codes,
        accounts=accounts,
        price_of=pricing,
        rules=rules,
        reservations=reservations,
        cluster=cluster,
    )
    if metrics.on:
        _measure(system)
    return system


def _measure(system: System) -> None:
    """Show what can be read off a system, and count its restarts."""
    from otel.measurements import child_restarted  # noqa: PLC0415  # as below
    from runtime.gauges import Gauges  # noqa: PLC0415  # for metrics that somebody collects

    def count_restart(report: SupervisorReport) -> None:
        if report.context == "restart":
            child_restarted(system.metrics, report.supervisor)

    system.actors.on_report = count_restart
    Gauges(system.snapshot, frozenset(system.catalog.providers)).show(system.metrics)


def _teach(learned: Learned, seen: Observed) -> None:
    """Count in how a call went."""
    learned.add(seen.target, seen.seconds, seen.output_tokens, current_time(), ok=seen.ok)
