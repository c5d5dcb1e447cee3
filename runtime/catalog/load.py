"""A folder of YAML becomes a ``Catalog``, or else the list of everything that is wrong with it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.catalog.catalog import Catalog, Retirement
from runtime.catalog.check import check, draft
from runtime.catalog.contents import Contents
from runtime.catalog.discover import discover
from runtime.catalog.document import Origin
from runtime.catalog.faults import CatalogFaults, Fault
from runtime.catalog.kinds import FILES, FOLDERS, KINDS
from runtime.catalog.policy import policy_of
from runtime.catalog.references import reference_faults
from runtime.catalog.route_references import DEFAULT_ROUTING
from runtime.catalog.source import read_document, shown_path
from runtime.catalog.values import day_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.catalog.discover import Found
    from runtime.catalog.kinds import Kind

_NEEDED = {"routing": f"routing/{DEFAULT_ROUTING}.yaml", "providers": "providers.yaml"}


def load_catalog(folder: Path) -> Catalog:
    """Read and check a catalog.

    Args:
        folder: the catalog; its parent is the workspace.

    Raises:
        CatalogFaults: something is wrong; it carries every fault of every file.
    """
    found, faults = discover(folder, FOLDERS, FILES)
    # not resolve(): a catalog that is a link belongs to the workspace that the link is in
    contents = Contents(Path(os.path.abspath(folder)).parent)  # noqa: PTH100  see above
    faults += _absent(folder, found, contents)
    for kind, path in found:
        faults += _read(KINDS[kind], path, contents)
    faults += reference_faults(contents)
    if faults:
        raise CatalogFaults(faults)
    return _catalog(contents)


def _absent(folder: Path, found: list[Found], contents: Contents) -> Iterator[Fault]:
    """Yield a fault for what no catalog can do without; its names are then in doubt, not wrong."""
    kinds = {file.kind for file in found}
    lacking = [kind for kind in _NEEDED if kind not in kinds]
    for kind in lacking:
        KINDS[kind].shelf(contents).blind = True
    if lacking:
        files = [_NEEDED[kind] for kind in lacking]
        what = f"the catalog has no {' and no '.join(files)}" if found else "the catalog is empty"
        todo = f"write {' and '.join(files)}, or name another catalog with --catalog DIR"
        yield Fault(shown_path(folder), 0, 0, what, todo)


def _read(kind: Kind, path: Path, contents: Contents) -> list[Fault]:
    """Read one file onto its shelf, and return its faults."""
    document, unread = read_document(path)
    entry, faults = check(kind.model, document) if document else (None, ())
    shelf = kind.shelf(contents)
    if unread or faults or entry is None or document is None:
        shelf.doubt(path.stem, document)
        if document and kind.whole:
            shelf.drafts.append((draft(kind.model, document), Origin(document)))
        return [*unread, *faults]
    taken = [
        shelf.add(name, part, Origin(document, place)) for name, part, place in kind.parts(entry)
    ]
    return [fault for fault in taken if fault]


def _catalog(contents: Contents) -> Catalog:
    """Return faultless contents as a catalog."""
    return Catalog(
        root=contents.workspace,
        agents=contents.agents.entries,
        skills=contents.skills.entries,
        workflows=contents.workflows.entries,
        routing=contents.routing.entries[DEFAULT_ROUTING],
        routings=contents.routing.entries,
        providers=contents.providers.entries,
        prices={name: entry.price(origin.line()) for name, entry, origin in contents.prices},
        policies=tuple(policy_of(entry, origin.line()) for _, entry, origin in contents.policies),
        retirements={
            name: Retirement(day_of(day), origin.line())
            for name, day, origin in contents.retirements
        },
        _origins={id(entry): origin for entry, origin in contents.all_origins()},
    )
