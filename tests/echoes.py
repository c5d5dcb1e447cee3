"""Catalogs of models in this process, and what the journal says of who was asked.

The provider ``home`` is everybody's default; further providers have models of their own. Every
model answers like ``echo-1``: nothing goes over a network, and the audit trail is the judge.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

from providers.echo import answer_by_echo
from runtime import RunOptions, running
from runtime.catalog import ModelEntry, Policy, ProviderEntry, RoutingFile
from runtime.governance.cost import TOKENS_PER_MESSAGE, TOKENS_PER_REQUEST
from runtime.journal import CallQuery
from runtime.messages import Price
from runtime.workspace import echo_catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import pytest

    from runtime import Agent, RunOutcome
    from runtime.agent import Limits
    from runtime.catalog import Catalog
    from runtime.journal import CallRow, EventRow, Journal

CENT = 10**7  # nano-USD
FRAME = TOKENS_PER_REQUEST + TOKENS_PER_MESSAGE  # what a prompt of one turn may have besides


class EveryModel(dict[str, Any]):
    """The models of the echo provider: any name is one."""

    def __contains__(self, _model: object) -> bool:
        return True

    def __missing__(self, _model: str) -> Any:
        return answer_by_echo


def any_model_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("providers.echo.MODELS", EveryModel())


def price(nano_a_token: int = CENT, **fields: Any) -> Price:
    """Return a price that is the same for every token, so that figures can be read."""
    each = nano_a_token * 10**6
    usual = {"input": each, "output": each, "cached_input": each, "cache_write": each}
    return Price(**usual | {"source": "a test"} | fields)


def provider(*models: str, **fields: Any) -> ProviderEntry:
    """Return a provider in this process."""
    known = {name: ModelEntry() for name in models}
    return ProviderEntry(**{"dialect": "echo", "models": known} | fields)


def at(url: str, *models: str) -> ProviderEntry:
    """Return a provider that speaks Chat Completions at an address, with the model ``m``."""
    known = {name: ModelEntry() for name in models or ("m",)}
    return ProviderEntry(dialect="openai_chat", base_url=url, models=known)


def policy(name: str = "p", **fields: Any) -> Policy:
    """Return a policy that is about what is given."""
    usual = {"description": "", "allowed_models": None, "max_cost_per_run": None}
    return Policy(
        **{"name": name, "source": f"{name}.yaml:1", "requirements": {}, **usual} | fields
    )


def catalog_of(
    providers: Mapping[str, ProviderEntry],
    *,
    prices: Mapping[str, Price] | None = None,
    routing: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Catalog:
    """Return a catalog of some providers, of which the first is the default."""
    home = next(iter(providers))
    usual = {
        "name": "default",
        "provider": home,
        "tiers": {"usual": {home: next(iter(providers[home].models), "m")}},
        "default": "usual",
    }
    file = RoutingFile(**usual | dict(routing or {}))
    return dataclasses.replace(
        echo_catalog(),
        providers=providers,
        prices=dict(prices or {}),
        routing=file,
        routings={"default": file},
        **fields,
    )


class Told(NamedTuple):
    """What came of a run, and what the journal says of it."""

    outcome: RunOutcome
    events: list[EventRow]
    calls: list[CallRow]

    @property
    def asked(self) -> list[str]:
        """Who was asked, as ``provider/model``, in order."""
        return [f"{each['provider']}/{each['model']}" for each in self.begun]

    @property
    def begun(self) -> list[Any]:
        """What was noted of the calls that began."""
        return [event.body for event in self.events if event.kind == "invocation_started"]


async def told(
    catalog: Catalog,
    target: Agent | str,
    payload: Any = None,
    *,
    agents: Iterable[Agent | tuple[Agent, Limits]] = (),
    environ: Mapping[str, str] | None = None,
    journal: Journal | None = None,
    during: Callable[[Any], Any] | None = None,
    **options: Any,
) -> Told:
    """Run one agent or workflow in a system of its own; ``during`` gets the system afterwards."""
    async with running(catalog, environ=environ or {}, journal=journal) as system:
        for each in agents:
            if isinstance(each, tuple):
                system.directory.add_agent(*each)
            else:
                system.directory.slug(each)
        outcome = await system.run(target, payload, RunOptions(**options))
        await system.journal.flush()
        if during is not None:
            await during(system)
        events = await system.journal.events(outcome.run_id)
        query = CallQuery(run_id=outcome.run_id, newest_first=False)
        return Told(outcome, events, [one.call for one in await system.journal.calls(query)])
