"""What ``catalog validate`` and ``catalog schema`` do."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.catalog.schema import write_schemas
from runtime.cli.places import catalog_folder
from runtime.cli.streams import emit, prints_to_stderr, say
from runtime.cli.text import plural
from runtime.definitions import load_directory
from runtime.errors import ConfigurationError
from runtime.governance.doubts import doubts_of
from runtime.governance.lifecycle import warnings_of
from runtime.workspace import check_workspace, open_catalog

if TYPE_CHECKING:
    from runtime.catalog import Catalog

SCHEMAS = ".schemas"


def validate_catalog(given: Path | None) -> None:
    """Check a catalog and its code, warn of models that are retired, and print what it has.

    Args:
        given: what ``--catalog`` says.

    Raises:
        CatalogFaults: something is wrong; a line each.
        ConfigurationError: the workspace is not complete.
    """
    folder = catalog_folder(given, Path.cwd())
    with prints_to_stderr():
        check_workspace()
        catalog = open_catalog(folder)
        load_directory(catalog)
    for line in (*doubts_of(catalog), *warnings_of(catalog, datetime.now(UTC).date())):
        say(f"warning: {line}")
    emit(f"{folder}: {_counts(catalog)}: ok")


def _counts(catalog: Catalog) -> str:
    counts = {
        "agent": catalog.agents,
        "skill": catalog.skills,
        "workflow": catalog.workflows,
        "provider": catalog.providers,
        "price": catalog.prices,
    }
    told = [plural(len(entries), kind) for kind, entries in counts.items()]
    policies = len(catalog.policies)
    return ", ".join([*told, f"{policies:,} {'policy' if policies == 1 else 'policies'}"])


def write_catalog_schemas(given: Path | None, out: Path | None) -> None:
    """Write the schemas of a catalog, print their files, and say how an editor finds them.

    Args:
        given: what ``--catalog`` says.
        out: the folder; None for ``.schemas`` in the catalog.

    Raises:
        ConfigurationError: they cannot be written.
    """
    folder = catalog_folder(given, Path.cwd())
    if out is None and not folder.is_dir():
        raise ConfigurationError(f"there is no catalog {folder}; name one, or a folder with --out")
    target = out if out is not None else folder / SCHEMAS
    try:
        written = write_schemas(target)
    except OSError as error:
        raise ConfigurationError(
            f"{error.filename or target}: {error.strerror}; name another folder with --out"
        ) from error
    emit("\n".join(str(path) for path in written))
    agent = os.path.relpath(target / "agent.schema.json", folder / "agents")
    say(
        "an editor with the YAML language server checks a file that begins with, e.g. in"
        f" {folder / 'agents'}:\n# yaml-language-server: $schema={agent}"
    )
