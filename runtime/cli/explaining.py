"""What ``explain`` does: everything that a run does before it asks, and none of the asking."""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from runtime.cli.explain_page import Told, as_json, page
from runtime.cli.history import History
from runtime.cli.places import MEMORY, catalog_folder
from runtime.cli.streams import emit, emit_json, prints_to_stderr, say
from runtime.definitions import load_directory
from runtime.experience import learn_from
from runtime.explain import Explainer, check_limits
from runtime.identity import wall_clock
from runtime.journal import Balance, JournalFailed
from runtime.outcome import RunOptions
from runtime.planner import Planner
from runtime.pricing import Pricing
from runtime.routing import Learned
from runtime.rules import Rules
from runtime.run import claims_of
from runtime.start import resolve
from runtime.workspace import check_workspace, open_catalog

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from runtime.catalog import Catalog
    from runtime.explain import Explanation
    from runtime.journal import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What ``explain`` was asked; the fields are its options."""

    target: str
    payload: Any
    context: Mapping[str, Any]
    provider: str | None
    model: str | None
    budget_usd: Decimal | None
    tenant: str | None
    routing: str | None
    db: str | None
    catalog: Path | None
    as_json: bool


def explain_target(wanted: Wanted) -> int:
    """Print the explanation, and return the exit code.

    Raises:
        CatalogFaults: the catalog is wrong.
        UnknownName: there is no such workflow, agent, provider, model or routing file.
        InvalidInput: input or context say something wrong of models.
    """
    with prints_to_stderr():
        check_workspace()
        catalog = open_catalog(catalog_folder(wanted.catalog, Path.cwd()))
        told = anyio.run(_explain, wanted, catalog)
    if wanted.as_json:
        emit_json([as_json(each) for each in told])
    else:
        emit("\n\n".join(page(each) for each in told))
    fault = told[0].explanation.fault
    return 0 if fault is None else fault.exit_code


async def _explain(wanted: Wanted, catalog: Catalog) -> list[Told]:
    directory = load_directory(catalog)
    options = RunOptions(
        provider=wanted.provider,
        model=wanted.model,
        budget_usd=wanted.budget_usd,
        tenant=wanted.tenant,
        routing=wanted.routing,
    )
    start = resolve(
        wanted.target,
        wanted.payload,
        options,
        catalog=catalog,
        directory=directory,
        environ=os.environ,
    )
    rules = Rules(catalog, os.environ, wall_clock)
    listed = importlib.import_module("providers").price_of
    pricing = Pricing(catalog, listed, rules)
    history = None if wanted.db == MEMORY else History(wanted.db)
    learned = await _learned(history, catalog)
    planner = Planner(catalog, rules, pricing.of, learned)
    explainer = Explainer(catalog, directory, planner, rules, os.environ)
    explanations = explainer.explain(start, wanted.context)
    return [await _with_balances(each, history) for each in explanations]


async def _learned(history: History | None, catalog: Catalog) -> Learned:
    learned = Learned()
    if history is not None:
        try:
            await learn_from(history, learned, catalog.routings.values(), wall_clock())
        except JournalFailed as error:
            say(f"warning: {error}; routes that prefer latency know nothing of the past")
    return learned


async def _with_balances(explanation: Explanation, history: History | None) -> Told:
    """Return an explanation with what is spent and reserved of each of its limits so far."""
    now = wall_clock()
    scopes = [claim.scope for claim in claims_of(explanation.limits, now)]
    known: dict[Scope, Balance] = {}
    for scope in dict.fromkeys(scopes):
        try:
            known[scope] = Balance(0, 0) if history is None else await history.balance(scope)
        except JournalFailed as error:
            say(f"warning: {error}; what is spent of {scope} is not known")
    check_limits(explanation, known, now)
    return Told(explanation, tuple(map(known.get, scopes)))
