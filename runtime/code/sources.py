"""The files that a run's code is made of, kept so that it can go on with them when they change.

Kept are the Python files of the workspace that are loaded, and what the catalog says of agents and
skills. They are loaded again in a process of its own, from a folder of its own, because two
versions of a module cannot be in one process. Whether that is the code that it was, with all that
it imports, is known by the digests and not by faith: what differs is refused.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from runtime.code.modules import is_foreign
from runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.catalog import Catalog

MOST_CHARACTERS = 4_000_000
CATALOG = "catalog"
OF_THEN = ("agents", "skills")  # the folders of the catalog that are code


def sources_of(catalog: Catalog, agent: str) -> dict[str, str]:
    """Return the files of a workspace that are code, by their paths in it.

    Args:
        catalog: its catalog, whose agents and skills are loaded.
        agent: the slug of the agent that a run begins with.

    Raises:
        ConfigurationError: they cannot be kept, or could not be loaded again.
    """
    if agent not in catalog.agents:
        raise ConfigurationError(
            f"the code of agent {agent} cannot be kept: no file of the catalog names it;"
            " write one, or choose another --on-code-change"
        )
    files = {}
    for name, file in sorted({**_modules(catalog.root), **_entries(catalog)}.items()):
        try:
            files[name] = file.read_text(encoding="utf-8")
        except (OSError, UnicodeError) as error:
            raise ConfigurationError(
                f"the code of agent {agent} cannot be kept: {error}"
            ) from error
    size = sum(map(len, files.values()))
    if size > MOST_CHARACTERS:
        raise ConfigurationError(
            f"the code of agent {agent} cannot be kept: its {len(files)} files have {size:,}"
            f" characters, and at most {MOST_CHARACTERS:,} are kept; choose another"
            " --on-code-change"
        )
    return files


def lay_out(files: Mapping[str, str], today: Path, folder: Path) -> Path:
    """Write kept files into an empty folder, and return its catalog.

    Providers, routing, prices and policies are those of today.

    Args:
        files: the files by their paths.
        today: the catalog of today.
        folder: the folder.

    Raises:
        ConfigurationError: a path leads out of the folder, or the folder cannot be written.
    """
    try:
        return _lay_out(files, today, folder)
    except OSError as error:
        raise ConfigurationError(f"kept code cannot be laid out in {folder}: {error}") from error


def _lay_out(files: Mapping[str, str], today: Path, folder: Path) -> Path:
    catalog = folder / CATALOG
    shutil.copytree(today, catalog, ignore=lambda at, _: OF_THEN if Path(at) == today else ())
    for path, text in files.items():
        parts = PurePosixPath(path)
        if parts.is_absolute() or ".." in parts.parts:
            raise ConfigurationError(f"the kept file {path!r} is in no workspace")
        file = folder / parts
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return catalog


def _modules(workspace: Path) -> dict[str, Path]:
    found = {}
    for module in tuple(sys.modules.values()):
        name = getattr(module, "__file__", None)
        if isinstance(name, str) and name.endswith(".py") and not is_foreign(name):
            file = Path(name)
            if file.is_relative_to(workspace) and file.is_file():
                found[file.relative_to(workspace).as_posix()] = file
    return found


def _entries(catalog: Catalog) -> dict[str, Path]:
    return {
        f"{CATALOG}/{kind}/{name}.yaml": Path(catalog.origin(entry).document.file)
        for kind, entries in zip(OF_THEN, (catalog.agents, catalog.skills), strict=True)
        for name, entry in entries.items()
    }
