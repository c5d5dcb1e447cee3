"""What a catalog has, as tables or as JSON. Nothing of an author's code is imported for it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.catalog import load_catalog, profile_of
from runtime.cli.places import catalog_folder
from runtime.cli.streams import emit, emit_json
from runtime.cli.text import table
from runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from runtime.catalog import Catalog, ProviderEntry

Rows = list[dict[str, Any]]


def list_contents(given: Path | None, kinds: Iterable[str], *, as_json: bool) -> None:
    """Print what a catalog has.

    Args:
        given: what ``--catalog`` says.
        kinds: which kinds to list.
        as_json: print one object instead of tables.

    Raises:
        CatalogFaults: the catalog is wrong.
    """
    catalog = load_catalog(catalog_folder(given, Path.cwd()))
    found = {kind: _LISTS[kind](catalog) for kind in kinds}
    if as_json:
        emit_json(found)
    else:
        emit("\n\n".join(_shown(kind, rows) for kind, rows in found.items()))


def _shown(kind: str, rows: Rows) -> str:
    if not rows:
        return f"no {kind}"
    columns = _COLUMNS[kind]
    return table(
        (kind, *columns), [[row["name"], *(_cell(row[c]) for c in columns)] for row in rows]
    )


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return "" if value is None else str(value)


def _agents(catalog: Catalog) -> Rows:
    return [
        {
            "name": entry.name,
            "role": entry.role,
            "description": entry.description,
            "model": entry.model,
            "skills": None if entry.skills is None else list(entry.skills),
            "agents": None if entry.agents is None else list(entry.agents),
        }
        for entry in catalog.agents.values()
    ]


def _skills(catalog: Catalog) -> Rows:
    return [
        {"name": entry.name, "description": entry.description} for entry in catalog.skills.values()
    ]


def _workflows(catalog: Catalog) -> Rows:
    return [
        {"name": entry.name, "agent": entry.agent, "description": entry.description}
        for entry in catalog.workflows.values()
    ]


def _providers(catalog: Catalog) -> Rows:
    return [_provider(name, entry, os.environ) for name, entry in catalog.providers.items()]


def _provider(name: str, entry: ProviderEntry, environ: Mapping[str, str]) -> dict[str, Any]:
    needs = None
    try:
        profile_of(name, entry, environ)
    except ConfigurationError as error:
        needs = str(error)
    return {
        "name": name,
        "dialect": entry.dialect,
        "description": entry.description,
        "models": list(entry.models),
        "any_model": entry.any_model,
        "ready": needs is None,
        "needs": needs,
    }


_LISTS: Mapping[str, Callable[[Catalog], Rows]] = {
    "agents": _agents,
    "skills": _skills,
    "workflows": _workflows,
    "providers": _providers,
}
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "agents": ("role", "description"),
    "skills": ("description",),
    "workflows": ("agent", "description"),
    "providers": ("dialect", "models", "needs"),
}
