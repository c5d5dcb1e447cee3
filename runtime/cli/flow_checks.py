"""What ``flow validate`` does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runtime.cli.places import catalog_folder
from runtime.cli.streams import emit, prints_to_stderr
from runtime.definitions import load_directory
from runtime.directory import suggest
from runtime.errors import ConfigurationError, UnknownName
from runtime.workspace import check_workspace, open_catalog

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.catalog import Catalog

SUFFIXES = (".yaml", ".yml")


def validate_workflows(given: Iterable[str], folder: Path | None) -> None:
    """Check workflows and the agents that they need, and print which are right.

    Args:
        given: their names or files; none for all.
        folder: what ``--catalog`` says.

    Raises:
        CatalogFaults: something in the catalog is wrong; a line each.
        UnknownName: there is no such workflow.
        ConfigurationError: a file is not of this catalog.
    """
    home = catalog_folder(folder, Path.cwd())
    with prints_to_stderr():
        check_workspace()
        catalog = open_catalog(home)
        load_directory(catalog)
    names = [_name(each, home, catalog) for each in given] or [*catalog.workflows]
    shown = [f"{catalog.line(catalog.workflows[name])}: {name}: ok" for name in names]
    emit("\n".join(shown) if shown else f"{home} has no workflows")


def _name(given: str, home: Path, catalog: Catalog) -> str:
    """Return the workflow that a name or a file means."""
    path = Path(given)
    name = path.stem if path.suffix in SUFFIXES else given
    if name not in catalog.workflows:
        raise UnknownName(f"no workflow {given!r}{suggest(name, [*catalog.workflows])}")
    if path.suffix in SUFFIXES and not path.resolve().is_relative_to(home.resolve()):
        raise ConfigurationError(f"{given} is not in {home}; name its catalog with --catalog")
    return name
