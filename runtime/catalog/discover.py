"""Which files a catalog has, and which of them nobody would ever read."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runtime.catalog.faults import CatalogFaults, Fault, suggestion
from runtime.catalog.source import shown_path

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

MOST_FILES = 10_000
MOST_FOLDERS = 1_000
_SUFFIXES = frozenset({".yaml", ".yml"})


class Found(NamedTuple):
    """A file of a catalog: what kind of thing it describes, and where it is."""

    kind: str
    path: Path


def discover(
    folder: Path, folders: Collection[str], files: Collection[str]
) -> tuple[list[Found], list[Fault]]:
    """List a catalog's YAML files, in a fixed order.

    Hidden files and folders and files that are no YAML are passed over. YAML that nobody would
    read is a fault: it is more likely a misspelt name than a decoration.

    Args:
        folder: the catalog.
        folders: the kinds that have a folder each; it may have folders in it.
        files: the kinds that have one file each.

    Raises:
        CatalogFaults: there is no such folder, it cannot be listed or it has too many files.
    """
    found: list[Found] = []
    faults: list[Fault] = []
    for path, is_folder in _listed(folder):
        if is_folder:
            inside = _yaml_below(path)
            if path.name in folders:
                found += [Found(path.name, file) for file in inside]
            elif inside:
                faults.append(_unread(inside[0], "folder", path.name, folders))
        elif path.suffix.lower() in _SUFFIXES:
            if path.stem not in files:
                faults.append(_unread(path, "file", path.name, [f"{name}.yaml" for name in files]))
            elif any(path.stem == other.kind for other in found):
                todo = "move everything into one of the two"
                faults.append(Fault(shown_path(path), 1, 1, f"a second {path.stem!r} file", todo))
            else:
                found.append(Found(path.stem, path))
    return found, faults


def _unread(file: Path, what: str, name: str, known: Collection[str]) -> Fault:
    todo = suggestion(name, known, kind=f"{what}s of a catalog")
    return Fault(shown_path(file), 1, 1, f"nobody reads the catalog's {what} {name!r}", todo)


def _listed(folder: Path) -> list[tuple[Path, bool]]:
    """Return what is in a folder and is not hidden, and whether it is a folder itself."""
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        return [(path, path.is_dir()) for path in paths]
    except OSError as error:
        raise _unlisted(folder, error) from error


def _yaml_below(folder: Path) -> list[Path]:
    files = list(islice(_walk(folder), MOST_FILES + 1))
    if len(files) > MOST_FILES:
        raise _too_large(folder, f"more than {MOST_FILES:,} YAML files")
    return files


def _too_large(folder: Path, what: str) -> CatalogFaults:
    return CatalogFaults([Fault(shown_path(folder), 0, 0, what, "split the catalog")])


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the YAML files below a folder; a linked folder counts once, so a loop of links ends."""
    seen: set[str] = set()
    for base, folders, files in os.walk(folder, onerror=_stop, followlinks=True):
        real = os.path.realpath(base)
        inside = [] if real in seen else sorted(folders)
        folders[:] = [name for name in inside if not name.startswith(".")]
        if real not in seen:
            paths = (Path(base, name) for name in sorted(files) if not name.startswith("."))
            yield from (path for path in paths if path.suffix.lower() in _SUFFIXES)
        seen.add(real)
        if len(seen) > MOST_FOLDERS:
            raise _too_large(folder, f"more than {MOST_FOLDERS:,} folders")


def _stop(error: OSError) -> None:
    raise _unlisted(Path(error.filename), error) from error


def _unlisted(folder: Path, error: OSError) -> CatalogFaults:
    what = f"this catalog folder cannot be listed: {error.strerror or 'unknown reason'}"
    todo = "create it, or name another catalog with --catalog DIR"
    return CatalogFaults([Fault(shown_path(folder), 0, 0, what, todo)])
