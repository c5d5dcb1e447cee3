"""What a run is started with: its target, its input, its limits, and whom its starter wants asked.

The one who starts it goes before the environment, the environment before the workflow's entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.catalog import profile_of
from runtime.directory import suggest
from runtime.errors import ConfigurationError, UnknownName
from runtime.outcome import RunOptions
from runtime.routing import Wish, choose

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from runtime.agent import Agent
    from runtime.catalog import Catalog, WorkflowEntry
    from runtime.directory import Directory
    from runtime.routing import Level
    from runtime.run import Durability

DURABILITY = "MAGSAG_DURABILITY"
DURABILITIES: Mapping[str, Durability] = {"fast": "fast", "strict": "strict"}


class Start(NamedTuple):
    """What a run is started with.

    Attributes:
        name: the workflow's or agent's name, for people.
        agent: the slug of the agent that begins.
        payload: its input.
        options: its limits, filled in.
        wishes: whom its starter wants asked, strongest first.
    """

    name: str
    agent: str
    payload: Any
    options: RunOptions
    wishes: tuple[Wish, ...]


def resolve(
    target: Agent | str,
    payload: Any,
    options: RunOptions,
    *,
    catalog: Catalog,
    directory: Directory,
    environ: Mapping[str, str],
) -> Start:
    """Fill in what the workflow and the environment say.

    Args:
        target: a workflow's or agent's name, or a decorated agent.
        payload: its input; None for the workflow's own, or for none.
        options: how it is started.
        catalog: workflows, routing and providers.
        directory: the agents.
        environ: the environment variables.

    Raises:
        UnknownName: there is no such workflow, agent or routing file.
    """
    workflow = catalog.workflows.get(target) if isinstance(target, str) else None
    name = target if isinstance(target, str) else target.name
    if isinstance(target, str) and workflow is None and target not in directory.agents:
        known = [*catalog.workflows, *directory.agents]
        raise UnknownName(f"no workflow or agent {target!r}{suggest(target, known)}")
    slug = directory.slug(workflow.agent if workflow is not None else target)
    if payload is None and workflow is not None and workflow.input is not None:
        payload = dict(workflow.input)
    wishes = _wishes(options, environ, workflow)
    routing = _routing(options, environ, workflow, catalog)
    limits = (options, workflow)
    resolved = RunOptions(
        run_id=options.run_id,
        budget_usd=_first("budget_usd", limits),
        deadline_s=_first("deadline_s", limits),
        routing=routing,
        tenant=options.tenant or _set(environ, "MAGSAG_TENANT"),
        conversation_id=options.conversation_id,
        session_id=options.session_id,
        approve=options.approve,
        listener=options.listener,
        durability=options.durability or _durability(environ),
        on_code_change=_first("on_code_change", limits),
        argv=options.argv,
    )
    return Start(name, slug, payload, resolved, wishes)


def check(start: Start, catalog: Catalog, environ: Mapping[str, str]) -> None:
    """Refuse an unknown provider or model before anything runs.

    Args:
        start: what the run is started with.
        catalog: routing and providers.
        environ: the environment variables.

    Raises:
        UnknownName: there is no such provider or model.
        ConfigurationError: a key or address of the provider is missing.
    """
    wishes, routing = start.wishes, start.options.routing
    provider = next((wish.provider for wish in wishes if wish.provider), None)
    if provider is not None and provider not in catalog.providers:
        raise UnknownName(f"no provider {provider!r}{suggest(provider, catalog.providers)}")
    asked = provider
    if any(wish.model for wish in wishes):
        asked = choose(wishes, catalog.routing_of(routing), catalog.providers).provider
    if provider is not None and provider == asked:  # else a stronger wish goes to somebody else
        profile_of(provider, catalog.providers[provider], environ)


def _wishes(
    options: RunOptions, environ: Mapping[str, str], workflow: WorkflowEntry | None
) -> tuple[Wish, ...]:
    model, provider = (None, None) if workflow is None else (workflow.model, workflow.provider)
    named: tuple[tuple[str | None, str | None, Level], ...] = (
        (options.model, options.provider, "command"),
        (_set(environ, "MAGSAG_MODEL"), _set(environ, "MAGSAG_PROVIDER"), "environment"),
        (model, provider, "workflow"),
    )
    return tuple([Wish(*each) for each in named if each[0] or each[1]])


def _routing(
    options: RunOptions,
    environ: Mapping[str, str],
    workflow: WorkflowEntry | None,
    catalog: Catalog,
) -> str | None:
    wished = options.routing or _set(environ, "MAGSAG_ROUTING")
    name = wished or (None if workflow is None else workflow.routing)
    check_routing(name, catalog)
    return name


def check_routing(name: str | None, catalog: Catalog) -> None:
    """Refuse a routing file that is not there.

    Raises:
        UnknownName: there is none of that name.
    """
    if name is not None and name not in catalog.routings:
        raise UnknownName(f"no routing file is called {name!r}{suggest(name, catalog.routings)}")


def _set(environ: Mapping[str, str], variable: str) -> str | None:
    return environ.get(variable, "").strip() or None


def _first(name: str, said_by: Iterable[object]) -> Any:
    """Return a field of the first one that says something there; None where none does."""
    for each in said_by:
        value = getattr(each, name, None)
        if value is not None:
            return value
    return None


def _durability(environ: Mapping[str, str]) -> Durability:
    """Return what the environment says.

    Raises:
        ConfigurationError: that is neither word.
    """
    said = _set(environ, DURABILITY) or "fast"
    if said not in DURABILITIES:
        raise ConfigurationError(f"{DURABILITY}={said!r} is not known; it is fast or strict")
    return DURABILITIES[said]
